"""Answers in words: names, yes and no, "no solution", choices.

Invariant: total; a normal form ignores case, articles and punctuation, and nothing else. Synonyms are the few
listed here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from textgym.rewards.math.tokens import Token, is_product
from textgym.rewards.math.values import Form, Many, Value, Words

__all__ = ["Reading", "chosen", "read_words"]

_MAX_WORDS = 40
_ARTICLES = frozenset({"the", "a", "an"})
_SYNONYMS = {
    "yes": "true", "true": "true", "no": "false", "false": "false", "undefined": "undefined", "dne": "undefined",
    "does not exist": "undefined",
}  # fmt: skip
_EMPTY = frozenset(
    {"no solution", "no solutions", "none", "empty set", "no real solution", "no real solutions"}
)
_WRAPPED = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf)\s*\{([^{}]*)\}|[$*]")
_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s+)?(?:\(\s*([A-J])\s*\)|([A-J])(?:\)|[:.]|\s*$))\s*[:.]?\s*(.*)",
    re.DOTALL | re.IGNORECASE,
)
_OTHER_CHOICE = re.compile(r"\([A-Ja-j]\)|\b[A-J]\)|\b(?:or|and|not|nor)\b")


class Reading(NamedTuple):
    """A reading in words."""

    value: Value
    """The words, or the empty set for "no solution"."""
    settled: bool
    """They are known words, so that no other reading is tried."""


def read_words(tokens: list[Token]) -> Reading | None:
    """Read tokens as words.

    Args:
        tokens: An answer.

    Returns:
        None where there is anything but words, numbers and light punctuation, or no real word at all.
    """
    if len(tokens) > _MAX_WORDS:
        return None
    found: list[str] = []
    real = False
    for kind, text, _ in tokens:
        if kind in ("word", "text", "name", "number"):
            real = real or (kind in ("word", "text") and len(text) > 1)
            found.append(text.lower())
        elif kind in ("or", "and", "in"):
            found.append(kind)
        elif kind not in (",", ".", "-", "'", "!", ":"):
            return None
    if not real:
        return None
    words = " ".join(word for word in found if word not in _ARTICLES)
    if words in _EMPTY:
        return Reading(Many((), Form.SET), True)
    known = words in _SYNONYMS
    # Two letters may be a product of variables; that reading goes first.
    settled = known or not any(
        kind == "number" or (kind == "word" and is_product(text)) for kind, text, _ in tokens
    )
    return Reading(Words(_SYNONYMS.get(words, words)), settled and (known or "or" not in found))


def chosen(text: str) -> str | None:
    r"""The letter of an answer like ``B``, ``(B)``, ``B.``, ``\text{(B)}``, ``Option B`` or ``(B) 12``.

    Returns:
        The letter in upper case; None where there is none, or more than one.
    """
    match = _CHOICE.fullmatch(_WRAPPED.sub(r"\1", text).strip())
    if match is None or _OTHER_CHOICE.search(match[3]):
        return None
    return str(match[1] or match[2]).upper()
