"""Rubric: arguments by name, weights, async functions, and errors that never become 0.0."""

from __future__ import annotations

import asyncio
import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.errors import ConfigError, RewardError
from textgym.rewards import Rubric, Score, group_reward


def right(completion: str, answer: str) -> bool:
    return completion == answer


def test_weights_names_and_metrics() -> None:
    def length(completion: str) -> int:
        return len(completion)

    rubric = Rubric([right, length], weights=[0.5, 0.1]).add_metric(lambda: 7, name="seven")
    score = rubric.score_sync(completion="abc", answer="abc")
    assert score.rewards == {"right": 0.5, "length": pytest.approx(0.3)}
    assert score.metrics == {"seven": 7.0}
    assert score.reward == pytest.approx(0.8)


def test_functions_get_what_they_name() -> None:
    seen = {}

    def everything(**available: object) -> float:
        seen.update(available)
        return 0.0

    def some(state: dict[str, int], extra: int = 3) -> float:
        return state["x"] + extra

    assert Rubric([everything, some]).score_sync(state={"x": 1}, completion="a").reward == 4.0
    assert seen == {"state": {"x": 1}, "completion": "a"}


def test_a_missing_argument_names_itself() -> None:
    with pytest.raises(ConfigError, match=r"'right' asks for answer; there is completion"):
        Rubric([right]).score_sync(completion="a")


def test_dicts_give_several_components() -> None:
    score = Rubric([lambda: {"a": 1, "b": np.float32(0.5)}], weights=[2.0]).score_sync()
    assert score.rewards == {"a": 2.0, "b": 1.0}


def test_async_functions_run_together() -> None:
    running, most = 0, 0

    async def slow(completion: str) -> float:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return 1.0

    rubric = Rubric([slow, slow, slow, right])
    score = rubric.score_sync(completion="a", answer="a")
    assert (score.reward, most) == (4.0, 3)
    assert asyncio.run(rubric.score(completion="a", answer="a")) == score
    assert list(score.rewards) == ["slow", "slow_2", "slow_3", "right"]


@pytest.mark.parametrize("value", [None, "1.0", math.nan, math.inf, [1.0], {"a": None}, {"a": math.nan}])
def test_no_number_is_an_error(value: object) -> None:
    def odd() -> object:
        return value

    with pytest.raises(RewardError, match="'odd'|odd") as caught:
        Rubric([odd]).score_sync()
    assert caught.value.function == "odd"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_raising_function_is_an_error_with_its_name(asynchronous: bool) -> None:
    def broken() -> float:
        raise ZeroDivisionError("no")

    async def broken_later() -> float:
        raise ZeroDivisionError("no")

    function = broken_later if asynchronous else broken
    with pytest.raises(RewardError, match=rf"{function.__name__}.*ZeroDivisionError: no") as caught:
        Rubric([right, function]).score_sync(completion="", answer="")
    assert caught.value.function == function.__name__
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_async_functions_are_closed_when_a_plain_one_raises() -> None:
    async def fine() -> float:
        return 1.0

    def broken() -> float:
        raise KeyError

    with pytest.raises(RewardError):  # an un-awaited coroutine would warn, and warnings are errors
        Rubric([fine, broken]).score_sync()


def test_bad_configuration() -> None:
    with pytest.raises(ConfigError, match="2 functions and 1 weights"):
        Rubric([right, right], weights=[1.0])
    with pytest.raises(ConfigError, match="not callable"):
        Rubric(["right"])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="finite"):
        Rubric([right], weights=[math.nan])
    with pytest.raises(ConfigError, match="positional-only"):
        Rubric([lambda x, /: 1.0])


def test_rubrics_are_shared_and_their_defaults_are_not() -> None:
    first = Rubric().add(right)
    assert Rubric().functions == ()
    assert copy.deepcopy(first) is first


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), max_size=6))
def test_rewards_sum_to_the_reward(pairs: list[tuple[float, float]]) -> None:
    rubric = Rubric([lambda v=value: v for value, _ in pairs], weights=[weight for _, weight in pairs])
    score = rubric.score_sync()
    assert score.reward == pytest.approx(sum(score.rewards.values()))
    assert len(score.rewards) + len(score.metrics) == len(pairs)


def test_gates_multiply_and_spare_the_rest() -> None:
    calls = []

    def costly(completion: str) -> float:
        calls.append(completion)
        return 1.0

    rubric = Rubric([costly], weights=[2.0]).add(
        lambda completion: len(completion) / 4, name="long", gate=True
    )
    assert rubric.score_sync(completion="ab") == Score(1.0, {"costly": 1.0}, {"long": 0.5})
    assert rubric.score_sync(completion="") == Score(0.0, {"costly": 0.0}, {"long": 0.0})
    assert calls == ["ab"]
    with pytest.raises(RewardError, match="gate 'long' returned 1.25"):
        rubric.score_sync(completion="abcde")


def member(completion: str, reward: float = 0.0) -> dict[str, object]:
    return {"completion": completion, "reward": reward, "answer": "42", "state": {}, "messages": []}


def test_group_functions_see_all_members_and_no_step() -> None:
    @group_reward
    def longest(completions: list[str], rewards: list[float], answer: str) -> list[bool]:
        assert (rewards, answer) == ([0.5, 1.0], "42")
        return [len(text) == max(map(len, completions)) for text in completions]

    rubric = Rubric([right, longest], weights=[1.0, 0.5])
    assert rubric.score_sync(completion="42", answer="42").rewards == {"right": 1.0}
    scores = asyncio.run(rubric.score_group([member("a", 0.5), member("bb", 1.0)]))
    assert [score.rewards for score in scores] == [{"longest": 0.0}, {"longest": 0.5}]
    with pytest.raises(RewardError, match="'longest' compares members and only 1 of the group is valid"):
        asyncio.run(rubric.score_group([member("a")]))


@pytest.mark.parametrize("row", [[1.0], 1.0, "ab", [1.0, None], {"a": [1.0]}])
def test_a_group_function_gives_one_number_a_member(row: object) -> None:
    rubric = Rubric().add(lambda: row, name="odd", group=True)
    with pytest.raises(RewardError, match="odd"):
        asyncio.run(rubric.score_group([member("a"), member("b")]))


def test_group_functions_may_be_async_give_components_and_be_metrics() -> None:
    async def parts(completions: list[str]) -> dict[str, list[int]]:
        return {"length": [len(text) for text in completions], "one": [1 for _ in completions]}

    rubric = Rubric().add(parts, group=True).add(lambda completions: [7, 8], 0.0, "seen", group=True)
    scores = asyncio.run(rubric.score_group([member("a"), member("bb")]))
    assert scores[1] == Score(3.0, {"length": 2.0, "one": 1.0}, {"seen": 8.0})
