"""How many steps a second does ``GroupVectorEnv`` take beside other vector environments, and are the texts right?

64 toys (``peers/toy.py``, a third of a microsecond a step) in every autoreset mode: ``GroupVectorEnv``,
Gymnasium's ``SyncVectorEnv`` (as it is, and with ``copy=False``, its faster setting, which is safe for texts)
and ``AsyncVectorEnv`` (shared memory on, one process a member), and GEM's ``make_vec`` in a virtual environment
of its own; then ``textgym/Echo-v0``, whose infos are real ones. Steps of members per second of CPU, worker
processes included, and per second of the clock, which is what worker processes are for; systems take turns
within each repeat, forwards and backwards; medians, and ratios as medians of the ratios within a repeat. Every
text that is shown, in a run of its own before, and the last ones of the measured run are compared with toys
played one by one.

    python benchmarks/vector_stepping.py [--venvs DIR] [--members 64] [--steps 2000] [--repeats 7]
        [--without async gem gem-threads] [--json FILE]

GEM is installed into ``--venvs`` where it is missing; without it, or where that fails, it is named with the
reason.

Bar: at least as many steps as ``SyncVectorEnv`` in the same mode, with right texts in every mode.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from peers.toy import MODES, Reference, Toy, actions
from peers.venvs import Peer, Unavailable, run_program

import textgym
from textgym.spaces import Unicode
from textgym.vector import GroupVectorEnv

GEM = Peer(label="GEM", program="step_gem.py", requirements=("gem-llm==0.1.0",))
CHECKED_STEPS = 40
GEMS = ("GEM make_vec", "GEM make_vec, threads")
SLOW = ("AsyncVectorEnv", "GEM make_vec, threads")
ASYNC_SHARE = 4
"""A step of worker processes and threads costs so much more that they take this part of the steps."""


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
    "SyncVectorEnv, copy=False": lambda make, members, mode: SyncVectorEnv(
        [make] * members, copy=False, autoreset_mode=mode
    ),
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


def now() -> np.ndarray:
    """Seconds of CPU, of this process and of its children that have ended, and of the clock."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([sum(usage.ru_utime + usage.ru_stime for usage in used), time.perf_counter()])


def speed(name: str, make: Any, members: int, steps: int, mode: str) -> tuple[list[float], Any]:
    """Steps of members per second of CPU and of the clock, and the last texts."""
    said = [actions(turn, members) for turn in range(steps)]
    if name != "AsyncVectorEnv":
        envs = MAKERS[name](make, members, AutoresetMode[mode.upper()])
        play(envs, said[:5], mode)
        began = now()
        texts = play(envs, said, mode)
        spent = now() - began
        envs.close()
        return list(members * steps / spent), texts
    lives = []
    for count in (1, steps):  # the time of workers is known when they have ended, their start included
        began = now()
        envs = MAKERS[name](make, members, AutoresetMode[mode.upper()])
        texts = play(envs, said[:count], mode)
        envs.close()
        lives.append(now() - began)
    if (lives[1] < 1.1 * lives[0]).any():
        raise Unavailable(f"{steps} steps do not show beside starting the workers: give more --steps")
    return list(members * (steps - 1) / (lives[1] - lives[0])), texts


def speed_of_gem(name: str, members: int, steps: int, venvs: Path | None) -> tuple[list[float], bool, str]:
    """The same of GEM: both speeds, whether the last texts are right, its version."""
    arguments = ["--members", str(members), "--steps", str(steps)]
    line = run_program(GEM, venvs, [*arguments, *(["--threads"] if name.endswith("threads") else [])])
    speeds = [line["steps_per_cpu_second"], line["steps_per_second"]]
    return speeds, line["texts_are_right"], line["version"]


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


