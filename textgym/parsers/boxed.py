r"""``BoxedParser``: the last ``\boxed{…}`` or ``\fbox{…}`` of a mathematical text.

Invariant: one pass over the text with a stack of open braces, so that a megabyte of ``\boxed{``
costs time and memory linear in its length. This parser finds the box; it does not understand what
is in it.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from textgym.parsers.parser import Completed, ParsedText, ParseOutcome, Parser, final_text

__all__ = ["BoxedParser"]

_COMMAND = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z@])")
# A box with its opening brace (models also write the command with the doubled backslash of a JSON
# string), an escaped character (a brace after a backslash is only a character), or a brace.
_TOKEN = re.compile(r"(\\\\?(?:boxed|fbox)\s*\{)|\\.|([{}])", re.DOTALL)
_PLAIN = -1
_Span: TypeAlias = tuple[int, int]


class BoxedParser(Parser):
    r"""The answer is what the last ``\boxed{…}`` or ``\fbox{…}`` holds.

    Braces nest (``\boxed{\frac{1}{2}}``), and ``\{`` and ``\}`` are characters like any other.
    "Last" is the box that is opened last, so of boxes within boxes the innermost. A box that is
    never closed holds no answer: the one before it counts, if there is one.

    Outcomes: MISSING without any box, MALFORMED if none is closed, AMBIGUOUS if several hold
    different things or one of several is not closed (the last closed one is still the answer), else
    OK.

    Args:
        extract_fn: Applied to the answer by ``parse_answer``; returns None for what it cannot read.

    Example:
        >>> BoxedParser().parse_answer(r"So \boxed{3}, no: \boxed{\frac{1}{2}}.")
        '\\frac{1}{2}'
        >>> BoxedParser().parse(r"\boxed{3").outcome.value
        'malformed'
        >>> BoxedParser().format_answer("42")
        '\\boxed{42}'
    """

    def parse(self, text: Completed) -> ParsedText:
        r"""Find the last closed box.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            Its content without surrounding whitespace (``""`` for ``\boxed{}``), or None.
        """
        text = final_text(text)
        first = _COMMAND.search(text)
        if first is None:
            return ParsedText(None, ParseOutcome.MISSING)
        outermost, last, unclosed = _boxes(text, first.start())
        if last is None:
            return ParsedText(None, ParseOutcome.MALFORMED)
        contents = {text[start:end].strip() for start, end in outermost}
        single = len(contents) == 1 and not unclosed
        answer = text[last[0] : last[1]].strip()
        return ParsedText(answer, ParseOutcome.OK if single else ParseOutcome.AMBIGUOUS)

    def render_answer(self, answer: str) -> str:
        r"""``\boxed{answer}``."""
        return rf"\boxed{{{answer}}}"

    def format_score(self, text: str) -> float:
        """1.0 if the text holds a closed box, else 0.0."""
        return float(self.parse(text).answer is not None)

    def answer_of(self, parsed: Any) -> str | None:
        """The content of the box, or None."""
        answer: str | None = parsed.answer
        return answer


def _boxes(text: str, position: int) -> tuple[list[_Span], _Span | None, bool]:
    """The outermost closed boxes, the closed box opened last, and whether some box stays open.

    Spans are those of the contents.
    """
    open_braces: list[int] = []
    outermost: list[_Span] = []
    last: _Span | None = None
    for token in _TOKEN.finditer(text, position):
        if token.lastindex == 1:
            open_braces.append(token.end())
        elif token.lastindex == 2:
            if token[2] == "{":
                open_braces.append(_PLAIN)
            elif open_braces and (start := open_braces.pop()) != _PLAIN:
                box = (start, token.start())
                # Every box is dropped from the list at most once, which keeps the pass linear.
                while outermost and outermost[-1][0] > start:
                    outermost.pop()
                outermost.append(box)
                if last is None or start > last[0]:
                    last = box
    return outermost, last, any(start != _PLAIN for start in open_braces)
