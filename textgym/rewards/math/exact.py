"""From trees to exact canonical values.

Invariant: nothing is rounded. What has no exact form here becomes an atom of its own (sin 1, 2^x, √(x+1)), so that
equal trees give equal values and known rules still apply around it. Bounded by ``algebra``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from textgym.rewards.math.algebra import ONE, Polynomial, Ratio, constant, key, term
from textgym.rewards.math.functions import FUNCTIONS
from textgym.rewards.math.powers import raised
from textgym.rewards.math.tree import Expression

__all__ = ["exact", "is_decided"]

_PRIME_BOUND = 10**6  # composite rests of a factorisation are above it, and they are not independent


def exact(tree: Expression) -> Ratio:
    """The canonical value of a tree.

    Args:
        tree: An expression without ± signs.

    Returns:
        A quotient of polynomials.

    Raises:
        TooLarge: The exact value is out of bounds.
        ZeroDivisionError: It has no value.
    """
    if isinstance(tree, int | Fraction):
        return constant(tree)
    return _RULES[tree[0]](*tree[1:])


def is_decided(value: Polynomial) -> bool:
    """Whether a polynomial that is not empty is surely not zero.

    So it is for variables, radicals of small numbers, i and one of pi and e; not for functions.
    """
    factors = {factor for monomial in value for factor in monomial}
    constants = {atom for atom, _ in factors} & {"pi", "e"}
    return len(constants) < 2 and all(
        type(atom) is str or (type(atom) is int and atom < _PRIME_BOUND and exponent < 1)
        for atom, exponent in factors
    )


def _add(*parts: Expression) -> Ratio:
    total = exact(parts[0])
    for part in parts[1:]:
        total = total + exact(part)
    return total


def _multiply(*parts: Expression) -> Ratio:
    total = exact(parts[0])
    for part in parts[1:]:
        total = total * exact(part)
    return total


def _divide(above: Expression, below: Expression) -> Ratio:
    if isinstance(above, int | Fraction) and isinstance(below, int | Fraction):
        return constant(Fraction(above) / below)
    return exact(above) * exact(below).inverse()


def _name(text: str) -> Ratio:
    return Ratio({frozenset({(text, 1)}): 1}, {ONE: 1})


def _atom(*parts: Any) -> Ratio:
    return term(1, {parts: 1})


def _power(base: Expression, exponent: Expression) -> Ratio:
    return raised(exact(base), exact(exponent))


def _call(name: str, *arguments: Expression) -> Ratio:
    values = [exact(argument) for argument in arguments]
    rule = FUNCTIONS.get((name, len(values)))
    found = rule(*values) if rule else None
    return found if found is not None else _atom(name, *map(key, values))


_RULES: dict[str, Callable[..., Ratio]] = {
    "decimal": constant,
    "name": _name,
    "infinity": lambda: _atom("infinity"),
    "sum": _add,
    "product": _multiply,
    "quotient": _divide,
    "power": _power,
    "call": _call,
}
