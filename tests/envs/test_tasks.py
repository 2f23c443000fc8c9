"""The registered tasks: difficulty, parsing of guesses, exact answers."""

from __future__ import annotations

from fractions import Fraction

import gymnasium as gym
import pytest

import textgym
from textgym.errors import ConfigError


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
        ("Math", {"kinds": ["poetry"]}, "'poetry'"),
        ("Math", {"split": "dev"}, "split is 'dev'"),
        ("Countdown", {"numbers": 7}, "numbers is 7"),
        ("Countdown", {"low": 9, "high": 8}, "high is 8"),
        ("Countdown", {"numbers": 3, "largest": 3, "low": 9000, "high": 9001}, "widen the bounds"),
        ("Countdown", {"split": "dev"}, "split is 'dev'"),
        ("Wordle", {"hard": 1}, "hard is 1"),
        ("Wordle", {"max_turns": 0}, "max_turns is 0"),
        ("Wordle", {"split": "dev"}, "split is 'dev'"),
        ("Tutor", {"difficulty": 0}, "difficulty is 0"),
        ("Tutor", {"max_attempts": 0}, "max_attempts is 0"),
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
