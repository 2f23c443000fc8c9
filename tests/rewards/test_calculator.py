"""Step rewards and rollout rewards, and the three ways to distribute the latter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import textgym
from textgym.errors import ConfigError, PolicyError, RewardError
from textgym.rewards.calculator import RewardCalculator


def episode() -> textgym.Trajectory:
    policy = textgym.ScriptedPolicy(["<guess>1</guess>", "<guess>2</guess>", "no"])
    limits = textgym.Limits(turns=3)
    return textgym.rollout("textgym/GuessNumber-v0", policy, num_examples=1, limits=limits)[0]


def tagged(completion: str) -> float:
    return float("<guess>" in completion)


def rollout_length(completions: list[str], reward: float, answer: str) -> dict[str, float]:
    assert reward == 0.0
    assert int(answer) > 0
    return {"turns": len(completions)}


@pytest.mark.parametrize(
    ("distribution", "totals"),
    [("last", [0.5, 0.5, 6.0]), ("average", [2.5, 2.5, 2.0]), ("equal", [6.5, 6.5, 6.0])],
)
def test_distributions(distribution: str, totals: list[float]) -> None:
    calculator = RewardCalculator(
        [tagged], [rollout_length], step_weights=[0.5], rollout_weights=[2.0], distribution=distribution
    )
    trajectory = episode()
    before = trajectory.to_dict()
    result = calculator.calculate_sync(trajectory)
    assert result.totals == totals
    assert [sum(parts.values()) for parts in result.components] == totals
    assert trajectory.to_dict() == before
    assert asyncio.run(calculator.calculate(trajectory)) == result


def test_the_environments_own_rewards_are_included_or_not() -> None:
    run = textgym.rollout("textgym/Echo-v0", textgym.OraclePolicy(), num_examples=1, env_kwargs={"turns": 2})
    assert RewardCalculator().calculate_sync(run[0]).totals == [0.5, 0.5]
    assert RewardCalculator(environment=False).calculate_sync(run[0]).totals == [0.0, 0.0]


def test_errors() -> None:
    def broken(turn: int) -> Any:
        raise KeyError(turn)

    def failing(request: textgym.CompletionRequest) -> str:
        raise PolicyError("gone")

    with pytest.raises(RewardError, match="broken"):
        RewardCalculator([broken]).calculate_sync(episode())
    with pytest.raises(ConfigError, match="last, average, equal"):
        RewardCalculator(distribution="first")
    (failed,) = textgym.rollout("textgym/Math-v0", textgym.ScriptedPolicy(failing), num_examples=1)
    with pytest.raises(ConfigError, match="failed trajectory"):
        RewardCalculator().calculate_sync(failed)
