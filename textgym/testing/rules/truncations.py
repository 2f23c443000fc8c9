"""Rules of ``truncate``, by which an outside limit ends an episode and has it scored.

Invariant: every reason that truncates is tried, right after ``reset`` and in the middle of a game.
"""

from __future__ import annotations

import math
from typing import Any

from gymnasium.error import ResetNeeded

from textgym.testing.rules.endings import expect_reset_needed
from textgym.testing.rules.play import Play, scripts_for
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject
from textgym.types import TERMINAL, StopReason

__all__: list[str] = []

LIMITS = tuple(reason for reason in StopReason if reason not in TERMINAL and reason != "error")
"""The reasons that ``truncate`` takes."""
REFUSED = ("no_such_reason", "", "error", *sorted(TERMINAL))
"""Those that it refuses."""


@rule("truncate-at-start", "3.4", needs=("playable",), attributes=("truncate",))
def truncate_at_start(subject: Subject) -> None:
    """``truncate`` right after ``reset`` ends the episode, scored, for every limit."""
    for reason in LIMITS:
        env = subject.make()
        env.reset(seed=0)
        _check_truncate(env, reason, "reset(seed=0)")


@rule("truncate-midway", "3.4", needs=("playable",), attributes=("truncate",))
def truncate_midway(subject: Subject) -> None:
    """``truncate`` in the middle of a game ends the episode, scored, for every limit."""
    longer = [one for one in subject.references if len(one.turns) > 1]
    if not longer:
        raise Untested("every episode ends with its first action")
    for one in longer:
        for reason in LIMITS:
            env = subject.make()
            where = _start(env, one)
            _check_truncate(env, reason, where)


def _start(env: Any, one: Play) -> str:
    half = len(one.turns) // 2
    env.reset(seed=one.seed)
    for action in one.actions[:half]:
        env.step(action)
    return one.at(half)


def _check_truncate(env: Any, reason: StopReason, where: str) -> None:
    call = f"truncate({reason.value!r}) after {where}"
    result = env.get_wrapper_attr("truncate")(reason.value)
    if not isinstance(result, tuple) or len(result) != 5 or not isinstance(result[4], dict):
        raise Broken(f"{call} returned {short(result)}; expected the terminal 5-tuple")
    observation, reward, terminated, truncated, info = result
    if terminated is not False or truncated is not True:
        raise Broken(
            f"{call} returned terminated={short(terminated)}, truncated={short(truncated)}; expected "
            "False and True"
        )
    if type(observation) is not str:
        raise Broken(f"{call} returned the observation {short(observation)}; expected a str")
    rewards = info.get("rewards")
    if type(reward) is not float or not math.isfinite(reward) or not isinstance(rewards, dict):
        raise Broken(
            f"{call} returned the reward {short(reward)} and info['rewards'] {short(rewards)}; "
            "expected the score of the episode as it stands"
        )
    if abs(sum(rewards.values()) - reward) > 1e-9:
        raise Broken(f"{call}: info['rewards'] {short(rewards)} does not sum to {reward:g}")
    if info.get("stop_reason") != reason.value:
        raise Broken(
            f"{call} gave info['stop_reason'] {short(info.get('stop_reason'))}; expected {reason.value!r}"
        )
    expect_reset_needed(lambda: _step(env), f"step after {call}")
    expect_reset_needed(lambda: _truncate(env), f"truncate after {call}")


def _step(env: Any) -> None:
    env.step(next(iter(scripts_for(env).values()))(env, 0))


def _truncate(env: Any) -> None:
    env.get_wrapper_attr("truncate")("max_turns")


@rule("truncate-reason-refused", "3.4", needs=("playable",), attributes=("truncate",))
def truncate_reason_refused(subject: Subject) -> None:
    """``truncate`` refuses a reason that is no outside limit, and the episode goes on."""
    for reason in REFUSED:
        env = subject.make()
        env.reset(seed=0)
        try:
            env.get_wrapper_attr("truncate")(reason)
        except ValueError:
            pass
        except Exception as error:
            raise Broken(
                f"truncate({reason!r}) raised {type(error).__name__}: {short(str(error))}; expected a "
                "ValueError (ConfigError)"
            ) from error
        else:
            raise Broken(f"truncate({reason!r}) was accepted; expected a ValueError (ConfigError)")
        try:
            _step(env)
        except ResetNeeded as error:
            raise Broken(f"the refused truncate({reason!r}) ended the episode") from error


@rule("truncate-needs-episode", "3.4, 3.7", needs=("playable",), attributes=("truncate",))
def truncate_needs_episode(subject: Subject) -> None:
    """``truncate`` before ``reset`` and after the end raises ``ResetNeeded``."""
    ended = [one for one in subject.plays if one.over][:1]
    for one in [None, *ended]:
        env = subject.make()
        where = "before the first reset" if one is None else f"after {one.at(len(one.turns))}"
        if one is not None:
            env.reset(seed=one.seed)
            for action in one.actions:
                env.step(action)
        expect_reset_needed(lambda: _truncate(env), f"truncate {where}")  # noqa: B023  # called at once
