"""Reward functions over text: the parsed answer against the gold answer, and the form of all answers.

Invariant: total on every string, linear time, and an answer that is missing earns 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["exact_match", "mean_format", "prefix_match"]


def exact_match(completion: Any, answer: Any, parser: Any = None) -> float:
    """1.0 if the parsed answer equals the gold answer, apart from surrounding whitespace.

    Args:
        completion: The text of the last answer.
        answer: The gold answer; compared as text.
        parser: Finds the answer in the text; without one the whole text is the answer.

    Returns:
        1.0 or 0.0.

    Example:
        >>> exact_match(" Paris ", "Paris"), exact_match("", "Paris"), exact_match("", "")
        (1.0, 0.0, 0.0)
    """
    found = completion if parser is None else parser.parse_answer(completion)
    if found is None or answer is None:
        return 0.0
    found = str(found).strip()
    return float(bool(found) and found == str(answer).strip())


def mean_format(completions: Sequence[str], parser: Any) -> float:
    """How well all answers of an episode keep to the format, on average.

    Args:
        completions: The texts of the answers.
        parser: Gives the ``format_score`` of one text.

    Returns:
        A number in [0, 1]; 0.0 where there was no answer.
    """
    return float(sum(map(parser.format_score, completions)) / max(len(completions), 1))


def prefix_match(completion: str, answer: str) -> float:
    """Share of the longer text that the common prefix covers: 1.0 only for equal texts.

    A smooth reward for models that have to learn to copy: every further right character pays, and
    every superfluous one costs.

    Args:
        completion: The text of the answer; surrounding whitespace does not count.
        answer: The gold text, not empty.

    Returns:
        Common prefix length / length of the longer text, in [0, 1].

    Example:
        >>> prefix_match("abc", "abc"), prefix_match("abx", "abcd"), prefix_match("", "a")
        (1.0, 0.5, 0.0)
    """
    completion = completion.strip()
    common = 0
    for got, wanted in zip(completion, answer, strict=False):
        if got != wanted:
            break
        common += 1
    return common / max(len(completion), len(answer), 1)
