"""Instances of the numbers game that have a solution and cannot be solved by adding and subtracting alone.

Invariant: every instance has a solution that uses each number once and whose intermediate results are
positive whole numbers; no choice of signs makes the target a mere sum of the numbers. Which split an
instance belongs to follows from its numbers and its target alone, not from the solution that was found for
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.countdown.prompt import question

__all__ = ["Instances"]

TEST_SHARE = 1 / 8
ATTEMPTS = 20_000
"""Draws before the arguments are called unsatisfiable."""


@dataclass(frozen=True, slots=True)
class Instances:
    """Draws instances as rows; ``info`` holds ``numbers`` and ``target``.

    Args:
        numbers: How many numbers.
        largest: The largest of them; the smallest is 2.
        low: Smallest target.
        high: Largest target.
        split: ``"train"``, ``"test"``, or None for both.
    """

    numbers: int
    largest: int
    low: int
    high: int
    split: str | None

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw one instance.

        Raises:
            ConfigError: None comes up within the bounds.
        """
        for _ in range(ATTEMPTS):
            chosen = [int(n) for n in rng.integers(2, self.largest, endpoint=True, size=self.numbers)]
            expression, target = _combine(rng, chosen)
            chosen.sort()
            if self._wanted(chosen, target) and not _is_sum(chosen, target):
                return {
                    "question": question(chosen, target),
                    "answer": expression,
                    "info": {"numbers": chosen, "target": target},
                }
        raise ConfigError(
            f"no instance with {self.numbers} numbers of 2..{self.largest} and a target of "
            f"{self.low}..{self.high} came up in {ATTEMPTS} draws: widen the bounds"
        )

    def _wanted(self, numbers: list[int], target: int) -> bool:
        if not self.low <= target <= self.high or target in numbers:
            return False
        if self.split is None:
            return True
        share = seeding.mix("countdown", str((numbers, target))) / (1 << seeding.SEED_BITS)
        return (share < TEST_SHARE) == (self.split == "test")


def _combine(rng: np.random.Generator, numbers: list[int]) -> tuple[str, int]:
    """A random expression of all numbers, and its value."""
    pool = [(str(number), number, "") for number in numbers]
    while len(pool) > 1:
        i, j = (int(index) for index in rng.choice(len(pool), size=2, replace=False))
        first, second = pool[i], pool[j]
        if first[1] < second[1]:
            first, second = second, first
        a, b = first[1], second[1]
        signs = ["+", "*"] + ["-"] * (a > b) + ["/"] * (b > 1 and a % b == 0)
        sign = signs[int(rng.integers(len(signs)))]
        value = a + b if sign == "+" else a * b if sign == "*" else a - b if sign == "-" else a // b
        text = f"{_within(first, sign, left=True)} {sign} {_within(second, sign, left=False)}"
        pool = [entry for index, entry in enumerate(pool) if index not in (i, j)] + [(text, value, sign)]
    return pool[0][0], pool[0][1]


def _within(part: tuple[str, int, str], sign: str, *, left: bool) -> str:
    """The text of an operand, in parentheses where the rules of precedence need them."""
    text, _, own = part
    loose = own in ("+", "-") and own != ""
    needs = bool(own) and ((loose and sign in "*/") or (not left and sign in "-/" and (loose or sign == "/")))
    return f"({text})" if needs else text


def _is_sum(numbers: list[int], target: int) -> bool:
    """Whether adding and subtracting alone gives the target."""
    return any(
        sum(sign * number for sign, number in zip(signs, numbers, strict=True)) == target
        for signs in product((1, -1), repeat=len(numbers))
    )
