"""What does a rollout cost beyond the HTTP calls themselves?

Plays GuessNumber-v0 with ``textgym.rollout`` and ``OpenAIPolicy``, and the same conversation with a loop
written by hand on raw aiohttp (post, parse, append; no environment, no record), against one mock server in
another process with 50 ms latency. Client CPU per turn, both on the same kind of event loop (uvloop's where it is
installed), alternating repeats, medians. With ``--tokens`` replies have that many tokens, with ids and
log-probabilities, which textgym records and the other loop only decodes.

    python benchmarks/rollout_overhead.py [--episodes 2000] [--repeats 5] [--turns 1 5] [--tokens 0 512] [--orjson]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from typing import Any

import aiohttp
import orjson

import textgym
from textgym.testing import MockModelServer

ANSWER = "<guess>1</guess>"
CONCURRENCY = 256
FAST = False
"""Whether the loop by hand decodes with orjson, as textgym does, and not with the standard library."""


def loop_factory() -> Any:
    """What makes the event loop that textgym would take as well."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def by_hand(base_url: str, episodes: int, turns: int, tokens: int) -> int:
    """The loop that a careful engineer would write without a framework."""
    loads = orjson.loads if FAST else json.loads
    more = {"return_token_ids": True, "logprobs": True, "top_logprobs": 0} if tokens else {}
    rules = "I am thinking of a whole number from 1 to 100. Answer with one number in tags. " * 2

    async def episode(session: aiohttp.ClientSession) -> int:
        messages = [{"role": "user", "content": rules}]
        for _ in range(turns):
            body = {"model": "mock", "messages": messages, "max_tokens": 1024, **more}
            async with session.post(f"{base_url}/chat/completions", json=body) as reply:
                data = await reply.json(loads=loads)
            messages.append({"role": "assistant", "content": data["choices"][0]["message"]["content"]})
            messages.append({"role": "user", "content": "My number is higher than 1. 9 guesses left."})
        return turns

    async def main() -> int:
        left = iter(range(episodes))

        async def worker(session: aiohttp.ClientSession) -> int:
            return sum([await episode(session) for _ in left])

        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector) as session:
            return sum(await asyncio.gather(*(worker(session) for _ in range(CONCURRENCY))))

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


def by_textgym(base_url: str, episodes: int, turns: int, tokens: int) -> int:
    """The same with environments, rewards and complete records."""
    run = textgym.rollout(
        "textgym/GuessNumber-v0",
        textgym.OpenAIPolicy("mock", base_url=base_url, tokens=tokens > 0),
        num_examples=episodes,
        env_kwargs={"max_turns": turns, "low": 2},
        max_concurrency=CONCURRENCY,
        sampling=textgym.Sampling(max_tokens=1024),
    )
    assert not run.errors, run.errors[0].error
    assert all((trajectory.tokens is not None) == (tokens > 0) for trajectory in run)
    return sum(len(trajectory.steps) for trajectory in run)


def cpu_per_turn(play: Any, *arguments: Any) -> float:
    """Client CPU seconds per turn."""
    began = time.process_time()
    turns = play(*arguments)
    return (time.process_time() - began) / turns


def compare(base_url: str, episodes: int, repeats: int, turns: int, tokens: int) -> dict[str, float]:
    """Alternate between both; medians."""
    hand, ours = [], []
    cpu_per_turn(by_hand, base_url, CONCURRENCY, 1, tokens)
    cpu_per_turn(by_textgym, base_url, CONCURRENCY, 1, tokens)
    for _ in range(repeats):
        hand.append(cpu_per_turn(by_hand, base_url, episodes, turns, tokens))
        ours.append(cpu_per_turn(by_textgym, base_url, episodes, turns, tokens))
    return {
        "turns": turns,
        "tokens": tokens,
        "by_hand_ms": statistics.median(hand) * 1e3,
        "textgym_ms": statistics.median(ours) * 1e3,
        "ratio": statistics.median(o / h for o, h in zip(ours, hand, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--episodes", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--turns", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--tokens", type=int, nargs="+", default=[0, 512])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument(
        "--orjson", action="store_true", help="decode with orjson in the loop by hand as well"
    )
    options = parser.parse_args()
    global FAST
    FAST = options.orjson
    print(f"event loop: {'uvloop' if loop_factory() else 'asyncio'}")
    table = []
    for tokens in options.tokens:
        answer = "." * (tokens - len(ANSWER) - 1) + ANSWER  # a byte a token, and one for the end
        with MockModelServer.spawn(answer=answer, latency=0.05) as server:
            for turns in options.turns:
                row = compare(server.base_url, options.episodes, options.repeats, turns, tokens)
                table.append(row)
                print(
                    f"{turns} turns, {tokens or 'no'} tokens: by hand {row['by_hand_ms']:.3f} ms CPU a turn, "
                    f"textgym {row['textgym_ms']:.3f} ms, ratio {row['ratio']:.2f} (median of {options.repeats})",
                    flush=True,
                )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main()
