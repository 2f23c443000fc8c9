"""Counting and adding up numbers of a span that have a property, and points of the plane.

Invariant: spans hold both of their ends, and all numbers are positive.
"""

from __future__ import annotations

from functools import cache
from math import gcd, isqrt
from typing import Any, TypeAlias

import numpy as np

from textgym.tasks.code_math.problem import Maker, Problem, span
from textgym.tasks.math.problem import between, pick

__all__ = ["KINDS"]

Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


@cache
def _sieve() -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether ``n`` is a prime, for ``n`` up to 200,000, which no span exceeds."""
    prime = np.ones(200_001, dtype=bool)
    prime[:2] = False
    for n in range(2, isqrt(len(prime)) + 1):
        if prime[n]:
            prime[n * n :: n] = False
    return prime


@cache
def _divisor_counts() -> Numbers:
    """Number of divisors of ``n`` up to 200,000."""
    counts = np.zeros(200_001, dtype=np.int64)
    for d in range(1, isqrt(len(counts)) + 1):
        counts[d * d :: d] += 2  # d and the divisor above it
        counts[d * d] -= 1
    return counts


def _digit_sums(numbers: Numbers, base: int = 10) -> Numbers:
    total = np.zeros_like(numbers)
    while numbers.any():
        numbers, digits = np.divmod(numbers, base)
        total += digits
    return total


def _divisible(rng: np.random.Generator, difficulty: int) -> Problem:
    within = span(rng, difficulty)
    p, q, r = (int(value) for value in rng.choice(np.arange(3, 20 + 4 * difficulty), size=3, replace=False))
    n = within.array
    wanted = (n % p == 0) | (n % q == 0)
    text, condition = f"{p} or by {q} (or by both)", f"(n % {p} == 0 or n % {q} == 0)"
    if difficulty > 1:
        wanted &= n % r != 0
        text, condition = f"{text}, but not by {r}", f"{condition} and n % {r} != 0"
    return Problem.of(
        f"How many whole numbers {within} are divisible by {text}?",
        wanted.sum(),
        f"print(sum(1 for n in range({within.low}, {within.high + 1}) if {condition}))",
    )


def _coprime(rng: np.random.Generator, difficulty: int) -> Problem:
    within, modulus = span(rng, difficulty), between(rng, 30, 400 * difficulty)
    coprime = np.gcd(within.array, modulus) == 1
    adds = difficulty > 2
    what = "What is the sum of the whole numbers" if adds else "How many whole numbers"
    verb = "that have" if adds else "have"
    return Problem.of(
        f"{what} {within} {verb} no common divisor with {modulus} except 1?",
        within.array[coprime].sum() if adds else coprime.sum(),
        f"""
        from math import gcd
        print(sum({"n" if adds else "1"} for n in range({within.low}, {within.high + 1}) if gcd(n, {modulus})
        == 1))
        """,
    )


def _digit_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    within, divisor = span(rng, difficulty), between(rng, 3, 11)
    rest = between(rng, 0, divisor - 1)
    other = between(rng, 2, 9)
    n = within.array
    wanted = _digit_sums(n) % divisor == rest
    text, condition = "", f"sum(map(int, str(n))) % {divisor} == {rest}"
    if difficulty > 2:
        wanted &= n % other != 0
        text, condition = f" and are not divisible by {other} themselves", f"{condition} and n % {other} != 0"
    return Problem.of(
        f"How many whole numbers {within} have a sum of decimal digits that leaves the remainder {rest} when "
        f"it is divided by {divisor}{',' if text else ''}{text}?",
        wanted.sum(),
        f"print(sum(1 for n in range({within.low}, {within.high + 1}) if {condition}))",
    )


def _digit_count(rng: np.random.Generator, difficulty: int) -> Problem:
    within, digit = span(rng, difficulty), between(rng, 0, 9)
    n, count = within.array, 0
    while n.any():
        count += int(((n % 10 == digit) & (n > 0)).sum())
        n = n // 10
    return Problem.of(
        f"All whole numbers {within} are written down in decimal. How many times is the digit {digit} written?",
        count,
        f"print(sum(str(n).count('{digit}') for n in range({within.low}, {within.high + 1})))",
    )


def _palindromes(rng: np.random.Generator, difficulty: int) -> Problem:
    within = span(rng, difficulty)
    base = 10 if difficulty < 3 else pick(rng, (2, 3, 4, 5, 6, 7, 8, 9))
    left, backwards = within.array, np.zeros_like(within.array)
    while left.any():
        backwards = np.where(left > 0, backwards * base + left % base, backwards)
        left = left // base
    return Problem.of(
        f"What is the sum of the whole numbers {within} that read the same forwards and backwards "
        + ("in decimal?" if base == 10 else f"when they are written in base {base}?"),
        within.array[backwards == within.array].sum(),
        f"""
        def digits(n):
            found = []
            while n:
                n, digit = divmod(n, {base})
                found.append(digit)
            return found

        print(sum(n for n in range({within.low}, {within.high + 1}) if digits(n) == digits(n)[::-1]))
        """,
    )


def _primes(rng: np.random.Generator, difficulty: int) -> Problem:
    within, modulus = span(rng, difficulty), pick(rng, (3, 4, 5, 7, 8, 9, 11))
    rest = pick(rng, [r for r in range(1, modulus) if gcd(r, modulus) == 1])
    n = within.array
    primes = n[_sieve()[n] & (n % modulus == rest)]
    adds = bool(rng.integers(2))
    what = "What is the sum of the primes" if adds else "How many primes"
    verb = "that leave" if adds else "leave"
    return Problem.of(
        f"{what} {within} {verb} the remainder {rest} when they are divided by {modulus}?",
        primes.sum() if adds else len(primes),
        f"""
        prime = [False, False] + [True] * {within.high - 1}
        for n in range(2, int({within.high} ** 0.5) + 1):
            if prime[n]:
                for multiple in range(n * n, {within.high + 1}, n):
                    prime[multiple] = False
        found = [n for n in range({within.low}, {within.high + 1}) if prime[n] and n % {modulus} == {rest}]
        print({"sum" if adds else "len"}(found))
        """,
    )


def _divisors(rng: np.random.Generator, difficulty: int) -> Problem:
    within = span(rng, difficulty)
    counts = _divisor_counts()[within.array]
    wanted = between(rng, 2, 4 + 2 * difficulty)
    exactly = bool(rng.integers(2))
    question = (
        f"How many whole numbers {within} have exactly {wanted} positive divisors, 1 and the number itself "
        "included?"
        if exactly
        else f"How many pairs (n, d) are there of a whole number n {within} and a positive divisor d of n "
        f"that is at most {wanted * 9}?"
    )
    few = sum(int((within.array % d == 0).sum()) for d in range(1, wanted * 9 + 1))
    program = f"""
        count = {{n: 0 for n in range({within.low}, {within.high + 1})}}
        for d in range(1, {within.high if exactly else wanted * 9} + 1):
            for n in range(-(-{within.low} // d) * d, {within.high + 1}, d):
                count[n] += 1
        print(sum({f"1 for c in count.values() if c == {wanted}" if exactly else "count.values()"}))
        """
    return Problem.of(question, (counts == wanted).sum() if exactly else few, program)


def _points(rng: np.random.Generator, difficulty: int) -> Problem:
    radius = ((500, 9_999), (2_000, 19_999), (5_000, 39_999), (9_000, 79_999), (50_000, 400_000))[
        difficulty - 1
    ]
    bound, factor = between(rng, *radius), between(rng, 1, 2 + 2 * difficulty)
    shift = between(rng, 0, isqrt(bound // factor) // 2)
    x = np.arange(-isqrt(bound), isqrt(bound) + 1)
    roots = np.array([isqrt(int(room)) for room in (bound - x * x) // factor])  # y from -root to root
    count = np.maximum(roots - shift, 0).sum() if shift else (2 * roots + 1).sum()
    squares = f"x^2 + {factor} * y^2" if factor > 1 else "x^2 + y^2"
    condition = f" and y > {shift}" if shift else ""
    return Problem.of(
        f"How many pairs (x, y) of whole numbers, negative ones and 0 included, satisfy {squares} <= "
        f"{bound}{condition}?",
        count,
        f"""
        from math import isqrt

        count = 0
        for x in range(-isqrt({bound}), isqrt({bound}) + 1):
            root = isqrt(({bound} - x * x) // {factor})
            count += {f"max(root - {shift}, 0)" if shift else "2 * root + 1"}
        print(count)
        """,
    )


KINDS: dict[str, Maker] = {
    "divisible": _divisible,
    "coprime": _coprime,
    "digit_sum": _digit_sum,
    "digit_count": _digit_count,
    "palindromes": _palindromes,
    "primes": _primes,
    "divisors": _divisors,
    "points": _points,
}
"""Name -> generator."""
