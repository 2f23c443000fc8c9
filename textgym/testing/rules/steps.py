"""Rules of what ``step`` returns, element by element.

Invariant: every rule looks at all standard episodes, those of perfect, empty and senseless play alike.
"""

from __future__ import annotations

import math
from typing import Any

from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject

__all__: list[str] = []

TOLERANCE = 1e-9


@rule("step-observation", "3.3", needs=("playable",))
def step_observation(subject: Subject) -> None:
    """Observations of ``step`` are of the type ``str``."""
    for one in subject.plays:
        for index, turn in enumerate(one.turns, 1):
            if type(turn.observation) is not str:
                raise Broken(
                    f"{one.at(index)} returned the observation {short(turn.observation)} "
                    f"({type(turn.observation).__name__}); expected a str"
                )


@rule("observation-in-space", "3.1, 3.5", needs=("reset-returns", "step-observation"))
def observation_in_space(subject: Subject) -> None:
    """Every observation lies in the observation space."""
    space = subject.make().observation_space
    for one in subject.plays:
        for index, text in enumerate([one.observation, *(turn.observation for turn in one.turns)]):
            if text not in space:
                raise Broken(
                    f"{one.at(index)} returned an observation of {len(text)} code points, "
                    f"{short(text)}; expected one in {space!r}"
                )


@rule("reward-type", "3.3", needs=("playable",))
def reward_type(subject: Subject) -> None:
    """The reward is a finite Python ``float``."""
    for one in subject.plays:
        for index, turn in enumerate(one.turns, 1):
            if type(turn.reward) is not float or not math.isfinite(turn.reward):
                raise Broken(
                    f"{one.at(index)} returned the reward {short(turn.reward)} "
                    f"({type(turn.reward).__name__}); expected a finite float"
                )


@rule("flag-types", "3.3", needs=("playable",))
def flag_types(subject: Subject) -> None:
    """``terminated`` and ``truncated`` are Python bools."""
    for one in subject.plays:
        for index, turn in enumerate(one.turns, 1):
            for name in ("terminated", "truncated"):
                flag = getattr(turn, name)
                if type(flag) is not bool:
                    raise Broken(
                        f"{one.at(index)} returned {name}={short(flag)} ({type(flag).__name__}); "
                        "expected a bool"
                    )


@rule("rewards-explain", "3.3", needs=("playable", "reward-type"))
def rewards_explain(subject: Subject) -> None:
    """``info["rewards"]`` maps names to floats that sum to the reward of the step."""
    if not any(one.turns for one in subject.plays):
        raise Untested("no episode has a step")
    for one in subject.plays:
        for index, turn in enumerate(one.turns, 1):
            rewards: Any = turn.info.get("rewards")
            fits = isinstance(rewards, dict) and all(isinstance(name, str) for name in rewards)
            if not fits or not all(type(value) is float for value in rewards.values()):
                raise Broken(
                    f"{one.at(index)}: info['rewards'] is {short(rewards)}; expected "
                    "{component name: float}"
                )
            if abs(sum(rewards.values()) - turn.reward) > TOLERANCE:
                raise Broken(
                    f"{one.at(index)}: info['rewards'] is {short(rewards)}, which sums to "
                    f"{sum(rewards.values()):g}; expected the reward {turn.reward:g}"
                )
