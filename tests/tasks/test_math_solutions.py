"""Math-v0: every worked solution is right step by step, and difficulty measurably matters."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym import seeding
from textgym.tasks.math.generator import DIFFICULTIES, FAMILIES, KINDS, Problem, make_problem


class Exact:
    """A number that only knows exact operations, for evaluating a solution's expressions."""

    def __init__(self, value: Any) -> None:
        self.value = Fraction(value)

    def __add__(self, other: Exact) -> Exact:
        return Exact(self.value + other.value)

    def __sub__(self, other: Exact) -> Exact:
        return Exact(self.value - other.value)

    def __mul__(self, other: Exact) -> Exact:
        return Exact(self.value * other.value)

    def __truediv__(self, other: Exact) -> Exact:
        return Exact(self.value / other.value)

    def __mod__(self, other: Exact) -> Exact:
        return Exact(self.value % other.value)

    def __pow__(self, other: Exact) -> Exact:
        return Exact(self.value ** int(other.value))

    def __neg__(self) -> Exact:
        return Exact(-self.value)


def root(square: Exact) -> Exact:
    result = isqrt(int(square.value))
    assert result * result == square.value
    return Exact(result)


def evaluate(expression: str) -> Fraction:
    assert re.fullmatch(r"(?:[0-9+\-*/^() ]|mod|sqrt)+", expression), expression
    code = expression.replace("^", "**").replace("mod", "%")
    code = re.sub(r"\d+", lambda number: f"Exact({number[0]})", code)
    value: Exact = eval(code, {"Exact": Exact, "sqrt": root})
    return value.value


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), difficulty=st.sampled_from(DIFFICULTIES))
def test_worked_solutions_are_right(kind: str, seed: int, difficulty: int) -> None:
    problem = make_problem(seeding.generator(seed), difficulty, (kind,))
    assert problem.kind == kind
    for step in problem.steps:
        expression, _, value = step.rpartition(" = ")
        assert evaluate(expression) == Fraction(value), step
    assert Fraction(problem.steps[-1].rpartition(" = ")[2]) == problem.answer
    assert Fraction(problem.answer_text) == problem.answer
    assert len(problem.question) < 600
    assert "{" not in problem.question
    assert problem.question.endswith(("?", ".")), problem.question


def sample(difficulty: int, kinds: tuple[str, ...] = (), count: int = 1000) -> list[Problem]:
    rng = seeding.generator(0, "measure", difficulty)
    return [make_problem(rng, difficulty, kinds) for _ in range(count)]


def digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def test_difficulty_adds_steps_and_digits() -> None:
    steps, asked, worked = [], [], []
    for difficulty in DIFFICULTIES:
        problems = sample(difficulty)
        steps.append(np.mean([len(problem.steps) for problem in problems]))
        asked.append(np.mean([digits(problem.question) for problem in problems]))
        worked.append(np.mean([digits("".join(problem.steps)) for problem in problems]))
    for grown in (steps, asked, worked):
        assert all(b > 1.1 * a for a, b in pairwise(grown)), grown
    assert steps[-1] > 4 * steps[0]


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_gets_shorter_with_difficulty(kind: str) -> None:
    means = [np.mean([len(p.steps) for p in sample(d, (kind,), 100)]) for d in DIFFICULTIES]
    assert means == sorted(means)
    assert means[-1] > 1.9 * means[0]


def first_operation(problem: Problem) -> bool:
    """A solver without understanding: the best of four operations on the first two numbers."""
    a, b, *_ = [*map(Fraction, re.findall(r"\d+", problem.question)), Fraction(0), Fraction(0)]
    return problem.answer in (a + b, a - b, a * b, a / b if b else None)


def gives_up_after(problem: Problem, steps: int) -> bool:
    """A solver that works correctly and answers what it has after so many steps."""
    return Fraction(problem.steps[min(steps, len(problem.steps)) - 1].rpartition(" = ")[2]) == problem.answer


def test_one_step_solvers_fail_ever_more() -> None:
    shares = {
        name: [np.mean([solver(problem) for problem in sample(d)]) for d in DIFFICULTIES]
        for name, solver in {
            "first operation": first_operation,
            "one step": lambda problem: gives_up_after(problem, 1),
            "three steps": lambda problem: gives_up_after(problem, 3),
        }.items()
    }
    assert shares["first operation"][0] > 0.15
    assert max(shares["first operation"][1:]) < 0.03, shares
    assert shares["one step"][0] > 0.4
    assert max(shares["one step"][1:]) < 0.1, shares
    three = shares["three steps"]
    assert three[0] > 0.95
    assert all(b < a or b < 0.05 for a, b in pairwise(three)), three
    assert three[-1] < 0.1


def test_families_hold_every_kind_once() -> None:
    members = [kind for kinds in FAMILIES.values() for kind in kinds]
    assert sorted(members) == sorted(KINDS)
    assert len(KINDS) >= 20


def test_all_kinds_come_up() -> None:
    assert {problem.kind for problem in sample(3, count=600)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_spaces_are_large_enough_to_be_split(kind: str) -> None:
    for difficulty in DIFFICULTIES:
        assert len({problem.question for problem in sample(difficulty, (kind,), 400)}) >= 50
