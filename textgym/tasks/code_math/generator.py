"""Problems that need computation: the registry of all families.

Invariant: every problem is drawn from the given generator alone; a family is a file, and this one only collects
them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.tasks.code_math import counting, simulations, sums, tables
from textgym.tasks.code_math.problem import Maker
from textgym.tasks.math.problem import pick

__all__ = ["DIFFICULTIES", "FAMILIES", "KINDS", "Computations", "expand"]

LEAST = 2
"""Smallest answer: 0 and 1 would be guessed too often."""
DIFFICULTIES = (1, 2, 3, 4, 5)
"""From ranges of hundreds of numbers and one condition to tens of thousands and several."""

_FAMILIES: dict[str, dict[str, Maker]] = {
    "counting": counting.KINDS,
    "sums": sums.KINDS,
    "simulations": simulations.KINDS,
    "tables": tables.KINDS,
}
FAMILIES: dict[str, tuple[str, ...]] = {family: tuple(kinds) for family, kinds in _FAMILIES.items()}
"""Family -> the kinds in it."""
KINDS: dict[str, Maker] = {name: maker for kinds in _FAMILIES.values() for name, maker in kinds.items()}
"""Name -> generator of that kind of problem."""


def expand(names: Iterable[str]) -> tuple[str, ...]:
    """Kinds for names of kinds and families, each once, in order of first mention.

    Args:
        names: Names from ``KINDS`` and ``FAMILIES``.

    Raises:
        KeyError: A name is neither.
    """
    kinds: dict[str, None] = {}
    for name in names:
        kinds.update(dict.fromkeys((name,) if name in KINDS else FAMILIES[name]))
    return tuple(kinds)


@dataclass(frozen=True, slots=True)
class Computations:
    """Draws a problem as a row; ``info["program"]`` prints its answer.

    Args:
        difficulty: One of ``DIFFICULTIES``.
        kinds: Names from ``KINDS`` to draw from; empty means all.
    """

    difficulty: int
    kinds: tuple[str, ...] = ()

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw one problem."""
        kind = pick(rng, self.kinds or tuple(KINDS))
        problem = KINDS[kind](rng, self.difficulty)
        while problem.answer < LEAST:
            problem = KINDS[kind](rng, self.difficulty)
        return {
            "question": problem.question,
            "answer": str(problem.answer),
            "task": kind,
            "info": {"program": problem.program, "difficulty": self.difficulty},
        }
