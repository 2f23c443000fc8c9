"""JSON values within a text: found by one pass of a strict grammar, then read by the standard library.

Invariant: the pass never goes back before the place where the last value broke off, and keeps its
own stack, so that a megabyte of brackets costs linear time and no recursion. Only objects and
arrays are looked for: a number within a sentence is no answer. It is the grammar of RFC 8259: no
comments, no trailing commas, no single quotes, no ``NaN``.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["MAX_DEPTH", "FoundJSON", "find_json", "read_json"]

MAX_DEPTH = 100
"""Deepest nesting of a value that is read."""

_OPENER = re.compile(r"[\[{]")
# Most brackets of a text are none of JSON (formulas, sets, code); this passes over them quickly.
_LIKELY = re.compile(r"""\{(?=[ \t\r\n]*+["}])|\[(?=[ \t\r\n]*+["\]\[{0-9tfn-])""")
_TOKEN = re.compile(
    r"""[ \t\r\n]*+(?:
        (?P<mark>[][{}:,])
        |(?P<string>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")
        |(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null)
    )""",
    re.VERBOSE,
)
# What may come next. A scalar or an opening bracket is a value; END is the bracket that closes.
_VALUE, _VALUE_OR_END, _KEY, _KEY_OR_END, _COLON, _COMMA_OR_END = range(6)


@dataclass(frozen=True, slots=True)
class FoundJSON:
    """One value."""

    value: Any
    """The value as ``json.loads`` gives it; of a key that comes twice, the last."""
    repeated: bool
    """Whether some object holds a key twice."""


def find_json(text: str) -> tuple[list[FoundJSON], bool]:
    """All outermost objects and arrays of a text, in order.

    Args:
        text: Any string.

    Returns:
        The values, and whether some bracket began what is no value: one that breaks off, is nested
        deeper than ``MAX_DEPTH``, or holds a number that Python cannot represent.

    Example:
        >>> found, broken = find_json('In {1, 2} take {"answer": [1, 2]}.')
        >>> found[0].value, broken
        ({'answer': [1, 2]}, True)
    """
    found: list[FoundJSON] = []
    broken = False
    position = 0
    while (opener := _LIKELY.search(text, position)) is not None:
        start = opener.start()
        broken = broken or _OPENER.search(text, position, start) is not None
        position, depth = _end_of_value(text, start)
        value = read_json(text[start:position]) if 0 < depth <= MAX_DEPTH else None
        if value is None:
            broken = True
        else:
            found.append(value)
    return found, broken or _OPENER.search(text, position) is not None


def read_json(text: str) -> FoundJSON | None:
    """A text that is one JSON document as a whole, or None if it is none.

    The caller sees to the nesting: this function recurses as deeply as the document does.
    """
    repeated: list[int] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(items)
        if len(value) < len(items):
            repeated.append(len(items))
        return value

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return FoundJSON(value, bool(repeated))


def _end_of_value(text: str, position: int) -> tuple[int, int]:
    """Where the value at an opening bracket ends, and its depth; depth 0 where it breaks off."""
    closers: list[str] = []
    deepest = 0
    expected = _VALUE
    while (token := _TOKEN.match(text, position)) is not None:
        mark = token["mark"]
        if mark is None:
            following = _after_scalar(expected, token["string"] is not None)
        elif mark in "{[":
            following = _after_opener(expected, mark)
            closers.append("}" if mark == "{" else "]")
            deepest = max(deepest, len(closers))
        elif mark in "}]":
            # An end is expected after a value and right after the opening bracket, nowhere else.
            ends = expected in (_VALUE_OR_END, _KEY_OR_END, _COMMA_OR_END) and mark == closers.pop()
            following = _COMMA_OR_END if ends else None
        elif mark == ":":
            following = _VALUE if expected == _COLON else None
        else:
            following = None
            if expected == _COMMA_OR_END:
                following = _KEY if closers[-1] == "}" else _VALUE
        if following is None:
            return position, 0
        position, expected = token.end(), following
        if not closers:
            return position, deepest
    return position, 0


def _after_scalar(expected: int, is_string: bool) -> int | None:
    if expected in (_VALUE, _VALUE_OR_END):
        return _COMMA_OR_END
    return _COLON if is_string and expected in (_KEY, _KEY_OR_END) else None


def _after_opener(expected: int, mark: str) -> int | None:
    if expected not in (_VALUE, _VALUE_OR_END):
        return None
    return _KEY_OR_END if mark == "{" else _VALUE_OR_END


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is too large for a float")
    return value
