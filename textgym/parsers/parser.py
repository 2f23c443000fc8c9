"""The parser base class, its result, and the format reward that every parser can give.

Invariant: ``parse`` returns a result for every string, and a parser keeps no state between calls,
so that one object serves many episodes at once. This module knows no particular format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from textgym.errors import ConfigError
from textgym.types import Message

__all__ = [
    "Completed",
    "ExtractFn",
    "FormatReward",
    "ParseOutcome",
    "Parsed",
    "ParsedText",
    "Parser",
    "assistant_texts",
    "final_text",
]

Completed: TypeAlias = str | Sequence[Message]
"""What a policy wrote: one text, or messages of which those with the role ``assistant`` count."""
ExtractFn: TypeAlias = Callable[[str], str | None]
"""Takes the parsed answer and returns what to judge, or None where there is no answer in it."""


class ParseOutcome(StrEnum):
    """What a parser made of a text."""

    OK = "ok"
    """Everything the format asks for is there, once."""
    MISSING = "missing"
    """Something the format asks for is not there at all: no tag, no box, no text."""
    MALFORMED = "malformed"
    """It was begun and is unreadable: a tag or a brace that is never closed, or never opened."""
    AMBIGUOUS = "ambiguous"
    """There are several candidates that differ; the parser's rule picked one of them."""


class Parsed(Protocol):
    """What ``Parser.parse`` returns: fields of the parser's own, and how the parse went."""

    @property
    def outcome(self) -> ParseOutcome:
        """What the parser made of the text."""
        ...


@dataclass(frozen=True, slots=True)
class ParsedText:
    """The result of a parser that finds one thing."""

    answer: str | None
    """The answer without surrounding whitespace, or None where there is none."""
    outcome: ParseOutcome
    """What the parser made of the text."""


