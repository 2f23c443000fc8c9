"""Sums over ranges and digits of large numbers.

Invariant: sums run over both ends of their range, and remainders are the smallest that are not negative.
"""

from __future__ import annotations

from math import comb, factorial

import numpy as np

from textgym.tasks.code_math.problem import Maker, Problem, span
from textgym.tasks.math.problem import between, pick

__all__ = ["KINDS"]


def _power_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    within, exponent = span(rng, difficulty), between(rng, 2, 2 + difficulty)
    modulus = between(rng, 100, 10_000)
    rests = within.array % modulus
    powers = np.ones_like(rests)
    for _ in range(exponent):
        powers = powers * rests % modulus
    return Problem.of(
        f"What is the remainder when the sum of n^{exponent} over all whole numbers n {within} is divided by "
        f"{modulus}?",
        powers.sum() % modulus,
        f"print(sum(n**{exponent} for n in range({within.low}, {within.high + 1})) % {modulus})",
    )


def _remainder_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    within = span(rng, difficulty)
    a, b, modulus = between(rng, 2, 30), between(rng, 1, 99), between(rng, 7, 200 * difficulty)
    n = within.array
    square = difficulty > 1
    values = (a * n * n + b) if square else (a * n + b)
    rests = values % modulus
    if difficulty > 3:
        rests = rests[rests % 2 == 1]
    text = f"{a} * n^2" if square else f"{a} * n"
    which = "odd remainders" if difficulty > 3 else "remainders"
    expression = f"({a} * n{' * n' if square else ''} + {b}) % {modulus}"
    return Problem.of(
        f"For each whole number n {within} take the remainder of {text} + {b} when it is divided by "
        f"{modulus}. What is the sum of all {which}?",
        rests.sum(),
        f"""
        rests = [{expression} for n in range({within.low}, {within.high + 1})]
        print(sum({"r for r in rests if r % 2 == 1" if difficulty > 3 else "rests"}))
        """,
    )


def _floor_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    within = span(rng, difficulty)
    a, b, c = between(rng, 2, 40), between(rng, 0, 99), between(rng, 3, 60 + 30 * difficulty)
    return Problem.of(
        f"What is the sum of floor(({a} * n + {b}) / {c}) over all whole numbers n {within}?",
        ((a * within.array + b) // c).sum(),
        f"print(sum(({a} * n + {b}) // {c} for n in range({within.low}, {within.high + 1})))",
    )


def _alternating(rng: np.random.Generator, difficulty: int) -> Problem:
    within, period = span(rng, difficulty), between(rng, 2, 6 + 2 * difficulty)
    n = within.array
    squares = difficulty > 2
    values = n * n if squares else n
    text = "the square of each" if squares else "each"
    return Problem.of(
        f"Start with 0. Of the whole numbers {within}, subtract {text} one that is divisible by {period}, "
        f"and add {text} other one. What is the result?",
        np.where(n % period == 0, -values, values).sum(),
        f"""
        total = 0
        for n in range({within.low}, {within.high + 1}):
            value = {"n * n" if squares else "n"}
            total += -value if n % {period} == 0 else value
        print(total)
        """,
    )


def _big_digits(rng: np.random.Generator, difficulty: int) -> Problem:
    size = (60, 150, 350, 700, 1_200)[difficulty - 1]  # below the 4,300 digits that Python writes
    kind, n = pick(rng, ("power", "factorial", "choose")), between(rng, size // 2, size)
    if kind == "power":
        base = between(rng, 3, 999)
        value, text, code = base**n, f"{base}^{n}", f"{base} ** {n}"
    elif kind == "factorial":
        factor = between(rng, 2, 9_999)
        value, text = (
            factor * factorial(n),
            f"{factor} * {n}!, {n}! being the product of the whole numbers from 1 to {n}",
        )
        code = f"{factor} * math.factorial({n})"
    else:
        k, factor = between(rng, n // 4, n // 2), between(rng, 2, 9_999)
        value = factor * comb(n, k)
        text = f"{factor} times the number of ways to choose {k} of {n} things"
        code = f"{factor} * math.comb({n}, {k})"
    digit = between(rng, 0, 9)
    digits = str(value)
    adds = bool(rng.integers(2))
    what = "What is the sum of the decimal digits" if adds else f"How many times does the digit {digit} occur"
    where = "of" if adds else "in the decimal digits of"
    return Problem.of(
        f"{what} {where} {text}?",
        sum(map(int, digits)) if adds else digits.count(str(digit)),
        f"""
        import math

        digits = str({code})
        print({"sum(map(int, digits))" if adds else f"digits.count('{digit}')"})
        """,
    )


def _pair_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    size = (40, 60, 100, 160, 300)[difficulty - 1]
    low, modulus = between(rng, 1, 2_000), between(rng, 5, 60)
    high, rest = low + between(rng, size // 2, size), between(rng, 0, modulus - 1)
    n = np.arange(low, high + 1) % modulus
    products = np.triu(np.outer(n, n) % modulus == rest, 1)
    return Problem.of(
        f"How many pairs (a, b) of whole numbers with {low} <= a < b <= {high} have a product that leaves the "
        f"remainder {rest} when it is divided by {modulus}?",
        products.sum(),
        f"""
        count = 0
        for a in range({low}, {high + 1}):
            for b in range(a + 1, {high + 1}):
                count += a * b % {modulus} == {rest}
        print(count)
        """,
    )


KINDS: dict[str, Maker] = {
    "power_sum": _power_sum,
    "remainder_sum": _remainder_sum,
    "floor_sum": _floor_sum,
    "alternating": _alternating,
    "big_digits": _big_digits,
    "pair_sum": _pair_sum,
}
"""Name -> generator."""
