"""Countdown-v0: the evaluator against Python's own, the judge, and what instances promise."""

from __future__ import annotations

import re
import time
from fractions import Fraction
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym import seeding
from textgym.tasks.countdown.expression import MAX_CHARACTERS, MAX_DEPTH, read_expression
from textgym.tasks.countdown.generator import Instances

EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(str),
    lambda parts: st.one_of(
        st.tuples(parts, st.sampled_from("+-*/"), parts).map(" ".join),
        parts.map("({})".format),
        parts.map("-{}".format),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_values_are_those_of_the_language(text: str) -> None:
    try:
        value = eval(re.sub(r"\d+", lambda number: f"Fraction({number[0]})", text), {"Fraction": Fraction})
    except ZeroDivisionError:
        value = None
    reading = read_expression(text)
    if len(text) > MAX_CHARACTERS:
        assert reading is None
    else:
        assert (None if reading is None else reading.value) == value
        assert reading is None or reading.numbers == tuple(map(int, re.findall(r"\d+", text)))


@given(st.text(alphabet="0123456789+-*/()=×÷− x.^e_%", max_size=60) | st.text(max_size=30))
def test_reading_never_raises(text: str) -> None:
    read_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "()", "1 +", "1 2", "2 ** 3", "2^3", "2e3", "0x10", "1_000", "1.5", "٣ + 1", "²", "1 // 2",
        "abs(1)", "1 = 1 = 1", "1 =", "= 1", "1 = x", "1 / 0", "(1", "1)", "[1]", "9" * 10, "1,000", "3!",
        "__import__('os')", "1 if 1 else 2", "1\0", "\ud800",
        "(" * (MAX_DEPTH + 2) + "1" + ")" * (MAX_DEPTH + 2), "-" * (MAX_DEPTH + 2) + "1",
        "1+" * MAX_CHARACTERS + "1",
    ],
)  # fmt: skip
def test_what_is_no_expression(text: str) -> None:
    assert read_expression(text) is None


def test_reading_is_fast_on_anything() -> None:
    for text in ("(" * 10**6, "1+" * 10**6, "-" * 10**6, "9" * 10**6, "1" + " " * 10**6 + "x", "=" * 10**6):
        began = time.perf_counter()
        assert read_expression(text) is None
        assert time.perf_counter() - began < 0.1


def answered(text: str, **instance: Any) -> tuple[float, dict[str, float]]:
    env = gym.make("textgym/Countdown-v0")
    info = instance or {"numbers": [3, 5, 5, 7], "target": 100}
    env.reset(options={"example": {"question": "?", "answer": "?", "info": info}})
    _, reward, terminated, truncated, info = env.step(text)
    assert (terminated, truncated) == (True, False)
    return float(reward), info["metrics"]


@pytest.mark.parametrize(
    ("answer", "reward", "legal"),
    [
        ("(7 + 3) * (5 + 5)", 1.0, 1.0),
        ("(7+3)×(5+5) = 100", 1.0, 1.0),
        ("(7 + 3) · (5 − -5)", 1.0, 1.0),
        ("(7 + 3) * (5 + 5) = 101", 0.0, 1.0),
        ("(7 + 3) * (5 + 5) = 10 * 10", 0.0, 0.0),
        ("7 + 3 + 5 + 5", 0.0, 1.0),
        ("5 * 5 * (7 - 3)", 1.0, 1.0),
        ("5 * (7 + 3) * 2", 0.0, 0.0),
        ("100", 0.0, 0.0),
        ("100 + 0 * (3 + 5 + 5 + 7)", 0.0, 0.0),
        ("35 + 57 + 8", 0.0, 0.0),
        ("5 * 5 * (7 - 3) or 7 + 3", 0.0, 0.0),
        ("(7 + 3) * (5 + 5) / (5 - 5)", 0.0, 0.0),
    ],
)
def test_answers(answer: str, reward: float, legal: float) -> None:
    got, metrics = answered(f"<think>\nhm\n</think>\n<answer>\n{answer}\n</answer>")
    assert (got, metrics) == (reward, {"format": 1.0, "legal": legal})


def test_the_format_is_a_metric() -> None:
    assert answered("<answer>5 * 5 * (7 - 3)</answer>")[0] == 1.0
    assert answered("5 * 5 * (7 - 3)") == (0.0, {"format": 0.0, "legal": 0.0})
    assert answered("<answer>1</answer> no: <answer>5*5*(7-3)</answer>")[0] == 1.0


def test_results_in_between_may_be_fractions() -> None:
    assert answered("<answer>8 / (3 - 8 / 3)</answer>", numbers=[3, 3, 8, 8], target=24)[0] == 1.0


@pytest.mark.parametrize("numbers", [3, 4, 5, 6])
def test_instances(numbers: int) -> None:
    make = Instances(numbers, 25, 10, 500, None)
    rng = seeding.generator(0)
    kinds = []
    for _ in range(200):
        row = make(rng)
        chosen, target = row["info"]["numbers"], row["info"]["target"]
        reading = read_expression(row["answer"])
        assert reading is not None
        assert (sorted(reading.numbers), reading.value) == (chosen, target)
        assert 10 <= target <= 500
        sums = {0}
        for number in chosen:
            sums = {total + sign * number for total in sums for sign in (1, -1)}
        assert target not in sums
        kinds.append(set(row["answer"]) & set("+-*/"))
    assert all(kind & {"*", "/"} for kind in kinds)
    assert np.mean([len(kind) > 1 for kind in kinds]) > 0.7


def test_the_split_follows_from_the_question_alone() -> None:
    questions: dict[str, set[str]] = {}
    for split in ("train", "test"):
        make = Instances(3, 9, 10, 99, split)
        questions[split] = {make(seeding.generator(seed))["question"] for seed in range(800)}
    assert len(questions["train"]) > 100
    assert len(questions["test"]) > 10
    assert not questions["train"] & questions["test"]
