"""The tool ``calculator``: exact arithmetic for a model.

Invariant: it computes by ``textgym.tools.arithmetic`` alone, whose bounds let it be trusted to end by itself.
"""

from __future__ import annotations

from functools import partial

from textgym.tools.arithmetic import evaluate
from textgym.tools.definition import Tool

__all__ = ["calculator"]


@partial(Tool.from_function, timeout=None)
def calculator(expression: str) -> str:
    """Evaluate a mathematical expression.

    Operators: + - * / ^ (or **), // (division rounded down), mod, n!, 50% (a % before a number is mod).
    Functions: sqrt, cbrt, root(x, n), ln, log (base 10), log(x, base), exp, sin, cos, tan and their inverses
    (radians), abs, round(x, decimals), floor, ceil, gcd, lcm, comb, perm, factorial, min, max, sum, mean, and
    pow(a, b, m). Constants: pi, e, tau.

    Args:
        expression: One expression without letters for unknowns, like 1,250 * (1 + 3.5%)^10

    Returns:
        The number: exact if it is whole or has at most 30 decimals, else rounded to 12 digits.

    Examples:
        calculator("2 + 2") -> "4"
        calculator("sqrt(16)") -> "4"
        calculator("2/3") -> "0.666666666667"
    """
    return evaluate(expression)
