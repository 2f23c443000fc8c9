"""How large SQLite's parser would make a query, from its words alone.

Invariant: an upper bound, in linear time. Each reference to a table of WITH is written out, tables of WITH may
refer to each other, and SQLite has no limit on that: nine lines can become gigabytes before the first step.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["Expansion", "expansion_of"]

_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\s+
    |"(?P<double>(?:[^"]|"")*)"|\[(?P<bracket>[^\]]*)\]|`(?P<back>(?:[^`]|``)*)`
    |(?P<word>[^\W\d][\w$]*)|(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_CLAUSES = frozenset(
    {"select", "where", "group", "order", "having", "limit", "on", "using", "window", "values"}
)
_MOST = 10**6


@dataclass(frozen=True, slots=True)
class Expansion:
    """Bounds of what a query grows to."""

    first: str
    """Its first word, in small letters."""
    defined: frozenset[str]
    """Names of the tables of WITH, in small letters."""
    subqueries: int
    """How many subqueries the tables of WITH can become at most."""
    sources: int
    """How many tables and subqueries are read from at most, by commas and joins."""


def expansion_of(sql: str) -> Expansion:
    """Read the bounds off a text.

    Args:
        sql: Any text.

    Example:
        >>> found = expansion_of("WITH a AS (SELECT 1), b AS (SELECT * FROM a, a AS c) SELECT * FROM b, b AS d")
        >>> found.subqueries, found.sources
        (4, 4)
    """
    words = [word for word in map(_word, _TOKEN.finditer(sql)) if word]
    defined = Counter(_defined(words))
    total = 1
    for name, count in defined.items():
        references = max(words.count(name) - count, 1)
        total = min(total * references**count, _MOST)
    return Expansion(words[0] if words else "", frozenset(defined), total, _sources(words))


def _word(found: re.Match[str]) -> str:
    for kind in ("word", "double", "bracket", "back", "sign"):
        if found[kind] is not None:
            return found[kind].lower()
    return ""


def _defined(words: list[str]) -> list[str]:
    """The names before ``AS (``, with or without a list of columns in between."""
    names = []
    for index, word in enumerate(words):
        if word != "(" or index < 2:
            continue
        before = index - 1
        while words[before] in ("materialized", "not") and before:
            before -= 1
        if words[before] != "as" or not before:
            continue
        before -= 1
        if words[before] == ")":
            while before and words[before] != "(":
                before -= 1
            before -= 1
        if before >= 0:
            names.append(words[before])
    return names


def _sources(words: list[str]) -> int:
    """Tables and subqueries after FROM and JOIN, and after each comma of a FROM."""
    count, depth = 0, 0
    inside: dict[int, bool] = {}
    for word in words:
        if word == "(":
            depth += 1
            inside[depth] = inside.get(depth - 1, False)
        elif word == ")":
            inside.pop(depth, None)
            depth = max(depth - 1, 0)
        elif word == "from":
            inside[depth] = True
            count += 1
        elif word in _CLAUSES:
            inside[depth] = False
        elif word == "join":
            inside[depth] = True
            count += 1
        elif word == "," and inside.get(depth):
            count += 1
    return count
