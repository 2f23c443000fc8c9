"""Multiple choice: which option an answer names.

Invariant: an answer names one option or none; one that names two, such as a letter with the text of another
option, names none. Rows whose options could be confused are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from textgym.tasks.qa.prompt import LETTERS
from textgym.tasks.qa.scoring import SIMPLE, Scoring, normal, without_tex_text
from textgym.types import Example

__all__ = ["Choice"]

_LONGEST_LETTER = 40
"""Longest text that is read as a letter, in characters."""
_LETTER = re.compile(
    r"(?:(?:the )?(?:correct |right )?(?:answer|option|choice)(?: is)? ?:? ?)?[\[(]?([A-Z])[])]?[.:]?",
    re.IGNORECASE | re.ASCII,
)
_LETTER_AND_TEXT = re.compile(
    r"[\[(]?([A-Z])(?:[])][.:]?|[.:]) ?(\S.*)", re.IGNORECASE | re.ASCII | re.DOTALL
)


class Choice(Scoring):
    """1.0 for the right option, named by its letter, by its text, or by both.

    The options are the row's ``choices``: a list, or a text like ``"Paris|Rome"`` or a JSON list. Its answer is
    the text of one of them, a letter, or a number that counts them from 0.
    """

    aim = "The answer is the letter of the right option."

    def options(self, example: Example) -> list[str]:
        """The texts of the options."""
        choices = example.info.get("choices")
        if isinstance(choices, str):
            choices = _json_list(choices) or choices.split("|")
        if not isinstance(choices, list | tuple) or not all(isinstance(each, SIMPLE) for each in choices):
            return []
        return [str(choice).strip() for choice in choices]

    def gold_text(self, example: Example) -> str:
        """The letter of the right option."""
        right = self._right(example)
        return LETTERS[right[0]] if len(right) == 1 else ""

    def own_problem(self, example: Example) -> str | None:
        """Options that are not there, not different, or no single one of them right."""
        options = self.options(example)
        if not 2 <= len(options) <= len(LETTERS):
            return f"it has {len(options)} choices: 2 to {len(LETTERS)} are needed, as a list under 'choices'"
        texts = [normal(option) for option in options]
        if "" in texts or len(set(texts)) < len(texts):
            return f"its choices {options!r:.120} are not all different and not blank"
        for index, option in enumerate(options):
            if _chosen(option, options) != index:
                return f"its choice {option!r:.60} reads like the letter of another one"
        right = self._right(example)
        if len(right) != 1:
            ways = "several" if right else "none"
            return f"its answer {example.answer!r:.60} names {ways} of its choices {options!r:.120}"
        return None

    def score(self, text: str, example: Example) -> float:
        """1.0 or 0.0."""
        chosen = _chosen(text, self.options(example))
        return float(chosen is not None and [chosen] == self._right(example))

    def _right(self, example: Example) -> list[int]:
        """The options that the gold answer may mean; one, in a usable row."""
        options, answer = self.options(example), example.answer
        found = {_chosen(gold, options) for gold in self.golds(example)} - {None}
        if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(options):
            found.add(answer)
        return sorted(index for index in found if index is not None)


def _json_list(text: str) -> list[Any]:
    try:
        value = json.loads(text) if text.lstrip().startswith("[") else []
    except (ValueError, RecursionError):
        return []
    return value if isinstance(value, list) else []


def _chosen(text: str, options: Sequence[str]) -> int | None:
    """The option that a text names, or None if it names none or two."""
    text = " ".join(without_tex_text(text).split())
    spelled = normal(text)
    named = {index for index, option in enumerate(options) if spelled == normal(option)}
    letter = _LETTER.fullmatch(text) if len(text) <= _LONGEST_LETTER else None
    if letter is not None:
        named |= _indices(letter[1], options)
    elif not named and (both := _LETTER_AND_TEXT.fullmatch(text)) is not None:
        named = {i for i in _indices(both[1], options) if normal(both[2]) == normal(options[i])}
    return named.pop() if len(named) == 1 else None


def _indices(letter: str, options: Sequence[str]) -> set[int]:
    index = LETTERS.index(letter.upper())
    return {index} if index < len(options) else set()
