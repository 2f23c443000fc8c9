"""Conversations as plain text: prompts, cut texts, transcripts for people.

Invariant: these functions are total on every list of chat messages and never change one. They do not
render chat templates; what a model's tokens look like is the business of ``textgym.tokens``.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.cutting import cut
from textgym.types import Message

__all__ = ["cut", "prompt_text", "transcript"]


def prompt_text(messages: Sequence[Message]) -> str:
    """A prompt as one text that a plain ``f(observation)`` can answer.

    Contents are joined by blank lines. Where there are worked examples (assistant messages), every turn
    is labelled with its speaker.

    Example:
        >>> prompt_text([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
        'Be brief.\\n\\nHi'
    """
    if any(message.get("role") == "assistant" for message in messages):
        return "\n\n".join(
            _content(message)
            if message.get("role") == "system"
            else f"{str(message.get('role')).capitalize()}: {_content(message)}"
            for message in messages
        )
    return "\n\n".join(_content(message) for message in messages)


def transcript(messages: Sequence[Message]) -> str:
    """A conversation for people: a line with the role, then the content, for each message.

    Example:
        >>> print(transcript([{"role": "user", "content": "2 + 2?"}]))
        [user]
        2 + 2?
    """
    return "\n\n".join(f"[{message.get('role')}]\n{_content(message)}" for message in messages)


def _content(message: Message) -> str:
    content = message.get("content")
    text = content if isinstance(content, str) else "" if content is None else str(content)
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        text += f"{chr(10) if text else ''}[calls {function.get('name')} with {function.get('arguments')}]"
    return text
