"""Fenced code blocks of Markdown: where they are and what they are labelled.

Invariant: every line is looked at once. A fence is three or more backticks or tildes at the start
of a line, a closing one is at least as long as the opening one, and a block that is never closed
runs to the end of the text: the rules of CommonMark, except that a fence may be indented at will,
as in lists. This module does not know what is in a block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Fence", "fenced_blocks"]

# An information string after backticks holds no backtick: ```json {"a": 1}``` is a code span.
_FENCE = re.compile(r"^([ \t]*+)(`{3,}+|~{3,}+)[ \t]*+([^\n]*+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block."""

    language: str
    """First word of the opening line in lower case, ``""`` where there is none."""
    content: str
    """The lines between the fences, without the fence's own indentation."""
    closed: bool
    """Whether there is a closing fence."""


def fenced_blocks(text: str) -> list[Fence]:
    r"""All fenced blocks, in order.

    Example:
        >>> fenced_blocks("Try\n```python\nx = 1\n```\n")
        [Fence(language='python', content='x = 1', closed=True)]
    """
    blocks: list[Fence] = []
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        fence, rest = line[2], line[3].strip()
        if opened is None:
            if fence[0] == "~" or "`" not in rest:
                opened = line
        elif fence[0] == opened[2][0] and len(fence) >= len(opened[2]) and not rest:
            blocks.append(_block(opened, text[opened.end() + 1 : line.start()], True))
            opened = None
    if opened is not None:
        blocks.append(_block(opened, text[opened.end() + 1 :], False))
    return blocks


def _block(opened: re.Match[str], content: str, closed: bool) -> Fence:
    content = content.removesuffix("\n")
    if indent := len(opened[1]):
        content = re.sub(rf"^[ \t]{{1,{indent}}}", "", content, flags=re.MULTILINE)
    word = next(iter(opened[3].split(maxsplit=1)), "").lower()
    if word.startswith("{"):  # Pandoc writes {.python}
        word = word.strip("{}").removeprefix(".")
    return Fence(word, content, closed)
