"""A toy tokenizer with toy log-probabilities: what the mock model server counts and samples in.

The ids 0 to 255 are the bytes of the UTF-8 text; ``END`` closes every message; a role id opens one.
A conversation is rendered as ``role, bytes, END`` per message, then the assistant's role id where
an answer is to follow, so a longer conversation always extends a shorter one.

Invariant: everything is a pure function of its arguments, the same in every process. This is no
model of any real tokenizer, and lone surrogates survive only as their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zlib import crc32

from textgym.jsontext import dumps

__all__ = ["END", "ROLES", "VOCABULARY", "decode", "encode", "render", "sampled_text", "toy_logprobs"]

END = 256
"""Closes every message; the last id of an answer that ended by itself."""
ROLES: Mapping[str, int] = {"system": 257, "user": 258, "assistant": 259, "tool": 260}
"""Opens a message. A role that is not listed counts as ``user``."""
VOCABULARY = 261
"""Number of ids."""


def encode(text: str) -> list[int]:
    """The ids of a text: its UTF-8 bytes.

    Example:
        >>> encode("hé")
        [104, 195, 169]
    """
    return list(text.encode("utf-8", "surrogatepass"))


def decode(ids: Iterable[int]) -> str:
    """The text of some ids; special ids vanish and cut characters become U+FFFD.

    Example:
        >>> decode([104, 195, 169, END])
        'hé'
    """
    return bytes(i for i in ids if 0 <= i < END).decode("utf-8", "replace")


def sampled_text(message: Mapping[str, Any]) -> str:
    """All that a model would have sampled for an assistant message, as one text.

    Args:
        message: A chat message; reasoning and tool calls are written out in tags.
    """
    text = message.get("content") or ""
    if not isinstance(text, str):
        text = dumps(text).decode("utf-8")
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if reasoning:
        text = f"<think>{reasoning}</think>{text}"
    for call in message.get("tool_calls") or ():
        text += f"<tool_call>{dumps(call).decode('utf-8')}</tool_call>"
    return text


def render(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
) -> list[int]:
    """The ids of a conversation that the assistant is to answer.

    Args:
        messages: Chat messages.
        tools: Tool schemas, written into a system message of their own, or None.

    Returns:
        The prompt ids; the last one is the assistant's role id.
    """
    ids: list[int] = []
    if tools:
        ids += [ROLES["system"], *dumps(list(tools)), END]
    for message in messages:
        ids.append(ROLES.get(message.get("role", ""), ROLES["user"]))
        ids += encode(sampled_text(message))
        ids.append(END)
    ids.append(ROLES["assistant"])
    return ids


def toy_logprobs(prompt_ids: Sequence[int], ids: Sequence[int], seed: int | None = None) -> list[float]:
    """Log-probabilities of sampled ids: a hash of the prompt, the seed and every prefix.

    Args:
        prompt_ids: What came before.
        ids: The sampled ids, length T.
        seed: The sampling seed of the request.

    Returns:
        T numbers in [-4.0, -0.001], nats.
    """
    state = crc32(repr((seed, list(prompt_ids))).encode("ascii"))
    logprobs = []
    for token in ids:
        state = crc32(token.to_bytes(4, "little", signed=True), state)
        logprobs.append(-(state % 4000 + 1) / 1000)
    return logprobs
