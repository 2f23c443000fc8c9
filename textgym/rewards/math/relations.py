r"""Relations: ``x = 3``, chains of equalities and approximations, equations, inequalities, membership.

Invariant: a linear inequality in one variable becomes the set of its solutions, so that it equals the interval;
a chain that contradicts itself (``3 = 7``) is refused, because its author claims two answers.
"""

from __future__ import annotations

from collections.abc import Callable

from textgym.rewards.math.equality import same
from textgym.rewards.math.expressions import Unreadable
from textgym.rewards.math.numeric import real_value
from textgym.rewards.math.quantities import read_expression
from textgym.rewards.math.reals import half_line, intersection
from textgym.rewards.math.tokens import Token, split
from textgym.rewards.math.tree import Expression, names
from textgym.rewards.math.values import Equation, Form, Inequality, Many, Quantity, Reals, Value

__all__ = ["RELATIONS", "read_relation"]

RELATIONS = frozenset({"=", "approx", "<", ">", "<=", ">=", "!=", "in"})
"""Kinds of the signs that make a relation."""

_MAX_LINKS = 8
_FLIPPED = {"<": ">", "<=": ">="}
_ROUNDING = 0.01
_MAX_PLACES = 12
_Read = Callable[[list[Token]], Value]


def read_relation(tokens: list[Token], single: _Read) -> Value | None:
    """Read tokens as a relation.

    Args:
        tokens: One item of an answer.
        single: Reads a side that may be a set or a list.

    Returns:
        The value, or None where there is no relation sign outside of groups.

    Raises:
        Unreadable: It is a relation that is not understood, or one that contradicts itself.
    """
    sides, signs = split(tokens, RELATIONS)
    if not signs:
        return None
    if not sides[0] and signs[0] in ("=", "approx"):
        sides, signs = sides[1:], signs[1:]
        if not signs:
            return single(sides[0])
    if signs == ["in"] and (not sides[1] or sides[1][0][0] == "^"):
        return None  # inches
    if len(signs) > _MAX_LINKS or not all(sides):
        raise Unreadable
    if signs == ["in"]:
        return single(sides[1])
    if set(signs) <= {"=", "approx"}:
        return _equalities(sides, signs, single)
    return _inequalities(sides, signs)


def _tree(tokens: list[Token]) -> Expression | None:
    try:
        return read_expression(tokens)
    except Unreadable:
        return None


def _equalities(sides: list[list[Token]], signs: list[str], single: _Read) -> Value:
    first, right = _tree(sides[0]), single(sides[-1])
    fixed = first is not None and not names(first)
    if fixed and len(sides) == 2 and isinstance(right, Quantity) and names(right.tree):
        return Equation(right.tree, Quantity(first), _label(right.tree))  # 3 = x
    if "approx" in signs or not _agree(sides if fixed else sides[1:], right):
        return _approximations(sides if fixed else sides[1:], single)
    return right if fixed else Equation(first, right, _label(first))


def _agree(sides: list[list[Token]], right: Value) -> bool:
    """Whether no side is a constant that differs from the last."""
    trees = [_tree(side) for side in sides[:-1]]
    return not isinstance(right, Quantity) or not any(
        tree is not None and not names(tree) and same(tree, right.tree) is False for tree in trees
    )


def _label(tree: Expression | None) -> str | None:
    if tree is None:
        return ""
    if isinstance(tree, tuple) and tree[0] == "name":
        return str(tree[1])
    if isinstance(tree, tuple) and tree[0] == "call" and tree[1].rstrip("'") in ("f", "g", "h"):
        return f"{tree[1]}()"
    return None


def _approximations(sides: list[list[Token]], single: _Read) -> Value:
    """A number and how it is rounded: the first side, and the last."""
    values = [single(side) for side in sides]
    trees = [value.tree for value in values if isinstance(value, Quantity)]
    if not values or len(trees) < len(values) or not all(_rounds(trees[0], tree) for tree in trees[1:]):
        raise Unreadable
    return Many((values[0], values[-1]), Form.CHAIN) if len(values) > 1 else values[0]


def _rounds(exact: Expression, rounded: Expression) -> bool:
    """Whether the second is the first, correctly rounded, and close to it."""
    one, two = real_value(exact), real_value(rounded)
    if one is None or two is None or not abs(one - two) <= _ROUNDING * abs(one):
        return False
    if isinstance(rounded, tuple) and rounded[:2] == ("product", -1):
        rounded = rounded[2]
    places = 0 if isinstance(rounded, int) else _MAX_PLACES
    if isinstance(rounded, tuple) and rounded[0] == "decimal":
        places = next((n for n in range(_MAX_PLACES) if rounded[1] * 10**n % 1 == 0), _MAX_PLACES)
    return abs(one - two) <= 0.51 * 10.0**-places


def _inequalities(sides: list[list[Token]], signs: list[str]) -> Value:
    trees = [read_expression(side) for side in sides]
    found: Reals | None = None
    variables = set()
    for left, sign, right in zip(trees, signs, trees[1:], strict=False):
        solved = None if sign == "=" else half_line(left, sign, right)
        if solved is None:
            if len(signs) > 1:
                raise Unreadable
            return _unsolved(left, sign, right)
        variables.add(solved[0])
        found = solved[1] if found is None else intersection(found, solved[1])
        if found is None or len(variables) > 1:
            raise Unreadable
    if found is None:
        raise Unreadable
    return found


def _unsolved(left: Expression, sign: str, right: Expression) -> Value:
    if sign in _FLIPPED:
        left, sign, right = right, _FLIPPED[sign], left
    return Inequality(("sum", left, ("product", -1, right)), sign)
