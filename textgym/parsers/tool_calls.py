"""``ToolCallParser``: the tool calls in what a model wrote.

Two forms, each in a pair of tags: ``<tool>{"name": …, "args": …}</tool>``, as prompts ask for it, and
``<tool_call>{"name": …, "arguments": …}</tool_call>``, in which native calls reach an environment. Either key is
understood in either form.

Invariant: no text makes the parser raise, and the time is linear in its length; what ``format`` writes, ``parse``
reads back. Nothing is repaired: what is no JSON is a malformed call with a reason. Calls are not checked against
any tool here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from textgym.errors import ConfigError
from textgym.parsers.parser import Completed, final_text

__all__ = ["ParsedCall", "ParsedCalls", "ToolCallParser", "read_arguments"]

MAX_DEPTH = 64
"""Deepest nesting of arguments that are read."""

_OPENING = re.compile(r"<(tool|tool_call)>")
_CANONICAL = re.compile(
    r'\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*+")\s*,\s*"(?:arguments|args)"\s*:\s*(.*)\}\Z', re.DOTALL
)
_SPACE = re.compile(r"[ \t\r\n]*+")
_THINKING, _THOUGHT = "<think>", "</think>"
_DECODER = json.JSONDecoder()
_MOST_BROKEN = 64
"""Blocks of broken JSON after which blocks are only cut at their closing tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCall:
    """One call."""

    name: str = ""
    """Name of the tool; "" where none can be read."""
    arguments: str = "{}"
    """The arguments as JSON text, as they were written where they stand apart."""
    fault: str = ""
    """Why the call is malformed, as a text for the model; "" if it is not."""
    start: int = 0
    """Where the block begins in the text."""
    end: int = 0
    """Where it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedCalls:
    """What ``ToolCallParser.parse`` found."""

    calls: tuple[ParsedCall, ...]
    """The calls in order, malformed ones among them."""
    dropped: int
    """How many further blocks there are beyond the parser's ``max_calls``."""
    content: str
    """The text without the blocks of well-formed calls: what stands beside ``tool_calls`` in a message."""
    thoughts: str
    """The leading ``<think>…</think>``, or ""."""
    spoken: str
    """The rest of the text without all blocks: where an answer may be."""


