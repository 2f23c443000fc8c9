"""Sets of real numbers: from pairs, inequalities and unions to intervals in normal form.

Invariant: a ``Reals`` holds disjoint intervals in ascending order, as few as possible, whose ends are exact trees;
floats decide only their order. What cannot be ordered surely gives None. Comparison is not done here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from textgym.rewards.math.algebra import ONE, Ratio, TooLarge
from textgym.rewards.math.exact import exact
from textgym.rewards.math.numeric import real_value
from textgym.rewards.math.tree import CONSTANTS, Expression
from textgym.rewards.math.values import Form, Interval, Many, Quantity, Reals, Value

__all__ = ["ALL_REALS", "as_reals", "complement", "half_line", "intersection", "union"]

INFINITY: Expression = ("infinity",)
MINUS_INFINITY: Expression = ("product", -1, INFINITY)
ALL_REALS = Reals((Interval(MINUS_INFINITY, False, INFINITY, False),))
"""The whole line."""
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}


def as_reals(value: Value) -> Reals | None:
    """A value as a set of real numbers: a pair in parentheses or brackets as an interval, a set as points."""
    if isinstance(value, Reals):
        return value
    if not isinstance(value, Many) or not all(isinstance(item, Quantity) for item in value.items):
        return None
    ends = [item.tree for item in value.items if isinstance(item, Quantity)]
    if value.form is Form.SET:
        return union(Interval(end, True, end, True) for end in ends)
    if len(ends) != 2 or value.form not in (Form.TUPLE, Form.BRACKETS):
        return None
    closed = value.form is Form.BRACKETS
    return union([Interval(ends[0], closed, ends[1], closed)])


def union(intervals: Iterable[Interval]) -> Reals | None:
    """The union in normal form; empty intervals vanish."""
    known: list[tuple[float, float, Interval]] = []
    for interval in intervals:
        low, high = real_value(interval.low), real_value(interval.high)
        if low is None or high is None or math.isnan(low) or math.isnan(high):
            return None
        if low < high or (low == high and interval.closed_low and interval.closed_high):
            known.append((low, high, interval))
    known.sort(key=lambda entry: (entry[0], not entry[2].closed_low))
    merged: list[tuple[float, float, Interval]] = []
    for low, high, interval in known:
        if merged and (
            low < merged[-1][1]
            or (low == merged[-1][1] and (interval.closed_low or merged[-1][2].closed_high))
        ):
            merged[-1] = _joined(merged[-1], (low, high, interval))
        else:
            merged.append((low, high, interval))
    return Reals(tuple(interval for _, _, interval in merged))


def _joined(
    one: tuple[float, float, Interval], two: tuple[float, float, Interval]
) -> tuple[float, float, Interval]:
    left, right = one[2], two[2]
    low_closed = left.closed_low or (one[0] == two[0] and right.closed_low)
    if one[1] == two[1]:
        high, closed = left.high, left.closed_high or right.closed_high
    else:
        high, closed = (left.high, left.closed_high) if one[1] > two[1] else (right.high, right.closed_high)
    return one[0], max(one[1], two[1]), Interval(left.low, low_closed, high, closed)


def intersection(one: Reals, two: Reals) -> Reals | None:
    """The intersection, by way of the complements."""
    parts = [complement(one), complement(two)]
    if parts[0] is None or parts[1] is None:
        return None
    outside = union([*parts[0].intervals, *parts[1].intervals])
    return None if outside is None else complement(outside)


def complement(reals: Reals) -> Reals | None:
    """All other real numbers."""
    gaps: list[Interval] = []
    low, closed = MINUS_INFINITY, False
    for interval in reals.intervals:
        gaps.append(Interval(low, closed, interval.low, not interval.closed_low))
        low, closed = interval.high, not interval.closed_high
    gaps.append(Interval(low, closed, INFINITY, False))
    return union(gaps)


def half_line(left: Expression, sign: str, right: Expression) -> tuple[str, Reals] | None:
    """Solve a linear inequality in one variable.

    Args:
        left: Left side.
        sign: One of ``<``, ``>``, ``<=``, ``>=``, ``!=``.
        right: Right side.

    Returns:
        The variable and its values, or None if it is no such inequality.
    """
    try:
        difference = exact(("sum", left, ("product", -1, right)))
    except (TooLarge, ZeroDivisionError):
        return None
    found = _linear(difference)
    if found is None:
        return None
    variable, slope, rest = found
    end: Expression = ("quotient", ("product", -1, rest), slope)
    size = real_value(slope)
    if size is None or not size:
        return None
    for side, other in ((left, right), (right, left)):
        if side == ("name", variable):
            end = other  # keeps the spelling of the end where nothing had to be solved
    if size < 0:
        sign = _MIRRORED[sign]
    if sign == "!=":
        points = union([Interval(end, True, end, True)])
        reals = points and complement(points)
    elif sign in ("<", "<="):
        reals = union([Interval(MINUS_INFINITY, False, end, sign == "<=")])
    else:
        reals = union([Interval(end, sign == ">=", INFINITY, False)])
    return None if reals is None else (variable, reals)


def _linear(value: Ratio) -> tuple[str, Expression, Expression] | None:
    """(variable, slope, rest) of a polynomial that is linear in its only variable, with constant coefficients."""
    if value.bottom != {ONE: 1}:
        return None
    variable = ""
    slopes: list[Expression] = []
    rests: list[Expression] = []
    for monomial, coefficient in value.top.items():
        factors: list[Expression] = [coefficient]
        found = False
        for atom, exponent in monomial:
            if type(atom) is str and atom not in CONSTANTS:
                if exponent != 1 or variable not in ("", atom) or found:
                    return None
                variable, found = atom, True
            elif type(atom) is tuple and (atom[0] != "infinity"):
                return None
            else:
                base: Expression = (
                    ("name", atom) if type(atom) is str else atom if type(atom) is int else ("infinity",)
                )
                factors.append(("power", base, exponent))
        (slopes if found else rests).append(("product", *factors))
    if not variable or not slopes:
        return None
    return variable, ("sum", *slopes), ("sum", *rests, 0)
