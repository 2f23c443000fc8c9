"""Steps on lists of strings.

Invariant: that of ``step.py``. Strings may be empty and are compared by their character codes, capitals first.
"""

# ruff: noqa: D205 (the docstring of a step is one sentence of the task, however long it is)
from __future__ import annotations

from textgym.tasks.code.step import Steps

__all__ = ["WORDS"]

WORDS = Steps()
"""Name -> step."""

_LETTERS = "abcdefghijklmnoprstuwy"


@WORDS.add()
def sort_words(x: list[str]) -> list[str]:
    """Sort the strings by their character codes, so that capital letters come before small ones."""
    return sorted(x)


@WORDS.add()
def sort_by_length(x: list[str]) -> list[str]:
    """Sort the strings by their length, the shortest first; those of equal length keep their order."""
    return sorted(x, key=len)


@WORDS.add()
def sort_by_end(x: list[str]) -> list[str]:
    """Sort the strings by the character codes of the reversed strings, so that 'ba' comes before 'ab'."""
    return sorted(x, key=lambda w: w[::-1])


@WORDS.add(k=range(2, 9))
def keep_longer(x: list[str], k: int) -> list[str]:
    """Keep only the strings with at least {k} characters."""
    return [w for w in x if len(w) >= k]


@WORDS.add(k=range(3, 9))
def keep_shorter(x: list[str], k: int) -> list[str]:
    """Keep only the strings with fewer than {k} characters."""
    return [w for w in x if len(w) < k]


@WORDS.add(c=_LETTERS)
def keep_with(x: list[str], c: str) -> list[str]:
    """Keep only the strings that hold the letter {c!r}, small or capital."""
    return [w for w in x if c in w.lower()]


@WORDS.add(c=_LETTERS)
def drop_with(x: list[str], c: str) -> list[str]:
    """Remove the strings that hold the letter {c!r}, small or capital."""
    return [w for w in x if c not in w.lower()]


@WORDS.add()
def reverse_each(x: list[str]) -> list[str]:
    """Reverse every string by itself; the order of the list stays."""
    return [w[::-1] for w in x]


@WORDS.add()
def words_backwards(x: list[str]) -> list[str]:
    """Reverse the order of the list; the strings stay as they are."""
    return x[::-1]


@WORDS.add()
def upper_each(x: list[str]) -> list[str]:
    """Make all letters of all strings capital."""
    return [w.upper() for w in x]


@WORDS.add()
def capitalise(x: list[str]) -> list[str]:
    """Make the first character of every string capital and all its other letters small."""
    return [w[:1].upper() + w[1:].lower() for w in x]


@WORDS.add()
def unique_words(x: list[str]) -> list[str]:
    """Keep only the first occurrence of every string; small and capital letters are different."""
    return list(dict.fromkeys(x))


@WORDS.add(k=range(2, 6))
def rotate_words(x: list[str], k: int) -> list[str]:
    """Move the first string to the end of the list, {k} times in a row; the empty list stays empty."""
    if not x:
        return []
    k = k % len(x)
    return x[k:] + x[:k]


@WORDS.add(k=range(2, 4))
def keep_word_places(x: list[str], k: int) -> list[str]:
    """Keep only the strings at positions that are divisible by {k}; the first position is 0."""
    return x[::k]


@WORDS.add(k=range(2, 6))
def shorten(x: list[str], k: int) -> list[str]:
    """Keep only the first {k} characters of every string, or all if there are not so many."""
    return [w[:k] for w in x]


@WORDS.add(k=range(2, 4))
def behead(x: list[str], k: int) -> list[str]:
    """Remove the first {k} characters of every string, or all if there are not so many; strings may become
    empty, but stay in the list.
    """
    return [w[k:] for w in x]


@WORDS.add(mark="-_*#.+")
def number_words(x: list[str], mark: str) -> list[str]:
    """Put its position in decimal and {mark!r} before every string; the first position is 0."""
    return [str(i) + mark + w for i, w in enumerate(x)]


@WORDS.add(mark="-_*#.+:=")
def append_length(x: list[str], mark: str) -> list[str]:
    """Append {mark!r} and its length in decimal to every string; the mark is not counted."""
    return [w + mark + str(len(w)) for w in x]


@WORDS.add()
def prefixes(x: list[str]) -> list[str]:
    """Replace every string by all strings up to and including it, written together."""
    return ["".join(x[: i + 1]) for i in range(len(x))]


@WORDS.add()
def neighbours(x: list[str]) -> list[str]:
    """Append to every string the first character of the next string in the list (nothing where that is
    empty); the last string gets that of the first.
    """
    return [w + x[(i + 1) % len(x)][:1] for i, w in enumerate(x)]


@WORDS.add(mark=["-", ",", "/", "+", ";", ":", "|", " ", ""])
def join_words(x: list[str], mark: str) -> str:
    """Write the strings into one, with {mark!r} between them; the empty list gives the empty string."""
    return mark.join(x)


@WORDS.add()
def initials(x: list[str]) -> str:
    """Write the first characters of the strings into one string; empty strings add nothing."""
    return "".join(w[:1] for w in x)


@WORDS.add()
def last_characters(x: list[str]) -> str:
    """Write the last characters of the strings into one string; empty strings add nothing."""
    return "".join(w[-1:] for w in x)


@WORDS.add()
def lengths(x: list[str]) -> list[int]:
    """Replace every string by its length."""
    return [len(w) for w in x]


@WORDS.add(c=_LETTERS)
def letter_counts(x: list[str], c: str) -> list[int]:
    """Replace every string by how many times the letter {c!r} occurs in it, small or capital."""
    return [w.lower().count(c) for w in x]


@WORDS.add(k=range(-3, 10))
def total_length(x: list[str], k: int) -> int:
    """Add {k} to the length of every string, and take the sum of the results (0 for the empty list)."""
    return sum(len(w) + k for w in x)


@WORDS.add(k=range(2, 12))
def weighted_lengths(x: list[str], k: int) -> int:
    """Multiply the length of every string by its position, where the first position counts as {k}, and take
    the sum of the results (0 for the empty list).
    """
    return sum(len(w) * (i + k) for i, w in enumerate(x))


@WORDS.add()
def distinct_words(x: list[str]) -> int:
    """Take the number of different strings; small and capital letters are the same."""
    return len({w.lower() for w in x})