class ToolCallParser:
    """Finds tool calls in either form, several in one text.

    A block ends where its JSON ends, so that a tag within a string is text. The last block may lack its
    closing tag (a stop string takes it away) if its JSON is whole. Text in ``<think>…</think>`` at the
    beginning is thought: nothing in it is a call. Arguments may be left out, or be a text that holds the
    JSON (as OpenAI has it).

    Args:
        max_calls: Most calls that are taken from one text; the others are counted.

    Raises:
        ConfigError: ``max_calls`` is no positive whole number.

    Example:
        >>> found = ToolCallParser().parse('I add. <tool>{"name": "add", "args": {"a": 1}}</tool>')
        >>> found.calls[0].name, found.calls[0].arguments, found.content
        ('add', '{"a": 1}', 'I add.')
        >>> ToolCallParser().parse("<tool>add(1)</tool>").calls[0].fault
        'a tool call must be a JSON object like {"name": "…", "args": {…}}'
    """

    def __init__(self, max_calls: int = 32) -> None:
        if isinstance(max_calls, bool) or not isinstance(max_calls, int) or max_calls < 1:
            raise ConfigError(f"max_calls is {max_calls!r}: it must be a whole number of at least 1")
        self.max_calls = max_calls

    def parse(self, text: Completed, is_name: Callable[[str], bool] | None = None) -> ParsedCalls:
        """Find all calls.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.
            is_name: Whether a call may have this name, otherwise it is malformed; None: it may have any.
        """
        text = final_text(text)
        begin = _end_of_thoughts(text)
        calls: list[ParsedCall] = []
        spans: list[tuple[int, int]] = []
        for start, end, name, content in _blocks(text, begin):
            spans.append((start, end))
            if len(calls) < self.max_calls:
                call = _read(name, content, start, end)
                if not call.fault and is_name is not None and not is_name(call.name):
                    call = replace(call, fault=f"no tool has the name {call.name!r:.60}")
                calls.append(call)
        good = [(call.start, call.end) for call in calls if not call.fault]
        return ParsedCalls(
            calls=tuple(calls),
            dropped=len(spans) - len(calls),
            content=_without(text, good, 0) if good else text,
            thoughts=text[:begin],
            spoken=_without(text, spans, begin) if spans else text[begin:],
        )

    def format(
        self, name: str, arguments: Mapping[str, Any] | None = None, form: Literal["text", "native"] = "text"
    ) -> str:
        """Write one call: the inverse of ``parse``.

        Args:
            name: Name of the tool.
            arguments: Its arguments, JSON values.
            form: ``"text"`` for ``<tool>`` and ``"args"``, ``"native"`` for ``<tool_call>`` and ``"arguments"``.

        Raises:
            ConfigError: The arguments are no JSON.

        Example:
            >>> print(ToolCallParser().format("add", {"a": 1}))
            <tool>
            {"name": "add", "args": {"a": 1}}
            </tool>
        """
        tag, key = ("tool", "args") if form == "text" else ("tool_call", "arguments")
        try:
            call = json.dumps({"name": name, key: dict(arguments or {})}, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the arguments of {name!r} are no JSON: {error}") from error
        return f"<{tag}>\n{call}\n</{tag}>"

    def __repr__(self) -> str:
        return f"ToolCallParser(max_calls={self.max_calls})"


def read_arguments(text: str) -> tuple[dict[str, Any] | None, str]:
    """The arguments of a call.

    Args:
        text: JSON text as a model wrote it; blank text stands for no arguments.

    Returns:
        The object and "", or None and what is wrong with the text, for the model.

    Example:
        >>> read_arguments('{"a": 1}'), read_arguments("[1]")
        (({'a': 1}, ''), (None, 'the arguments must be a JSON object, like {"name": value}'))
    """
    if not text.strip():
        return {}, ""
    value, fault = _json(text)
    if isinstance(value, str):  # JSON within JSON, as OpenAI's protocol has it
        return read_arguments(value)
    if fault:
        return None, f"the arguments are no valid JSON: {fault}"
    if not isinstance(value, dict):
        return None, 'the arguments must be a JSON object, like {"name": value}'
    return value, ""


def _end_of_thoughts(text: str) -> int:
    """Where the leading thoughts end; a ``</think>`` within the JSON of a call is no end."""
    if not text.lstrip().startswith(_THINKING):
        return 0
    searched = 0
    while (end := text.find(_THOUGHT, searched)) >= 0:
        openings = list(_OPENING.finditer(text, searched, end))
        json_end = _end_of_object(text, _past_space(text, openings[-1].end())) if openings else None
        if json_end is None or json_end < end:
            return end + len(_THOUGHT)
        searched = json_end
    return 0


def _blocks(text: str, position: int) -> Iterator[tuple[int, int, str, str]]:
    """(start, end, tag, content) of every block, each character looked at a bounded number of times.

    ``closes`` holds the next place of each closing tag, so that a text of opening tags is not searched to its end
    again and again.
    """
    closes = {"tool": 0, "tool_call": 0}
    broken = 0
    while (opening := _OPENING.search(text, position)) is not None:
        tag, body = opening[1], opening.end()
        closing = f"</{tag}>"
        brace = _past_space(text, body)
        is_object = text.startswith("{", brace)
        end = _end_of_object(text, brace) if is_object and broken < _MOST_BROKEN else None
        if end is not None:
            after = _past_space(text, end)
            if text.startswith(closing, after) or after == len(text):
                position = min(after + len(closing), len(text))
                yield opening.start(), position, tag, text[body:end]
                continue
        broken += is_object
        if 0 <= closes[tag] < body:
            closes[tag] = text.find(closing, body)
        close = closes[tag]
        stop = close if close >= 0 else len(text)
        following = _OPENING.search(text, body, stop)
        if following is not None:
            stop = following.start()
        position = stop + len(closing) if close == stop else stop
        # Without an object, a tag that is never closed, or before another one, is a mention in a sentence.
        if is_object or (close == stop and following is None):
            yield opening.start(), position, tag, text[body:stop]


def _past_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


def _end_of_object(text: str, position: int) -> int | None:
    try:
        return _DECODER.raw_decode(text, position)[1]
    except (ValueError, RecursionError):
        return None


def _read(tag: str, content: str, start: int, end: int) -> ParsedCall:
    content = content.strip()
    parts = _CANONICAL.match(content)
    if parts is not None:  # the arguments stand apart: they are kept as they were written
        name, fault = _json(parts[1])
        raw = parts[2].strip()
        arguments, _ = read_arguments(raw)
        if arguments is not None and raw.startswith("{") and name:
            return ParsedCall(name=name, arguments=raw, start=start, end=end)
    value, fault = _json(content)
    if isinstance(value, dict):
        return _from_object(value, start, end)
    key = "args" if tag == "tool" else "arguments"
    name = ""
    if not content.startswith("{") or not fault:
        fault = f'a tool call must be a JSON object like {{"name": "…", "{key}": {{…}}}}'
    else:
        fault = f"the tool call is no valid JSON: {fault}"
        name = (_json(parts[1])[0] or "") if parts is not None else ""
    return ParsedCall(name=name, arguments=content, fault=fault, start=start, end=end)


def _from_object(value: dict[str, Any], start: int, end: int) -> ParsedCall:
    name = value.get("name")
    given = value.get("arguments", value.get("args"))
    written = json.dumps(given, ensure_ascii=False) if given is not None else "{}"
    arguments, fault = read_arguments(written)
    if not isinstance(name, str) or not name.strip():
        fault, name = 'the tool call has no "name": it must name a tool', ""
    elif isinstance(given, str) and arguments is not None:
        written = given if given.strip() else "{}"
    return ParsedCall(name=name, arguments=written, fault=fault, start=start, end=end)


def _json(text: str) -> tuple[Any, str]:
    """The value of a JSON text, or None and why it is none."""
    try:
        value = _STRICT.decode(text)
    except RecursionError:
        return None, "it is nested too deeply"
    except json.JSONDecodeError as error:
        hint = r" (a line break within a string is written \n)" if "control character" in error.msg else ""
        return None, f"{error.msg} at line {error.lineno}, column {error.colno}{hint}"
    except ValueError as error:
        return None, f"{error!s:.200}"
    return (None, "it is nested too deeply") if _depth(value) > MAX_DEPTH else (value, "")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is too large a number")
    return value


_STRICT = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _without(text: str, spans: list[tuple[int, int]], begin: int) -> str:
    """The text from a position on, without some spans of it; where one was cut out, spaces close up."""
    parts = []
    for start, end in spans:
        parts.append(text[begin:start].strip())
        begin = end
    parts.append(text[begin:].strip())
    return "\n".join(part for part in parts if part)
