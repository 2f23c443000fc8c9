"""Procedural math problems with worked solutions: the registry of all families.

Invariant: the answer is exact (a ``Fraction``), the solution's steps lead to it, and difficulty adds both
steps and digits. Every problem is drawn from the given generator alone. A family is a file; this one only
collects them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from textgym.tasks.math import algebra, arithmetic, geometry, number_theory, probability, relations, stories
from textgym.tasks.math.problem import Maker, Problem

__all__ = ["DIFFICULTIES", "FAMILIES", "KINDS", "Problem", "expand", "make_problem"]

DIFFICULTIES = (1, 2, 3, 4, 5)
"""From one or two steps with small numbers to a dozen steps with large ones."""

_FAMILIES: dict[str, dict[str, Maker]] = {
    "arithmetic": arithmetic.KINDS,
    "stories": {**stories.KINDS, **relations.KINDS},
    "algebra": algebra.KINDS,
    "number_theory": number_theory.KINDS,
    "geometry": geometry.KINDS,
    "probability": probability.KINDS,
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

    Example:
        >>> expand(["urn", "probability"])
        ('urn', 'dice', 'coins')
    """
    kinds: dict[str, None] = {}
    for name in names:
        members = (name,) if name in KINDS else FAMILIES[name]
        kinds.update(dict.fromkeys(members))
    return tuple(kinds)


def make_problem(rng: np.random.Generator, difficulty: int, kinds: tuple[str, ...] = ()) -> Problem:
    """Draw one problem.

    Args:
        rng: The only source of randomness.
        difficulty: One of ``DIFFICULTIES``.
        kinds: Names from ``KINDS`` to draw from; empty means all.

    Returns:
        The problem.
    """
    names = kinds or tuple(KINDS)
    return KINDS[names[int(rng.integers(len(names)))]](rng, difficulty)
