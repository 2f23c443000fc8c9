"""The wording of the numbers game.

Invariant: part of what ``Countdown-v0`` is; a change of a character here is a change of the task.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SYSTEM_PROMPT", "question"]

SYSTEM_PROMPT = (
    "Reach the target with the given numbers. Use each of them exactly once (a number that is given twice, "
    "twice), and no others. You may use +, -, *, / and parentheses; what comes out in between may be a "
    "fraction or negative. Think first, then give one expression, in this form:\n"
    "<think>\n...\n</think>\n<answer>\n(1 + 2) * 3\n</answer>"
)
"""First message of every episode."""


def question(numbers: Sequence[int], target: int) -> str:
    """The numbers and the target in words.

    Example:
        >>> question([2, 3, 7], 42)
        'Numbers: 2, 3, 7. Target: 42.'
    """
    return f"Numbers: {', '.join(map(str, numbers))}. Target: {target}."
