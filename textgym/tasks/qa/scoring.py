"""Scoring: how an answer is compared with the gold answer of its row. Base class and common normal form.

Invariant: every ``score`` is in [0, 1], is total on every string, gives 0 for a blank answer, and gives 1 for
the row's own ``gold_text``; rows for which that cannot be (no answer, no number, no options) are named by
``problem`` before anything is played. How the answer is found in a text is the parser's business. The ways
to score are in ``scorings.py`` and ``choice.py``.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from textgym.types import Example

__all__ = ["SIMPLE", "Scoring", "normal", "without_tex_text"]

SIMPLE = str | int | float
"""What an answer or an option may be."""

_AT_END = ".,;:!?"
_LONGEST_COMPOSED = 1000
"""Longest text whose accents are composed: it takes time quadratic in a run of accents."""
_TEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")


def without_tex_text(text: str) -> str:
    r"""A text with ``\text{…}`` and its like replaced by what is in them: models write so in boxes.

    Example:
        >>> without_tex_text(r"\text{Paris}, \mathrm{a}")
        'Paris, a'
    """
    return _TEX_TEXT.sub(r"\1", text)


def normal(text: str) -> str:
    r"""A text apart from case, spacing, punctuation at its end (``. , ; : ! ?``) and TeX's ``\text{…}``.

    Example:
        >>> normal("  New   York. ") == normal("new york") == normal(r"\text{New York}")
        True
    """
    if len(text) <= _LONGEST_COMPOSED:
        text = unicodedata.normalize("NFC", text)
    text = " ".join(without_tex_text(text).casefold().split())
    return text.rstrip(_AT_END + " ")


class Scoring:
    """Base of the ways to score. A row's answer is a text, a number, or a list of equally good ones.

    Args:
        answer_after: Only what follows the last occurrence of this text in a gold answer is the answer
            (``"####"`` for worked solutions like those of GSM8K).
    """

    component = "correct"
    """Name of the reward component."""
    threshold = 1.0
    """Score from which an answer counts as right."""
    aim = "The answer is short: a word, a name or a number."
    """What the policy is told of the answer."""

    def __init__(self, answer_after: str | None = None) -> None:
        self.answer_after = answer_after

    def golds(self, example: Example) -> list[str]:
        """The gold answers as text, blank ones left out."""
        answer = example.answer
        answers = answer if isinstance(answer, list | tuple) else [answer]
        texts = [str(gold) for gold in answers if isinstance(gold, SIMPLE)]
        if self.answer_after:
            texts = [text.rpartition(self.answer_after)[2] for text in texts]
        return [text.strip() for text in texts if text.strip()]

    def gold_text(self, example: Example) -> str:
        """What a perfect policy answers."""
        return self.golds(example)[0]

    def problem(self, example: Example) -> str | None:
        """What makes a row unusable, or None."""
        answer = example.answer
        if answer is None:
            return "it has no answer"
        answers = answer if isinstance(answer, list | tuple) else [answer]
        odd = [gold for gold in answers if not isinstance(gold, SIMPLE)]
        if odd:
            return f"its answer holds {type(odd[0]).__name__} {odd[0]!r:.60}: it must be text or a number"
        if not self.golds(example):
            return "its answer is blank"
        return self.own_problem(example)

    def own_problem(self, example: Example) -> str | None:
        """The same for what this way of scoring needs besides an answer."""
        empty = [gold for gold in self.golds(example) if not self.score(gold, example)]
        return f"its answer {empty[0]!r:.60} would earn nothing itself" if empty else None

    def score(self, text: str, example: Example) -> float:
        """Compare a policy's answer.

        Args:
            text: The answer as the parser found it.
            example: The row.

        Returns:
            A number in [0, 1].
        """
        raise NotImplementedError

    def judge(self, completion: str, example: Example, parser: Any) -> Any:
        """The reward function: the score of the answer in a completion, 0.0 where there is none."""
        found = parser.parse_answer(completion)
        return 0.0 if found is None else self.score(found, example)
