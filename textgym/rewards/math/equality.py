"""Whether two expressions are equal: exactly where possible, by samples where that is safe.

Invariant: three answers. False is sure. True is exact, or rests on agreement to thirteen digits of two expressions
that are too short to be approximations. None means that nobody here can tell. A decimal never equals an irrational
number.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from textgym.rewards.math.algebra import Ratio, TooLarge
from textgym.rewards.math.exact import exact, is_decided
from textgym.rewards.math.numeric import Likeness, compare_at_samples, real_value
from textgym.rewards.math.tree import Expression, digits, names

__all__ = ["proportional", "same"]

_MAX_DIGITS = 12
_MAX_BITS = 38
_exact = lru_cache(maxsize=1024)(exact)  # items of lists are compared with each other, and golds come again


def same(left: Expression, right: Expression, tolerance: float = 0.0) -> bool | None:
    """Whether two trees have the same value for all values of their variables.

    Args:
        left: The gold tree.
        right: The other.
        tolerance: Largest difference between two numbers, relative to the left one; 0 for exact equality.

    Returns:
        True, False, or None where it cannot be decided.

    Example:
        >>> same(("power", 2, Fraction(1, 2)), ("quotient", 2, ("power", 2, Fraction(1, 2))))
        True
    """
    if left == right:
        return True
    if isinstance(left, int | Fraction) and isinstance(right, int | Fraction) and not tolerance:
        return False
    if tolerance and _within(left, right, tolerance):
        return True
    try:
        difference = _exact(left).minus(_exact(right))
    except ZeroDivisionError:
        return False
    except (TooLarge, RecursionError):
        return _by_samples(left, right, max(digits(left), digits(right)) <= _MAX_DIGITS)
    if not difference:
        return True
    if is_decided(difference):
        return False
    bits = sum(c.numerator.bit_length() + c.denominator.bit_length() - 2 for c in difference.values())
    return _by_samples(left, right, bits <= _MAX_BITS)


def proportional(left: Expression, right: Expression, *, positive: bool) -> bool | None:
    """Whether one tree is a constant multiple of the other, as the two forms of one equation are.

    Args:
        left: A tree that is compared to zero.
        right: The other.
        positive: The constant must be positive, as inequalities want it.
    """
    try:
        one, two = _exact(left), _exact(right)
        for monomial in one.top:
            if monomial in two.top:
                factor = Fraction(one.top[monomial]) / two.top[monomial]
                scaled = Ratio({m: factor * c for m, c in two.top.items()}, two.bottom)
                difference = one.minus(scaled)
                if not difference and (factor > 0 or not positive):
                    return True
    except ZeroDivisionError:
        return False
    except (TooLarge, RecursionError):
        return None
    return False if all(is_decided(part) for part in (*one, *two)) else None


def _within(left: Expression, right: Expression, tolerance: float) -> bool:
    if names(left) or names(right):
        return False
    if isinstance(left, int | Fraction) and isinstance(right, int | Fraction):
        gold = Fraction(left)
        return bool(abs(gold - right) <= Fraction(tolerance) * abs(gold))
    one, two = real_value(left), real_value(right)
    if one is None or two is None or not math.isfinite(one) or not math.isfinite(two):
        return False
    return abs(one - two) <= tolerance * abs(one)


def _by_samples(left: Expression, right: Expression, short: bool) -> bool | None:
    likeness = compare_at_samples(left, right)
    if likeness is Likeness.DIFFERENT:
        return False
    if likeness is Likeness.UNKNOWN:
        return None
    if not short:
        return False  # long enough to be an approximation, and no rule shows that it is more
    return True if likeness is Likeness.ALIKE else None
