"""How much memory does a live episode take, and does it grow linearly in episodes and turns?

Plays GuessNumber-v0 with ``textgym.rollout``, every case in a process of its own, all of its episodes at once, and
reads the resident memory of the process (the most that a thread sees every 20 ms, above what the process held
after a small run to warm up). Linux only: it reads ``/proc/self``.

- ``http``: 10,000 episodes of 5 turns through ``OpenAIPolicy`` (at most 1024 connections) and a mock server in
  another process: errors, sockets, memory.
- ``episodes``: 100 to 10,000 episodes of 5 turns, without a server.
- ``turns``: 200 episodes of 1 to 256 turns, without a server.
- ``tokens``: 1,000 episodes of 5 turns with 512 ids and log-probabilities each; what they hold beyond the arrays.

    python benchmarks/live_episodes.py [http episodes turns tokens] [--json FILE]
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

CASES: dict[str, list[dict[str, int]]] = {
    "http": [{"episodes": 10_000, "turns": 5, "http": 1}],
    "episodes": [{"episodes": n, "turns": 5} for n in (100, 300, 1000, 3000, 10_000)],
    "turns": [{"episodes": 200, "turns": n} for n in (1, 4, 16, 64, 256)],
    "tokens": [{"episodes": 1000, "turns": 5, "tokens": 512}],
}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    table: dict[str, list[Any]] = {}
    for name in options.cases:
        for case in CASES[name]:
            command = [sys.executable, __file__, "--one", json.dumps(case)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            row = json.loads(done.stdout)
            table.setdefault(name, []).append(row)
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=2), "utf-8")


if __name__ == "__main__":
    main()
