"""Rules of Gymnasium's vector environments, in all three autoreset modes.

Invariant: what each member of a vector environment shows is what the same environment shows alone, resets
included; and the processes of AsyncVectorEnv, with shared memory, show what SyncVectorEnv does.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import CustomSpaceError
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from textgym.testing.rules.play import PLAUSIBLE, difference
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject, textual

__all__: list[str] = []

WHEN = "deterministic"
SEEDS = (11, 12, 13)
STEPS = 5
WATCHED = ("messages", "stop_reason", "example_id")
"""Entries of ``info`` that are compared member by member."""


@dataclass(slots=True)
class _Row:
    """What one member shows after one call."""

    observation: Any
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = field(default_factory=dict)
    final: Any = None

    def watched(self) -> tuple[Any, ...]:
        seen = {name: self.info[name] for name in WATCHED if self.info.get(name) is not None}
        flags = (bool(self.terminated), bool(self.truncated))
        return (self.observation, float(self.reward), *flags, seen, self.final)


@rule("vector-sync", "3.6", needs=("interleaved", "action-space"), waived_unless=WHEN)
def vector_sync(subject: Subject) -> str:
    """SyncVectorEnv shows what its members show alone, in every autoreset mode."""
    modes = [AutoresetMode.NEXT_STEP] if subject.quick else list(AutoresetMode)
    for mode in modes:
        envs = SyncVectorEnv([subject.make] * len(SEEDS), autoreset_mode=mode)
        rows, _ = _run(envs, mode)
        for index, seed in enumerate(SEEDS):
            alone = _alone(subject.make(), seed, mode, index)
            for call, (observed, expected) in enumerate(zip(rows[index], alone, strict=True)):
                found = difference(expected.watched(), observed.watched())
                if found:
                    raise Broken(
                        f"SyncVectorEnv in mode {mode.value}, member {index} (seed {seed}), call {call}: "
                        f"{found}"
                    )
        envs.close()
    return f"{len(modes)} modes"


@rule("vector-async", "3.1, 3.6", needs=("vector-sync",), waived_unless=WHEN, slow=True)
def vector_async(subject: Subject) -> str:
    """AsyncVectorEnv with shared memory shows what SyncVectorEnv shows, text by text."""
    if not textual(subject.make()):
        raise Untested("the environment does not deal in text")
    for mode in AutoresetMode:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking beside threads, which end here
            try:
                envs = AsyncVectorEnv([subject.maker] * len(SEEDS), shared_memory=True, autoreset_mode=mode)
            except (CustomSpaceError, ValueError) as error:
                raise Untested(f"no shared memory for these spaces: {error}") from error
        try:
            observed = _run(envs, mode)
        except Exception as error:
            raise Broken(
                f"AsyncVectorEnv in mode {mode.value} raised {type(error).__name__}: {error}"
            ) from error
        finally:
            envs.close(terminate=True)
        reference = SyncVectorEnv([subject.make] * len(SEEDS), autoreset_mode=mode)
        _compare(mode, _run(reference, mode), observed)
        reference.close()
    return f"{len(AutoresetMode)} modes, {len(SEEDS)} processes each"


def _compare(mode: AutoresetMode, expected: Any, observed: Any) -> None:
    for index, (ours, theirs) in enumerate(zip(expected[0], observed[0], strict=True)):
        for call, (row, other) in enumerate(zip(ours, theirs, strict=True)):
            found = difference(row.watched(), other.watched())
            if found:
                raise Broken(
                    f"AsyncVectorEnv in mode {mode.value}, member {index}, call {call}, against "
                    f"SyncVectorEnv: {found}"
                )
    found = difference(expected[1], observed[1], "infos")
    if found:
        raise Broken(f"AsyncVectorEnv in mode {mode.value} against SyncVectorEnv: {found}")


def _action(turn: int, index: int) -> str:
    return PLAUSIBLE[(turn + index) % len(PLAUSIBLE)]


def _alone(env: Any, seed: int, mode: AutoresetMode, index: int) -> list[_Row]:
    """What a member has to show, by Gymnasium's description of the mode."""
    observation, info = env.reset(seed=seed)
    rows = [_Row(observation, info=info)]
    over = False
    for turn in range(STEPS):
        if over and mode is not AutoresetMode.SAME_STEP:
            observation, info = env.reset()
            rows.append(_Row(observation, info=info))
            over = False
            if mode is AutoresetMode.NEXT_STEP:
                continue
        observation, reward, terminated, truncated, info = env.step(_action(turn, index))
        over, final = terminated or truncated, None
        if over and mode is AutoresetMode.SAME_STEP:
            final = observation
            observation, info = env.reset()
        rows.append(_Row(observation, reward, terminated, truncated, info, final))
    return rows


def _run(envs: Any, mode: AutoresetMode) -> tuple[list[list[_Row]], list[Any]]:
    """The rows of every member, and all vector infos."""
    count = len(SEEDS)
    observations, infos = envs.reset(seed=list(SEEDS))
    rows = [[_Row(observations[i], info=_member(infos, i))] for i in range(count)]
    all_infos = [infos]
    over = np.zeros(count, dtype=np.bool_)
    for turn in range(STEPS):
        if over.any() and mode is AutoresetMode.DISABLED:
            observations, infos = envs.reset(options={"reset_mask": over.copy()})
            all_infos.append(infos)
            for i in range(count):
                if over[i]:
                    rows[i].append(_Row(observations[i], info=_member(infos, i)))
        actions = tuple(_action(turn, i) for i in range(count))
        observations, rewards, terminated, truncated, infos = envs.step(actions)
        all_infos.append(infos)
        over = np.logical_or(terminated, truncated)
        for i in range(count):
            final = infos["final_obs"][i] if "final_obs" in infos and over[i] else None
            flags = (rewards[i], terminated[i], truncated[i])
            rows[i].append(_Row(observations[i], *flags, info=_member(infos, i), final=final))
    return rows, all_infos


def _member(infos: dict[str, Any], index: int) -> dict[str, Any]:
    """The watched entries of one member of a vector info."""
    shown = {}
    for name in WATCHED:
        if name in infos and infos.get(f"_{name}", [True] * (index + 1))[index]:
            shown[name] = infos[name][index]
    return shown


@rule("make-vec", "6", needs=("vector-sync",), waived_unless=WHEN)
def make_vec(subject: Subject) -> str:
    """``gym.make_vec`` makes several of it, and each shows its own instance."""
    if not subject.by_id:
        raise Untested("a factory has no id to make")
    if getattr(subject.make().unwrapped, "compares_members", False):
        raise Untested("it compares the members of groups, which not every vector environment plays")
    envs: Any = gym.make_vec(subject.name, num_envs=2, **subject.env_kwargs)
    try:
        observations, infos = envs.reset(seed=[SEEDS[0], SEEDS[1]])
    finally:
        envs.close()
    for index, seed in enumerate(SEEDS[:2]):
        expected = subject.make().reset(seed=seed)
        if observations[index] != expected[0]:
            raise Broken(
                f"make_vec(…, num_envs=2).reset(seed={list(SEEDS[:2])}) shows member {index} "
                f"{short(observations[index])}; expected {short(expected[0])}"
            )
        if _member(infos, index).get("messages") != expected[1].get("messages"):
            raise Broken(f"make_vec: info['messages'] of member {index} is not that of seed {seed}")
    return type(envs.unwrapped).__name__
