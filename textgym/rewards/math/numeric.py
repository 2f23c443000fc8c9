"""Floating point values of trees, to show that two are different, or to believe that they are equal.

Invariant: total and cheap. A value comes with the largest magnitude met on the way, which bounds the loss by
cancellation; what overflows is infinite or not a number, never an exception. Nothing here proves equality: that is
for the caller to believe or not.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction

from textgym.rewards.math.tree import Expression, names

__all__ = ["Likeness", "compare_at_samples", "real_value"]

_SAMPLES = (0.7316, 1.3719, -0.4327, 2.1843, -1.6173, 0.2931, 3.1127, -2.7451, 0.5519)
_POINTS = 5
_DIFFERENT = 1e-9
_ALIKE = 1e-13
_NOISE = 1e-12
_NAN = complex("nan")
_FIXED = {"pi": math.pi, "e": math.e, "i": 1j}


class Likeness(Enum):
    """What samples say of two values."""

    DIFFERENT = "different"
    """They differ at some point by more than rounding explains."""
    ALIKE = "alike"
    """They agree to thirteen digits wherever that can be told."""
    CLOSE = "close"
    """They differ by more than rounding explains, but agree to nine digits."""
    UNKNOWN = "unknown"
    """They cannot be evaluated, or only with great loss."""


class _Evaluation:
    """One evaluation: the values of the variables, and the largest magnitude so far."""

    __slots__ = ("largest", "values")

    def __init__(self, values: Mapping[str, complex]) -> None:
        self.values = values
        self.largest = 0.0

    def of(self, tree: Expression) -> complex:
        if isinstance(tree, int | Fraction):
            return self.seen(_as_float(tree))
        head = tree[0]
        if head == "decimal":
            return self.seen(_as_float(tree[1]))
        if head == "name":
            return self.seen(self.values[tree[1]])
        if head == "infinity":
            return complex(math.inf)
        return self.seen(self._combined(head, tree))

    def _is_noise(self, left: complex, right: complex, *, divided: bool) -> bool:
        """Whether a root or quotient would blow up what a cancellation left over."""
        suspect = right if divided else left
        return (divided or right.real < 1) and 0 < abs(suspect) < _NOISE * self.largest < math.inf

    def seen(self, value: complex) -> complex:
        size = abs(value.real) + abs(value.imag)
        if size > self.largest:
            self.largest = size
        return value

    def _combined(self, head: str, tree: tuple[Expression, ...]) -> complex:
        if head == "call":
            function = _FUNCTIONS.get((tree[1], len(tree) - 2))
            return function(*map(self.of, tree[2:])) if function else _NAN
        parts = [self.of(part) for part in tree[1:]]
        if head in ("power", "quotient") and self._is_noise(*parts, divided=head == "quotient"):
            return _NAN
        if head == "sum":
            return sum(parts)
        if head == "product":
            return _product(parts)
        if head == "quotient":
            return parts[0] / parts[1]
        return _power(*parts)


def real_value(tree: Expression) -> float | None:
    """The value of a tree without variables as a float, maybe infinite; None if it is not a real number."""
    if names(tree):
        return None
    value = _evaluated(tree, _FIXED)[0]
    if cmath.isnan(value) or abs(value.imag) > 1e-12 * max(1.0, abs(value.real)):
        return None
    return value.real


def compare_at_samples(left: Expression, right: Expression) -> Likeness:
    """Compare two trees at sample points of their variables.

    Returns:
        ``DIFFERENT`` if they surely differ at some point; ``ALIKE`` or ``CLOSE`` if they agree so far wherever
        they can be evaluated without great loss, at three points at least (one if there are no variables); else
        ``UNKNOWN``.
    """
    variables = sorted(names(left) | names(right))
    alike = close = 0
    points = _POINTS if variables else 1
    for point in range(points):
        values: dict[str, complex] = dict(_FIXED)
        for index, name in enumerate(variables):
            values[name] = _SAMPLES[(point + 4 * index) % len(_SAMPLES)] * (1 + 0.01 * index)
        (one, largest), (two, other) = _evaluated(left, values), _evaluated(right, values)
        if cmath.isnan(one) or cmath.isnan(two):
            continue
        if cmath.isinf(one) or cmath.isinf(two):
            if cmath.isinf(one) and cmath.isinf(two) and one == two:
                continue
            return Likeness.DIFFERENT
        gap, scale = abs(one - two), max(largest, other)
        if gap > _DIFFERENT * scale:
            return Likeness.DIFFERENT
        if scale <= 1e4 * max(abs(one), abs(two)):
            close += 1
            alike += gap <= _ALIKE * scale
    if close < min(points, 3):
        return Likeness.UNKNOWN
    return Likeness.ALIKE if alike == close else Likeness.CLOSE


def _evaluated(tree: Expression, values: Mapping[str, complex]) -> tuple[complex, float]:
    evaluation = _Evaluation(values)
    try:
        value = complex(evaluation.of(tree))
    except (ArithmeticError, ValueError, KeyError):
        return _NAN, 0.0
    return value, evaluation.largest


def _as_float(value: int | Fraction) -> complex:
    try:
        return complex(float(value))
    except OverflowError:
        return complex(math.inf if value > 0 else -math.inf)


def _product(parts: list[complex]) -> complex:
    result = 1 + 0j
    for part in parts:
        # Complex arithmetic makes inf * 2 into inf + nan j.
        real = not part.imag and not result.imag
        result = complex(result.real * part.real) if real else result * part
    return result


def _power(base: complex, exponent: complex) -> complex:
    if cmath.isinf(base) or cmath.isinf(exponent) or cmath.isnan(base) or cmath.isnan(exponent):
        return _infinite_power(base, exponent)
    try:
        if not base.imag and not exponent.imag and (base.real > 0 or exponent.real == int(exponent.real)):
            return complex(base.real**exponent.real)
        return complex(base**exponent)
    except OverflowError:
        return complex(math.inf) if base.real > 1 and not base.imag and not exponent.imag else _NAN


def _infinite_power(base: complex, exponent: complex) -> complex:
    """Only what is surely infinite; 1 to a rounded infinity may be anything."""
    if base.imag or exponent.imag or not base.real > 1.5 or not exponent.real >= 1:
        return _NAN
    return complex(math.inf)


def _real(function: Callable[[float], float]) -> Callable[[complex], complex]:
    def of(value: complex) -> complex:
        return complex(function(value.real)) if abs(value.imag) < 1e-14 else _NAN

    return of


def _rounded(function: Callable[[float], float]) -> Callable[[complex], complex]:
    """Floor and ceiling, unknown where rounding errors decide."""

    def of(value: complex) -> complex:
        near = abs(value.real - round(value.real)) < 1e-9 * max(1.0, abs(value.real))
        return _NAN if near or value.imag else complex(function(value.real))

    return of


def _factorial(value: complex) -> complex:
    if value.imag or value.real < 0 or (value.real < 1e15 and value.real != round(value.real)):
        return _NAN
    return complex(math.inf) if value.real > 170 else complex(math.gamma(value.real + 1))


def _binomial(above: complex, below: complex) -> complex:
    n, k = above.real, below.real
    if above.imag or below.imag or not 0 <= k <= n or n != round(n) or k != round(k) or n > 1e15:
        return _NAN
    logarithm = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return complex(math.inf) if logarithm > 800 else _NAN


def _root(value: complex, index: complex) -> complex:
    degree = index.real
    if value.real < 0 and not value.imag and degree == round(degree) and degree % 2 == 1:
        return -_power(-value, 1 / index)
    return _power(value, 1 / index)


_FUNCTIONS: dict[tuple[str, int], Callable[..., complex]] = {
    ("sin", 1): cmath.sin, ("cos", 1): cmath.cos, ("tan", 1): cmath.tan,
    ("cot", 1): lambda z: 1 / cmath.tan(z), ("sec", 1): lambda z: 1 / cmath.cos(z),
    ("csc", 1): lambda z: 1 / cmath.sin(z), ("sinh", 1): cmath.sinh, ("cosh", 1): cmath.cosh,
    ("tanh", 1): cmath.tanh, ("arcsin", 1): cmath.asin, ("arccos", 1): cmath.acos, ("arctan", 1): cmath.atan,
    ("ln", 1): cmath.log, ("log", 1): cmath.log10, ("log", 2): lambda z, b: cmath.log(z) / cmath.log(b),
    ("abs", 1): lambda z: complex(abs(z)),
    ("floor", 1): _rounded(math.floor), ("ceil", 1): _rounded(math.ceil),
    ("factorial", 1): _factorial, ("binomial", 2): _binomial, ("root", 2): _root,
}  # fmt: skip
