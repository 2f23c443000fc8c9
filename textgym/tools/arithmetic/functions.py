"""The named functions and constants of the calculator.

Invariant: exact where the result is rational and the function allows it; how long a factorial or binomial
will be is estimated before it is computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

from textgym.tools.arithmetic.numbers import (
    MAX_DIGITS,
    CalculationError,
    Number,
    approximate,
    bounded,
    finite,
    require_digits,
    whole,
)
from textgym.tools.arithmetic.operations import add, divide, logarithm, multiply, power, remainder

__all__ = ["CONSTANTS", "FUNCTIONS", "Function", "factorial"]

CONSTANTS: dict[str, float] = {
    "pi": math.pi, "π": math.pi, "e": math.e, "tau": math.tau, "τ": math.tau,
}  # fmt: skip
"""Name -> value."""
_NOISE = 2.0**-50
"""A sine of x that is smaller than this share of x is 0: the float nearest to pi is not pi."""
_LARGEST_ANGLE = 2.0**30
"""Largest angle that may be a rounded one: with those beyond it the rounding shows in the result."""
_MAX_WORK = 2_000_000
"""Most bits of the exponent times bits of the modulus of a modular power."""
_PRECISE = 2**40
"""Up to here the logarithm of a factorial is known well enough."""
_LN_10 = math.log(10)


@dataclass(frozen=True, slots=True)
class Function:
    """A function that expressions may call."""

    compute: Callable[..., Number]
    """Takes the arguments as numbers."""
    least: int = 1
    """Fewest arguments."""
    most: int | None = 1
    """Most arguments, or None for any number."""


def factorial(value: Number) -> Number:
    """``n!``.

    Raises:
        CalculationError: The number is not whole, negative or too large.
    """
    n = whole(value, "factorial", 0)
    require_digits(_factorial_digits(n))
    return math.factorial(n)


def _factorial_digits(n: int) -> float:
    return math.inf if n.bit_length() > 64 else math.lgamma(n + 1) / _LN_10


def _combinations(n: Number, k: Number) -> Number:
    total, chosen = whole(n, "comb", 0), whole(k, "comb", 0)
    if chosen > total:
        return 0
    chosen = min(chosen, total - chosen)
    if chosen:
        if total < _PRECISE:
            digits = sum(s * math.lgamma(m + 1) for s, m in ((1, total), (-1, chosen), (-1, total - chosen)))
            require_digits(digits / _LN_10 - 1)
        else:
            require_digits(_product(chosen, math.log10(total) - math.log10(chosen)))
    return bounded(math.comb(total, chosen))


def _permutations(n: Number, k: Number | None = None) -> Number:
    if k is None:
        return factorial(n)
    total, chosen = whole(n, "perm", 0), whole(k, "perm", 0)
    if chosen > total:
        return 0
    if total < _PRECISE:
        require_digits(_factorial_digits(total) - _factorial_digits(total - chosen) - 1)
    else:
        require_digits(_product(chosen, math.log10(total) - 1))
    return bounded(math.perm(total, chosen))


def _product(count: int, each: float) -> float:
    return math.inf if count.bit_length() > 64 else count * each


def _power(base: Number, exponent: Number, modulus: Number | None = None) -> Number:
    if modulus is None:
        return power(base, exponent)
    b, n, m = whole(base, "pow"), whole(exponent, "pow", 0), whole(modulus, "pow", 1)
    if n.bit_length() * m.bit_length() > _MAX_WORK:
        raise CalculationError("the exponent and the modulus of this modular power are too long")
    return pow(b, n, m)


def _square_root(value: Number) -> Number:
    if value < 0:
        raise CalculationError("the square root of a negative number is no real number")
    return power(value, Fraction(1, 2))


def _root(value: Number, degree: Number = 3) -> Number:
    return power(value, Fraction(1, whole(degree, "root", 1)))


def _logarithm(value: Number, base: Number = 10) -> Number:
    if base == 1:
        raise CalculationError("there is no logarithm to base 1")
    result = logarithm(value) / logarithm(base)
    nearest = round(result)
    exact = not isinstance(value, float) and not isinstance(base, float)
    if exact and abs(result - nearest) < 1e-9 and power(base, nearest) == value:
        return nearest
    known = math.log10 if base == 10 else math.log2 if base == 2 else None
    return result if known is None or isinstance(value, Fraction) else known(value)


def _log_two(value: Number) -> Number:
    return _logarithm(value, 2)


def _rounded(value: Number, decimals: Number = 0) -> Number:
    """To the nearest; halves go away from zero, as they are taught."""
    places = whole(decimals, "round")
    if abs(places) > MAX_DIGITS // 2:
        raise CalculationError(f"round has {places} decimals: at most {MAX_DIGITS // 2} are possible")
    scale = Fraction(10) ** places
    scaled = abs(Fraction(value)) * scale + Fraction(1, 2)
    nearest = Fraction(math.floor(scaled)) / scale
    return bounded(nearest if value >= 0 else -nearest)


def _floor(value: Number) -> Number:
    return math.floor(value)


def _ceil(value: Number) -> Number:
    return math.ceil(value)


def _trunc(value: Number) -> Number:
    return math.trunc(value)


def _sign(value: Number) -> Number:
    return (value > 0) - (value < 0)


def _divisor(*values: Number) -> Number:
    return math.gcd(*(whole(value, "gcd") for value in values))


def _multiple(*values: Number) -> Number:
    result = 1
    for value in values:
        result = int(bounded(math.lcm(result, whole(value, "lcm"))))
    return result


def _sum(*values: Number) -> Number:
    return reduce(add, values)


def _mean(*values: Number) -> Number:
    return divide(_sum(*values), len(values))


def _hypotenuse(*values: Number) -> Number:
    return _square_root(_sum(*(multiply(value, value) for value in values)))


def _degrees(value: Number) -> Number:
    return multiply(value, 180 / math.pi)


def _radians(value: Number) -> Number:
    return multiply(value, math.pi / 180)


def _minimum(*values: Number) -> Number:
    return min(values)


def _maximum(*values: Number) -> Number:
    return max(values)


def _float_function(name: str, function: Callable[..., float]) -> Callable[..., Number]:
    def compute(*values: Number) -> Number:
        try:
            return finite(function(*map(approximate, values)))
        except ValueError:
            raise CalculationError(f"{name} is not defined for this number") from None
        except OverflowError:
            return finite(math.inf)

    return compute


def _wave(function: Callable[[float], float], value: Number) -> float:
    """A sine or cosine, exact to the last digits or refused."""
    angle = approximate(value)
    if not isinstance(value, float) and angle == value:
        return function(angle)
    if abs(angle) > _LARGEST_ANGLE:
        raise CalculationError("the angle is too large for its sine, cosine or tangent to be known")
    result = function(angle)
    return 0.0 if abs(result) < _NOISE * abs(angle) else result


def _sine(value: Number) -> float:
    return _wave(math.sin, value)


def _cosine(value: Number) -> float:
    return _wave(math.cos, value)


def _tangent(value: Number) -> Number:
    below = _cosine(value)
    if not below:
        raise CalculationError("tan is not defined for this number")
    return finite(_sine(value) / below)


_FLOATS: dict[str, Any] = {
    "exp": math.exp, "asin": math.asin, "acos": math.acos, "atan": math.atan, "sinh": math.sinh,
    "cosh": math.cosh, "tanh": math.tanh, "asinh": math.asinh, "acosh": math.acosh, "atanh": math.atanh,
}  # fmt: skip

FUNCTIONS: dict[str, Function] = {
    "sqrt": Function(_square_root),
    "cbrt": Function(_root),
    "root": Function(_root, 2, 2),
    "pow": Function(_power, 2, 3),
    "ln": Function(logarithm),
    "log": Function(_logarithm, 1, 2),
    "log2": Function(_log_two),
    "log10": Function(_logarithm),
    "sin": Function(_sine),
    "cos": Function(_cosine),
    "tan": Function(_tangent),
    **{name: Function(_float_function(name, function)) for name, function in _FLOATS.items()},
    **{f"arc{name}": Function(_float_function(name, _FLOATS[f"a{name}"])) for name in ("sin", "cos", "tan")},
    "atan2": Function(_float_function("atan2", math.atan2), 2, 2),
    "degrees": Function(_degrees),
    "radians": Function(_radians),
    "hypot": Function(_hypotenuse, 1, None),
    "abs": Function(abs),
    "sign": Function(_sign),
    "round": Function(_rounded, 1, 2),
    "floor": Function(_floor),
    "ceil": Function(_ceil),
    "trunc": Function(_trunc),
    "mod": Function(remainder, 2, 2),
    "gcd": Function(_divisor, 1, None),
    "lcm": Function(_multiple, 1, None),
    "factorial": Function(factorial),
    "comb": Function(_combinations, 2, 2),
    "perm": Function(_permutations, 1, 2),
    "min": Function(_minimum, 1, None),
    "max": Function(_maximum, 1, None),
    "sum": Function(_sum, 1, None),
    "mean": Function(_mean, 1, None),
}
"""Name -> function."""
