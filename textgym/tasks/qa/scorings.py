"""The ways to score by name: exact text, numbers, formulas, options, sets of items, common words."""

from __future__ import annotations

import re
import string
from collections import Counter
from typing import Any

from textgym.rewards import number_match, read_number
from textgym.tasks.qa.choice import Choice
from textgym.tasks.qa.scoring import Scoring, normal, without_tex_text
from textgym.types import Example

__all__ = ["F1", "SCORINGS", "Exact", "ItemSet", "Math", "Numeric"]

_BRACKETS = {"{": "}", "[": "]", "(": ")"}
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class Exact(Scoring):
    """1.0 for a text that is ``normal`` to one of the gold answers."""

    def score(self, text: str, example: Example) -> float:
        """1.0 or 0.0."""
        answer = normal(text)
        return float(bool(answer) and any(answer == normal(gold) for gold in self.golds(example)))


class Numeric(Scoring):
    """1.0 for a number that is exactly equal; ``0.50``, ``1/2`` and ``\\frac{1}{2}`` are."""

    aim = "The answer is one number, without a unit."

    def own_problem(self, example: Example) -> str | None:
        """A gold answer that is no plain number."""
        odd = [gold for gold in self.golds(example) if read_number(gold) is None]
        return f"its answer {odd[0]!r:.60} is no plain number" if odd else None

    def score(self, text: str, example: Example) -> float:
        """1.0 or 0.0."""
        return max(number_match(text, gold) for gold in self.golds(example))


class Math(Scoring):
    """1.0 for what ``textgym.rewards.math_match`` takes to mean the same; a coroutine judges it."""

    aim = "The answer is a number or a formula."

    def own_problem(self, example: Example) -> str | None:
        """Nothing: every text may be a formula."""
        return None

    async def judge(self, completion: str, example: Example, parser: Any) -> float:
        """The reward function: 1.0 if one of the gold answers matches."""
        from textgym.rewards.math import math_match

        for gold in self.golds(example):
            if await math_match(completion, gold, parser):
                return 1.0
        return 0.0


class ItemSet(Scoring):
    """1.0 for the same items, separated by commas, in any order; repeated ones count once."""

    aim = "The answer is a list of items, separated by commas, in any order."

    def gold_text(self, example: Example) -> str:
        """The items of the gold answer."""
        return ", ".join(self.golds(example))

    def golds(self, example: Example) -> list[str]:
        """The items of the gold answer, each of which is needed."""
        if isinstance(example.answer, list | tuple):
            return super().golds(example)
        return [item for text in super().golds(example) for item in _items(text)]

    def own_problem(self, example: Example) -> str | None:
        """An item that holds a comma, or is nothing but punctuation."""
        for gold in self.golds(example):
            if "," in gold or not normal(gold):
                return f"its answer has the item {gold!r:.60}: an item holds no comma and is not blank"
        return None

    def score(self, text: str, example: Example) -> float:
        """1.0 or 0.0."""
        wanted = {normal(gold) for gold in self.golds(example)}
        return float({normal(item) for item in _items(text)} - {""} == wanted)


class F1(Scoring):
    """Token F1 of SQuAD: words apart from case, punctuation and articles; the best of several gold answers.

    The measure of Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text"
    (arXiv:1606.05250, section 6.1), as its script ``evaluate-v1.1.py`` computes it, but a blank answer earns 0.
    An answer counts as right from 0.8 on: one that adds a second word to a gold answer of one reaches 0.67.
    """

    component = "f1"
    threshold = 0.8
    aim = "The answer is a few words."

    def score(self, text: str, example: Example) -> float:
        """The F1, in [0, 1]."""
        answer = _tokens(text)
        return max((_f1(answer, _tokens(gold)) for gold in self.golds(example)), default=0.0)


SCORINGS: dict[str, type[Scoring]] = {
    "exact": Exact,
    "numeric": Numeric,
    "math": Math,
    "choice": Choice,
    "set": ItemSet,
    "f1": F1,
}
"""Name -> way to score."""


def _items(text: str) -> list[str]:
    """The parts between commas, without the brackets of a set or a list around all of them."""
    text = text.strip().replace("\\{", "{").replace("\\}", "}")
    if len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]:
        text = text[1:-1]
    return [item.strip() for item in text.split(",") if item.strip()]


def _tokens(text: str) -> Counter[str]:
    """The words of a text as SQuAD counts them."""
    return Counter(_ARTICLES.sub(" ", without_tex_text(text).lower().translate(_PUNCTUATION)).split())


def _f1(answer: Counter[str], gold: Counter[str]) -> float:
    common = (answer & gold).total()
    if not common:
        return 0.0
    # With precision common/answer and recall common/gold, 2PR / (P + R) comes to this.
    return 2 * common / (answer.total() + gold.total())
