"""Expressions of whole numbers with ``+ - * /`` and parentheses, read and computed exactly.

Invariant: total on every string and bounded in length, depth and digits, so that a text a model wrote can
neither raise nor take long; nothing is ever handed to an interpreter. No powers, decimals or functions are
understood.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "Reading", "read_expression"]

MAX_CHARACTERS = 400
"""Longest expression that is read, in characters."""
MAX_DEPTH = 32
"""Deepest nesting of parentheses and signs."""
MAX_DIGITS = 9
"""Longest number, in digits."""

_TOKEN = re.compile(r"\s*([0-9]+|[-+*/()])")
_SIGNS = str.maketrans(
    {
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∗": "*",
        "÷": "/",
        "∕": "/",
        "⁄": "/",
        "−": "-",
        "–": "-",
        "－": "-",
        "＋": "+",
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an expression comes to."""

    value: Fraction
    """Its exact value."""
    numbers: tuple[int, ...]
    """The numbers that stand in it, from left to right."""
    claim: int | None
    """What stands to the right of ``=``, if there is such a sign."""


def read_expression(text: str) -> Reading | None:
    """Read and compute an expression, maybe followed by ``= value``.

    Args:
        text: Any text. ``× ÷ −`` and their like count as ``* / -``.

    Returns:
        The reading, or None if the text is no such expression, divides by zero or goes beyond a bound.

    Example:
        >>> read_expression("(3 + 5) × 2 = 16")
        Reading(value=Fraction(16, 1), numbers=(3, 5, 2), claim=16)
        >>> read_expression("1 / (2 - 2)") is None, read_expression("2 ** 9") is None
        (True, True)
    """
    if len(text) > MAX_CHARACTERS:
        return None
    left, sign, right = text.translate(_SIGNS).partition("=")
    claim = None
    if sign:
        right = right.strip()
        if not (right.isascii() and right.isdigit() and len(right) <= MAX_DIGITS):
            return None
        claim = int(right)
    tokens = _tokens(left.strip())
    if not tokens:
        return None
    reader = _Reader(tokens)
    try:
        value = reader.sum(0)
    except (_Unreadable, ZeroDivisionError):
        return None
    if reader.position < len(tokens):
        return None
    return Reading(value, tuple(int(token) for token in tokens if token.isdigit()), claim)


def _tokens(text: str) -> list[str] | None:
    tokens = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(match[1]) > MAX_DIGITS:
            return None
        tokens.append(match[1])
        position = match.end()
    return tokens


class _Unreadable(Exception):
    """The tokens are no expression, or too deep."""


class _Reader:
    """Recursive descent: a sum of products of signed numbers and parentheses."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.position = 0

    def next(self) -> str:
        """The token at the present position, ``""`` at the end."""
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def sum(self, depth: int) -> Fraction:
        """Products joined by + and -."""
        value = self.product(depth)
        while (sign := self.next()) in ("+", "-"):
            self.position += 1
            other = self.product(depth)
            value = value + other if sign == "+" else value - other
        return value

    def product(self, depth: int) -> Fraction:
        """Factors joined by * and /."""
        value = self.factor(depth)
        while (sign := self.next()) in ("*", "/"):
            self.position += 1
            other = self.factor(depth)
            value = value * other if sign == "*" else value / other
        return value

    def factor(self, depth: int) -> Fraction:
        """A number, a signed factor, or a sum in parentheses."""
        if depth > MAX_DEPTH:
            raise _Unreadable
        token = self.next()
        self.position += 1
        if token.isdigit():
            return Fraction(int(token))
        if token in ("+", "-"):
            value = self.factor(depth + 1)
            return value if token == "+" else -value
        if token != "(":
            raise _Unreadable
        value = self.sum(depth + 1)
        if self.next() != ")":
            raise _Unreadable
        self.position += 1
        return value
