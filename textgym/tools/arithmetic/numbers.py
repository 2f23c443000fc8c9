"""The numbers of the calculator, and the bounds on them.

Invariant: a number is a whole number or a fraction of at most ``MAX_DIGITS`` digits above and below, or a
finite float where the exact value is irrational. Whatever breaks a bound raises ``CalculationError``, whose
message is written for the model that asked.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TypeAlias

__all__ = [
    "MAX_DIGITS",
    "CalculationError",
    "Exact",
    "Number",
    "approximate",
    "bounded",
    "finite",
    "require_digits",
    "whole",
]

Exact: TypeAlias = int | Fraction
"""An exact number; a fraction is never a whole number."""
Number: TypeAlias = int | Fraction | float
"""A number; a float only where the exact value is irrational."""

MAX_DIGITS = 4000
"""Longest number, in digits: Python refuses to write or read more than 4300."""
_MAX_BITS = math.floor(MAX_DIGITS * math.log2(10))
_COUNTABLE = 10**15
"""Number of digits beyond which only its magnitude is told."""


class CalculationError(ValueError):
    """An expression that cannot be computed; the message tells the model why.

    It is no ``TextgymError``, for it is the model's doing and breaks no episode.
    """


def bounded(value: Exact) -> Exact:
    """The value, as an ``int`` if it is whole.

    Raises:
        CalculationError: It is too long.
    """
    if type(value) is int:
        if value.bit_length() > _MAX_BITS:
            require_digits(value.bit_length() * math.log10(2))
        return value
    below = value.denominator
    longest = max(value.numerator.bit_length(), below.bit_length())
    if longest > _MAX_BITS:
        require_digits(longest * math.log10(2))
    return value.numerator if below == 1 else value


def require_digits(digits: float) -> None:
    """Refuse a result before it is computed.

    Args:
        digits: How long it would be.

    Raises:
        CalculationError: That is too long.
    """
    if digits <= MAX_DIGITS:
        return
    count = f"about {round(digits)}" if digits < _COUNTABLE else f"more than {_COUNTABLE}"
    raise CalculationError(f"the result would have {count} digits: at most {MAX_DIGITS} are possible")


def finite(value: float) -> float:
    """The value.

    Raises:
        CalculationError: It is infinite or no number.
    """
    if not math.isfinite(value):
        raise CalculationError("the result is too large to be approximated (beyond about 1.8e308)")
    return value


def approximate(value: Number) -> float:
    """The nearest float.

    Raises:
        CalculationError: There is none.
    """
    try:
        return float(value)
    except OverflowError:
        raise CalculationError("a number is too large to be approximated (beyond about 1.8e308)") from None


def whole(value: Number, what: str, least: int | None = None) -> int:
    """The value, which has to be a whole number.

    Args:
        value: The number.
        what: Who needs it, for the message.
        least: The smallest that will do.

    Raises:
        CalculationError: It is not whole, or too small.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if type(value) is not int or (least is not None and value < least):
        bound = "" if least is None else f" of at least {least}"
        raise CalculationError(f"{what} needs whole numbers{bound}")
    return value
