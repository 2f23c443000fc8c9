"""Whether two readings of answers mean the same.

Invariant: three answers as in ``equality``: True and False are sure, None is for others to decide. Symmetric
but for what the gold answer alone can ask for: ``x + y = 5`` answers "5", and 5 does not answer "x + y = 5".
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from textgym.rewards.math.equality import proportional, same
from textgym.rewards.math.reals import as_reals
from textgym.rewards.math.tree import Expression
from textgym.rewards.math.units import COUNTED, UNITS, Unit
from textgym.rewards.math.values import (
    Equation,
    Form,
    Inequality,
    Interval,
    Many,
    Matrix,
    Quantity,
    Reals,
    Value,
)

__all__ = ["matches"]

_ORDERED = frozenset({Form.TUPLE, Form.BRACKETS})
_PLAIN_ANGLES = frozenset({("degree", Fraction(1))})


def matches(gold: Value, answer: Value, tolerance: float = 0.0) -> bool | None:
    """Whether an answer means the same as the gold answer.

    Args:
        gold: A reading of the gold answer.
        answer: A reading of the other.
        tolerance: Largest relative difference of numbers, 0 for exact equality.

    Returns:
        True, False, or None where it cannot be decided.
    """
    if gold == answer:
        return True
    if isinstance(answer, Many) and answer.form is Form.CHAIN:
        return _any([matches(gold, item, tolerance) for item in answer.items])
    if isinstance(gold, Many) and gold.form is Form.CHAIN:
        return _any([matches(item, answer, tolerance) for item in gold.items])
    if isinstance(gold, Equation) or isinstance(answer, Equation):
        return _equations(gold, answer, tolerance)
    if isinstance(gold, Reals) or isinstance(answer, Reals):
        one, two = as_reals(gold), as_reals(answer)
        return one is not None and two is not None and _reals(one, two, tolerance)
    if isinstance(gold, Matrix) or isinstance(answer, Matrix):
        return _matrices(gold, answer, tolerance)
    if isinstance(gold, Many) or isinstance(answer, Many):
        return _collections(gold, answer, tolerance)
    if isinstance(gold, Quantity) and isinstance(answer, Quantity):
        return _quantities(gold, answer, tolerance)
    if isinstance(gold, Inequality) and isinstance(answer, Inequality):
        return gold.sign == answer.sign and proportional(gold.tree, answer.tree, positive=gold.sign != "!=")
    return False


def _any(verdicts: Sequence[bool | None]) -> bool | None:
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True


def _quantities(gold: Quantity, answer: Quantity, tolerance: float) -> bool | None:
    """Units count where both have one: 5 m is 500 cm, not 5 cm, and may be answered by 5."""
    if gold.unit == answer.unit or {gold.unit, answer.unit} == {COUNTED, None}:
        return same(gold.tree, answer.tree, tolerance)
    for one, two in (
        (gold.product, answer.tree),
        (gold.tree, answer.product),
        (gold.product, answer.product),
    ):
        if one is not None and two is not None and same(one, two, tolerance):
            return True
    if gold.unit is not None and answer.unit is not None:
        if gold.unit.bases != answer.unit.bases:
            return False
        scales = gold.unit.factor, answer.unit.factor
        return same(("product", gold.tree, scales[0]), ("product", answer.tree, scales[1]), tolerance)
    plain = same(gold.tree, answer.tree, tolerance)
    if plain:
        return True
    scaled = same(_scaled(gold.tree, gold.unit), _scaled(answer.tree, answer.unit), tolerance)
    return _any([plain, scaled])


def _scaled(tree: Expression, unit: Unit | None) -> Expression:
    """Percent and degrees are numbers as well: 50% is 0.5, and 60° is pi/3."""
    if unit == UNITS["%"]:
        return ("quotient", tree, 100)
    if unit is not None and unit.bases == _PLAIN_ANGLES:
        return ("quotient", ("product", tree, ("name", "pi")), 180)
    return tree


def _equations(gold: Value, answer: Value, tolerance: float) -> bool | None:
    if not isinstance(answer, Equation):
        assert isinstance(gold, Equation)
        return gold.label is not None and matches(gold.right, answer, tolerance)
    if not isinstance(gold, Equation):
        return matches(gold, answer.right, tolerance)
    if gold.label == answer.label and gold.label is not None:
        found = matches(gold.right, answer.right, tolerance)
        if found:
            return True
    if (
        isinstance(gold.right, Quantity)
        and isinstance(answer.right, Quantity)
        and None not in (gold.left, answer.left)
    ):
        return proportional(
            ("sum", gold.left, ("product", -1, gold.right.tree)),
            ("sum", answer.left, ("product", -1, answer.right.tree)),
            positive=False,
        )
    if gold.label is None or answer.label is None:
        return matches(gold.right, answer.right, tolerance) and None
    return "" in (gold.label, answer.label) and matches(gold.right, answer.right, tolerance)


def _reals(gold: Reals, answer: Reals, tolerance: float) -> bool | None:
    if len(gold.intervals) != len(answer.intervals):
        return False
    return _all(
        [_intervals(one, two, tolerance) for one, two in zip(gold.intervals, answer.intervals, strict=True)]
    )


def _intervals(gold: Interval, answer: Interval, tolerance: float) -> bool | None:
    if (gold.closed_low, gold.closed_high) != (answer.closed_low, answer.closed_high):
        return False
    return _all([same(gold.low, answer.low, tolerance), same(gold.high, answer.high, tolerance)])


def _matrices(gold: Value, answer: Value, tolerance: float) -> bool | None:
    one, two = _rows(gold), _rows(answer)
    if one is None or two is None or [len(row) for row in one] != [len(row) for row in two]:
        return False
    pairs = [pair for row, other in zip(one, two, strict=True) for pair in zip(row, other, strict=True)]
    return _all([matches(left, right, tolerance) for left, right in pairs])


def _rows(value: Value) -> tuple[tuple[Value, ...], ...] | None:
    """A matrix, a list of lists, or a tuple as a column."""
    if isinstance(value, Matrix):
        return value.rows
    if not isinstance(value, Many) or value.form not in _ORDERED:
        return None
    if all(isinstance(item, Many) and item.form in _ORDERED for item in value.items):
        return tuple(item.items for item in value.items if isinstance(item, Many))
    return tuple((item,) for item in value.items)


def _collections(gold: Value, answer: Value, tolerance: float) -> bool | None:
    one = gold if isinstance(gold, Many) else Many((gold,), _form_of_one(answer))
    two = answer if isinstance(answer, Many) else Many((answer,), _form_of_one(gold))
    forms = {one.form, two.form}
    if Form.RATIO in forms:
        return _ratios(one, two)
    if forms <= _ORDERED or (forms & _ORDERED and Form.LIST in forms):
        if (
            forms == _ORDERED
            and len(one.items) == 2
            and as_reals(one) is not None
            and as_reals(two) is not None
        ):
            return False  # (1, 2) and [1, 2] are different intervals
        if len(one.items) != len(two.items):
            return False
        return _all([matches(a, b, tolerance) for a, b in zip(one.items, two.items, strict=True)])
    if forms & _ORDERED:
        return False
    return _unordered(one, two, tolerance)


def _form_of_one(other: Value) -> Form:
    """A single value answers a set or list of one, not a tuple of one."""
    if isinstance(other, Many) and other.form is Form.RATIO:
        return Form.RATIO
    return Form.SET if isinstance(other, Many) and other.form is Form.SET else Form.LIST


def _unordered(gold: Many, answer: Many, tolerance: float) -> bool | None:
    one, two = list(gold.items), list(answer.items)
    if Form.SET in (gold.form, answer.form):
        one, two = _distinct(one), _distinct(two)
    if len(one) != len(two):
        return False
    unsure = False
    for item in one:
        verdicts = [matches(item, other, tolerance) for other in two]
        if True in verdicts:
            two.pop(verdicts.index(True))
        elif None in verdicts:
            unsure = True
        else:
            return False
    return None if unsure else True


def _distinct(items: list[Value]) -> list[Value]:
    kept: list[Value] = []
    for item in items:
        if not any(matches(item, other) for other in kept):
            kept.append(item)
    return kept


def _ratios(gold: Many, answer: Many) -> bool | None:
    """2:3 is 4:6, and of two numbers also their quotient."""
    one, two = _terms(gold), _terms(answer)
    if one is None or two is None:
        return False
    if len(one) == 1 or len(two) == 1:
        left, right = _quotient(one), _quotient(two)
        return False if left is None or right is None else same(left, right)
    if len(one) != len(two):
        return False
    return _all(
        [same(("product", a, two[0]), ("product", b, one[0])) for a, b in zip(one[1:], two[1:], strict=True)]
    )


def _terms(value: Many) -> list[Expression] | None:
    trees = [item.tree for item in value.items if isinstance(item, Quantity)]
    return trees if trees and len(trees) == len(value.items) else None


def _quotient(terms: list[Expression]) -> Expression | None:
    if len(terms) > 2:
        return None
    return terms[0] if len(terms) == 1 else ("quotient", terms[0], terms[1])
