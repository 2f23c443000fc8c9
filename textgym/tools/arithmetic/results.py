"""The text of a result.

Invariant: whole numbers, and decimals of at most ``MAX_DECIMALS`` places, are written exactly. Other
fractions are rounded to ``PLACES`` decimals, those below 1 to ``PLACES`` significant digits; irrational
numbers, of which a float is known, to ``PLACES`` significant digits (15 where the whole part is longer).
"""

from __future__ import annotations

from fractions import Fraction

from textgym.tools.arithmetic.numbers import Number

__all__ = ["MAX_DECIMALS", "PLACES", "text_of"]

PLACES = 12
"""Digits to which inexact results are rounded."""
MAX_DECIMALS = 30
"""Longest decimal that is written exactly, in digits after the point."""
_FLOAT_DIGITS = 15


def text_of(value: Number) -> str:
    """Write a number down.

    Example:
        >>> text_of(Fraction(1, 8)), text_of(Fraction(2, 3)), text_of(2**0.5), text_of(Fraction(1, 3 * 10**20))
        ('0.125', '0.666666666667', '1.41421356237', '3.33333333333e-21')
    """
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Fraction):
        return ("-" if value < 0 else "") + _fraction_text(abs(value))
    digits = PLACES if abs(value) < 10**PLACES else _FLOAT_DIGITS
    mantissa, mark, exponent = f"{value:.{digits}g}".partition("e")
    if not mark:
        return "0" if mantissa == "-0" else mantissa
    return f"{mantissa}e{int(exponent)}"


def _fraction_text(value: Fraction) -> str:
    places = _exact_places(value.denominator)
    if places is not None:
        return _decimal(value, places)
    if value >= 1:
        return _decimal(value, PLACES)
    zeros = len(str(value.denominator // value.numerator)) - 1
    """Zeros after the point, or one more."""
    text = _decimal(value, zeros + PLACES + 1)
    significant = text[2:].lstrip("0")
    zeros = len(text) - 2 - len(significant)
    rounded = _decimal(value, zeros + PLACES)
    if zeros < 6:
        return rounded
    digits = rounded.replace(".", "").strip("0")
    exponent = -(len(rounded[2:]) - len(rounded[2:].lstrip("0")) + 1)
    return f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{exponent}"


def _exact_places(denominator: int) -> int | None:
    """How many decimals an exact result needs, or None if they are too many."""
    twos = (denominator & -denominator).bit_length() - 1
    rest, fives = denominator >> twos, 0
    while fives <= MAX_DECIMALS and rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    needed = max(twos, fives)
    return needed if rest == 1 and needed <= MAX_DECIMALS else None


def _decimal(value: Fraction, places: int) -> str:
    """A positive number with so many decimals, rounded half up, without zeros at the end."""
    digits = str((2 * value.numerator * 10**places // value.denominator + 1) // 2).rjust(places + 1, "0")
    whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :].rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole
