"""How much memory does a live episode take, and does it grow linearly in episodes and turns?

Plays GuessNumber-v0 with ``textgym.rollout``, every case in a process of its own, all of its episodes at once, and
reads the resident memory of the process (the most that a thread sees every 20 ms, above what the process held
after a small run to warm up). Linux only: it reads ``/proc/self``.

- ``http``: 10,000 episodes of 5 turns through ``OpenAIPolicy`` (at most 1024 connections) and a mock server in
  another process: errors, sockets, memory.
- ``episodes``: 100 to 10,000 episodes of 5 turns, without a server.
- ``turns``: 200 episodes of 1 to 256 turns, without a server.
- ``tokens``: 1,000 episodes of 5 turns, without a server, with and without 512 ids and log-probabilities a turn:
  what the tokens add, beside their arrays (9 bytes a token: id, log-probability, mask).

    python benchmarks/live_episodes.py [http episodes turns tokens] [--most EPISODES] [--json FILE]

Bars: no errors and at most 20 kB an episode with 10,000 over HTTP; bytes an episode the same from 100 to 10,000,
and bytes a further turn from 16 to 256, within a quarter; tokens add at most their arrays and a quarter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

MANY, MOST_BYTES = 10_000, 20_000
"""Episodes at once over HTTP, and bytes of each."""
CASES: dict[str, list[dict[str, int]]] = {
    "http": [{"episodes": MANY, "turns": 5, "http": 1}],
    "episodes": [{"episodes": n, "turns": 5} for n in (100, 300, 1000, 3000, MANY)],
    "turns": [{"episodes": 200, "turns": n} for n in (1, 4, 16, 64, 256)],
    "tokens": [{"episodes": 1000, "turns": 5, "tokens": tokens} for tokens in (0, 512)],
}
A_QUARTER_MORE = 1.25
ANSWER = "<guess>1</guess>"


def resident() -> int:
    """Resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watch(threading.Thread):
    """Follows memory and open files until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most_memory = self.most_files = 0
        self.over = threading.Event()

    def run(self) -> None:
        """Look every 20 ms."""
        while not self.over.wait(0.02):
            self.look()

    def look(self) -> None:
        """Look once."""
        self.most_memory = max(self.most_memory, resident())
        self.most_files = max(self.most_files, len(os.listdir("/proc/self/fd")))


class Together:
    """Answers when all episodes have asked, so that all are alive at once."""

    name = "together"

    def __init__(self, episodes: int, tokens: int) -> None:
        self.episodes, self.tokens = episodes, tokens
        self.waiting: list[asyncio.Future[None]] = []

    async def complete(self, request: Any) -> Any:
        """Wait for all others, then answer."""
        import numpy as np

        import textgym

        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        if len(self.waiting) == self.episodes:
            everybody, self.waiting = self.waiting, []
            for other in everybody:
                other.set_result(None)
        await future
        if not self.tokens:
            return textgym.Completion(text=ANSWER)
        ids = np.arange(self.tokens, dtype=np.int32)
        prompt = np.arange((self.tokens + 40) * request.turn + 60, dtype=np.int32)
        for turn in range(request.turn):
            start = (self.tokens + 40) * turn + 60
            prompt[start : start + self.tokens] = ids
        return textgym.Completion(
            text=ANSWER,
            token_ids=ids,
            logprobs=np.full(self.tokens, -0.5, np.float32),
            prompt_token_ids=prompt,
        )


def play(policy: Any, episodes: int, turns: int) -> Any:
    import textgym

    return textgym.rollout(
        "textgym/GuessNumber-v0",
        policy,
        num_examples=episodes,
        env_kwargs={"max_turns": turns, "low": 2},
        max_concurrency=episodes,
        sampling=textgym.Sampling(max_tokens=16),
    )


def measure(episodes: int, turns: int, http: int = 0, tokens: int = 0) -> dict[str, Any]:
    """Play one case in this process."""
    import textgym
    from textgym.testing import MockModelServer

    def finish(policy: Any) -> dict[str, Any]:
        watch = Watch()
        start = resident()
        watch.look()
        files = watch.most_files
        watch.start()
        began, cpu = time.perf_counter(), time.process_time()
        run = play(policy, episodes, turns)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        watch.over.set()
        watch.join()
        watch.look()
        arrays = sum(t.tokens.nbytes for t in run if t.tokens is not None)
        exact = sum(9 * len(t.tokens) for t in run if t.tokens is not None)
        grown = watch.most_memory - start
        return {
            "episodes": episodes,
            "turns": turns,
            "tokens": tokens,
            "errors": len(run.errors),
            "bytes_per_episode": round(grown / episodes),
            "bytes_per_turn": round(grown / episodes / turns),
            "array_bytes_per_episode": round(exact / episodes),
            "array_bytes_held": round(arrays / episodes),
            "sockets": watch.most_files - files,
            "seconds": round(seconds, 2),
            "cpu_ms_per_turn": round(cpu / episodes / turns * 1e3, 3),
        }

    if http:
        with MockModelServer.spawn(answer=ANSWER, latency=0.2) as server:
            play(textgym.OpenAIPolicy("mock", base_url=server.base_url), 20, 2)
            return finish(textgym.OpenAIPolicy("mock", base_url=server.base_url, max_connections=1024))
    play(Together(20, tokens), 20, 2)
    return finish(Together(episodes, tokens))


def compare(table: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """The ratios that the bars speak of.

    Args:
        table: Rows of each case that was played, in the order of ``CASES``.
    """
    compared: dict[str, dict[str, float]] = {}
    if "http" in table:
        (row,) = table["http"]
        size = f"{row['episodes']} live episodes over HTTP"
        compared[f"{size}, errors"] = {"ratio": row["errors"], "at_most": 0}
        held = row["bytes_per_episode"]
        bar = {"at_most": 1.0} if row["episodes"] == MANY else {}  # fewer have a connection each
        compared[f"{size}, bytes an episode / {MOST_BYTES}"] = {"ratio": held / MOST_BYTES, **bar}
    if "episodes" in table:
        rows = table["episodes"]
        span = f"{rows[-1]['episodes']} / {rows[0]['episodes']} episodes"
        compared[f"{span}, bytes an episode"] = {
            "ratio": rows[-1]["bytes_per_episode"] / rows[0]["bytes_per_episode"],
            "at_most": A_QUARTER_MORE,
        }
        cpu = rows[-1]["cpu_ms_per_turn"] / rows[0]["cpu_ms_per_turn"]
        compared[f"{span}, CPU a turn"] = {"ratio": cpu}
    if "turns" in table:
        *_, low, middle, high = table["turns"]
        further = [
            (b["bytes_per_episode"] - a["bytes_per_episode"]) / (b["turns"] - a["turns"])
            for a, b in ((low, middle), (middle, high))
        ]
        compared[f"{middle['turns']} to {high['turns']} turns, bytes of a further turn / those before"] = {
            "ratio": further[1] / further[0],
            "at_most": A_QUARTER_MORE,
        }
        cpu = high["cpu_ms_per_turn"] / low["cpu_ms_per_turn"]
        compared[f"{high['turns']} / {low['turns']} turns, CPU a turn"] = {"ratio": cpu}
    if "tokens" in table:
        bare, full = table["tokens"]
        added = full["bytes_per_episode"] - bare["bytes_per_episode"]
        compared["bytes that tokens add / their arrays"] = {
            "ratio": added / full["array_bytes_per_episode"],
            "at_most": A_QUARTER_MORE,
        }
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--most", type=int, default=MANY, help="episodes of a case, at most")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    unknown = sorted(set(options.cases) - CASES.keys())
    if unknown:
        parser.error(f"no case {', '.join(unknown)}: there are {', '.join(CASES)}")
    table: dict[str, list[Any]] = {}
    for name in options.cases:
        for given in CASES[name]:
            case = given | {"episodes": min(given["episodes"], options.most)}
            command = [sys.executable, __file__, "--one", json.dumps(case)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            row = json.loads(done.stdout)
            table.setdefault(name, []).append(row)
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    compared = compare(table)
    for what, row in compared.items():
        print(f"{what}: {row['ratio']:.2f}" + (f" (at most {row['at_most']})" if "at_most" in row else ""))
    if options.json:
        Path(options.json).write_text(json.dumps({"cases": table, "compared": compared}, indent=2), "utf-8")


if __name__ == "__main__":
    main()
