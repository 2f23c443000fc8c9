"""DoubleCheckEnv: two turns whatever is said, the last answer counts, and the metrics tell what the doubt did."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from textgym import BoxedParser, Rubric
from textgym.envs import DoubleCheckEnv
from textgym.errors import ConfigError
from textgym.testing import RuleStatus, check_text_env
from textgym.types import StopReason

ROWS = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(1, 60)]
RIGHT, WRONG = "<think>So.</think><answer>2</answer>", "<think>So.</think><answer>3</answer>"


def started(**kwargs: Any) -> DoubleCheckEnv:
    env = DoubleCheckEnv(ROWS, **kwargs)
    env.reset(options={"index": 0})
    return env


@pytest.mark.parametrize(
    ("first", "last", "reward", "change"),
    [
        (RIGHT, RIGHT, 1.0, "kept"),
        (WRONG, RIGHT, 1.0, "corrected"),
        (RIGHT, WRONG, 0.0, "spoiled"),
        (WRONG, WRONG, 0.0, None),
        (RIGHT, "", 0.0, "spoiled"),
    ],
)
def test_the_last_answer_counts(first: str, last: str, reward: float, change: str | None) -> None:
    env = started()
    observation, early, terminated, truncated, info = env.step(first)
    assert (observation, early, terminated, truncated) == ("Are you sure?", 0.0, False, False)
    assert info["rewards"] == {}
    assert "metrics" not in info
    _, earned, terminated, truncated, info = env.step(last)
    assert (earned, terminated, truncated, info["stop_reason"]) == (reward, True, False, "completed")
    assert info["rewards"] == {"correct": reward}
    changes = {name: info["metrics"][name] for name in ("kept", "corrected", "spoiled")}
    assert changes == {name: float(name == change) for name in changes}


def test_rounds_and_the_question() -> None:
    env = started(rounds=3, question="Really?")
    assert [env.step(WRONG)[0] for _ in range(3)] == ["Really?"] * 3
    _, reward, terminated, _, info = env.step(RIGHT)
    assert (reward, terminated, info["metrics"]["corrected"]) == (1.0, True, 1.0)
    assert [message["role"] for message in env.messages] == ["user", "assistant"] * 4


def test_the_scale_of_verifiers() -> None:
    env = started(weights=(1.0, 0.2))
    assert env.reward_bounds == (0.0, 1.2)
    env.step("<answer>2</answer>")  # no thoughts, and not in full form
    _, reward, _, _, info = env.step(RIGHT)
    assert info["rewards"] == {"correct": 1.0, "format": pytest.approx(0.2 * (1 + 0.6) / 2)}
    assert info["metrics"]["kept"] == 1.0
    assert env.success_threshold == 1.0
    assert reward == pytest.approx(1.16)


def seen(messages: list[dict[str, Any]], completions: list[str], answer: str) -> dict[str, float]:
    own = [message["content"] for message in messages if message["role"] == "assistant"]
    return {
        "right": float(completions[-1] == answer),
        "said": len(own) / 100,
        "last": own[-1] == completions[-1],
    }


async def later(completion: str, answer: str) -> bool:
    return completion == answer


def test_any_rubric_sees_the_first_answer_as_if_it_were_the_last() -> None:
    env = DoubleCheckEnv(
        [{"question": "?", "answer": "yes"}],
        Rubric([seen, later]),
        BoxedParser(),
        few_shot_examples=[{"question": "!", "answer": "no"}],
        reward_bounds=(0.0, 4.0),
        success_threshold=3.0,
    )
    env.reset()
    env.step("yes")
    _, _, _, _, info = env.step("no")
    assert info["rewards"] == {"right": 0.0, "said": 0.03, "last": 1.0, "later": 0.0}
    assert info["metrics"]["spoiled"] == 1.0


def test_truncated_episodes_are_scored_as_they_stand() -> None:
    env = started()
    env.step(RIGHT)
    _, reward, terminated, truncated, info = env.truncate("seconds")
    assert (reward, terminated, truncated, info["metrics"]["kept"]) == (1.0, False, True, 1.0)
    env.reset(options={"index": 0})
    _, reward, _, _, info = env.truncate(StopReason.SECONDS)
    assert (reward, info["metrics"]) == (0.0, {"format": 0.0, "kept": 0.0, "corrected": 0.0, "spoiled": 0.0})


def test_copies_between_the_answers() -> None:
    env = started()
    env.step(WRONG)
    results = [twin.step(RIGHT) for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env)), env)]
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rounds": 0}, "rounds is 0"),
        ({"rounds": True}, "rounds is True"),
        ({"question": " "}, "question is"),
        ({"weights": (1.0,)}, "two numbers"),
        ({"weights": (0.2, 1.0)}, "first must be above"),
        ({"weights": (1.0, 0.0), "rubric": Rubric([later])}, "give one of them"),
    ],
)
def test_unusable_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DoubleCheckEnv(ROWS, **kwargs)


@pytest.mark.parametrize("kwargs", [{}, {"rounds": 2, "message_type": "completion"}])
def test_the_contract(kwargs: dict[str, Any]) -> None:
    report = check_text_env(DoubleCheckEnv, env_kwargs={"dataset": ROWS, **kwargs})
    assert not report.having(RuleStatus.WAIVED)
