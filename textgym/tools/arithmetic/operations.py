"""The operations of the calculator: sums, products, quotients, remainders and powers.

Invariant: exact on exact numbers wherever the result is rational, roots included; how long a power will be is
estimated before it is computed.
"""

from __future__ import annotations

import math
from fractions import Fraction

from textgym.tools.arithmetic.numbers import (
    CalculationError,
    Exact,
    Number,
    approximate,
    bounded,
    finite,
    require_digits,
)

__all__ = ["add", "divide", "divide_down", "logarithm", "multiply", "power", "remainder", "subtract"]

_MAX_ROOT = 64
"""Largest root that is tried exactly."""


def add(left: Number, right: Number) -> Number:
    """The sum."""
    if isinstance(left, float) or isinstance(right, float):
        return finite(approximate(left) + approximate(right))
    return bounded(left + right)


def subtract(left: Number, right: Number) -> Number:
    """The difference."""
    return add(left, -right)


def multiply(left: Number, right: Number) -> Number:
    """The product."""
    if isinstance(left, float) or isinstance(right, float):
        return finite(approximate(left) * approximate(right))
    return bounded(left * right)


def divide(left: Number, right: Number) -> Number:
    """The quotient.

    Raises:
        CalculationError: The divisor is zero.
    """
    _require_divisor(right)
    if isinstance(left, float) or isinstance(right, float):
        below = approximate(right)
        _require_divisor(below)
        return finite(approximate(left) / below)
    return bounded(Fraction(left, right))


def divide_down(left: Number, right: Number) -> Number:
    """The quotient, rounded down.

    Raises:
        CalculationError: The divisor is zero.
    """
    _require_divisor(right)
    if isinstance(left, float) or isinstance(right, float):
        left, right = Fraction(left), Fraction(right)
    return bounded(left // right)


def remainder(left: Number, right: Number) -> Number:
    """What is left of dividing down; it has the sign of the divisor.

    Raises:
        CalculationError: The divisor is zero.
    """
    _require_divisor(right)
    if isinstance(left, float) or isinstance(right, float):
        return finite(approximate(left) % approximate(right))
    return bounded(left % right)


def power(base: Number, exponent: Number) -> Number:
    """The power, in real numbers: ``(-8)^(1/3)`` is -2.

    Raises:
        CalculationError: There is no real result, or it is too large.
    """
    if base == 0 and exponent < 0:
        _require_divisor(0)
    if isinstance(base, float) or isinstance(exponent, float):
        return _float_power(base, exponent)
    if isinstance(exponent, int):
        return _whole_power(base, exponent)
    if base < 0:
        if exponent.denominator % 2 == 0:
            raise CalculationError("an even root of a negative number is no real number")
        value = power(-base, exponent)
        return -value if exponent.numerator % 2 else value
    root = _exact_root(base, exponent.denominator)
    if root is not None:
        return _whole_power(root, exponent.numerator)
    return _float_power(base, exponent)


def logarithm(value: Number) -> float:
    """The natural logarithm.

    Raises:
        CalculationError: The value is not positive.
    """
    if value <= 0:
        raise CalculationError("the logarithm is defined for positive numbers only")
    if isinstance(value, Fraction):
        if abs(value - 1) < Fraction(1, 2):
            return math.log1p(value - 1)
        return math.log(value.numerator) - math.log(value.denominator)
    return math.log(value)


def _require_divisor(value: Number) -> None:
    if value == 0:
        raise CalculationError("division by zero")


def _whole_power(base: Exact, exponent: int) -> Exact:
    if exponent < 0:
        base, exponent = Fraction(1, base), -exponent
    largest = max(abs(base.numerator), base.denominator)
    if largest == 1:
        return int(base) if exponent % 2 else int(bool(base) or not exponent)
    if exponent.bit_length() > 64:
        require_digits(math.inf)
    require_digits(exponent * math.log10(largest))
    return bounded(base**exponent)


def _float_power(base: Number, exponent: Number) -> float:
    if base < 0 and not (isinstance(exponent, int) or approximate(exponent).is_integer()):
        raise CalculationError("a power of a negative number with such an exponent is no real number")
    try:
        return finite(float(base) ** float(exponent))
    except OverflowError:
        pass
    if base <= 0:
        return finite(math.inf)
    exponent = approximate(exponent)
    try:  # the base alone may be too large for a float
        return math.exp(exponent * logarithm(base))
    except OverflowError:
        return finite(math.inf)


def _exact_root(value: Exact, degree: int) -> Exact | None:
    """The root of a number that is not negative, if it is rational."""
    if degree > _MAX_ROOT:
        return None
    above = _whole_root(value.numerator, degree)
    if above is None:
        return None
    below = _whole_root(value.denominator, degree)
    return None if below is None else bounded(Fraction(above, below))


def _whole_root(value: int, degree: int) -> int | None:
    if value < 2:
        return value
    if degree == 2:
        root = math.isqrt(value)
    else:
        root = 1 << -(-value.bit_length() // degree)
        while True:  # Newton's iteration from above
            lower = ((degree - 1) * root + value // root ** (degree - 1)) // degree
            if lower >= root:
                break
            root = lower
    return root if root**degree == value else None
