"""The trees of expressions, as plain tuples, and the small functions that build and walk them.

An ``int`` or ``Fraction`` is a number; any other node is a tuple whose first entry is its head:

    ("decimal", value)      a number that was written with a decimal point
    ("name", text)          a variable or constant (pi, e, i)
    ("infinity",)           infinity
    ("sum", a, b, …)        ("product", a, b, …)      ("quotient", a, b)      ("power", a, b)
    ("call", name, a, …)    a function, known or not
    ("either", a, sign)     from a ± (sign 1) or ∓ (sign -1): a times the sign, or a times the other sign

Invariant: trees are immutable and hashable, and as deep as the text was nested. Nothing is simplified here.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, TypeAlias

__all__ = [
    "CONSTANTS",
    "Expression",
    "digits",
    "expand_signs",
    "literal",
    "names",
    "nodes",
    "root",
    "signed",
    "times",
]

Expression: TypeAlias = Any
"""An int, a Fraction or a tuple as drawn in the module docstring."""

CONSTANTS = frozenset({"pi", "e", "i"})
"""Names that stand for one number."""

_MAX_EXPONENT = 400


def literal(text: str) -> Expression:
    """The number that a token spells: exact, and marked if it has a decimal point."""
    if text.isdigit():
        return int(text)
    head, sign, exponent = text.lower().partition("e")
    value: Expression = int(head.rstrip(".")) if head.rstrip(".").isdigit() else ("decimal", Fraction(head))
    if not sign:
        return value
    if len(exponent) > 5 or abs(int(exponent)) > _MAX_EXPONENT:
        return ("product", value, ("power", 10, int(exponent)))
    scaled = (value if isinstance(value, int) else value[1]) * Fraction(10) ** int(exponent)
    return int(scaled) if scaled.denominator == 1 else ("decimal", scaled)


def signed(sign: str, value: Expression) -> Expression:
    """The value behind ``+``, ``-``, ``+-`` (±) or ``-+`` (∓)."""
    if sign == "+":
        return value
    if sign == "-":
        return -value if isinstance(value, int | Fraction) else ("product", -1, value)
    return ("either", value, 1 if sign == "+-" else -1)


def times(left: Expression, right: Expression) -> Expression:
    """The product."""
    if isinstance(left, tuple) and left[0] == "product":
        return (*left, right)
    return ("product", left, right)


def root(radicand: Expression, index: Expression) -> Expression:
    """The square root as a power, other roots as calls, because odd ones of negative numbers are real."""
    if index == 2:
        return ("power", radicand, Fraction(1, 2))
    return ("call", "root", radicand, index)


def expand_signs(expression: Expression) -> list[Expression]:
    """The values of an expression with ± signs: all upper signs, then all lower ones; else the one value."""
    if any(node[0] == "either" for node in nodes(expression)):
        return [_chosen(expression, 1), _chosen(expression, -1)]
    return [expression]


def _chosen(expression: Expression, upper: int) -> Expression:
    if not isinstance(expression, tuple):
        return expression
    if expression[0] == "either":
        return times(expression[2] * upper, _chosen(expression[1], upper))
    return (expression[0], *(_chosen(part, upper) for part in expression[1:]))


def nodes(expression: Expression) -> Iterator[tuple[Any, ...]]:
    """Every node that is a tuple."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            yield node
            waiting.extend(node[1:])


def names(expression: Expression) -> set[str]:
    """The variables."""
    return {node[1] for node in nodes(expression) if node[0] == "name"} - CONSTANTS


def digits(expression: Expression) -> int:
    """How many digits its numbers have in all."""
    count = 0
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting.extend(node[1:])
        elif isinstance(node, int | Fraction):
            bits = node.numerator.bit_length() + node.denominator.bit_length() - 1
            count += 1 + bits * 3 // 10
    return count
