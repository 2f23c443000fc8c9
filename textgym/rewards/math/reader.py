r"""Reading a whole answer: lists, sets, intervals, relations, matrices, words, and quantities within them.

Invariant: ``read`` is total and bounded: it returns the readings of a text (none, one, or two where a comma may
be a thousands separator), and a text is read from end to end or not at all. It never picks a part of a sentence.
"""

from __future__ import annotations

import re

from textgym.rewards.math.expressions import MAX_DEPTH, Unreadable
from textgym.rewards.math.notation import strip_decoration, to_tex
from textgym.rewards.math.quantities import read_expression, read_quantity
from textgym.rewards.math.reals import ALL_REALS, as_reals, complement, intersection, union
from textgym.rewards.math.relations import read_relation
from textgym.rewards.math.tokens import CLOSERS, OPENERS, Token, lex, split
from textgym.rewards.math.values import Equation, Form, Interval, Many, Matrix, Quantity, Reals, Value
from textgym.rewards.math.words import read_words

__all__ = ["MAX_LENGTH", "read", "tokens_of"]

MAX_LENGTH = 2000
"""Longest answer that is read, in characters."""
_MAX_TOKENS = 800
_MAX_ITEMS = 100

_GROUPED = re.compile(r"(?<![\d.,\w])\d{1,3}(?:,\d{3})+(?![\d,])")
_SEPARATORS = frozenset({",", ";", "or", "and"})
_FORMS = {"(": Form.TUPLE, "[": Form.BRACKETS, "{": Form.LIST, r"\{": Form.SET, "<<": Form.TUPLE}
_CLOSERS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", "<<": ">>"}
_MATRICES = frozenset({"matrix", "pmatrix", "bmatrix", "smallmatrix", "array"})


def tokens_of(text: str) -> list[Token]:
    """The tokens of an answer, without decoration and final punctuation."""
    tokens = lex(to_tex(strip_decoration(text)))
    while tokens and tokens[-1][0] in (".", ",", ";", ":"):
        tokens.pop()
    return tokens


def read(text: str) -> list[Value]:
    """Every reading of an answer.

    Args:
        text: What was put in the box, in TeX or plain.

    Returns:
        The likeliest reading first; empty where the text is not understood.

    Example:
        >>> read("(1, 2]")
        [Reals(intervals=(Interval(low=1, closed_low=False, high=2, closed_high=True),))]
        >>> len(read("1,234")), len(read("1,000")), read("3 +")
        (2, 1, [])
    """
    if len(text) > MAX_LENGTH:
        return []
    text = to_tex(strip_decoration(text))
    groups = _GROUPED.findall(text)
    if not groups:
        return _readings(text)
    joined = _GROUPED.sub(_join, text)
    # 1,234 may be a list of 1 and 234, but nobody writes 0 as 000.
    listed = [] if joined == text or any(",0" in group for group in groups) else _readings(text)
    return _readings(joined) + listed


def _join(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()].rstrip(), match.string[match.end() :].lstrip()
    enclosed = before[-1:] in ("(", "[", "{", ",") or after[:1] in (")", "]", "}", ",")
    # (1,234) is a point and {1,000} a number: only zeros tell.
    return match[0].replace(",", "") if not enclosed or ",0" in match[0] else match[0]


def _readings(text: str) -> list[Value]:
    tokens = tokens_of(text)
    if not 0 < len(tokens) <= _MAX_TOKENS:
        return []
    words = read_words(tokens)
    if words is not None and words.settled:
        return [words.value]
    try:
        return [_Reader().answer(tokens)]
    except (Unreadable, RecursionError):
        return [] if words is None else [words.value]


