"""``ChatTemplate``: messages to exact token ids, turn after turn, without touching what was sampled.

Invariant: ``bridge`` only ever returns ids to append. The ids that a policy sampled are neither
rendered nor encoded again, so ``prompt + sampled + bridge + sampled + …`` is, id by id, what the
policy saw. This module does not record anything (``TokenStream`` does) and asks no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any

import numpy as np

from textgym.errors import ConfigError, MissingExtra
from textgym.tokens.arrays import IdArray, token_array
from textgym.tokens.encoder import Encoder
from textgym.tokens.plain_text import PlainText
from textgym.tokens.renderer import RendererTokens, is_renderer
from textgym.tokens.template_text import TemplateText
from textgym.types import Message

__all__ = ["Bridges", "ChatTemplate", "History"]

_LONGEST_CLOSE = 64
"""Ids at the end of an answer that are compared with the close of a turn."""


class History(StrEnum):
    """What a policy sees of its own earlier answers."""

    APPEND = "append"
    """All of it, reasoning included: one growing sequence."""
    TEMPLATE = "template"
    """What the template shows: at each new user message everything is rendered anew. Where the template
    drops old reasoning, that begins a new segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridges:
    """For which kinds of turns a template can continue a conversation."""

    user: str = ""
    """Why user messages cannot follow an answer; empty where they can."""
    tool: str = ""
    """Why tool messages cannot; empty where they can."""


