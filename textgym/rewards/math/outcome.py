"""What a verdict on a mathematical answer can be."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["MathOutcome"]


class MathOutcome(StrEnum):
    """The verdict on an answer. Only ``CORRECT`` earns a reward."""

    CORRECT = "correct"
    """It means the same as the gold answer."""
    WRONG = "wrong"
    """It was read, and does not mean the same, or could not be shown to; several different answers are wrong."""
    UNPARSABLE = "unparsable"
    """There is no answer, or no reader understood it."""
    TIMEOUT = "timeout"
    """Judging it used up the time or memory that one answer may have; its author chose it so."""