class Parser:
    """The whole text, without surrounding whitespace, is the answer. Base class of all parsers.

    A subclass overrides ``parse`` to return an object with an ``answer`` (or ``answer_of`` as well,
    to find the answer in another kind of result) and, where the format is more than the bare
    answer, ``render_answer`` and ``format_score`` (and ``trimmed``, where whitespace counts).

    Args:
        extract_fn: Applied to the answer by ``parse_answer``, for instance to take a number out of
            a sentence. It gets text that a model wrote: it should return None for what it cannot
            read.

    Example:
        >>> Parser().parse_answer("  forty-two ")
        'forty-two'
        >>> Parser(extract_fn=str.upper).parse_answer([{"role": "assistant", "content": "yes"}])
        'YES'
    """

    def __init__(self, extract_fn: ExtractFn | None = None) -> None:
        if extract_fn is not None and not callable(extract_fn):
            raise ConfigError(
                f"extract_fn is {extract_fn!r:.60}: it must be a function from the parsed answer "
                "to str or None"
            )
        self.extract_fn = extract_fn

    def parse(self, text: Completed) -> Any:
        """Find everything that the format defines.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            A ``Parsed``; here a ``ParsedText``. Blank text is ``MISSING``.
        """
        answer = final_text(text).strip()
        if not answer:
            return ParsedText(None, ParseOutcome.MISSING)
        return ParsedText(answer, ParseOutcome.OK)

    def answer_of(self, parsed: Any) -> str | None:
        """The answer in a result of ``parse``, before ``extract_fn``; None where there is none."""
        if parsed is None or isinstance(parsed, str):
            return parsed
        answer = getattr(parsed, "answer", None)
        return None if answer is None else str(answer)

    def parse_answer(self, completion: Completed) -> str | None:
        """The answer of a text, or of the last assistant message that holds one.

        Args:
            completion: A text, or a list of message dicts.

        Returns:
            The answer after ``extract_fn``, or None.

        Raises:
            ConfigError: ``completion`` is neither text nor messages.
        """
        for text in reversed(assistant_texts(completion)):
            answer = self._answer_in(text)
            if answer is not None:
                answer = self.extract(answer)
            if answer is not None:
                return answer
        return None

    def _answer_in(self, text: str) -> str | None:
        """The answer of one text before ``extract_fn``."""
        return self.answer_of(self.parse(text))

    def extract(self, answer: str) -> str | None:
        """What ``extract_fn`` makes of an answer; the answer itself where there is none."""
        return answer if self.extract_fn is None else self.extract_fn(answer)

    def trimmed(self, answer: str) -> str:
        """The answer as ``parse`` gives it back: without what the format does not keep around it."""
        return answer.strip()

    def render_answer(self, answer: str) -> str:
        """The answer in this format, not yet checked; ``format_answer`` checks it."""
        return answer

    def format_answer(self, answer: str) -> str:
        """A text in this format whose answer is ``answer``: what a perfect policy may write.

        Args:
            answer: The answer; whitespace around it is not kept.

        Returns:
            A text that earns the full format reward.

        Raises:
            ConfigError: No text of this format can hold this answer, for instance because it holds
                a closing tag or an unbalanced brace.
        """
        if not isinstance(answer, str):
            raise ConfigError(
                f"answer is {answer!r:.60} ({type(answer).__name__}): pass it as text, str(answer)"
            )
        text = self.render_answer(answer)
        if self.answer_of(self.parse(text)) != self.trimmed(answer):
            raise ConfigError(
                f"answer {answer!r:.80} cannot be written for {self!r}: the text {text!r:.120} "
                "does not parse back to it; an answer cannot hold the format's own delimiters"
            )
        return text

    def format_score(self, text: str) -> float:
        """How well one text keeps to the format, in [0, 1]; here 1.0 if the outcome is OK.

        Of a result without an ``outcome`` (the ``parse`` of a subclass may return anything), 1.0 if
        it holds an answer.
        """
        parsed = self.parse(text)
        outcome = getattr(parsed, "outcome", None)
        if outcome is None:
            return float(self.answer_of(parsed) is not None)
        return float(outcome is ParseOutcome.OK)

    def get_format_reward_func(self) -> FormatReward:
        """The reward function ``format(completion, **kwargs)`` of this parser, for a rubric."""
        return FormatReward(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class FormatReward:
    """Reward function named ``format``: how well the assistant's messages keep to the format.

    It is an object rather than a closure, so that environments that hold it can be pickled.

    Args:
        parser: Gives the ``format_score`` of one text.

    Example:
        >>> reward = Parser().get_format_reward_func()
        >>> reward.__name__, reward("4"), reward("")
        ('format', 1.0, 0.0)
    """

    __name__ = "format"
    __slots__ = ("parser",)

    def __init__(self, parser: Parser) -> None:
        self.parser = parser

    def __call__(self, completion: Completed, **kwargs: Any) -> float:
        """The mean format score over the assistant's messages.

        Args:
            completion: A text, or a list of message dicts.
            **kwargs: Whatever else a rubric hands out; not used.

        Returns:
            A number in [0, 1]; 0.0 where the assistant wrote no message.

        Raises:
            ConfigError: ``completion`` is neither text nor messages.
        """
        texts = assistant_texts(completion)
        if not texts:
            return 0.0
        return sum(self.parser.format_score(text) for text in texts) / len(texts)

    def __repr__(self) -> str:
        return f"FormatReward({self.parser!r})"


def assistant_texts(completion: Completed) -> list[str]:
    """The texts that the policy wrote, in order.

    Args:
        completion: A text, which is one answer, or messages, of which the assistant's count. Of a
            message whose content is a list of parts, the text parts count, joined.

    Returns:
        One string an assistant message; ``""`` where a message has no text (only tool calls).

    Raises:
        ConfigError: ``completion`` is neither text nor messages.

    Example:
        >>> question = {"role": "user", "content": "1+1?"}
        >>> assistant_texts([question, {"role": "assistant", "content": "2"}])
        ['2']
    """
    if isinstance(completion, str):
        return [completion]
    messages: Any = [completion] if isinstance(completion, Mapping) else completion
    if not isinstance(messages, Sequence) or not all(isinstance(m, Mapping) for m in messages):
        raise ConfigError(
            f"completion is {completion!r:.80} ({type(completion).__name__}): it must be the text "
            'of an answer, or a list of messages like {"role": "assistant", "content": "…"}'
        )
    return [_content_text(m.get("content")) for m in messages if m.get("role") == "assistant"]


def final_text(completion: Completed) -> str:
    """The text itself, or the text of the last assistant message, ``""`` where there is none.

    Raises:
        ConfigError: ``completion`` is neither text nor messages.
    """
    if isinstance(completion, str):
        return completion
    texts = assistant_texts(completion)
    return texts[-1] if texts else ""


def _content_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return ""
    parts = (part.get("text") if isinstance(part, Mapping) else part for part in content)
    return "".join(part for part in parts if isinstance(part, str))