class ChatTemplate:
    """The chat template of a tokenizer, for conversations that only ever grow.

    Safe to use from several threads.

    Args:
        tokenizer: A Hugging Face tokenizer; a ``tokenizers.Tokenizer`` (give ``chat_template``); or a
            renderer of the ``renderers`` package.
        chat_template: Jinja text instead of the tokenizer's own template.
        history: What the policy sees of its earlier answers. A renderer decides that itself.
        template_kwargs: Further variables of the template, such as ``{"enable_thinking": False}``.
        sanitize: Whether special tokens in the text of user, tool and system messages become the letters they
            are written with, so that no environment's text can close its message or open another one. The
            text of assistant messages, which templates look into, and bare text (``encode``) are encoded as they
            are. A renderer decides that itself.

    Attributes:
        bridges: What the template can continue, found out by rendering dummy conversations.
        stop_ids: Ids with which an answer ends, as far as they are known.

    Raises:
        ConfigError: It is no tokenizer, or has no chat template.
        TemplateError: The template cannot even render one user message.
        MissingExtra: A ``tokenizers.Tokenizer`` was given without transformers.

    Example:
        >>> from textgym.testing import ToyTokenizer
        >>> template = ChatTemplate(ToyTokenizer())
        >>> ids = template.initial([{"role": "user", "content": "Hi"}])
        >>> sampled = [72, 111, 256]                     # "Ho" and the stop token
        >>> more = template.bridge([*ids, *sampled], [{"role": "user", "content": "Hm"}])
        >>> more.tolist()                                # user, "H", "m", end, assistant
        [258, 72, 109, 256, 259]
    """

    def __init__(
        self,
        tokenizer: Any,
        *,
        chat_template: str | None = None,
        history: str = History.APPEND,
        template_kwargs: Mapping[str, Any] | None = None,
        sanitize: bool = True,
    ) -> None:
        if history not in list(History):
            raise ConfigError(f"history is {history!r}: it must be one of {', '.join(History)}")
        self.history = History(history)
        self.template_kwargs = dict(template_kwargs or {})
        self.sanitize = sanitize
        self.bridges = Bridges()
        self._renderer: RendererTokens | None = None
        if is_renderer(tokenizer):
            if chat_template is not None or template_kwargs or history != History.APPEND:
                raise ConfigError(
                    "chat_template, history and template_kwargs belong to a tokenizer: configure the "
                    "renderer itself"
                )
            self.tokenizer = tokenizer
            self._renderer = RendererTokens(tokenizer)
            self.stop_ids = self._renderer.stop_ids
            return
        self.tokenizer = _tokenizer(tokenizer, chat_template)
        arguments = dict(self.template_kwargs)
        if chat_template is not None:
            arguments["chat_template"] = chat_template
        self._encoder = Encoder(self.tokenizer)
        self._plain = PlainText(self._encoder.specials if sanitize else ())
        self._text = TemplateText(
            self.tokenizer, arguments, tuple(self._encoder.markers.values()), self._plain.hide
        )
        self.bridges = Bridges(user=self._text.user_refusal, tool=self._text.tool_refusal)
        self.stop_ids = self._found_stop_ids()

    @classmethod
    def of(cls, value: Any) -> ChatTemplate:
        """A template as it is, or the one of a tokenizer or renderer.

        Raises:
            ConfigError: As for ``ChatTemplate``.
        """
        return value if isinstance(value, cls) else cls(value)

    def initial(self, messages: Sequence[Message], tools: Any = None) -> IdArray:
        """Render a whole conversation, up to where the policy's answer begins.

        Args:
            messages: The messages in OpenAI form.
            tools: Schemas of the tools on offer, or None.

        Returns:
            int32 ids of shape ``(n,)``.

        Raises:
            TemplateError: The template refuses them; the message says why.
        """
        if self._renderer is not None:
            return self._renderer.initial(messages, tools)
        first, *others = self._plain.parts(self._text.whole(messages, tools))
        return self._joined(self._encoder.encode(first), others)

    def bridge(
        self,
        ids: Any,
        new_messages: Sequence[Message],
        *,
        tools: Any = None,
        tool_calls: Sequence[Any] = (),
        sampled: int | None = None,
    ) -> IdArray | None:
        """The ids to append after an answer so that the policy can give its next one.

        They close the answer, unless its end does so already (a sampled stop token is not repeated; an
        answer that was cut gets the close that it lacks; another stop token stays and the close follows),
        hold the new messages and open the next answer. All of them are context: none was sampled.

        Args:
            ids: Everything so far; it ends with the sampled answer.
            new_messages: What has come since: user, tool or system messages, maybe none.
            tools: Schemas of the tools on offer, or None.
            tool_calls: What the new tool messages answer, in order (``ToolCall`` or OpenAI dicts), where
                they do not name it themselves.
            sampled: How many of ``ids``, from the end, the answer is. None: unknown.

        Returns:
            int32 ids of shape ``(n,)``; or None where the conversation has to be rendered anew with
            ``initial``, because ``history`` or the renderer wants it so.

        Raises:
            TemplateError: The template cannot continue an answer with such messages.
        """
        if self._renderer is not None:
            array = token_array(ids, "ids")
            length = max(len(array) - 1, 0) if sampled is None else sampled
            return self._renderer.bridge(array, new_messages, tools, length)
        if self.history is History.TEMPLATE and any(m.get("role") == "user" for m in new_messages):
            return None
        first, *others = self._plain.parts(self._text.following(new_messages, tools, tool_calls))
        following = self._joined(self._encoder.encode_after(first), others)
        reach = _LONGEST_CLOSE if sampled is None else min(sampled, _LONGEST_CLOSE)
        tail = np.asarray(ids[max(len(ids) - reach, 0) :]).tolist()
        return following[self._encoder.overlap(following[:_LONGEST_CLOSE].tolist(), tail) :]

    def encode(self, text: str, *, after: bool = False) -> IdArray:
        """The ids of bare text, for conversations that are no chat.

        Args:
            text: The text.
            after: Whether it follows other tokens; if not, it gets the tokens with which this tokenizer
                begins a text.

        Raises:
            ConfigError: A renderer encodes messages only.
        """
        if self._renderer is not None:
            raise ConfigError("a renderer encodes messages, not bare text: give its tokenizer instead")
        return self._encoder.encode_after(text) if after else self._encoder.encode(text, begin=True)

    def describe(self) -> dict[str, Any]:
        """What decides the ids, as JSON types, for the record of a run."""
        template = self._text.source if self._renderer is None else ""
        return {
            "tokenizer": self._name(),
            "chat_template": hashlib.sha256(template.encode()).hexdigest()[:16] if template else None,
            "history": self.history.value,
            "template_kwargs": self.template_kwargs,
            "sanitize": self.sanitize if self._renderer is None else None,
        }

    def __repr__(self) -> str:
        return f"ChatTemplate({self._name()}, history={self.history.value!r})"

    def _name(self) -> str:
        path = getattr(
            self.tokenizer, "name_or_path", ""
        )  # a directory may move, its last part tells the model
        return PurePath(str(path)).name or type(self.tokenizer).__name__

    def _joined(self, ids: IdArray, texts: Sequence[str]) -> IdArray:
        return np.concatenate([ids, *map(self._encoder.encode_after, texts)]) if texts else ids

    def _found_stop_ids(self) -> tuple[int, ...]:
        """The end of text and whatever markers follow an answer of text or with tool calls."""
        end = getattr(self.tokenizer, "eos_token_id", None)
        found = [] if end is None else [int(end)]
        for text in self._text.closes:
            ids = self._encoder.encode_after(text).tolist()
            found += [number for number in ids if number in self._encoder.markers][:1]
        return tuple(dict.fromkeys(found))


def _tokenizer(value: Any, chat_template: str | None) -> Any:
    """Something with ``apply_chat_template`` and ``encode``."""
    if callable(getattr(value, "apply_chat_template", None)) and callable(getattr(value, "encode", None)):
        if chat_template is None and getattr(value, "chat_template", "") is None:
            raise ConfigError(
                f"the tokenizer {getattr(value, 'name_or_path', '')!r} has no chat template: give chat_template=… "
                "(the Jinja text), or the tokenizer of an instruction-tuned model"
            )
        return value
    if type(value).__module__.partition(".")[0] != "tokenizers" or not hasattr(value, "encode"):
        hint = ": load it with transformers.AutoTokenizer.from_pretrained" if isinstance(value, str) else ""
        raise ConfigError(
            f"tokenizer is {value!r:.60} ({type(value).__name__}): it must be a Hugging Face tokenizer, a "
            f"tokenizers.Tokenizer, a renderer or a ChatTemplate{hint}"
        )
    if chat_template is None:
        raise ConfigError(
            "a tokenizers.Tokenizer has no chat template: give chat_template=… (the Jinja text)"
        )
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtra(
            "a chat template over a tokenizers.Tokenizer needs transformers", extra="tokens"
        ) from error
    return PreTrainedTokenizerFast(tokenizer_object=value, chat_template=chat_template)
