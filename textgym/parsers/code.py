"""``CodeParser``: the code in the last fenced block of a text.

Invariant: code is only found, never run, compiled or changed apart from blank lines before it and
whitespace after it, so that its indentation stays what the model wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textgym.errors import ConfigError
from textgym.parsers.fences import Fence, fenced_blocks
from textgym.parsers.parser import Completed, ExtractFn, ParseOutcome, Parser, final_text

__all__ = ["CodeParser", "ParsedCode"]

_ALIASES = {
    "bash": ("sh", "shell", "zsh", "console"),
    "c++": ("cpp", "cxx"),
    "c#": ("cs", "csharp"),
    "go": ("golang",),
    "javascript": ("js", "node"),
    "python": ("py", "python3", "py3"),
    "rust": ("rs",),
    "typescript": ("ts",),
}
_BLANK_LINES = re.compile(r"(?:[^\S\n]*+\n)++")
_TICKS = re.compile(r"`+")
_LABEL = re.compile(r"[^\s`{}]+\Z")


@dataclass(frozen=True, slots=True)
class ParsedCode:
    """What ``CodeParser.parse`` found."""

    answer: str | None
    """The code, or None where there is none."""
    outcome: ParseOutcome
    """What the parser made of the text."""
    language: str = ""
    """Label of its block in lower case, ``""`` where it has none."""
    all: tuple[str, ...] = ()
    """The code of every block that may be the answer, in order."""


class CodeParser(Parser):
    r"""The answer is the last fenced code block.

    With a ``language``, the blocks labelled with it count; where there is none of them, the blocks
    without a label; never those of another language, such as the output that a model shows after
    its program. Outcomes: MISSING without such a block, MALFORMED if the only ones are not closed,
    AMBIGUOUS if several differ or one of several is not closed, else OK.

    Args:
        language: Label to look for, or several; usual short forms count too (``py`` for
            ``python``). None takes every block.
        extract_fn: Applied to the code by ``parse_answer``; returns None for what it cannot read.
        pick: Which block counts, ``"last"`` or ``"first"``.
        unfenced: Whether a text without any fence is code as a whole.
        unclosed: Whether a block that the end of the text cuts is taken as it is: for sampling that
            stops at the closing fence.

    Raises:
        ConfigError: An argument is unusable.

    Example:
        >>> text = "```python\nprint(4)\n```\nwhich prints\n```\n4\n```"
        >>> CodeParser("python").parse_answer(text), CodeParser().parse_answer(text)
        ('print(4)', '4')
        >>> CodeParser().parse(text).all
        ('print(4)', '4')
    """

    def __init__(
        self,
        language: str | Sequence[str] | None = None,
        extract_fn: ExtractFn | None = None,
        *,
        pick: Literal["last", "first"] = "last",
        unfenced: bool = False,
        unclosed: bool = False,
    ) -> None:
        super().__init__(extract_fn)
        self.languages = _checked_languages(language)
        if pick not in ("last", "first"):
            raise ConfigError(f'pick is {pick!r}: it must be "last" or "first"')
        self.pick = pick
        self.unfenced = bool(unfenced)
        self.unclosed = bool(unclosed)
        self._labels = {label for name in self.languages for label in (name, *_ALIASES.get(name, ()))}

    def parse(self, text: Completed) -> ParsedCode:
        """Find the blocks that may be the answer and pick one.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            The code without blank lines before and whitespace after it, and all blocks.
        """
        text = final_text(text)
        fences = fenced_blocks(text)
        if not fences and self.unfenced and text.strip():
            code = self.trimmed(text)
            return ParsedCode(code, ParseOutcome.OK, "", (code,))
        asked = self._asked(fences)
        usable = [fence for fence in asked if fence.closed or self.unclosed]
        if not usable:
            return ParsedCode(None, ParseOutcome.MALFORMED if asked else ParseOutcome.MISSING)
        blocks = tuple(self.trimmed(fence.content) for fence in usable)
        picked = -1 if self.pick == "last" else 0
        single = len(set(blocks)) == 1 and len(usable) == len(asked)
        outcome = ParseOutcome.OK if single else ParseOutcome.AMBIGUOUS
        return ParsedCode(blocks[picked], outcome, usable[picked].language, blocks)

    def _asked(self, fences: list[Fence]) -> list[Fence]:
        if not self._labels:
            return fences
        labelled = [fence for fence in fences if fence.language in self._labels]
        return labelled or [fence for fence in fences if not fence.language]

    def answer_of(self, parsed: Any) -> str | None:
        """The code, or None."""
        answer: str | None = parsed.answer
        return answer

    def trimmed(self, answer: str) -> str:
        """The code without blank lines before it and whitespace after it."""
        code = answer.rstrip()
        blank = _BLANK_LINES.match(code)
        return code if blank is None else code[blank.end() :]

    def render_answer(self, answer: str) -> str:
        """A fenced block with a fence that is longer than any run of backticks in the code."""
        longest = max((len(run) for run in _TICKS.findall(answer)), default=0)
        fence = "`" * max(3, longest + 1)
        label = self.languages[0] if self.languages else ""
        return f"{fence}{label}\n{answer}\n{fence}"

    def format_score(self, text: str) -> float:
        """1.0 if the text holds code as asked for, else 0.0."""
        return float(self.parse(text).answer is not None)

    def __repr__(self) -> str:
        return f"CodeParser({', '.join(map(repr, self.languages))})"


def _checked_languages(language: Any) -> tuple[str, ...]:
    names = () if language is None else (language,) if isinstance(language, str) else tuple(language)
    for name in names:
        if not isinstance(name, str) or not _LABEL.match(name):
            raise ConfigError(
                f'language holds {name!r:.60}: it must be the label of a code block, like "python"'
            )
    return tuple(name.lower() for name in names)
