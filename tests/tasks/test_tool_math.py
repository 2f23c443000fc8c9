"""ToolMath-v0: the calls lead to the answer, and only the exact number counts."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any

import gymnasium as gym
import pytest

from textgym import seeding
from textgym.errors import ConfigError
from textgym.rewards import number_match
from textgym.tasks.tool_math.generator import KINDS, LEVELS, make_problem
from textgym.tools import calculator


@pytest.mark.parametrize("kind", KINDS)
def test_problems(kind: str) -> None:
    for difficulty in LEVELS:
        for seed in range(40):
            problem = make_problem(seeding.generator(seed, "test", difficulty), difficulty, (kind,))
            assert problem.kind == kind
            assert problem.answer == calculator(problem.calls[-1])
            assert number_match(problem.answer, problem.answer) == 1.0
            assert "{" not in problem.question
            assert problem.question.endswith(("?", "."))
            assert len(problem.question) < 900
            assert len(problem.answer) <= 60


def test_results_on_the_way_are_what_the_calculator_shows() -> None:
    for difficulty in LEVELS:
        for seed in range(100):
            problem = make_problem(
                seeding.generator(seed), difficulty, ("bill", "interest", "growth", "journey")
            )
            for before, after in zip(problem.calls, problem.calls[1:], strict=False):
                assert calculator(before) in after or problem.kind == "journey"


def test_areas_are_right_to_the_second_decimal() -> None:
    with localcontext() as context:
        context.prec = 60
        for difficulty in LEVELS:
            for seed in range(100):
                problem = make_problem(seeding.generator(seed), difficulty, ("triangle",))
                a, b, c = (
                    Decimal(n.strip("() ")) for n in problem.calls[0].removesuffix("/ 2").strip().split("+")
                )
                s = (a + b + c) / 2
                area = (s * (s - a) * (s - b) * (s - c)).sqrt()
                assert abs(Decimal(problem.answer) - area) <= Decimal("0.005")


def test_difficulty_adds_digits_and_calls() -> None:
    measures = []
    for difficulty in LEVELS:
        problems = [make_problem(seeding.generator(seed), difficulty) for seed in range(300)]
        calls = sum(len(problem.calls) for problem in problems) / 300
        digits = sum(sum(sign.isdigit() for sign in problem.question) for problem in problems) / 300
        measures.append((calls, digits))
    assert [calls for calls, _ in measures] == sorted(calls for calls, _ in measures)
    assert [digits for _, digits in measures] == sorted(digits for _, digits in measures)


def played(*actions: str, **arguments: Any) -> tuple[float, dict[str, Any], Any]:
    env: Any = gym.make("textgym/ToolMath-v0", disable_env_checker=True, **arguments).unwrapped
    row = {"question": "What is 6 * 7 / 4?", "answer": "10.5"}
    env.reset(options={"example": row})
    reward, info = 0.0, {}
    for action in actions:
        _, reward, _, _, info = env.step(action)
    return float(reward), info["metrics"], env


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("10.5", 1.0),
        ("10.50", 1.0),
        ("21/2", 1.0),
        ("10.5 coins", 0.0),
        ("about 10.5", 0.0),
        ("10", 0.0),
        ("", 0.0),
    ],
)
def test_answers(answer: str, reward: float) -> None:
    got, metrics, _ = played(f"<think>\nx\n</think>\n<answer>\n{answer}\n</answer>")
    assert (
        (got, metrics["tool_calls"], metrics["tool_success"]) == (reward, 0.0, 0.0) if answer else got == 0.0
    )


def test_calls_are_counted() -> None:
    call = '<tool>{"name": "calculator", "args": {"expression": "6 * 7 / 4"}}</tool>'
    wrong = '<tool>{"name": "calculator", "args": {"expression": "1/0"}}</tool>'
    reward, metrics, env = played(call + wrong, "<answer>10.5</answer>")
    assert (reward, metrics["tool_calls"], metrics["tool_errors"], metrics["tool_success"]) == (
        1.0,
        2.0,
        1.0,
        0.5,
    )
    expected = "<result>\n10.5\n</result>\n<result>\nError: CalculationError: division by zero\n</result>"
    assert env.messages[3]["content"] == expected


def test_the_native_protocol() -> None:
    call = '<tool_call>{"name": "calculator", "arguments": {"expression": "42/4"}}</tool_call>'
    reward, metrics, env = played(call, "It is <answer>10.5</answer>", protocol="native")
    assert (reward, metrics["tool/ok"]) == (1.0, 1.0)
    assert json.loads(env.messages[2]["tool_calls"][0]["function"]["arguments"]) == {"expression": "42/4"}
    assert env.messages[3] == {
        "role": "tool",
        "tool_call_id": "call_0_0",
        "name": "calculator",
        "content": "10.5",
    }


def test_other_tools() -> None:
    env: Any = gym.make("textgym/ToolMath-v0", tools=["python"], disable_env_checker=True).unwrapped
    observation, _ = env.reset(seed=0)
    assert "Run Python code" in observation
    assert env.step(env.oracle())[1] == 1.0  # it has no calls to make without the calculator


@pytest.mark.parametrize(
    "arguments",
    [{"difficulty": 6}, {"kinds": ["x"]}, {"tools": []}, {"tools": ["search"]}, {"protocol": "x"}],
)
def test_unusable_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        gym.make("textgym/ToolMath-v0", **arguments)
