"""Cutting texts to a bound, so that everybody sees that something is missing.

Invariant: the result is never longer than the limit, and says so where it is not the whole text.
"""

from __future__ import annotations

__all__ = ["cut"]


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with a visible marker if it is longer than the limit.

    Args:
        text: Any text.
        limit: Longest result, in code points.

    Example:
        >>> cut("a" * 100, 60)
        'aaaaaaaaaaaaaaaaaaaaaaaaaa [… cut: 100 characters, limit 60]'
        >>> len(_)
        60
    """
    if len(text) <= limit:
        return text
    marker = f" [… cut: {len(text)} characters, limit {limit}]"
    return text[: max(limit - len(marker), 0)] + marker if len(marker) <= limit else text[:limit]
