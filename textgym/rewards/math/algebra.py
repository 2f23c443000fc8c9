r"""Exact arithmetic with quotients of polynomials over the rationals, in variables and radicals.

A monomial is a frozenset of (atom, exponent). Atoms are variables and constants (text), prime-like integers whose
exponents are proper fractions (2√3 is ``2·3^(1/2)``), and tuples for what is not understood further. A polynomial
maps monomials to coefficients (int, or Fraction where needed); no coefficient is 0.

Invariant: equal polynomials are equal dictionaries, as far as the atoms are independent, which radicals of
different primes are (Besicovitch 1940). Work is bounded: beyond ``MAX_TERMS`` terms or ``MAX_BITS`` bits an
operation raises ``TooLarge``, and 1/0 raises ``ZeroDivisionError``. Knows nothing of notation.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, isqrt
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "MAX_BITS",
    "ONE",
    "Monomial",
    "Number",
    "Polynomial",
    "Ratio",
    "TooLarge",
    "constant",
    "content",
    "key",
    "power",
    "prime_powers",
    "product",
    "term",
]

Number: TypeAlias = int | Fraction
Atom: TypeAlias = Any
Monomial: TypeAlias = frozenset[tuple[Atom, Number]]
Polynomial: TypeAlias = dict[Monomial, Number]

ONE: Monomial = frozenset()
"""The monomial of the constant term."""
MAX_TERMS = 300
"""Terms of one polynomial."""
MAX_BITS = 8192
"""Bits of one coefficient."""
_MAX_PRODUCTS = 2500
_TRIAL = 1000


class TooLarge(Exception):
    """The exact result would be larger than the bounds."""


class Ratio(NamedTuple):
    """A polynomial over a polynomial that is not zero."""

    top: Polynomial
    bottom: Polynomial

    def __add__(self, other: Ratio) -> Ratio:  # type: ignore[override]
        if self.bottom == other.bottom:
            return Ratio(_sum(self.top, other.top), self.bottom)
        top = _sum(product(self.top, other.bottom), product(other.top, self.bottom))
        return Ratio(top, product(self.bottom, other.bottom))

    def __mul__(self, other: Ratio) -> Ratio:  # type: ignore[override]
        top = product(self.top, other.top)
        if len(self.bottom) == 1 == len(other.bottom) and self.bottom == other.bottom == _UNIT:
            return Ratio(top, self.bottom)
        return Ratio(top, product(self.bottom, other.bottom))

    def inverse(self) -> Ratio:
        """One over it; a single term goes to the top with negative exponents."""
        if not self.top:
            raise ZeroDivisionError
        if len(self.top) > 1:
            return Ratio(self.bottom, self.top)
        ((monomial, coefficient),) = self.top.items()
        factor = term(Fraction(1) / coefficient, {atom: -exponent for atom, exponent in monomial})
        return factor * Ratio(self.bottom, _UNIT)

    def minus(self, other: Ratio) -> Polynomial:
        """The numerator of the difference: empty where the two are one function."""
        top, less = self.top, other.top
        if self.bottom != other.bottom:
            top, less = product(top, other.bottom), product(less, self.bottom)
        return {} if top == less else _sum(top, {monomial: -c for monomial, c in less.items()})

    def number(self) -> Number | None:
        """Its value, if that is a rational number; else None."""
        if not self.top:
            return 0
        if len(self.top) == 1 and len(self.bottom) == 1 and ONE in self.top and ONE in self.bottom:
            return _tidy(Fraction(self.top[ONE]) / self.bottom[ONE])
        return None


_UNIT: Polynomial = {ONE: 1}


def constant(value: Number) -> Ratio:
    """A rational number."""
    return Ratio({ONE: _tidy(value)} if value else {}, _UNIT)


def key(value: Ratio) -> Any:
    """The same value as something hashable, for an atom."""
    return frozenset(value.top.items()), frozenset(value.bottom.items())


def _tidy(value: Number) -> Number:
    return value.numerator if value.denominator == 1 else value


def _sum(left: Polynomial, right: Polynomial) -> Polynomial:
    result = dict(left)
    for monomial, coefficient in right.items():
        total = result.get(monomial, 0) + coefficient
        if total:
            result[monomial] = total
        else:
            del result[monomial]
    if len(result) > MAX_TERMS:
        raise TooLarge
    return result


def product(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product, with the exponents of radicals brought back to proper fractions."""
    if right == _UNIT:
        return left
    if left == _UNIT:
        return right
    if len(left) * len(right) > _MAX_PRODUCTS:
        raise TooLarge
    result: Polynomial = {}
    for one, a in left.items():
        for two, b in right.items():
            if not one or not two:
                part: Polynomial = {one or two: a * b}
            else:
                exponents = dict(one)
                for atom, exponent in two:
                    exponents[atom] = exponents.get(atom, 0) + exponent
                part = term(a * b, exponents).top
            result = _sum(result, part)
    if any(max(c.numerator.bit_length(), c.denominator.bit_length()) > MAX_BITS for c in result.values()):
        raise TooLarge
    return result


