"""The ids that a policy is asked to continue, turn after turn of one episode.

Invariant: they are what the policy saw and sampled before, untouched, and the context that has come
since. Making them changes nothing: what is asked for enters the record once a policy has sampled on it, so that
a message which no policy has read is in no record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textgym.errors import EnvError, TemplateError
from textgym.tokens import ChatTemplate, TokenStream
from textgym.tokens.arrays import IdArray
from textgym.types import Message

__all__ = ["TokenPrompts"]


class TokenPrompts:
    """Makes the prompts of one episode.

    Args:
        template: Renders them.
    """

    __slots__ = ("_messages", "_prompt", "_template", "_tool_calls")

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template
        self._messages = 0
        self._prompt = 0
        self._tool_calls: Sequence[Any] = ()

    def ids(
        self, stream: TokenStream | None, messages: Sequence[Message], prompt: str | None, tools: Any
    ) -> IdArray:
        """The ids to continue now.

        Args:
            stream: What the policy has seen and sampled, or None before its first answer.
            messages: The whole conversation.
            prompt: The whole text so far, where the conversation is no chat.
            tools: Schemas of the tools on offer, or None.

        Returns:
            int32 ids of shape ``(n,)``.

        Raises:
            EnvError: The template cannot render these messages.
        """
        try:
            if prompt is not None:
                return self._continued(stream, prompt)
            if stream is None:
                return self._template.initial(messages, tools)
            return self._bridged(stream, messages, tools)
        except TemplateError as error:
            raise EnvError(f"the environment's messages cannot become tokens: {error}") from error

    def said(self, messages: int, prompt: str | None, tool_calls: Sequence[Any]) -> None:
        """The policy has answered, and its answer is in the stream.

        Args:
            messages: Length of the conversation, the answer included.
            prompt: The whole text with the answer, where the conversation is no chat.
            tool_calls: The calls in the answer.
        """
        self._messages, self._prompt, self._tool_calls = messages, len(prompt or ""), tool_calls

    def _continued(self, stream: TokenStream | None, prompt: str) -> IdArray:
        if stream is None:
            return self._template.encode(prompt)
        return _joined(stream, self._template.encode(prompt[self._prompt :], after=True))

    def _bridged(self, stream: TokenStream, messages: Sequence[Message], tools: Any) -> IdArray:
        last = stream.steps[-1]
        more = self._template.bridge(
            stream.segment_ids,
            messages[self._messages :],
            tools=tools,
            tool_calls=self._tool_calls,
            sampled=last.completion_end - last.prompt_end,
        )
        return self._template.initial(messages, tools) if more is None else _joined(stream, more)


def _joined(stream: TokenStream, more: IdArray) -> IdArray:
    return np.concatenate((stream.segment_ids, more))
