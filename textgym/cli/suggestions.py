"""Did you mean …? Names that look like what was typed.

Invariant: a suggestion is always one of the possible names, and the best one comes first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest", "did_you_mean"]

_LIKENESS = 0.6
"""Least similarity of a suggestion, from 0 to 1."""
_EQUALLY = 0.05
"""How much less like the name than the best one a second suggestion may be."""


def closest(name: str, names: Iterable[str]) -> list[str]:
    """Up to two names that look like ``name``, the best first.

    Example:
        >>> closest("nun_examples", ["num_examples", "group_size"])
        ['num_examples']
    """
    matcher = difflib.SequenceMatcher(b=name.lower())
    likeness = {}
    for other in names:
        matcher.set_seq1(other.lower())
        likeness[other] = matcher.ratio()
    best = max(likeness.values(), default=0.0)
    found = [other for other, value in likeness.items() if value >= max(_LIKENESS, best - _EQUALLY)]
    return sorted(found, key=lambda other: -likeness[other])[:2]


def did_you_mean(names: Iterable[str]) -> str:
    """The question as a part of a sentence, or an empty text without a suggestion.

    Example:
        >>> did_you_mean(["a", "b"])
        ": did you mean 'a' or 'b'? "
    """
    quoted = " or ".join(map(repr, names))
    return f": did you mean {quoted}? " if quoted else ""
