"""What a problem that needs computation is.

Invariant: the answer is one whole number, computed here and not by the program: the program is another way to it,
which a policy might write, and tests hold the two against each other. Nothing here knows a particular kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any, TypeAlias

import numpy as np

from textgym.tasks.math.problem import between

__all__ = ["Maker", "Problem", "Span", "listed", "span"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem."""

    question: str
    """What is asked."""
    answer: int
    """The exact answer."""
    program: str
    """Python that prints the answer."""

    @classmethod
    def of(cls, question: str, answer: Any, program: str) -> Problem:
        """A problem from an indented program and an answer that may be a number of numpy's."""
        return cls(question, int(answer), dedent(program).strip())


Maker: TypeAlias = Callable[[np.random.Generator, int], Problem]
"""``maker(rng, difficulty) -> problem``."""


@dataclass(frozen=True, slots=True)
class Span:
    """The whole numbers from ``low`` to ``high``, both included."""

    low: int
    """The smallest."""
    high: int
    """The largest."""

    @property
    def array(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers, int64 of shape ``(high - low + 1,)``."""
        return np.arange(self.low, self.high + 1, dtype=np.int64)

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


def span(rng: np.random.Generator, difficulty: int) -> Span:
    """A span that grows with the difficulty: about 200 numbers below 2,000 to 50,000 below 200,000."""
    most_low, length = ((999, 200), (4_999, 1_000), (9_999, 5_000), (49_999, 20_000), (149_999, 50_000))[
        difficulty - 1
    ]
    low = between(rng, 1, most_low)
    return Span(low, low + between(rng, length // 2, length))


def listed(values: Any, last: str = "and") -> str:
    """``2, 3 and 5``.

    Example:
        >>> listed([2, 3, 5]), listed([7])
        ('2, 3 and 5', '7')
    """
    *rest, final = map(str, values)
    return f"{', '.join(rest)} {last} {final}" if rest else final