class _Reader:
    """One reading; holds how deep the groups are."""

    def __init__(self) -> None:
        self.depth = 0

    def answer(self, tokens: list[Token]) -> Value:
        """One value, or several with separators between."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable
        parts, signs = split(tokens, _SEPARATORS)
        if len(parts) == 1:
            value = self.item(tokens)
        else:
            kept = [part for part, sign in zip(parts, ["", *signs], strict=True) if part or sign in (",", "")]
            values = [self.item(part) for part in parts if part]
            if len(kept) != len(values) and any(not part for part in (parts[0], parts[-1])):
                raise Unreadable
            value = self.together(values, signs)
        self.depth -= 1
        return value

    def together(self, values: list[Value], signs: list[str]) -> Value:
        """What several values make: a system of conditions, an assignment to several names, or a list."""
        if not values or len(values) > _MAX_ITEMS:
            raise Unreadable
        conditions = [value for value in values if isinstance(value, Reals)]
        if len(conditions) == len(values):
            return _combined(conditions, "or" in signs)
        names = [value.label for value in values if isinstance(value, Equation)]
        if all(isinstance(value, Equation) for value in values) and None not in names:
            if len({str(name).partition("_")[0] for name in names}) < len(names):
                return Many(tuple(v.right for v in values if isinstance(v, Equation)), Form.LIST)
            equations = sorted((v for v in values if isinstance(v, Equation)), key=lambda e: str(e.label))
            return Many(tuple(equations), Form.TUPLE)
        if names and isinstance(values[0], Equation) and len(names) == 1 and values[0].label is not None:
            values = [values[0].right, *values[1:]]
        flat: list[Value] = []
        for value in values:
            flat += value.items if isinstance(value, Many) and value.form is Form.LIST else [value]
        return Many(tuple(flat), Form.LIST)

    def item(self, tokens: list[Token]) -> Value:
        """One value without separators outside of groups."""
        if not tokens:
            raise Unreadable
        relation = read_relation(tokens, self.single)
        return self.single(tokens) if relation is None else relation

    def single(self, tokens: list[Token]) -> Value:
        """A value without relation signs outside of groups."""
        if not tokens:
            raise Unreadable
        tokens = _with_unions(tokens)
        if any(kind in ("cup", "setminus", "reals") for kind, _, _ in tokens):
            return self.sets(tokens)
        if any(kind == "begin" for kind, _, _ in tokens):
            return self.matrix(tokens)
        if tokens[0][0] == "empty" and len(tokens) == 1:
            return Many((), Form.SET)
        if any(kind == "choose" for kind, _, _ in tokens):
            return read_quantity([("{", "", True), *tokens, ("}", "", False)])
        group = self.group(tokens)
        if group is not None:
            return group
        parts, colons = split(tokens, frozenset({":"}))
        if colons and all(parts):
            return Many(tuple(Quantity(read_expression(part)) for part in parts), Form.RATIO)
        return read_quantity(tokens)

    def group(self, tokens: list[Token]) -> Value | None:
        """Tokens that one pair of brackets encloses, if they are a collection and not a bracketed expression."""
        first, last = tokens[0][0], tokens[-1][0]
        if first not in _FORMS or last not in _CLOSERS.values() or not _encloses(tokens):
            return None
        inside = tokens[1:-1]
        if first in (r"\{", "{") and last in (r"\}", "}"):
            built = self.builder(inside)
            if built is not None:
                return built
        parts, signs = split(inside, frozenset({",", ";"}))
        if not signs and (first != r"\{" or last != r"\}"):
            return self.answer(inside) if inside and _CLOSERS[first] == last else None
        items = tuple(self.answer(part) for part in parts) if inside else ()
        if len(items) > _MAX_ITEMS:
            raise Unreadable
        if _CLOSERS[first] == last:
            flat = [
                v
                for item in items
                for v in (item.items if _is_list(item) and isinstance(item, Many) else [item])
            ]
            return Many(tuple(flat) if _FORMS[first] is Form.SET else items, _FORMS[first])
        if len(items) == 2 and first in "([" and last in ")]":
            return _half_open(items, first == "[", last == "]")
        raise Unreadable

    def builder(self, inside: list[Token]) -> Value | None:
        r"""``\{x \mid x > 3\}``: what comes after the bar."""
        parts, bars = split(inside, frozenset({"|", ":"}))
        if len(bars) != 1 or not parts[0] or not parts[1]:
            return None
        head = parts[0]
        if len(head) > 1 and not (head[1][0] == "in" and head[-1][0] == "reals"):
            return None
        return self.answer(parts[1]) if head[0][0] == "name" else None

    def sets(self, tokens: list[Token]) -> Value:
        """Unions and differences of intervals, and the set of all real numbers."""
        if len(tokens) == 1 and tokens[0][0] == "reals":
            return ALL_REALS
        kept, without = split(tokens, frozenset({"setminus", "-"}))
        if without and kept[0] and kept[0][-1][0] in CLOSERS | {"reals"}:
            found: Reals | None = self.reals(kept[0])
            for part in kept[1:]:
                rest = complement(self.reals(part))
                found = None if found is None or rest is None else intersection(found, rest)
        else:
            parts, _ = split(tokens, frozenset({"cup"}))
            if len(parts) == 1:
                raise Unreadable
            pieces = [interval for part in parts for interval in self.reals(part).intervals]
            found = union(pieces)
        if found is None:
            raise Unreadable
        return found

    def reals(self, tokens: list[Token]) -> Reals:
        found = as_reals(self.item(tokens))
        if found is None:
            raise Unreadable
        return found

    def matrix(self, tokens: list[Token]) -> Value:
        r"""``\begin{pmatrix} … \end{pmatrix}``."""
        if (
            tokens[0][0] != "begin"
            or tokens[-1][0] != "end"
            or tokens[0][1] not in _MATRICES
            or not _encloses(tokens)
        ):
            if tokens[0][0] in "([" and tokens[-1][0] in ")]" and _encloses(tokens):
                return self.matrix(tokens[1:-1])
            raise Unreadable
        inside = tokens[1:-1]
        if tokens[0][1] == "array" and inside and inside[0][0] == "{":
            inside = inside[next((i for i, token in enumerate(inside) if token[0] == "}"), 0) + 1 :]
        lines, _ = split(inside, frozenset({"newline"}))
        rows = tuple(
            tuple(self.answer(cell) for cell in split(line, frozenset({"&"}))[0]) for line in lines if line
        )
        if not rows or len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > _MAX_ITEMS:
            raise Unreadable
        return Matrix(rows)


def _is_list(value: Value) -> bool:
    return isinstance(value, Many) and value.form is Form.LIST


def _with_unions(tokens: list[Token]) -> list[Token]:
    """A letter U between two groups is a union sign."""
    if ("name", "U") not in [token[:2] for token in tokens[1:-1]]:
        return tokens
    return [
        ("cup", "", True)
        if token[:2] == ("name", "U") and 0 < i < len(tokens) - 1 and tokens[i - 1][0] in CLOSERS
        else token
        for i, token in enumerate(tokens)
    ]


def _encloses(tokens: list[Token]) -> bool:
    """Whether the bracket that opens first closes last."""
    depth = 0
    for index, (kind, _, _) in enumerate(tokens):
        if kind in OPENERS:
            depth += 1
        elif kind in CLOSERS:
            depth -= 1
            if depth <= 0:
                return index == len(tokens) - 1
    return False


def _half_open(items: tuple[Value, ...], closed_low: bool, closed_high: bool) -> Reals:
    low, high = items
    if not isinstance(low, Quantity) or not isinstance(high, Quantity):
        raise Unreadable
    found = union([Interval(low.tree, closed_low, high.tree, closed_high)])
    if found is None:
        raise Unreadable
    return found


def _combined(conditions: list[Reals], any_of: bool) -> Value:
    if any_of:
        found = union(interval for reals in conditions for interval in reals.intervals)
    else:
        found = conditions[0]
        for reals in conditions[1:]:
            found = None if found is None else intersection(found, reals)
    if found is None:
        raise Unreadable
    return found
