"""Number theory: divisors and multiples, remainders, digits, modular powers.

Invariant: all numbers of the questions are positive and whole, and remainders are the smallest that are not
negative.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from textgym.tasks.math.problem import Maker, Problem, Working, between, pick

__all__ = ["KINDS"]

PRIMES = (2, 3, 5, 7, 11, 13)


def _euclid(rng: np.random.Generator, rounds: int, divisor: int) -> tuple[int, int]:
    """Two numbers of which Euclid's algorithm finds the common divisor with that many remainders but 0."""
    larger, smaller = divisor * between(rng, 2, 9), divisor
    for _ in range(rounds):
        larger, smaller = larger * between(rng, 1, 4) + smaller, larger
    return larger, smaller


def _worked_gcd(work: Working, a: int, b: int) -> int:
    while a % b:
        a, b = b, int(work.do(a, "mod", b))
    return b


def _gcd(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    a, b = _euclid(rng, difficulty, between(rng, 2, 9 + 5 * difficulty))
    _worked_gcd(work, a, b)
    first, second = (a, b) if rng.integers(2) else (b, a)
    question = f"What is the greatest common divisor of {first} and {second}?"
    return work.problem("gcd", question)


def _lcm(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    a, b = _euclid(rng, max(difficulty - 1, 1), between(rng, 2, 6 + 3 * difficulty))
    work.do(work.do(a, "/", _worked_gcd(work, a, b)), "*", b)
    first, second = (a, b) if rng.integers(2) else (b, a)
    return work.problem("lcm", f"What is the least common multiple of {first} and {second}?")


def _remainder(rng: np.random.Generator, difficulty: int) -> Problem:
    work, modulus = Working(), between(rng, 5, 11 + 8 * difficulty)
    sizes = ((1,), (2,), (2, 1), (2, 2), (3, 2))[difficulty - 1]
    high = 200 * difficulty
    terms = [[between(rng, modulus + 1, modulus + high) for _ in range(size)] for size in sizes]
    total: int | None = None
    for term in terms:
        rest = [int(work.do(factor, "mod", modulus)) for factor in term]
        product = rest[0]
        for factor in rest[1:]:
            product = int(work.note(f"{product} * {factor} mod {modulus}", product * factor % modulus))
        total = product if total is None else int(
            work.note(f"({total} + {product}) mod {modulus}", (total + product) % modulus)
        )  # fmt: skip
    text = " + ".join(" * ".join(map(str, term)) for term in terms)
    return work.problem("remainder", f"What is the remainder when {text} is divided by {modulus}?")


def _divisors(rng: np.random.Generator, difficulty: int) -> Problem:
    work = Working()
    factors = sorted(pick(rng, PRIMES) for _ in range(difficulty + 2))
    number = left = int(np.prod(factors))
    for factor in factors[:-1]:
        left = int(work.do(left, "/", factor))
    counts = list(Counter(factors).values())
    result = int(np.prod([count + 1 for count in counts]))
    work.note(" * ".join(f"({count} + 1)" for count in counts), result)
    question = f"How many positive divisors does {number} have, 1 and {number} included?"
    return work.problem("divisors", question)


def _digit_sum(rng: np.random.Generator, difficulty: int) -> Problem:
    work, digits = Working(), difficulty + 1 if difficulty < 3 else difficulty - 1
    value = between(rng, 10**digits, 10 ** (digits + 1) - 1)
    text = str(value)
    if difficulty > 2:
        factor = between(rng, 10 ** (difficulty - 2), 10 ** (difficulty - 1) - 1)
        text = f"{value} * {factor}"
        value = int(work.do(value, "*", factor))
    total, *rest = map(int, str(value))
    for digit in rest:
        total = int(work.do(total, "+", digit))
    which = f"of {text}" if difficulty < 3 else f"of the number that {text} gives"
    return work.problem("digit_sum", f"What is the sum of the decimal digits {which}?")


def _modular_power(rng: np.random.Generator, difficulty: int) -> Problem:
    """By squaring and multiplying."""
    work = Working()
    modulus = between(rng, 7, 10 + 9 * difficulty)
    base = between(rng, 2, modulus - 1)
    low, high = ((2, 2), (3, 4), (5, 15), (16, 60), (61, 250))[difficulty - 1]
    exponent = between(rng, low, high)
    result = base
    for bit in f"{exponent:b}"[1:]:
        result = int(work.note(f"{result} * {result} mod {modulus}", result * result % modulus))
        if bit == "1":
            result = int(work.note(f"{result} * {base} mod {modulus}", result * base % modulus))
    question = f"What is the remainder when {base}^{exponent} is divided by {modulus}?"
    return work.problem("modular_power", question)


KINDS: dict[str, Maker] = {
    "gcd": _gcd,
    "lcm": _lcm,
    "remainder": _remainder,
    "divisors": _divisors,
    "digit_sum": _digit_sum,
    "modular_power": _modular_power,
}
"""Name -> generator."""
