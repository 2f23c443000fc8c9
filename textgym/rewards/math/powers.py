r"""Powers with exact results: radicals as products of powers of primes, and what is left as atoms.

Invariant: nothing is rounded. 8^(1/3) is 2, √12 is 2·3^(1/2), 4^x is (2^x)^2 and 9^(9^9) an atom of its own.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from textgym.rewards.math.algebra import (
    MAX_BITS,
    ONE,
    Monomial,
    Number,
    Ratio,
    constant,
    content,
    key,
    power,
    prime_powers,
    term,
)

__all__ = ["is_single_term", "raised", "root_of_positive"]


_MAX_EXPONENT_BITS = 64
_POSITIVE = frozenset({"pi", "e"})


def is_single_term(value: Ratio) -> bool:
    """Whether it is a coefficient times one monomial."""
    return len(value.top) == 1 and value.bottom == {ONE: 1}


def raised(base: Ratio, exponent: Ratio) -> Ratio:
    """A power, exactly.

    Raises:
        TooLarge: A whole power is out of bounds.
        ZeroDivisionError: It is a negative power of zero.
    """
    number = exponent.number()
    if number is None:
        return _to_variable(base, exponent)
    if isinstance(number, int):
        value = base.number()
        if value is None or _bits(value) * abs(number) <= MAX_BITS:
            return power(base, number)
        if value < 0 or number.bit_length() > _MAX_EXPONENT_BITS:
            return _opaque(base, exponent)
        return root_of_positive(value, number)
    if not base.top:
        return base if number > 0 else base.inverse()
    if not is_single_term(base):
        return _root_of_sum(base, number)
    ((monomial, coefficient),) = base.top.items()
    if coefficient < 0 and not monomial and number.denominator == 2:
        turned = term(1, {"i": 1 if number.numerator % 4 == 1 else -1})
        return turned * root_of_positive(-coefficient, number)
    if coefficient < 0 or not _splits(monomial):
        return _opaque(base, exponent)
    return root_of_positive(coefficient, number) * term(1, {atom: e * number for atom, e in monomial})


def _bits(value: Number) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _splits(monomial: Monomial) -> bool:
    """Whether a power of the product is the product of the powers: all but one factor are positive.

    The other one, of any sign, may only have an exponent up to 1: √(x²) is not x.
    """
    others = [(atom, e) for atom, e in monomial if type(atom) is not int and atom not in _POSITIVE]
    return len(others) <= 1 and all(atom != "i" and 0 < e <= 1 for atom, e in others)


def root_of_positive(value: Number, exponent: Number) -> Ratio:
    """A positive rational number to a rational power, as a product of powers of primes."""
    exponents: dict[Any, Number] = {}
    for part, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, count in prime_powers(part).items():
            exponents[prime] = exponents.get(prime, 0) + sign * count * exponent
    return term(1, exponents)


def _root_of_sum(base: Ratio, exponent: Number) -> Ratio:
    r"""A root of a sum: an atom whose whole powers multiply out. √(4x+4) becomes 2√(x+1)."""
    above, below = content(base.top), content(base.bottom)
    scale = root_of_positive(Fraction(above) / Fraction(below), exponent)
    reduced = Ratio(
        {m: Fraction(c) / above for m, c in base.top.items()},
        {m: Fraction(c) / below for m, c in base.bottom.items()},
    )
    return scale * term(1, {("sum", key(reduced)): exponent})


def _to_variable(base: Ratio, exponent: Ratio) -> Ratio:
    """2^(x+3) is 8·2^x, and 4^x is (2^x)^2: one atom a base and a term of the exponent."""
    if exponent.bottom != {ONE: 1} or not is_single_term(base):
        return _opaque(base, exponent)
    ((monomial, coefficient),) = base.top.items()
    if coefficient <= 0 or not _splits(monomial) or any(type(atom) is tuple for atom, _ in monomial):
        return _opaque(base, exponent)
    bases: list[tuple[Any, Number]] = [*prime_powers(coefficient.numerator).items(), *monomial]
    bases += [(prime, -count) for prime, count in prime_powers(coefficient.denominator).items()]
    result = constant(1)
    for part, factor in exponent.top.items():
        for atom, count in bases:
            # The constant term of the exponent gives a plain power.
            result = result * term(1, {atom if part == ONE else ("^", atom, part): factor * count})
    return result


def _opaque(base: Ratio, exponent: Ratio) -> Ratio:
    return term(1, {("^", key(base), key(exponent)): 1})
