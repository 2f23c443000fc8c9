"""What an answer can be, once it is read: the kinds of values that are compared.

Invariant: plain immutable data; equal texts give equal values. Nothing is read or compared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from textgym.rewards.math.tree import Expression
from textgym.rewards.math.units import Unit

__all__ = [
    "Equation",
    "Form",
    "Inequality",
    "Interval",
    "Many",
    "Matrix",
    "Quantity",
    "Reals",
    "Value",
    "Words",
]


class Form(Enum):
    """How several values were written together."""

    SET = "set"
    """In TeX's visible braces: neither order nor repetition counts."""
    LIST = "list"
    """With nothing or TeX's invisible braces around them, ``1, 2`` or ``1 or 2``: order does not count."""
    TUPLE = "tuple"
    """In parentheses or angle brackets: ordered; a pair may be an open interval as well."""
    BRACKETS = "brackets"
    """In square brackets: ordered; a pair may be a closed interval as well."""
    RATIO = "ratio"
    """With colons, ``2:3``: up to a common factor."""
    CHAIN = "chain"
    """One value in several spellings, ``√2 ≈ 1.41``: any of them."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number or expression, maybe with a unit."""

    tree: Expression
    """Its expression."""
    unit: Unit | None = None
    """Its unit of measure, if it has one."""
    product: Expression = None
    """The other reading, where the unit is a letter that may be a variable: 5 m as 5 times m."""


@dataclass(frozen=True, slots=True)
class Many:
    """Several values."""

    items: tuple[Value, ...]
    """The values, as they were written."""
    form: Form
    """How they were written together."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of the real line."""

    low: Expression
    """Lower end, minus infinity allowed."""
    closed_low: bool
    """Whether the lower end belongs to it."""
    high: Expression
    """Upper end."""
    closed_high: bool
    """Whether the upper end belongs to it."""


@dataclass(frozen=True, slots=True)
class Reals:
    """A set of real numbers: disjoint intervals in ascending order, as few as possible."""

    intervals: tuple[Interval, ...]
    """The intervals; single points are closed intervals."""


@dataclass(frozen=True, slots=True)
class Equation:
    """``left = right``, where the left side may be only a label (x, f(x), "area")."""

    left: Expression
    """Left side; None where it is no expression."""
    right: Value
    """Right side."""
    label: str | None
    """Name that the equation gives a value to; None if it is a true equation."""


@dataclass(frozen=True, slots=True)
class Inequality:
    """An inequality that was not solved: ``tree`` is positive, at least 0, or not 0."""

    tree: Expression
    """Left side minus right side, turned so that the sign is one of these three."""
    sign: str
    """``>``, ``>=`` or ``!=``."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """A matrix or column vector."""

    rows: tuple[tuple[Value, ...], ...]
    """Entries, row by row."""


@dataclass(frozen=True, slots=True)
class Words:
    """An answer in words, in its normal form."""

    text: str
    """Lower case, single spaces, no articles and no final punctuation."""


Value: TypeAlias = Quantity | Many | Reals | Equation | Inequality | Matrix | Words
"""A reading of an answer."""
