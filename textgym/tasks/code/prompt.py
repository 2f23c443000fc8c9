"""The wording around a specification.

Invariant: part of what ``Code-v0`` is; a change of a character here is a change of the task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textgym.tasks.code.step import Call

__all__ = ["ARGUMENTS", "FUNCTION", "SYSTEM_PROMPT", "called", "question"]

FUNCTION = "solve"
"""Name of the function."""
ARGUMENTS = {"list[int]": "numbers", "str": "text", "list[str]": "words", "int": "number"}
"""Type -> name of the argument."""
_TAKEN = {
    "list[int]": "a list of whole numbers",
    "str": "a string",
    "list[str]": "a list of strings",
    "int": "a whole number of at least 0",
}

SYSTEM_PROMPT = (
    "Write a Python function that does what is asked. Think first, then give the whole program in one block:\n"
    "```python\n...\n```\n"
    "I call the function with the inputs of hidden tests, unusual ones such as empty ones among them. Every "
    "result has to be right, in its value and in its type: 1.0 or True is not 1. The program may run for "
    "{seconds:g} seconds, with the standard library and without files or network.{attempts}"
)
"""First message of every episode."""


def question(calls: Sequence[Call], examples: Iterable[tuple[Sequence[Any], Any]]) -> str:
    """A specification in words.

    Args:
        calls: The steps.
        examples: Arguments and results that are shown.
    """
    takes, gives = calls[0].step.takes, calls[-1].step.gives
    lines = [
        f"Write the function {FUNCTION}({ARGUMENTS[takes]}: {takes}) -> {gives}. It gets {_TAKEN[takes]}, "
        "takes the following steps in this order, each with the result of the one before, and returns the "
        "last result.",
        *(f"{number}. {call.sentence}" for number, call in enumerate(calls, 1)),
        "",
        "Examples:",
        *(f"{called(FUNCTION, arguments)} returns {result!r}" for arguments, result in examples),
    ]
    return "\n".join(lines)


def called(function: str, arguments: Sequence[Any]) -> str:
    """A call as it is written in Python.

    Example:
        >>> called("solve", [[1, 2], "a"])
        "solve([1, 2], 'a')"
    """
    return f"{function}({', '.join(map(repr, arguments))})"
