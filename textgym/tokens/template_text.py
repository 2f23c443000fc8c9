"""A chat template at the level of text: whole conversations, and what follows an answer.

Invariant: an answer of the policy never passes through the template. What follows it is found by
rendering a short dummy conversation that ends in a sentinel and the new messages, and taking the
text behind the sentinel; for every shape of new messages it has been checked that each of them
stands there exactly once and in order. This module knows no token ids.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from textgym.errors import TemplateError
from textgym.types import Message, ToolCall

__all__ = ["TemplateText"]

_SENTINEL = f"answer{secrets.token_hex(8)}"
"""Stands for what the policy has sampled: letters and digits, which no template changes. It is not
guessable, so that no text of an environment contains it; no id depends on it."""
_QUESTION = "question"
_PROBE_TOOL = {
    "type": "function",
    "function": {
        "name": "probe",
        "description": "Probe.",
        "parameters": {
            "type": "object",
            "properties": {"value": {"type": "string", "description": "Value."}},
            "required": ["value"],
        },
    },
}


class _Content(Enum):
    """In which form a template reads the content of a message."""

    TEXT = "text"
    PARTS = "parts"


class _Calls(Enum):
    """In which form a template reads the tool calls that tool messages answer."""

    DICT = "arguments as a dict"
    JSON = "arguments as JSON text"
    NONE = "no tool calls: an answer of text"


@dataclass(frozen=True, slots=True)
class _Call:
    """One tool call of the dummy conversation."""

    id: str
    name: str


_PROBE_CALL = _Call("call_0_0", "probe")
_PROBE_ANSWER = {"role": "tool", "content": "", "name": "probe", "tool_call_id": "call_0_0"}


class TemplateText:
    """Renders messages with the chat template of a tokenizer.

    Args:
        tokenizer: Has ``apply_chat_template`` as Hugging Face tokenizers do.
        arguments: Keyword arguments of every call of it (``chat_template``, ``enable_thinking`` …).
        markers: Texts of the tokenizer's special tokens.
        hide: Applied to the text of every message but the assistant's.

    Attributes:
        user_refusal: Why no user message can follow an answer; empty if it can.
        tool_refusal: Why no tool message can; empty if it can.

    Raises:
        TemplateError: The template cannot even render one user message.
    """

    def __init__(
        self,
        tokenizer: Any,
        arguments: Mapping[str, Any],
        markers: Sequence[str],
        hide: Callable[[str], str] = str,
    ) -> None:
        self._tokenizer = tokenizer
        self._hide = hide
        self._arguments = dict(arguments)
        self._markers = [marker for marker in markers if marker]
        self._checked: dict[tuple[Any, ...], int] = {}
        self._content, self._calls = _Content.TEXT, _Calls.NONE
        self._close = ""
        self.user_refusal = self._probe_content()
        self.tool_refusal = self._probe_calls()
        self.whole([{"role": "user", "content": _QUESTION}])

    def whole(self, messages: Sequence[Message], tools: Any = None) -> str:
        """A whole conversation, up to where the next answer begins.

        Raises:
            TemplateError: The template refuses it.
        """
        return self._render([self._plain(message) for message in messages], tools)

    def following(
        self, messages: Sequence[Message], tools: Any = None, tool_calls: Sequence[Any] = ()
    ) -> str:
        """What follows an answer: its close, the new messages, the opening of the next answer.

        Args:
            messages: The new messages.
            tools: Schemas of the tools on offer, or None.
            tool_calls: What the tool messages among them answer, in order.

        Raises:
            TemplateError: The template refuses them, or leaves some of them out.
        """
        messages = [self._plain(message) for message in messages]
        calls = _answered(messages, tool_calls)
        if calls and self.tool_refusal:
            raise TemplateError(f"tool messages cannot follow an answer: {self.tool_refusal}")
        return self._behind(messages, tools, self._shown_calls(messages, tools, calls))

    @property
    def source(self) -> str:
        """The Jinja text of the template, as far as it is known."""
        template = self._arguments.get("chat_template") or getattr(self._tokenizer, "chat_template", None)
        return template if isinstance(template, str) else json.dumps(template, sort_keys=True)

    @property
    def closes(self) -> list[str]:
        """What follows an answer of text, and one that calls a tool, where the template can continue them."""
        closes = []
        if not self.user_refusal:
            closes.append(self._close or self.following([{"role": "user", "content": _QUESTION}]))
        if not self.tool_refusal:
            closes.append(self._tool_close())
        return closes

    def _tool_close(self) -> str:
        frame = self._frame([_PROBE_CALL])
        end = self._after_sentinel(frame, [_PROBE_TOOL], opened=False)
        if "tool_calls" in frame[1]:
            end = end[len(self._call_syntax(frame, [_PROBE_TOOL])) :]
        return end or self.following([_PROBE_ANSWER], [_PROBE_TOOL])

    def _behind(self, messages: list[Message], tools: Any, calls: Sequence[_Call]) -> str:
        frame = self._frame(calls)
        text = self._after_sentinel([*frame, *messages], tools)
        if len(frame) == 2 and "tool_calls" not in frame[1]:
            return text
        syntax = self._call_syntax(frame, tools)
        if not text.startswith(syntax):
            raise TemplateError(
                f"the template ends a tool call with {syntax!r:.80} where it comes last and with "
                f"{text[: len(syntax)]!r:.80} where tool messages follow: where an answer ends is unknown"
            )
        return text[len(syntax) :]

    def _frame(self, calls: Sequence[_Call]) -> list[Message]:
        question = self._plain({"role": "user", "content": _QUESTION})
        if not calls or self._calls is _Calls.NONE:
            return [question, self._plain({"role": "assistant", "content": _SENTINEL})]
        entries = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": {"value": "v"}}}
            for call in calls
        ]
        entries[-1]["function"]["arguments"] = {"value": _SENTINEL}  # type: ignore[index]
        return [question, self._plain({"role": "assistant", "content": "", "tool_calls": entries})]

    def _call_syntax(self, frame: list[Message], tools: Any) -> str:
        """What the policy itself writes behind the last argument of its last call."""
        end = self._after_sentinel(frame, tools, opened=False)
        if end.endswith(self._close):
            return end[: len(end) - len(self._close)]
        # Another close than that of an answer in text: the last special token.
        start = max((end.rfind(marker) for marker in self._markers), default=-1)
        return end if start < 0 else end[:start]

    def _after_sentinel(self, messages: list[Message], tools: Any, *, opened: bool = True) -> str:
        _, found, text = self._render(messages, tools, opened=opened).partition(_SENTINEL)
        if not found:
            raise TemplateError("the template leaves out what an assistant message says")
        return text

    def _shown_calls(self, messages: list[Message], tools: Any, calls: list[_Call]) -> list[_Call]:
        """The calls of the dummy answer: all; or the last or none, for templates that know no parallel calls.

        Found out once for each shape of messages, with marks instead of contents.
        """
        roles = tuple(message.get("role") for message in messages)
        choices = [calls, calls[-1:], []] if len(calls) > 1 else [calls]
        shape = (roles, bool(tools))
        if shape not in self._checked:
            refusals = [self._refusal(messages, tools, choice) for choice in choices]
            if "" not in refusals:
                names = ", ".join(map(str, roles))
                raise TemplateError(f"messages of {names} cannot follow an answer: {refusals[0]}")
            self._checked[shape] = refusals.index("")
        return choices[self._checked[shape]]

    def _refusal(self, messages: list[Message], tools: Any, calls: Sequence[_Call]) -> str:
        marks = [f"mark{number}x{_SENTINEL[6:]}" for number in range(len(messages))]
        marked = [
            {**message, "content": self._form(mark)} for message, mark in zip(messages, marks, strict=True)
        ]
        try:
            text = self._behind(marked, tools, calls)
        except TemplateError as error:
            return str(error)
        position = 0
        for mark, message in zip(marks, messages, strict=True):
            found = text.find(mark, position)
            if found < 0 or text.count(mark) != 1:
                where = "leaves out, moves or repeats"
                return f"the template {where} a {message.get('role')} message that follows an answer"
            position = found
        return ""

    def _probe_content(self) -> str:
        refusals = []
        for self._content in _Content:
            refusal = self._refusal([self._plain({"role": "user", "content": ""})], None, ())
            if not refusal:
                self._close = self._after_sentinel(self._frame(()), None, opened=False)
                return ""
            refusals.append(refusal)
        self._content = _Content.TEXT
        return refusals[0]

    def _probe_calls(self) -> str:
        if self.user_refusal:
            return self.user_refusal
        refusals = []
        for self._calls in _Calls:
            refusal = self._refusal([self._plain(_PROBE_ANSWER)], [_PROBE_TOOL], [_PROBE_CALL])
            if not refusal:
                return ""
            refusals.append(refusal)
        return refusals[-1]

    def _plain(self, message: Message) -> Message:
        """A message in the form that the template reads."""
        plain = {key: value for key, value in message.items() if value is not None}
        # An answer's own text is what templates look into, for reasoning and calls.
        hide = str if message.get("role") == "assistant" else self._hide
        plain["content"] = self._form(message.get("content"), hide)
        calls = message.get("tool_calls")
        if calls:
            plain["tool_calls"] = [self._plain_call(call) for call in calls]
        return plain

    def _form(self, content: Any, hide: Callable[[str], str] = str) -> Any:
        if content is None:
            content = ""
        if not isinstance(content, str):
            content = "".join(_part_text(part) for part in content)
        content = hide(content)
        return content if self._content is _Content.TEXT else [{"type": "text", "text": content}]

    def _plain_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        function = dict(call.get("function", call))
        arguments = function.get("arguments")
        if self._calls is _Calls.JSON and not isinstance(arguments, str):
            function["arguments"] = json.dumps(arguments, ensure_ascii=False)
        elif self._calls is not _Calls.JSON and isinstance(arguments, str):
            function["arguments"] = _parsed(arguments)
        return {"id": call.get("id", ""), "type": "function", "function": function}

    def _render(self, messages: list[Message], tools: Any, *, opened: bool = True) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                messages,
                tools=list(tools) if tools else None,
                add_generation_prompt=opened,
                tokenize=False,
                **self._arguments,
            )
        except ImportError:
            raise
        except Exception as error:  # templates raise whatever Jinja and their own code raise
            raise TemplateError(f"the chat template refuses: {type(error).__name__}: {error}") from error
        if not isinstance(text, str):
            raise TemplateError(
                f"apply_chat_template(…, tokenize=False) gave {type(text).__name__}: it must give a str"
            )
        return text


def _answered(messages: Sequence[Message], tool_calls: Sequence[Any]) -> list[_Call]:
    """The calls that the tool messages answer: what they say themselves, else what the policy said."""
    given = [_identity(call) for call in tool_calls]
    names = {call.id: call.name for call in given}
    calls: list[_Call] = []
    for message in messages:
        if message.get("role") != "tool":
            continue
        other = given[len(calls)] if len(calls) < len(given) else _Call(f"call_{len(calls)}", "tool")
        number = str(message.get("tool_call_id") or other.id)
        calls.append(_Call(number, str(message.get("name") or names.get(number) or other.name)))
    return calls


def _identity(call: Any) -> _Call:
    if isinstance(call, ToolCall):
        return _Call(call.id, call.name)
    return _Call(str(call.get("id", "")), str(call.get("function", call).get("name", "")))


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise TemplateError(f"a message has the content part {part!r:.80}: only text can become tokens here")


def _parsed(arguments: str) -> Any:
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