def measure(
    make: Any, names: list[str], mode: str, options: argparse.Namespace, venvs: Path | None
) -> dict[str, Any]:
    """All repeats of one environment in one mode."""
    speeds: dict[str, list[list[float]]] = {name: [] for name in names}
    toys = make is TextToy
    right = {name: not toys or name in GEMS or texts_are_right(name, options.members, mode) for name in names}
    versions = {name: gym.__version__ for name in names if name.startswith(("Sync", "Async"))}
    failed: dict[str, Any] = {}
    for repeat in range(options.repeats):
        for name in names[:: -1 if repeat % 2 else 1]:
            if name in failed:
                continue
            steps = max(2, options.steps // (ASYNC_SHARE if name in SLOW else 1))
            try:
                if name in GEMS:
                    rates, same, versions[name] = speed_of_gem(name, options.members, steps, venvs)
                    right[name] &= same
                else:
                    rates, texts = speed(name, make, options.members, steps, mode)
                    said = [actions(turn, options.members) for turn in range(steps)]
                    right[name] &= not toys or list(texts) == expected(options.members, said, mode)[-1]
            except Unavailable as error:
                failed[name] = {"failed": str(error)}
                continue
            speeds[name].append(rates)
    return {
        name: failed.get(name)
        or {
            "version": versions.get(name, textgym.__version__),
            "steps_per_cpu_second": statistics.median(rates[0] for rates in speeds[name]),
            "steps_per_second": statistics.median(rates[1] for rates in speeds[name]),
            "of_repeats": speeds[name],
            **({"texts_are_right": right[name]} if toys else {}),
        }
        for name in names
    }


def add_ratios(rows: dict[str, Any]) -> None:
    """GroupVectorEnv beside each other one, with the bar where there is one."""
    own = rows["GroupVectorEnv"]["of_repeats"]
    for name, row in rows.items():
        if name == "GroupVectorEnv":
            continue
        bar = {"at_least": 1.0} if name == "SyncVectorEnv" else {}
        if "failed" in row:
            row["compared"] = {"CPU": {"missing": row["failed"], **bar}}
            continue
        for at, unit in enumerate(("CPU", "clock")):
            ratio = statistics.median(a[at] / b[at] for a, b in zip(own, row["of_repeats"], strict=True))
            row.setdefault("compared", {})[unit] = {"ratio": ratio, **(bar if unit == "CPU" else {})}
    if "texts_are_right" in rows["GroupVectorEnv"]:
        right = rows["GroupVectorEnv"]["texts_are_right"]
        rows["GroupVectorEnv"]["compared"] = {"right texts": {"ratio": float(right), "at_least": 1.0}}


def show(title: str, rows: dict[str, Any]) -> None:
    heads = ("steps / CPU s", "GroupVectorEnv is", "steps / s", "GroupVectorEnv is")
    print(f"\n{title:<34}" + "".join(f"{head:>19}" for head in heads) + "   texts")
    for name, row in rows.items():
        label = f"{name} {row.get('version', '')}"
        if "failed" in row:
            print(f"  {label:<32}could not be measured: {row['failed']}")
            continue
        cells = []
        for unit, key in (("CPU", "steps_per_cpu_second"), ("clock", "steps_per_second")):
            times = f"{row['compared'][unit]['ratio']:.2f} times" if unit in row.get("compared", {}) else ""
            cells += [f"{row[key]:,.0f}", times]
        verdict = {True: "right", False: "WRONG", None: ""}[row.get("texts_are_right")]
        print(f"  {label:<32}" + "".join(f"{cell:>19}" for cell in cells) + f"   {verdict}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--venvs", metavar="DIR", help="where the peers' environments are kept or made")
    parser.add_argument("--members", type=int, default=64)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--without", nargs="+", choices=["async", "gem", "gem-threads"], default=[])
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    left_out = {"async": "AsyncVectorEnv", "gem": GEMS[0], "gem-threads": GEMS[1]}
    without = {left_out[name] for name in options.without}
    venvs = Path(options.venvs) if options.venvs else None
    table: dict[str, Any] = {}
    for kind, make in (("toy", TextToy), ("Echo-v0", echo)):
        for mode in MODES:
            names = [name for name in MAKERS if name not in without]
            if kind == "Echo-v0":
                names = [name for name in names if name not in SLOW]
            elif mode == "same_step":
                names += [name for name in GEMS if name not in without]
            table[f"{kind}, {mode}"] = rows = measure(make, names, mode, options, venvs)
            add_ratios(rows)
            show(f"{options.members} x {kind}, {mode}", rows)
    if options.json:
        Path(options.json).write_text(json.dumps(table, indent=2), "utf-8")


if __name__ == "__main__":
    main()
