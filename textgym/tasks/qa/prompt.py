"""The wording around a question, and the parsers that belong to it.

Invariant: part of what ``QA-v0`` is; a change of a character here is a change of the task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textgym.parsers import BoxedParser, JSONParser, Parser, ThinkParser, XMLParser

__all__ = ["FORMATS", "LETTERS", "PARSERS", "with_options"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Names of the options of a question, in order."""

FORMATS = {
    "none": "Reply with the answer alone.",
    "boxed": "Give the final answer in \\boxed{}.",
    "xml": "Give the final answer in <answer>…</answer> tags.",
    "think": "You may think first, in <think>…</think> tags; then write the answer alone.",
    "json": 'Give the final answer as a JSON object: {"answer": "…"}',
}
"""Name of a parser -> how the policy is told to answer."""

PARSERS: dict[str, Callable[[], Parser]] = {
    "none": Parser,
    "boxed": BoxedParser,
    "xml": lambda: XMLParser(["answer"]),
    "think": lambda: ThinkParser(required=False),
    "json": JSONParser,
}
"""Name -> the parser."""


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options below, each after its letter.

    Example:
        >>> print(with_options("Which is a fruit?", ["pear", "leek"]))
        Which is a fruit?
        <BLANKLINE>
        A. pear
        B. leek
    """
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, "", *lines])
