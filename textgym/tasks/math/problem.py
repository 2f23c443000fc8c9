"""What a math problem is, how its solution is written down, and the draws that all families share.

Invariant: a solution is a list of equations ``expression = value``: the expression holds nothing but numbers,
``+ - * / ^ mod``, ``sqrt(…)`` and parentheses, the value is exact, and the last value is the answer. Nothing
here knows a particular kind of problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import TypeAlias, TypeVar

import numpy as np

__all__ = ["NAMES", "THINGS", "Maker", "Problem", "Working", "between", "clause", "number", "pick"]

NAMES = (
    "Ada", "Bilal", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lena",
    "Maya", "Nils", "Olga", "Pablo", "Quinn", "Rosa", "Sami", "Tara", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
"""People of the word problems."""
THINGS = (
    "apples", "books", "buttons", "candles", "cards", "coins", "cups", "eggs", "kites", "lamps", "marbles",
    "mugs", "nails", "pears", "pencils", "plates", "shells", "stamps", "tickets", "tiles",
)  # fmt: skip
"""What they have."""

Exact: TypeAlias = int | Fraction
"""An exact number."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem."""

    kind: str
    """Which generator made it."""
    question: str
    """What is asked."""
    answer: Fraction
    """The exact answer."""
    steps: tuple[str, ...]
    """The worked solution, an equation a step; the last one ends with the answer."""

    @property
    def answer_text(self) -> str:
        """The answer as ``7``, ``-3`` or ``3/4``."""
        return str(self.answer)


Maker: TypeAlias = Callable[[np.random.Generator, int], Problem]
"""``maker(rng, difficulty) -> problem``."""


class Working:
    """Writes a solution down while it computes it, so that the steps cannot differ from the values.

    Example:
        >>> work = Working()
        >>> work.do(work.do(2, "+", 3), "/", -4)
        Fraction(-5, 4)
        >>> work.steps
        ['2 + 3 = 5', '5 / (-4) = -5/4']
    """

    def __init__(self) -> None:
        self.steps: list[str] = []
        """The equations so far."""
        self.value = Fraction(0)
        """The value of the newest one."""

    def do(self, left: Exact, sign: str, right: Exact) -> Fraction:
        """One operation.

        Args:
            left: First operand.
            sign: ``+ - * /``, ``^`` (a whole exponent of at least 0) or ``mod`` (whole numbers).
            right: Second operand.

        Returns:
            Its value.
        """
        a, b = Fraction(left), Fraction(right)
        match sign:
            case "+":
                value = a + b
            case "-":
                value = a - b
            case "*":
                value = a * b
            case "/":
                value = a / b
            case "^":
                value = a ** int(b)
            case _:
                value = Fraction(int(a) % int(b))
        return self.note(f"{_operand(a)} {sign} {_operand(b)}", value)

    def root(self, square: Exact) -> Fraction:
        """The square root of a perfect square."""
        return self.note(f"sqrt({square})", isqrt(int(square)))

    def total(self, values: Sequence[Exact]) -> Fraction:
        """The sum of several numbers, in one step; a single number needs none."""
        if len(values) == 1:
            return Fraction(values[0])
        return self.note(" + ".join(_operand(Fraction(value)) for value in values), Fraction(sum(values)))

    def note(self, expression: str, value: Exact) -> Fraction:
        """Write down an equation whose value the caller has computed."""
        self.value = Fraction(value)
        self.steps.append(f"{expression} = {self.value}")
        return self.value

    def problem(self, kind: str, question: str) -> Problem:
        """The problem whose answer is the newest value."""
        return Problem(kind, question, self.value, tuple(self.steps))


def _operand(value: Fraction) -> str:
    return str(value) if value.denominator == 1 and value >= 0 else f"({value})"


def between(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, both included."""
    return int(rng.integers(low, high, endpoint=True))


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of several."""
    return choices[int(rng.integers(len(choices)))]


def number(rng: np.random.Generator, difficulty: int) -> int:
    """A number of two digits for the easy problems, of up to four for the hard ones."""
    low, high = ((10, 99), (10, 199), (10, 499), (100, 999), (100, 4999))[difficulty - 1]
    return between(rng, low, high)


def clause(count: Exact, unit: str) -> str:
    """``1 hour``, ``3 hours``."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
