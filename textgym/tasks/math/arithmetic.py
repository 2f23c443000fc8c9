"""Arithmetic: one expression with several operations, worked from the left.

Invariant: the text means its value under the usual rules of precedence, for parentheses stand wherever the
order of the steps differs from them.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from textgym.tasks.math.problem import Maker, Problem, Working, between, number

__all__ = ["KINDS"]


def _arithmetic(rng: np.random.Generator, difficulty: int) -> Problem:
    value = Fraction(number(rng, difficulty))
    text, loose, work = str(value), False, Working()
    operations = "+-" if difficulty == 1 else "+-*" if difficulty < 4 else "+-*/"
    for _ in range(difficulty):
        sign = operations[int(rng.integers(len(operations)))]
        other = between(rng, 2, 12) if sign in "*/" else number(rng, difficulty)
        if sign in "*/" and loose:
            text = f"({text})"
        text = f"{text} {sign} {other}"
        loose = sign in "+-"
        value = work.do(value, sign, other)
    return work.problem("arithmetic", f"Compute {text}.")


KINDS: dict[str, Maker] = {"arithmetic": _arithmetic}
"""Name -> generator."""
