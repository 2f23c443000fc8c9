"""What a guess tells: one mark a letter, exact where letters repeat.

Invariant: of a letter that the answer holds k times, at most k letters of a guess are marked as right,
those in the right place first, then from left to right. Nothing here knows a list of words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["ABSENT", "ELSEWHERE", "RIGHT", "broken_hint", "compare"]

RIGHT = "G"
"""The letter stands in this place."""
ELSEWHERE = "Y"
"""The letter stands in another place."""
ABSENT = "-"
"""The letter does not stand in the word (any more often)."""


def compare(guess: str, answer: str) -> str:
    """The marks of a guess.

    Args:
        guess: A word as long as the answer.
        answer: The hidden word.

    Returns:
        One of ``RIGHT``, ``ELSEWHERE`` and ``ABSENT`` for each letter.

    Example:
        >>> compare("geese", "elegy")
        'YYG--'
    """
    left = Counter(letter for letter, own in zip(answer, guess, strict=True) if letter != own)
    marks = []
    for letter, wanted in zip(guess, answer, strict=True):
        if letter == wanted:
            marks.append(RIGHT)
        elif left[letter]:
            left[letter] -= 1
            marks.append(ELSEWHERE)
        else:
            marks.append(ABSENT)
    return "".join(marks)


def broken_hint(guess: str, clues: Sequence[tuple[str, str]]) -> str | None:
    """The rule of hard mode: right letters stay in their place, and those that stand elsewhere are used.

    Args:
        guess: The new word.
        clues: (guess, marks) so far.

    Returns:
        What the guess does not keep to, or None.

    Example:
        >>> broken_hint("mount", [("crane", "--Y--")]), broken_hint("atlas", [("crane", "--Y--")])
        ('must use the letter A', None)
    """
    for word, marks in clues:
        for place, (letter, mark) in enumerate(zip(word, marks, strict=True)):
            if mark == RIGHT and guess[place] != letter:
                return f"must have {letter.upper()} as letter {place + 1}"
        known = Counter(letter for letter, mark in zip(word, marks, strict=True) if mark != ABSENT)
        for letter, count in known.items():
            if guess.count(letter) < count:
                often = "" if count == 1 else f" {count} times"
                return f"must use the letter {letter.upper()}{often}"
    return None