def term(coefficient: Number, exponents: dict[Atom, Number]) -> Ratio:
    """A coefficient times powers of atoms, in canonical form."""
    kept: dict[Atom, Number] = {}
    more: list[Ratio] = []
    for atom, exponent in exponents.items():
        if not exponent:
            continue
        if type(atom) is str and atom != "i":
            kept[atom] = exponent
        elif type(atom) is int:
            whole = int(exponent // 1)
            if abs(whole) * atom.bit_length() > MAX_BITS:
                whole = 0
            coefficient = coefficient * Fraction(atom) ** whole
            kept[atom] = exponent - whole
        elif atom == "i" and exponent == int(exponent):
            coefficient = -coefficient if int(exponent) % 4 >= 2 else coefficient
            kept[atom] = int(exponent) % 2
        elif atom[0] == "sum" and not 0 < exponent < 1:
            whole = int(exponent // 1)
            kept[atom] = exponent - whole
            more.append(power(Ratio(dict(atom[1][0]), dict(atom[1][1])), whole))
        else:
            kept[atom] = exponent
    monomial = frozenset((atom, _tidy(exponent)) for atom, exponent in kept.items() if exponent)
    result = Ratio({monomial: _tidy(coefficient)}, _UNIT)
    for factor in more:
        result = result * factor
    return result


def power(base: Ratio, exponent: int) -> Ratio:
    """A whole power."""
    if exponent < 0:
        return power(base.inverse(), -exponent)
    value = base.number()
    if value is not None:
        bits = max(value.numerator.bit_length(), value.denominator.bit_length())
        if abs(value) != 1 and value and bits * exponent > MAX_BITS:
            raise TooLarge
        return constant(value ** (exponent % 2 + 2 if exponent and abs(value) == 1 else exponent))
    if len(base.top) == 1 and base.bottom == _UNIT:
        ((monomial, coefficient),) = base.top.items()
        scale = power(constant(coefficient), exponent)
        return scale * term(1, {atom: e * exponent for atom, e in monomial})
    if exponent > MAX_TERMS:
        raise TooLarge
    result = Ratio(_UNIT, _UNIT)
    for bit in f"{exponent:b}" if exponent else "":
        result = result * result
        if bit == "1":
            result = result * base
    return result


def prime_powers(value: int) -> dict[int, int]:
    """Factors of a positive integer with their exponents: primes up to 1000, then what is left of it.

    The rest is a prime, a product of two, or (beyond 10^9) anything; a square is recognised.
    """
    if value.bit_length() > MAX_BITS:
        raise TooLarge
    found: dict[int, int] = {}
    candidate = 2
    while candidate < _TRIAL and candidate * candidate <= value:
        while value % candidate == 0:
            found[candidate] = found.get(candidate, 0) + 1
            value //= candidate
        candidate += 1 if candidate == 2 else 2
    if value > 1:
        side = isqrt(value)
        if side * side == value:
            found[side] = found.get(side, 0) + 2
        else:
            found[value] = found.get(value, 0) + 1
    return found


def content(top: Polynomial) -> Number:
    """The largest positive rational number that leaves whole coefficients without a common factor."""
    above = below = 0
    for coefficient in top.values():
        above = gcd(above, coefficient.numerator)
        below = (
            coefficient.denominator
            if not below
            else below * coefficient.denominator // gcd(below, coefficient.denominator)
        )
    return Fraction(above, below or 1) if above else 1
