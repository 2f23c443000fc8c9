"""Play: an episode that a script played, with everything that was observable of it.

Invariant: playing never raises for what an environment does; an exception or a result of the wrong shape ends
the record and is noted in it. Two records are equal exactly if nobody could have told the episodes apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np

from textgym.testing.rules.rule import short

__all__ = [
    "JUNK",
    "MAX_TURNS",
    "PLAUSIBLE",
    "Play",
    "Script",
    "Turn",
    "difference",
    "finish",
    "fixed",
    "has",
    "moves",
    "play",
    "scripts_for",
]

Script: TypeAlias = Callable[[Any, int], Any]
"""``script(env, turn) -> action``; turns count from 0."""

MAX_TURNS = 200
"""Turns after which the check stops playing an episode."""
JUNK = ("…", "\x00", "¤¤¤", " \n\t ", "", "�?!")
"""Texts that answer nothing."""
PLAUSIBLE = ("0", "<answer>0</answer>", r"\boxed{0}", "<guess>1</guess>", "yes", "I give up.")
"""Texts that look like answers."""


@dataclass(slots=True)
class Turn:
    """One step."""

    action: Any
    """What the environment was stepped with."""
    observation: Any
    """First element of the result."""
    reward: Any
    """Second element."""
    terminated: Any
    """Third element."""
    truncated: Any
    """Fourth element."""
    info: dict[str, Any]
    """Fifth element."""


@dataclass(slots=True)
class Play:
    """The record of one episode."""

    seed: int | None
    """Seed of the reset."""
    observation: Any = None
    """What ``reset`` returned first."""
    info: dict[str, Any] = field(default_factory=dict)
    """What ``reset`` returned second."""
    turns: list[Turn] = field(default_factory=list)
    """The steps."""
    error: str = ""
    """What broke, with the call, or "" if nothing did."""
    script_error: str = ""
    """What the script raised (an oracle, for instance), or ""."""

    @property
    def over(self) -> bool:
        """Whether the episode came to its end."""
        return bool(self.turns) and bool(self.turns[-1].terminated or self.turns[-1].truncated)

    @property
    def total(self) -> float:
        """The return so far; not a number if a reward was not one."""
        try:
            return float(sum(float(turn.reward) for turn in self.turns))
        except (TypeError, ValueError):
            return math.nan

    @property
    def last(self) -> dict[str, Any]:
        """The newest ``info``."""
        return self.turns[-1].info if self.turns else self.info

    @property
    def actions(self) -> list[Any]:
        """What was said."""
        return [turn.action for turn in self.turns]

    def infos(self) -> list[dict[str, Any]]:
        """All ``info`` dicts, that of ``reset`` first."""
        return [self.info, *(turn.info for turn in self.turns)]

    def at(self, index: int) -> str:
        """Name of a call: 0 is the reset, ``n`` the n-th step."""
        where = f"reset(seed={self.seed})"
        if index:
            where += f" and {index - 1} steps" if index > 1 else ""
            where += f", then step({short(self.turns[index - 1].action, 40)})"
        return where

    def differs_from(self, other: Play) -> str | None:
        """Where another record of what should be the same episode differs, or None."""
        found = difference((other.observation, other.info), (self.observation, self.info))
        if found:
            return f"{self.at(0)}: {found}"
        for index, (mine, theirs) in enumerate(zip(self.turns, other.turns, strict=False)):
            for name in ("action", "observation", "reward", "terminated", "truncated", "info"):
                found = difference(getattr(theirs, name), getattr(mine, name), name)
                if found:
                    return f"{self.at(index + 1)}: {found}"
        if self.error != other.error:
            return f"{self.error or 'no error'} instead of {other.error or 'no error'}"
        if len(self.turns) != len(other.turns):
            return f"{len(self.turns)} turns instead of {len(other.turns)} after {self.at(0)}"
        return None


def has(env: Any, name: str) -> bool:
    """Whether the environment or one of its layers has an attribute."""
    try:
        return bool(env.has_wrapper_attr(name))
    except Exception:  # a property that raises (before the first reset, for instance) is there
        return True


def moves(env: Any, seed: int | None, script: Script) -> Generator[Play, None, Play]:
    """Play an episode call by call: yields the record after each, and returns it in the end."""
    record = Play(seed)
    result = _called(record, f"reset(seed={seed})", lambda: env.reset(seed=seed))
    if not record.error and _shaped(record, f"reset(seed={seed})", result, 2):
        record.observation, record.info = result
    while not record.error and not record.over and len(record.turns) < MAX_TURNS:
        yield record
        try:
            action = script(env, len(record.turns))
        except StopIteration:
            break
        except Exception as error:
            record.script_error = f"{type(error).__name__}: {error}"
            break
        call = f"step({short(action, 40)}) in turn {len(record.turns)} after reset(seed={seed})"
        result = _called(record, call, lambda: env.step(action))  # noqa: B023
        if not record.error and _shaped(record, call, result, 5):
            record.turns.append(Turn(action, *result))
    return record


def play(env: Any, seed: int | None, script: Script) -> Play:
    """Play an episode to its end, or for ``MAX_TURNS`` turns."""
    generator = moves(env, seed, script)
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


def finish(env: Any, record: Play) -> Play:
    """Truncate a game that did not end, so that its return is complete."""
    if not record.over and not record.error and has(env, "truncate"):
        result = env.get_wrapper_attr("truncate")("max_turns")
        record.turns.append(Turn(None, *result))
    return record


def _called(record: Play, call: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        record.error = f"{call} raised {type(error).__name__}: {error}"
        return None


def _shaped(record: Play, call: str, result: Any, length: int) -> bool:
    if not isinstance(result, tuple) or len(result) != length or not isinstance(result[-1], dict):
        wanted = "(observation, info)" if length == 2 else "a 5-tuple"
        record.error = f"{call} returned {short(result)}; expected {wanted} whose last is a dict"
    return not record.error


def fixed(actions: Sequence[Any]) -> Script:
    """A script that says given actions, and stops when there are no more."""

    def script(env: Any, turn: int) -> Any:
        if turn >= len(actions):
            raise StopIteration
        return actions[turn]

    return script


def scripts_for(env: Any) -> dict[str, Script]:
    """The ways in which an environment is played: name -> script."""
    if not isinstance(env.action_space, gym.spaces.Text):
        return {"sample": _sample}
    scripts = {
        "empty": lambda env, turn: "",
        "junk": lambda env, turn: JUNK[turn % len(JUNK)],
        "plausible": lambda env, turn: PLAUSIBLE[turn % len(PLAUSIBLE)],
    }
    if has(env, "oracle"):
        scripts["oracle"] = _oracle
        scripts["mixed"] = lambda env, turn: (
            _oracle(env, turn) if turn % 2 else PLAUSIBLE[turn % len(PLAUSIBLE)]
        )
    return scripts


def _oracle(env: Any, turn: int) -> Any:
    action = env.get_wrapper_attr("oracle")()
    if action is None:
        raise StopIteration
    return action


def _sample(env: Any, turn: int) -> Any:
    env.action_space.seed(turn)
    return env.action_space.sample()


def difference(expected: Any, observed: Any, where: str = "") -> str | None:
    """Where two values differ in type or content, in words, or None if they are equal.

    Args:
        expected: Any value; NaN equals NaN.
        observed: Any value.
        where: How to call them.
    """
    if type(expected) is not type(observed):
        return _words(where, expected, observed, types=True)
    if isinstance(expected, dict):
        if expected.keys() != observed.keys():
            return _words(f"{where} keys", list(expected), list(observed))
        pairs = [(f"{where}[{key!r}]", value, observed[key]) for key, value in expected.items()]
    elif isinstance(expected, list | tuple):
        if len(expected) != len(observed):
            return _words(where, expected, observed)
        pairs = [(f"{where}[{index}]", value, observed[index]) for index, value in enumerate(expected)]
    elif isinstance(expected, np.ndarray):
        if expected.shape == observed.shape and expected.dtype == observed.dtype:
            return difference(expected.tolist(), observed.tolist(), where)
        return _words(where, expected, observed)
    elif expected == observed or (expected != expected and observed != observed):
        return None
    else:
        return _words(where, expected, observed)
    for name, value, other in pairs:
        found = difference(value, other, name)
        if found:
            return found
    return None


def _words(where: str, expected: Any, observed: Any, types: bool = False) -> str:
    suffixes = [f" ({type(value).__name__})" if types else "" for value in (observed, expected)]
    return (
        f"{where.strip() or 'result'} is {short(observed)}{suffixes[0]}, "
        f"expected {short(expected)}{suffixes[1]}"
    )
