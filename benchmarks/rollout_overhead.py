"""What does a rollout cost beyond the HTTP calls themselves?

Plays GuessNumber-v0 with ``textgym.rollout`` and ``OpenAIPolicy``, and the same conversation with a loop
written by hand on raw aiohttp (``peers/play_aiohttp.py``: no framework, no record), both in this interpreter,
against one mock server in another process with 50 ms latency, 256 episodes at a time. Client CPU per turn, both
on the same kind of event loop (uvloop's where it is installed), alternating repeats, medians. With ``--tokens``
replies have that many tokens, with ids and log-probabilities, which textgym records and the other loop only
decodes.

    python benchmarks/rollout_overhead.py [--episodes 2000] [--repeats 5] [--turns 1 5] [--tokens 0 512] [--orjson]

Bars: with 5 turns at most 1.5 times the loop by hand, with 1 turn 2 times, with 512 tokens 2 times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from textgym.testing import MockModelServer

sys.path.append(str(Path(__file__).parent / "peers"))
import play_aiohttp
import play_textgym

ANSWER = "<guess>1</guess>"
CONCURRENCY = 256
AT_MOST = {(1, 0): 2.0, (5, 0): 1.5, (1, 512): 2.0, (5, 512): 2.0}
"""textgym / by hand, by turns of an episode and tokens of a reply."""


def loop_factory() -> Any:
    """What makes the event loop that textgym would take as well."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def cpu_per_turn(play: Callable[[], int]) -> float:
    """Client CPU seconds per turn."""
    began = time.process_time()
    turns = play()
    return (time.process_time() - began) / turns


def compare(
    base_url: str, episodes: int, repeats: int, turns: int, tokens: int, fast: bool = False
) -> dict[str, float]:
    """Alternate between both; medians.

    Args:
        base_url: The server.
        episodes: How many in a repeat.
        repeats: How often.
        turns: Of each episode.
        tokens: Of each reply; 0 asks for none.
        fast: Whether the loop by hand decodes with orjson, as textgym does.
    """
    by_hand = play_aiohttp.Loop(base_url, tokens > 0, orjson.loads if fast else json.loads)

    def hand(count: int, length: int) -> int:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(by_hand.play(count, length, CONCURRENCY))

    def ours(count: int, length: int) -> int:
        return play_textgym.play(base_url, count, length, CONCURRENCY, tokens)

    hand(CONCURRENCY, 1)
    ours(CONCURRENCY, 1)
    costs = [
        (cpu_per_turn(lambda: hand(episodes, turns)), cpu_per_turn(lambda: ours(episodes, turns)))
        for _ in range(repeats)
    ]
    row = {
        "by_hand_ms": statistics.median(theirs for theirs, _ in costs) * 1e3,
        "textgym_ms": statistics.median(own for _, own in costs) * 1e3,
        "ratio": statistics.median(own / theirs for theirs, own in costs),
    }
    return row | ({"at_most": AT_MOST[turns, tokens]} if (turns, tokens) in AT_MOST and not fast else {})


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
    print(f"event loop: {'uvloop' if loop_factory() else 'asyncio'}")
    table: dict[str, Any] = {}
    for tokens in options.tokens:
        answer = "." * (tokens - len(ANSWER) - 1) + ANSWER  # a byte a token, and one for the end
        with MockModelServer.spawn(answer=answer, latency=0.05) as server:
            for turns in options.turns:
                row = compare(
                    server.base_url, options.episodes, options.repeats, turns, tokens, options.orjson
                )
                name = f"{turns} turns, {tokens or 'no'} tokens"
                table[name] = row
                print(
                    f"{name}: by hand {row['by_hand_ms']:.3f} ms CPU a turn, "
                    f"textgym {row['textgym_ms']:.3f} ms, ratio {row['ratio']:.2f} (median of {options.repeats})",
                    flush=True,
                )
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=2), "utf-8")


if __name__ == "__main__":
    main()
