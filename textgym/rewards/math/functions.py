"""Functions with exact values: factorials, binomials, roots, logarithms, and the usual angles.

Invariant: a rule gives an exact value or None, and never an approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb, factorial
from typing import Any

from textgym.rewards.math.algebra import MAX_BITS, Number, Ratio, constant, prime_powers, term
from textgym.rewards.math.powers import is_single_term, raised

__all__ = ["FUNCTIONS"]

_MAX_FACTORIAL = 1000
_MAX_LOWER = 6


def _whole(value: Ratio, limit: int) -> int | None:
    number = value.number()
    if isinstance(number, int) and 0 <= number <= limit:
        return number
    return None


def _factorial(value: Ratio) -> Ratio | None:
    number = _whole(value, _MAX_FACTORIAL)
    return None if number is None else constant(factorial(number))


def _binomial(above: Ratio, below: Ratio) -> Ratio | None:
    n, k = _whole(above, 10**9), _whole(below, 10**9)
    if n is not None and k is not None and min(k, abs(n - k)) * n.bit_length() <= MAX_BITS:
        return constant(comb(n, k))
    if above.number() is not None or k is None or k > _MAX_LOWER:
        return None
    result = constant(Fraction(1, factorial(k)))
    for i in range(k):
        result = result * (above + constant(-i))
    return result


def _root(value: Ratio, index: Ratio) -> Ratio | None:
    number, degree = value.number(), _whole(index, 64)
    if degree is None or degree < 1:
        return None
    if number is not None and number < 0 and degree % 2:
        return constant(-1) * raised(constant(-number), constant(Fraction(1, degree)))
    return raised(value, constant(Fraction(1, degree)))


def _abs(value: Ratio) -> Ratio | None:
    number = value.number()
    return None if number is None else constant(max(number, -number))


def _floor(value: Ratio) -> Ratio | None:
    number = value.number()
    return None if number is None else constant(number // 1)


def _ceil(value: Ratio) -> Ratio | None:
    number = value.number()
    return None if number is None else constant(-(-number // 1))


def _logarithm(of: Any) -> Ratio:
    return term(1, {("ln", of): 1})


def _ln(value: Ratio) -> Ratio | None:
    """Logarithms of single terms without variables: ln 12 is 2 ln 2 + ln 3, and ln e is 1."""
    if not is_single_term(value):
        return None
    ((monomial, coefficient),) = value.top.items()
    if coefficient <= 0 or any(atom != "e" and type(atom) is not int for atom, _ in monomial):
        return None
    total = constant(0)
    for part, sign in ((coefficient.numerator, 1), (coefficient.denominator, -1)):
        for prime, count in prime_powers(part).items():
            total = total + constant(sign * count) * _logarithm(prime)
    for atom, exponent in monomial:
        total = total + constant(exponent) * (constant(1) if atom == "e" else _logarithm(atom))
    return total


def _log(value: Ratio, base: Ratio) -> Ratio | None:
    above, below = _ln(value), _ln(base)
    return None if above is None or below is None or not below.top else above * below.inverse()


def _log_ten(value: Ratio) -> Ratio | None:
    return _log(value, constant(10))


_HALF = Fraction(1, 2)
_SINES: dict[Fraction, tuple[int, Number]] = {  # of q·pi: sign and square
    Fraction(0): (0, 0), Fraction(1, 6): (1, Fraction(1, 4)), Fraction(1, 4): (1, _HALF),
    Fraction(1, 3): (1, Fraction(3, 4)), _HALF: (1, 1),
}  # fmt: skip


def _angle(value: Ratio) -> Number | None:
    """The q of q·pi."""
    if not value.top:
        return 0
    if is_single_term(value):
        return value.top.get(frozenset({("pi", 1)}))
    return None


def _sine(turn: Number) -> Ratio | None:
    turn = Fraction(turn) % 2
    sign = 1
    if turn >= 1:
        turn, sign = turn - 1, -1
    found = _SINES.get(min(turn, 1 - turn))
    if found is None:
        return None
    return constant(sign * found[0]) * raised(constant(found[1]), constant(_HALF))


def _trigonometric(name: str) -> Callable[[Ratio], Ratio | None]:
    def rule(value: Ratio) -> Ratio | None:
        turn = _angle(value)
        if turn is None:
            return None
        sine, cosine = _sine(turn), _sine(turn + _HALF)
        if sine is None or cosine is None:
            return None
        return {
            "sin": lambda: sine,
            "cos": lambda: cosine,
            "tan": lambda: sine * cosine.inverse(),
            "cot": lambda: cosine * sine.inverse(),
            "sec": lambda: cosine.inverse(),
            "csc": lambda: sine.inverse(),
        }[name]()

    return rule


FUNCTIONS: dict[tuple[str, int], Callable[..., Ratio | None]] = {
    ("factorial", 1): _factorial,
    ("binomial", 2): _binomial,
    ("root", 2): _root,
    ("abs", 1): _abs,
    ("floor", 1): _floor,
    ("ceil", 1): _ceil,
    ("ln", 1): _ln,
    ("log", 1): _log_ten,
    ("log", 2): _log,
    **{(name, 1): _trigonometric(name) for name in ("sin", "cos", "tan", "cot", "sec", "csc")},
}
"""(name, number of arguments) -> rule."""
