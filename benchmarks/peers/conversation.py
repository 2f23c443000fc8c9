"""The conversation that every system plays, and how a player is measured.

It is ``textgym/GuessNumber-v0`` with ``low=2`` word for word, against a model that always guesses 1: the
number is never found and each episode takes all its turns. The environment's part of a turn is to read the
guess from its tags, compare it and say the hint; the reward is 0.

Invariant: what is measured are the CPU seconds of this process, all of its threads, and of its children that
have ended, from the first request after the warm-up to the last. Importing, installing and warming up are
outside. Every system runs on asyncio's own event loop, and none writes records to a disk.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import re
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["HIGH", "LOW", "MAX_TOKENS", "MODEL", "hint", "measure", "number_of", "rules", "won"]

LOW, HIGH = 2, 100
MODEL = "mock"
MAX_TOKENS = 1024
_BENEATH = ("aiohttp", "anyio", "httpx", "httpx2", "openai", "orjson", "pydantic")
"""What systems stand on and do not pin: its versions go with the figures."""
_RSS_PER_MB = 1 << 20 if sys.platform == "darwin" else 1 << 10
_GUESS = re.compile(r"<guess>\s*([+-]?[0-9]+)\s*</guess>")


def rules(turns: int) -> str:
    """The first message."""
    return (
        f"I am thinking of a whole number from {LOW} to {HIGH}. You have {turns} guesses; after each wrong one "
        "I tell you whether my number is higher or lower. Answer with one number in tags, like "
        f"<guess>{LOW}</guess>."
    )


def number_of(episode: int) -> int:
    """The number of an episode."""
    return LOW + episode * 37 % (HIGH - LOW + 1)


def won(answer: str, number: int) -> bool:
    """Whether the answer is the number."""
    found = _GUESS.search(answer)
    return found is not None and int(found[1]) == number


def hint(answer: str, number: int, left: int) -> str:
    """What the environment says to a wrong answer, with so many guesses left."""
    rest = f"{left} {'guess' if left == 1 else 'guesses'} left."
    found = _GUESS.search(answer)
    if found is None:
        return f"That is not one whole number in <guess> tags. {rest}"
    guess = int(found[1])
    return f"My number is {'higher' if guess < number else 'lower'} than {guess}. {rest}"


def measure(system: str, package: str, play: Callable[[str, int, int, int], int]) -> None:
    """Read the command line, play, and print the JSON line.

    Args:
        system: Name in the table.
        package: Distribution whose version is reported.
        play: ``(base_url, episodes, turns, concurrency) -> turns that were played``.
    """
    parser = argparse.ArgumentParser(description=(sys.modules["__main__"].__doc__ or "").split("\n")[0])
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--warmup", type=int, default=256, help="episodes that are played before")
    options = parser.parse_args()
    if options.warmup:
        play(options.base_url, options.warmup, options.turns, options.concurrency)
    gc.collect()
    cpu, began = _cpu(), time.perf_counter()
    turns = play(options.base_url, options.episodes, options.turns, options.concurrency)
    wall, cpu = time.perf_counter() - began, _cpu() - cpu
    if turns != options.episodes * options.turns:
        raise SystemExit(f"{system} played {turns} turns instead of {options.episodes} x {options.turns}")
    line = {
        "system": system,
        "version": version(package),
        "beneath": {"python": platform.python_version(), **_versions()},
        "cpu_ms_per_turn": cpu / turns * 1e3,
        "turns_per_second": turns / wall,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MB,
        "uncounted_children": _living_children(),
    }
    print(json.dumps(line))


def _versions() -> dict[str, str]:
    found = {}
    for package in _BENEATH:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _living_children() -> int:
    """Children that still run, whose time is not in the figures; 0 where the system does not tell."""
    files = Path("/proc/self/task").glob("*/children")
    return sum(len(file.read_text().split()) for file in files)
