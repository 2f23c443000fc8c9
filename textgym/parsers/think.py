"""``ThinkParser``: the text after the thinking, ``<think>…</think> answer``, and what is in it.

Invariant: thinking that was never closed holds no answer, so that a text that was cut in the middle
of it earns nothing for a draft. Tags are found with ``str.find``; what follows them is left to
another parser, if there is one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError
from textgym.parsers.parser import Completed, ExtractFn, ParseOutcome, Parser, final_text

__all__ = ["ParsedThink", "ThinkParser"]

_NAME = re.compile(r"[^\W\d_][\w-]*\Z")
_FILLER = "..."


@dataclass(frozen=True, slots=True)
class ParsedThink:
    """What ``ThinkParser.parse`` found."""

    thinking: str | None
    """The text up to the last closing tag, without its opening tag; None without a closed block."""
    answer: str | None
    """What follows it, or what the inner parser found there; None where there is none."""
    outcome: ParseOutcome
    """What the parser made of the text."""
    inner: Any = None
    """The inner parser's own result, where there is an inner parser and a text for it."""


class ThinkParser(Parser):
    """The answer is what follows the last ``</think>``.

    The opening tag may be absent, for chat templates put it into the prompt. Outcomes: MISSING
    without a closing tag (or with nothing after it), MALFORMED if a block is opened and not closed,
    AMBIGUOUS with several closing tags (the last one counts), else what the inner parser says, or
    OK.

    Args:
        extract_fn: Applied to the answer by ``parse_answer``, after the inner parser's own.
        inner: Finds the answer in what follows the thinking; by default all of it is the answer.
        required: Whether a text without any thinking is MISSING. False takes it as a whole: the
            ``MaybeThinkParser`` of ``verifiers``, for models that think only now and then (but a
            block that is opened and never closed is MALFORMED here, and not an answer).
        tag: Name of the tag.

    Raises:
        ConfigError: An argument is unusable.

    Example:
        >>> from textgym.parsers import BoxedParser
        >>> parser = ThinkParser(inner=BoxedParser())
        >>> parser.parse_answer(r"<think>maybe \\boxed{3}?</think> It is \\boxed{4}.")
        '4'
        >>> parser.parse(r"\\boxed{4}").outcome.value, ThinkParser(required=False).parse_answer("4")
        ('missing', '4')
    """

    def __init__(
        self,
        extract_fn: ExtractFn | None = None,
        *,
        inner: Parser | None = None,
        required: bool = True,
        tag: str = "think",
    ) -> None:
        super().__init__(extract_fn)
        if inner is not None and not isinstance(inner, Parser):
            raise ConfigError(f"inner is {inner!r:.60}: it must be a Parser, or None")
        if not isinstance(tag, str) or not _NAME.match(tag):
            raise ConfigError(f'tag is {tag!r:.60}: it must be the name of a tag, like "think"')
        self.inner = inner
        self.required = bool(required)
        self.tag = tag

    def parse(self, text: Completed) -> ParsedThink:
        """Split the text at the last closing tag.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            The thinking and the answer.
        """
        text = final_text(text)
        opening, closing = f"<{self.tag}>", f"</{self.tag}>"
        end = text.rfind(closing)
        rest = text if end < 0 else text[end + len(closing) :]
        if opening in rest:
            return ParsedThink(None, None, ParseOutcome.MALFORMED)
        if end < 0:
            if self.required:
                return ParsedThink(None, None, ParseOutcome.MISSING)
            return self._judged(None, rest, ParseOutcome.OK)
        thinking = text[:end].strip().removeprefix(opening).strip()
        several = text.find(closing) != end
        return self._judged(thinking, rest, ParseOutcome.AMBIGUOUS if several else ParseOutcome.OK)

    def _judged(self, thinking: str | None, rest: str, outcome: ParseOutcome) -> ParsedThink:
        rest = rest.strip()
        if not rest:
            return ParsedThink(thinking, None, ParseOutcome.MISSING)
        if self.inner is None:
            return ParsedThink(thinking, rest, outcome)
        found = self.inner.parse(rest)
        answer = self.inner.answer_of(found)
        inner = getattr(found, "outcome", ParseOutcome.MISSING if answer is None else ParseOutcome.OK)
        return ParsedThink(thinking, answer, outcome if inner is ParseOutcome.OK else inner, found)

    def extract(self, answer: str) -> str | None:
        """What the inner parser's ``extract_fn`` and then this one's make of an answer."""
        extracted = answer if self.inner is None else self.inner.extract(answer)
        return None if extracted is None else super().extract(extracted)

    def trimmed(self, answer: str) -> str:
        """The answer as the inner parser gives it back."""
        return answer.strip() if self.inner is None else self.inner.trimmed(answer)

    def render_answer(self, answer: str) -> str:
        """``<think>...</think>``, each tag on its own line, and the answer in the inner format."""
        rendered = answer if self.inner is None else self.inner.render_answer(answer)
        return f"<{self.tag}>\n{_FILLER}\n</{self.tag}>\n{rendered}"

    def format_score(self, text: str) -> float:
        """The rule of ``verifiers`` 0.1, times the inner parser's score of what follows the thinking.

        The rule holds (1.0, else 0.0) if there is one block, it comes first, and something follows.
        Its opening tag may be absent, unlike in verifiers; without ``required`` all of it may.
        """
        opening, closing = f"<{self.tag}>", f"</{self.tag}>"
        openings, closings = text.count(opening), text.count(closing)
        begins = openings == 0 or (openings == 1 and text.lstrip().startswith(opening))
        complete = closings == 1 or (openings == closings == 0 and not self.required)
        rest = text.rpartition(closing)[2].strip()
        if not (begins and complete and rest):
            return 0.0
        return 1.0 if self.inner is None else self.inner.format_score(rest)

    def __repr__(self) -> str:
        inner = "" if self.inner is None else f"inner={self.inner!r}, "
        return f"ThinkParser({inner}required={self.required}, tag={self.tag!r})"
