"""The registered tasks: difficulty, parsing of guesses, exact answers."""

from __future__ import annotations

from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textgym
from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.math.generator import DIFFICULTIES, KINDS, make_problem


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32), difficulty=st.sampled_from(DIFFICULTIES))
def test_worked_solutions_are_right(kind: str, seed: int, difficulty: int) -> None:
    problem = make_problem(seeding.generator(seed), difficulty, (kind,))
    for step in problem.steps:
        left, right = step.split(" = ")
        a, sign, b = left.rsplit(" ", 2)
        x, y = Fraction(a.strip("()")), Fraction(b)
        value = {"+": x + y, "-": x - y, "*": x * y}[sign] if sign != "/" else x / y
        assert value == Fraction(right), step
    assert Fraction(problem.steps[-1].split(" = ")[1]) == problem.answer


def test_arithmetic_text_means_its_answer() -> None:
    for seed in range(300):
        problem = make_problem(seeding.generator(seed), 1 + seed % 5, ("arithmetic",))
        text = problem.question.removeprefix("Compute ").removesuffix(".")
        exact = eval("".join(f"Fraction({t})" if t.isdigit() else t for t in _tokens(text)))  # noqa: S307
        assert exact == problem.answer


def _tokens(text: str) -> list[str]:
    return text.replace("(", "( ").replace(")", " )").split(" ")


def test_difficulty_adds_steps() -> None:
    def mean(difficulty: int) -> float:
        rng = seeding.generator(0, "steps")
        return float(np.mean([len(make_problem(rng, difficulty).steps) for _ in range(300)]))

    steps = [mean(difficulty) for difficulty in DIFFICULTIES]
    assert steps == sorted(steps)
    assert steps[-1] > 3 * steps[0]


def test_math_accepts_equal_numbers_only() -> None:
    env = gym.make("textgym/Math-v0", difficulty=5, kinds=["journey"])
    env.reset(seed=4)
    answer = Fraction(env.unwrapped.example.answer)
    for text, right in (
        (rf"\boxed{{{answer}}}", 1.0),
        (rf"first \boxed{{1}}, then \boxed{{{answer}}}", 1.0),
        (rf"\boxed{{\frac{{{answer.numerator}}}{{{answer.denominator}}}}}", 1.0),
        (rf"\boxed{{{answer + 1}}}", 0.0),
        (rf"\boxed{{{answer} or 7}}", 0.0),
        (str(answer), 0.0),
        ("", 0.0),
    ):
        env.reset(seed=4)
        assert env.step(text)[1] == right, text


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("<guess>50</guess>", "50"),
        ("I start in the middle. <guess> 50 </guess>", "50"),
        ("50", "50"),
        ("50 or 60", None),
        ("<guess>50 or 60</guess>", None),
        ("", None),
        ("9" * 10_000, None),
        ("<guess>1</guess> no, <guess>50</guess>", "50"),
    ],
)
def test_guesses(said: str, heard: str | None) -> None:
    env = gym.make("textgym/GuessNumber-v0", split=None)
    env.reset(options={"example": {"prompt": "Guess.", "answer": "99"}})
    hint = env.step(said)[0]
    assert (f"higher than {heard}" in hint) is (heard is not None), hint


@pytest.mark.parametrize(
    ("env_id", "arguments", "message"),
    [
        ("Math", {"difficulty": 6}, "difficulty is 6"),
        ("Math", {"kinds": ["algebra"]}, "'algebra'"),
        ("Math", {"split": "dev"}, "split is 'dev'"),
        ("Echo", {"alphabet": "aa"}, "alphabet is 'aa'"),
        ("Echo", {"length": 0}, "length is 0"),
        ("GuessNumber", {"low": 5, "high": 5}, "low must be smaller"),
        ("GuessNumber", {"low": 1.5}, "low is 1.5"),
    ],
)
def test_bad_arguments(env_id: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gym.make(f"textgym/{env_id}-v0", **arguments)


def test_halving_always_finds_the_number() -> None:
    run = textgym.rollout(
        "textgym/GuessNumber-v0", textgym.OraclePolicy(), num_examples=200, env_kwargs={"high": 1000}
    )
    assert run.summary().reward == 1.0
    assert max(len(trajectory.steps) for trajectory in run) <= 10
