"""RewardCalculator: rewards for every step of a finished trajectory.

Invariant: what a step earns by itself and what the whole rollout earns are judged apart, once each, and a
rollout reward reaches the steps by one of three documented rules. The trajectory is read and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from textgym.errors import ConfigError
from textgym.hooks import adrive, drive
from textgym.rewards.rubric import Rubric

__all__ = ["Distribution", "RewardCalculator", "StepRewards"]


class Distribution(StrEnum):
    """How a reward of the whole rollout reaches its T steps."""

    LAST = "last"
    """All of it on the last step; the sum over the steps is the reward."""
    AVERAGE = "average"
    """1/T of it on every step; the sum over the steps is the reward."""
    EQUAL = "equal"
    """All of it on every step; the sum over the steps is T times the reward."""


@dataclass(frozen=True, slots=True)
class StepRewards:
    """The rewards of a trajectory's steps."""

    totals: list[float]
    """Length T: the reward of each step."""
    components: list[dict[str, float]]
    """Length T: name -> part of each step's reward; the parts sum to the total."""


class RewardCalculator:
    """Step rewards, rollout rewards, and how the latter are distributed.

    Step functions may ask for ``completion`` (the step's action), ``observation``, ``turn`` (from 0),
    ``step``, ``messages``, ``answer`` and ``trajectory``; rollout functions for ``completion`` (the last
    action), ``completions``, ``reward``, ``messages``, ``answer`` and ``trajectory``.

    Args:
        step_funcs: Judge every step.
        rollout_funcs: Judge the whole trajectory.
        step_weights: One a step function, by default 1.0.
        rollout_weights: One a rollout function, by default 1.0.
        distribution: ``"last"``, ``"average"`` or ``"equal"``.
        environment: Whether the environment's own step rewards are included.

    Raises:
        ConfigError: A weight or the distribution is unusable.

    Example:
        >>> import textgym
        >>> run = textgym.rollout("textgym/Echo-v0", textgym.OraclePolicy(), num_examples=1,
        ...                       env_kwargs={"turns": 2})
        >>> def polite(completion): return "please" in completion
        >>> def done(reward): return reward == 1.0
        >>> RewardCalculator([polite], [done]).calculate_sync(run[0]).totals
        [0.5, 1.5]
    """

    def __init__(
        self,
        step_funcs: Iterable[Callable[..., Any]] = (),
        rollout_funcs: Iterable[Callable[..., Any]] = (),
        *,
        step_weights: Sequence[float] | None = None,
        rollout_weights: Sequence[float] | None = None,
        distribution: str = Distribution.LAST,
        environment: bool = True,
    ) -> None:
        self.step_rubric = Rubric(step_funcs, step_weights)
        self.rollout_rubric = Rubric(rollout_funcs, rollout_weights)
        if distribution not in list(Distribution):
            raise ConfigError(
                f"distribution is {distribution!r}: it must be one of {', '.join(Distribution)}"
            )
        self.distribution = Distribution(distribution)
        self.environment = environment

    async def calculate(self, trajectory: Any) -> StepRewards:
        """Judge a trajectory.

        Args:
            trajectory: A finished ``Trajectory`` without error.

        Returns:
            One reward a step; nothing for a trajectory without steps.

        Raises:
            ConfigError: The trajectory failed, so that it has no rewards.
            RewardError: A function raised or returned no finite number.
        """
        return await adrive(self._flow(trajectory))

    def calculate_sync(self, trajectory: Any) -> StepRewards:
        """The same from ordinary code. Raises as ``calculate``."""
        return drive(self._flow(trajectory))

    async def _flow(self, trajectory: Any) -> StepRewards:
        if trajectory.error is not None:
            raise ConfigError(f"a failed trajectory has no rewards: {trajectory.error}")
        steps = trajectory.steps
        shared = {"messages": trajectory.messages, "answer": trajectory.answer, "trajectory": trajectory}
        components: list[dict[str, float]] = []
        for turn, step in enumerate(steps):
            score = await self.step_rubric.flow(
                {
                    **shared,
                    "completion": step.action,
                    "observation": step.observation,
                    "turn": turn,
                    "step": step,
                }
            )
            own = step.rewards if self.environment else {}
            components.append(_sum(own, score.rewards))
        if steps:
            whole = await self.rollout_rubric.flow(
                {
                    **shared,
                    "completion": steps[-1].action,
                    "completions": [step.action for step in steps],
                    "reward": trajectory.reward,
                }
            )
            self._distribute(whole.rewards, components)
        return StepRewards([float(sum(parts.values())) for parts in components], components)

    def _distribute(self, rewards: dict[str, float], components: list[dict[str, float]]) -> None:
        share = 1.0 / len(components) if self.distribution is Distribution.AVERAGE else 1.0
        last = self.distribution is Distribution.LAST
        for parts in components[-1:] if last else components:
            for name, value in rewards.items():
                parts[name] = parts.get(name, 0.0) + share * value


def _sum(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    total = dict(first)
    for name, value in second.items():
        total[name] = total.get(name, 0.0) + value
    return total
