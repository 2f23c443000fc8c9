r"""Quantities: an expression, and what stands around it: currency, percent, a unit, the noun that was counted.

Invariant: only a whole phrase is a quantity. Units of measure are kept, nouns that were counted are not told
apart, and a phrase with any other word in it ("at least 3", "3 or so") is refused.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NoReturn

from textgym.rewards.math.expressions import ExpressionParser, Unreadable
from textgym.rewards.math.tokens import Token
from textgym.rewards.math.tree import Expression, expand_signs, names, nodes
from textgym.rewards.math.units import BARE_UNITS, COUNTED, FILLERS, UNITS, Unit, unit_product
from textgym.rewards.math.values import Form, Many, Quantity, Value

__all__ = ["read_expression", "read_quantity"]

_CHANGING = """
not no none least most more less than fewer over under about around almost approximately roughly nearly between
either neither maybe perhaps possibly probably likely could might other if when where but up to from except without
also plus minus times divided by squared cubed half double twice per cent is are isn was be wrong incorrect false
"""
_REFUSED = frozenset(_CHANGING.split())
"""Words that change the value, or refuse to give one."""
_MAX_NOUNS = 4
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_DEGREES = {"C": "celsius", "F": "fahrenheit"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}


def read_expression(tokens: list[Token], *, nested: bool = True) -> Expression:
    """The tree of tokens that are one expression from end to end.

    Raises:
        Unreadable: They are not.
    """
    parser = ExpressionParser(tokens, nested=nested)
    tree = parser.sum()
    if parser.position != len(tokens) or any(node[0] == "either" for node in nodes(tree)):
        raise Unreadable
    return tree


def read_quantity(tokens: list[Token]) -> Value:
    """An expression with an optional unit; a ± gives a list of two.

    Raises:
        Unreadable: The tokens are no such phrase.
    """
    currency = ""
    if tokens and tokens[0][0] in "-$" and len(tokens) > 1:
        position = 1 if tokens[0][0] == "-" and tokens[1][0] == "$" else 0
        if tokens[position][0] == "$":
            currency = tokens[position][1]
            tokens = tokens[:position] + tokens[position + 1 :]
    parser = ExpressionParser(tokens)
    tree = parser.sum()
    rest = tokens[parser.position :]
    numeral: Unit | None = None
    if rest and rest[0][0] == "_" and isinstance(tree, int):
        numeral, rest = _numeral_base(rest)
    if rest and rest[0][0] == "word" and rest[0][1].lower() in _SCALES:
        tree = ("product", tree, _SCALES[rest[0][1].lower()])
        rest = rest[1:]
    product: Expression = None
    unit = _unit(rest) if rest else numeral
    if unit is COUNTED and names(tree):
        raise Unreadable  # variables are not counted in apples
    if currency:
        if unit is not None and unit != UNITS[currency]:
            raise Unreadable
        unit = UNITS[currency]
    if not rest:
        tree, unit, product = _bare_unit(tokens, tree, unit)
    values = [Quantity(value, unit, product) for value in expand_signs(tree)]
    return values[0] if len(values) == 1 else Many(tuple(values), Form.LIST)


def _numeral_base(rest: list[Token]) -> tuple[Unit, list[Token]]:
    """``1011_2``: the base of a numeral, as its unit, and the tokens after it."""
    length = 2 if len(rest) > 1 and rest[1][0] == "number" else 4
    digits = rest[1][1] if length == 2 else "".join(text for _, text, _ in rest[1:4])
    if not digits.isdigit() or len(rest) < length:
        raise Unreadable
    return Unit(Fraction(1), frozenset({(f"numeral of base {digits}", Fraction(1))})), rest[length:]


def _unit(tokens: list[Token]) -> Unit | None:
    """The unit that the tokens spell, maybe before a noun; ``COUNTED`` for a noun alone, None for "units".

    Raises:
        Unreadable: They are neither.
    """
    kind, text, _ = tokens[0]
    if kind in ("%", "degree", "$"):
        degrees = len(tokens) == 2 and kind == "degree" and _DEGREES.get(tokens[1][1])
        if len(tokens) > 1 and not degrees:
            _check_noun(tokens[1:])
        return UNITS[degrees or text or kind]
    tokens = [
        ("word", "inch", spaced) if kind == "in" else (kind, text, spaced) for kind, text, spaced in tokens
    ]
    if tokens[-1][0] == ".":
        tokens = tokens[:-1] or _refuse()
    for end in range(len(tokens), max(0, len(tokens) - _MAX_NOUNS - 1), -1):
        measured = _measure(tokens[:end])
        if measured is not None:
            if end < len(tokens):
                _check_noun(tokens[end:])
            return measured if measured.bases else None
    _check_noun(tokens)
    return COUNTED


def _refuse() -> NoReturn:
    raise Unreadable


def _measure(tokens: list[Token]) -> Unit | None:
    """A product of units like ``km/h``, ``m s^{-1}``, ``square cm``, ``miles per hour``; None if it is none."""
    parts: list[tuple[str, Fraction]] = []
    sign, prefix, index = 1, 1, 0
    while index < len(tokens):
        kind, text, _ = tokens[index]
        index += 1
        if kind in ("text", "word", "name"):
            lower = text.lower()
            if lower == "per":
                sign = -1
            elif lower in _POWERS:
                prefix = _POWERS[lower]
            elif lower not in FILLERS:
                count, index = _count(tokens, index)
                parts.append((text, Fraction(sign * prefix * count)))
                prefix = 1
            elif lower in ("unit", "units"):
                _, index = _count(tokens, index)
        elif kind == "/":
            sign = -1
        elif kind not in ("*", "-", "(", ")", "{", "}"):
            return None
    return unit_product(parts)


def _count(tokens: list[Token], index: int) -> tuple[int, int]:
    """The exponent at a position, and the position after it."""
    if index >= len(tokens) or tokens[index][0] != "^":
        if index < len(tokens) and tokens[index][0] == "number" and tokens[index][1] in "23":
            return int(tokens[index][1]), index + 1
        return 1, index
    end = index + 2
    if tokens[index + 1 : index + 2] and tokens[index + 1][0] == "{":
        end = next((i + 1 for i in range(index, len(tokens)) if tokens[i][0] == "}"), len(tokens))
    elif tokens[index + 1 : index + 2] and tokens[index + 1][0] == "-":
        end += 1
    value = read_expression(tokens[index + 1 : end])
    if not isinstance(value, int) or abs(value) > 9:
        raise Unreadable
    return value, end


def _check_noun(tokens: list[Token]) -> None:
    """Accept a noun that was counted.

    Raises:
        Unreadable: The tokens are anything else.
    """
    words = [text.lower() for kind, text, _ in tokens if kind in ("word", "text")]
    if len(words) != len(tokens) or not 1 <= len(words) <= _MAX_NOUNS or not _REFUSED.isdisjoint(words):
        raise Unreadable
    if not all(word.isalpha() and len(word) > 1 for word in words):
        raise Unreadable


def _bare_unit(
    tokens: list[Token], tree: Expression, unit: Unit | None
) -> tuple[Expression, Unit | None, Expression]:
    """``5 m`` or ``9.8 m/s^2``, where letters may be units: both readings."""
    start = 0
    while start < len(tokens) and not (tokens[start][0] == "name" and tokens[start][2] and start):
        start += 1
    tail = tokens[start:]
    if (
        unit is not None
        or not tail
        or any(kind == "name" and text not in BARE_UNITS for kind, text, _ in tail)
    ):
        return tree, unit, None
    try:
        value = read_expression(tokens[:start])
        found = _measure(tail)
    except Unreadable:
        return tree, unit, None
    if found is None or names(value):
        return tree, unit, None
    return value, found, tree
