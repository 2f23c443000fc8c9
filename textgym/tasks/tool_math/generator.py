"""Problems too large for the head, with the calls that solve them.

Invariant: the calls are expressions of the calculator, their results are exact (whole or a short decimal), and the
result of the last one is the answer. Every problem is drawn from the given generator alone. Difficulty adds
digits and steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from typing import TypeAlias

import numpy as np

from textgym.tasks.math.problem import NAMES, THINGS, between, pick
from textgym.tools.arithmetic import evaluate

__all__ = ["KINDS", "LEVELS", "ToolProblem", "make_problem"]

LEVELS = (1, 2, 3, 4, 5)
"""Difficulties: from three digits and one call to eight digits and five calls."""
_CENTS = "Round to 2 decimals."


@dataclass(frozen=True, slots=True)
class ToolProblem:
    """One problem."""

    kind: str
    """Key of ``KINDS``."""
    question: str
    """What is asked."""
    calls: tuple[str, ...]
    """Expressions for the calculator, one after another."""
    answer: str
    """The exact answer: the result of the last call."""


Maker: TypeAlias = Callable[[np.random.Generator, int], tuple[str, list[str]]]
"""``maker(rng, difficulty) -> (question, calls)``."""


def make_problem(rng: np.random.Generator, difficulty: int, kinds: tuple[str, ...] = ()) -> ToolProblem:
    """Draw one problem.

    Args:
        rng: The only source of randomness.
        difficulty: One of ``LEVELS``.
        kinds: Names from ``KINDS`` to draw from; empty means all.
    """
    kind = pick(rng, kinds or tuple(KINDS))
    question, calls = KINDS[kind](rng, difficulty)
    return ToolProblem(kind, question, tuple(calls), evaluate(calls[-1]))


def _number(rng: np.random.Generator, difficulty: int) -> int:
    """A number of 3 to 8 digits, the last of which is not 0."""
    digits = difficulty + 2 + int(rng.integers(2))
    return between(rng, 10 ** (digits - 1), 10**digits - 1) // 10 * 10 + between(rng, 1, 9)


def _money(rng: np.random.Generator, most: int) -> str:
    return f"{between(rng, 2, most)}.{between(rng, 1, 99):02}"


def _expression(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """Sums, differences and products of large numbers."""
    parts = [str(_number(rng, difficulty)) for _ in range(difficulty + 2)]
    while len(parts) > 1:
        index = int(rng.integers(len(parts) - 1))
        sign = pick(rng, ("+", "-", "*", "*"))
        left, right = parts[index], parts[index + 1]
        if sign == "*":
            left, right = (f"({part})" if "+" in part or "-" in part else part for part in (left, right))
        elif sign == "-" and ("+" in right or "-" in right):
            right = f"({right})"
        parts[index : index + 2] = [f"{left} {sign} {right}"]
    return f"What is {parts[0]}?", [parts[0]]


def _remainder(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """The remainder of a power."""
    base, modulus = _number(rng, difficulty), _number(rng, difficulty)
    exponent = between(rng, 20, 60 * difficulty**2)
    question = f"What is the remainder when {base}^{exponent} is divided by {modulus}?"
    return question, [f"pow({base}, {exponent}, {modulus})"]


def _selection(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """Ways to choose from several groups."""
    count = 2 + difficulty // 2
    groups = rng.choice(len(THINGS), size=count, replace=False)
    sizes = [between(rng, 9 + 4 * difficulty, 15 + 12 * difficulty) for _ in range(count)]
    chosen = [between(rng, 3, 4 + difficulty) for _ in range(count)]
    names = [THINGS[int(index)] for index in groups]
    have = _listed([f"{size} different {name}" for size, name in zip(sizes, names, strict=True)])
    want = _listed([f"{n} {name}" for n, name in zip(chosen, names, strict=True)])
    question = (
        f"{pick(rng, NAMES)} has {have}. In how many ways can {want} be chosen, if the order does not matter?"
    )
    ways = [f"comb({size}, {n})" for size, n in zip(sizes, chosen, strict=True)]
    if difficulty == 1:
        return question, [" * ".join(ways)]
    return question, [*ways, " * ".join(evaluate(way) for way in ways)]


def _interest(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """Savings that grow at changing rates."""
    amount = str(_number(rng, difficulty))
    lines, calls = [f"{pick(rng, NAMES)} puts {amount} coins into a savings account."], []
    for phase in range(difficulty):
        years, rate = between(rng, 3, 25), f"{between(rng, 0, 6)}.{between(rng, 1, 9)}"
        first = "For" if phase == 0 else "Then, for"
        lines.append(f"{first} {years} years the balance grows by {rate}% a year.")
        calls.append(f"round({amount} * (1 + {rate}%)^{years}, 2)")
        amount = evaluate(calls[-1])
    ends = "at the end" if difficulty == 1 else "at the end of each of these periods, and only then"
    lines.append(
        f"Interest is not paid out but earns interest in turn. The balance is rounded to 2 decimals {ends}. What "
        "is it in the end?"
    )
    return " ".join(lines), calls


def _bill(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """A bill with a discount and a tax."""
    things = rng.choice(len(THINGS), size=difficulty + 1, replace=False)
    bought, costs = [], []
    for index in things:
        count, price = between(rng, 11, 30 * 4**difficulty), _money(rng, 40 * difficulty)
        bought.append(f"{count} {THINGS[int(index)]} at {price} coins each")
        costs.append(f"{count} * {price}")
    discount = between(rng, 2, 30)
    tax = f"{between(rng, 3, 24)}.{between(rng, 1, 9)}"
    calls = [" + ".join(costs)]
    calls.append(f"round({evaluate(calls[0])} * (1 - {discount}%) * (1 + {tax}%), 2)")
    question = (
        f"{pick(rng, NAMES)} orders {_listed(bought)}. The sum is lowered by a discount of {discount}%, then a "
        f"tax of {tax}% is added to what is left. How many coins does that cost in all? {_CENTS}"
    )
    return question, calls


def _statistics(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """The mean, or the population variance, of several numbers."""
    numbers = [_number(rng, difficulty) for _ in range(4 + difficulty)]
    text = ", ".join(map(str, numbers))
    mean = f"round(mean({text}), 2)"
    if difficulty < 3:
        return f"What is the arithmetic mean of {_listed([str(n) for n in numbers])}? {_CENTS}", [mean]
    squares = ", ".join(f"{n}^2" for n in numbers)
    question = (
        f"What is the population variance (the mean squared distance from the mean) of {text}? {_CENTS}"
    )
    return question, [f"mean({squares})", f"round(mean({squares}) - mean({text})^2, 2)"]


def _divisors(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """Greatest common divisors, least common multiples."""
    shared = _number(rng, difficulty)
    numbers: list[int] = []
    while len(numbers) < 2 + difficulty // 2:
        factor = between(rng, 10, 40 * 3**difficulty)
        if all(shared * factor != number for number in numbers):
            numbers.append(shared * factor)
    text = ", ".join(map(str, numbers))
    if rng.integers(2):
        return f"What is the greatest common divisor of {_listed([str(n) for n in numbers])}?", [
            f"gcd({text})"
        ]
    question = f"What is the least common multiple of {_listed([str(n) for n in numbers])}, divided by "
    below = numbers[0] // gcd(numbers[0], between(rng, 2, 60))
    return f"{question}{below}?", [f"lcm({text})", f"{evaluate(f'lcm({text})')} / {below}"]


def _triangle(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """The area of a triangle with three given sides."""
    digits = min(difficulty, 3)  # beyond, a float would not tell the second decimal for sure
    a, b = (between(rng, 10**digits, 10 ** (digits + 1)) for _ in range(2))
    c = between(rng, abs(a - b) + 1 + min(a, b) // 4, a + b - 1 - min(a, b) // 4)
    half = evaluate(f"({a} + {b} + {c}) / 2")
    question = f"A triangle has sides of {a}, {b} and {c} metres. What is its area in square metres? {_CENTS}"
    heron = f"round(sqrt({half} * ({half} - {a}) * ({half} - {b}) * ({half} - {c})), 2)"
    return question, [f"({a} + {b} + {c}) / 2", heron]


def _journey(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """The length of a journey of several legs, in metres."""
    legs, calls = [], []
    for _ in range(difficulty + 1):
        speed = 3 * between(rng, 21, 105)  # a minute is a whole number of metres
        hours, minutes = between(rng, 2, 14), between(rng, 1, 59)
        legs.append(f"{hours} hours and {minutes} minutes at {speed} km per hour")
        calls.append(f"{speed} * 1000 * ({hours} * 60 + {minutes}) / 60")
    total = " + ".join(map(evaluate, calls))
    question = f"A train travels {', then '.join(legs)}. How many metres is that in all?"
    return question, [*calls, total]


def _growth(rng: np.random.Generator, difficulty: int) -> tuple[str, list[str]]:
    """A population that grows and shrinks, rounded to whole numbers after each period."""
    count = str(1000 * _number(rng, difficulty) + between(rng, 1, 999))
    lines, calls = [f"A colony has {count} bacteria."], []
    for phase in range(difficulty + 1):
        hours, rate = between(rng, 4, 30), f"{between(rng, 1, 8)}.{between(rng, 1, 9)}"
        up = phase == 0 or bool(rng.integers(2))
        lines.append(
            f"{'For' if phase == 0 else 'Then, for'} {hours} hours, their number "
            f"{'grows' if up else 'shrinks'} by {rate}% an hour."
        )
        calls.append(f"round({count} * (1 {'+' if up else '-'} {rate}%)^{hours})")
        count = evaluate(calls[-1])
    lines.append(
        "Round to a whole number after each of these periods, and only then. How many are there in the end?"
    )
    return " ".join(lines), calls


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


KINDS: dict[str, Maker] = {
    "expression": _expression,
    "remainder": _remainder,
    "selection": _selection,
    "interest": _interest,
    "bill": _bill,
    "statistics": _statistics,
    "divisors": _divisors,
    "triangle": _triangle,
    "journey": _journey,
    "growth": _growth,
}
"""Name -> generator."""
