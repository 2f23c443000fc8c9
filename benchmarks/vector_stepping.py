"""How many steps a second does ``GroupVectorEnv`` take beside other vector environments, and are the texts right?

64 toys (``peers/toy.py``, a third of a microsecond a step) in every autoreset mode: ``GroupVectorEnv``,
Gymnasium's ``SyncVectorEnv`` and ``AsyncVectorEnv`` (shared memory on, one process a member), and GEM's
``make_vec`` in a virtual environment of its own; then ``textgym/Echo-v0``, whose infos are real ones. Steps
of members per second of CPU, worker processes included; systems alternate within each repeat (GEM comes after
them); medians, and ratios as medians of the ratios within a repeat. Every text that is shown, in a run of its
own before, and the last ones of the measured run are compared with toys played one by one.

    python benchmarks/vector_stepping.py [--venvs DIR] [--members 64] [--steps 2000] [--repeats 7]
        [--without async gem gem-threads] [--json FILE]

Bar: at least as many steps as ``SyncVectorEnv`` in the same mode, with right texts in every mode.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from peers.toy import MODES, Reference, Toy, actions
from peers.venvs import Peer, Unavailable, run_program

import textgym  # noqa: F401 - registers the ids
from textgym.spaces import Unicode
from textgym.vector import GroupVectorEnv

GEM = Peer(label="GEM", program="step_gem.py", requirements=("gem-llm==0.1.0",))
CHECKED_STEPS = 40
ASYNC_SHARE = 4
"""A step of worker processes costs so much more that they take this part of the steps."""


class TextToy(gym.Env[str, str]):
    """The toy as an environment of Gymnasium."""

    observation_space = Unicode(max_length=200)
    action_space = Unicode(max_length=200)

    def __init__(self) -> None:
        self.toy = Toy()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode."""
        return self.toy.begin(seed), {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take a turn."""
        text, reward, ended = self.toy.answer(action)
        return text, reward, ended, False, {}


def echo() -> gym.Env[str, str]:
    """A registered environment, as ``gym.make`` wraps it."""
    return gym.make("textgym/Echo-v0", turns=5)


MAKERS: dict[str, Callable[[Any, int, AutoresetMode], Any]] = {
    "GroupVectorEnv": lambda make, members, mode: GroupVectorEnv(make, members, autoreset_mode=mode),
    "SyncVectorEnv": lambda make, members, mode: SyncVectorEnv([make] * members, autoreset_mode=mode),
    "AsyncVectorEnv": lambda make, members, mode: AsyncVectorEnv([make] * members, autoreset_mode=mode),
}


def play(envs: Any, said: list[list[str]], mode: str, seen: Callable[[Any], None] | None = None) -> Any:
    """Reset and step; where nothing resets by itself, what has ended is reset before the next step.

    Args:
        envs: The vector environment.
        said: The actions of each step.
        mode: Its autoreset mode.
        seen: Called with the texts after every step and every reset.
    """
    texts, _ = envs.reset(seed=list(range(envs.num_envs)))
    for one in said:
        texts, _, terminations, truncations, _ = envs.step(one)
        if seen:
            seen(texts)
        if mode == "disabled":
            ended = np.logical_or(terminations, truncations)
            if ended.any():
                texts, _ = envs.reset(options={"reset_mask": ended})
                if seen:
                    seen(texts)
    return texts


def expected(members: int, said: list[list[str]], mode: str) -> list[list[str]]:
    """What ``seen`` has to be called with, for toys."""
    reference = Reference(members, mode)
    shown = []
    for one in said:
        shown.append(reference.step(one))
        if mode == "disabled" and any(reference.ended):
            shown.append(reference.reset_ended())
    return shown


def cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def speed(name: str, make: Any, members: int, steps: int, mode: str) -> tuple[float, Any]:
    """Steps of members per CPU second, and the last texts."""
    said = [actions(turn, members) for turn in range(steps)]
    if name != "AsyncVectorEnv":
        envs = MAKERS[name](make, members, AutoresetMode[mode.upper()])
        play(envs, said[:5], mode)
        began = time.process_time()
        texts = play(envs, said, mode)
        spent = time.process_time() - began
        envs.close()
        return members * steps / spent, texts
    lives = []
    for count in (1, steps):  # the time of workers is known when they have ended, their start included
        began = cpu()
        envs = MAKERS[name](make, members, AutoresetMode[mode.upper()])
        texts = play(envs, said[:count], mode)
        envs.close()
        lives.append(cpu() - began)
    if lives[1] < 1.1 * lives[0]:
        raise Unavailable(f"{steps} steps do not show beside starting the workers: give more --steps")
    return members * (steps - 1) / (lives[1] - lives[0]), texts


def texts_are_right(name: str, members: int, mode: str) -> bool:
    """Whether every text that toys show is the one they show alone."""
    said = [actions(turn, members) for turn in range(CHECKED_STEPS)]
    shown: list[list[str]] = []
    envs = MAKERS[name](TextToy, members, AutoresetMode[mode.upper()])
    try:
        play(envs, said, mode, seen=lambda texts: shown.append(list(texts)))
    finally:
        envs.close()
    return shown == expected(members, said, mode)


def measure(make: Any, names: list[str], mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """All repeats of one environment in one mode."""
    speeds: dict[str, list[float]] = {name: [] for name in names}
    right = {name: make is not TextToy or texts_are_right(name, options.members, mode) for name in names}
    failed: dict[str, Any] = {}
    for _ in range(options.repeats):
        for name in names:
            steps = options.steps if name != "AsyncVectorEnv" else max(2, options.steps // ASYNC_SHARE)
            try:
                rate, texts = speed(name, make, options.members, steps, mode)
            except Unavailable as error:
                failed[name] = {"failed": str(error)}
                continue
            speeds[name].append(rate)
            if make is TextToy:
                said = [actions(turn, options.members) for turn in range(steps)]
                right[name] &= list(texts) == expected(options.members, said, mode)[-1]
    return failed | {
        name: {
            "steps_per_cpu_second": statistics.median(speeds[name]),
            "of_repeats": speeds[name],
            **({"texts_are_right": right[name]} if make is TextToy else {}),
        }
        for name in names
        if name not in failed
    }


def measure_gem(options: argparse.Namespace, venvs: Path, threads: bool) -> dict[str, Any]:
    """All repeats of GEM, or the reason why there are none."""
    steps = max(2, options.steps // (ASYNC_SHARE if threads else 1))
    arguments = [
        "--members",
        str(options.members),
        "--steps",
        str(steps),
        *(["--threads"] if threads else []),
    ]
    try:
        lines = [run_program(GEM, venvs, arguments) for _ in range(options.repeats)]
    except Unavailable as error:
        return {"failed": str(error)}
    return {
        "version": lines[0]["version"],
        "steps_per_cpu_second": statistics.median(line["steps_per_cpu_second"] for line in lines),
        "of_repeats": [line["steps_per_cpu_second"] for line in lines],
        "texts_are_right": all(line["texts_are_right"] for line in lines),
    }


def add_ratios(rows: dict[str, Any]) -> None:
    """GroupVectorEnv beside each other one."""
    own = rows["GroupVectorEnv"]["of_repeats"]
    for name, row in rows.items():
        if name != "GroupVectorEnv" and "failed" not in row:
            pairs = zip(own, row["of_repeats"], strict=True)
            row["compared"] = {"ratio": statistics.median(mine / other for mine, other in pairs)}
            if name == "SyncVectorEnv":
                row["compared"]["at_least"] = 1.0


def show(title: str, rows: dict[str, Any]) -> None:
    print(f"\n{title:<34}{'steps / CPU s':>15}{'GroupVectorEnv is':>20}   texts")
    for name, row in rows.items():
        if "failed" in row:
            print(f"  {name:<32}could not be measured: {row['failed']}")
            continue
        times = f"{row['compared']['ratio']:.2f} times" if "compared" in row else ""
        verdict = {True: "right", False: "WRONG", None: ""}[row.get("texts_are_right")]
        print(f"  {name:<32}{row['steps_per_cpu_second']:>15,.0f}{times:>20}   {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--venvs", metavar="DIR", help="where virtual environments are kept (default: nowhere)"
    )
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--without", nargs="+", choices=["async", "gem", "gem-threads"], default=[])
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    names = [name for name in MAKERS if name != "AsyncVectorEnv" or "async" not in options.without]
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        venvs = Path(options.venvs or temporary)
        for mode in MODES:
            table[f"toy, {mode}"] = rows = measure(TextToy, names, mode, options)
            if mode == "same_step":
                for name, threads in (("gem", False), ("gem-threads", True)):
                    if name not in options.without:
                        label = "GEM make_vec, threads" if threads else "GEM make_vec"
                        rows[label] = measure_gem(options, venvs, threads)
            add_ratios(rows)
            show(f"{options.members} toys, {mode}", rows)
        for mode in MODES:
            table[f"Echo-v0, {mode}"] = rows = measure(echo, names[:2], mode, options)
            add_ratios(rows)
            show(f"{options.members} x Echo-v0, {mode}", rows)
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=2), "utf-8")


if __name__ == "__main__":
    main()
