"""The reply documents of the mock model server: OpenAI's protocol with vLLM's token fields.

Invariant: a document is a pure function of the request body, the answer and the serial number, and
its ids, log-probabilities, usage and finish reason agree with each other. Nothing here knows HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.jsontext import dumps
from textgym.testing import toy_tokens
from textgym.testing.toy_tokens import END, ROLES

__all__ = ["OPENAI_FIELDS", "chat_document", "plain_chat_reply", "prompt_ids_of", "turn_of"]

OPENAI_FIELDS = frozenset(
    [
        "audio",
        "best_of",
        "echo",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "suffix",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
    ]
)
"""Body fields of OpenAI's protocol; a strict server refuses all others with 422."""

_CHOICE_FIELDS = frozenset(["finish_reason", "stop_reason", "logprobs", "token_ids", "index"])
_REPLY_FIELDS = frozenset(["id", "model", "usage", "choices", "error", "prompt_token_ids"])
_PLAIN_FIELDS = frozenset(
    ["messages", "model", "seed", "temperature", "top_p", "max_tokens", "max_completion_tokens"]
)


def prompt_ids_of(body: Mapping[str, Any]) -> list[int]:
    """The ids that the toy model conditions on.

    Args:
        body: The request: ``messages`` and maybe ``tools``, or ``prompt`` as text or ids.
    """
    if "messages" in body:
        return toy_tokens.render(body["messages"], body.get("tools"))
    prompt = body.get("prompt", "")
    return toy_tokens.encode(prompt) if isinstance(prompt, str) else [int(i) for i in prompt]


def turn_of(body: Mapping[str, Any]) -> int:
    """How many assistant answers the request already holds."""
    if "messages" in body:
        return sum(message.get("role") == "assistant" for message in body["messages"])
    prompt = body.get("prompt", "")
    if isinstance(prompt, str):
        return 0
    return max(0, list(prompt).count(ROLES["assistant"]) - 1)


def plain_chat_reply(body: Mapping[str, Any], answer: str, serial: int) -> bytes | None:
    """The finished reply where nothing special was asked, at a fraction of the usual cost.

    Args:
        body: The request.
        answer: The text to answer.
        serial: Number of the request.

    Returns:
        The JSON bytes, equal to ``dumps(chat_document(…))``, or None where the request asks for
        more than a plain answer.
    """
    if not body.keys() <= _PLAIN_FIELDS:
        return None
    sampled = len(answer) if answer.isascii() else len(toy_tokens.encode(answer))
    sampled += 1
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and limit < sampled:
        return None
    read = 1
    for message in body["messages"]:
        text = message.get("content")
        if type(text) is not str or "tool_calls" in message or "reasoning_content" in message:
            return None
        read += 2 + (len(text) if text.isascii() else len(toy_tokens.encode(text)))
    return (
        b'{"id":"mock-%d","object":"chat.completion","created":0,"model":%b,"choices":[{"index":0,'
        b'"message":{"role":"assistant","content":%b},"logprobs":null,"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d},"seed":%b}'
    ) % (
        serial,
        dumps(body.get("model")),
        dumps(answer),
        read,
        sampled,
        read + sampled,
        dumps(body.get("seed")),
    )


def chat_document(
    body: Mapping[str, Any], answers: Sequence[str | Mapping[str, Any]], serial: int
) -> dict[str, Any]:
    """The whole reply to a chat or text completion.

    Args:
        body: The request.
        answers: One answer a choice: a text, or the message's fields with overrides.
        serial: Number of the request.

    Returns:
        The JSON document. Overrides named like fields of the choice or of the reply replace those.
    """
    chat = "messages" in body
    prompt = prompt_ids_of(body)
    choices: list[dict[str, Any]] = []
    overrides: dict[str, Any] = {}
    sampled = 0
    for index, answer in enumerate(answers):
        fields = {"content": answer} if isinstance(answer, str) else dict(answer)
        overrides.update((key, fields.pop(key)) for key in _REPLY_FIELDS & fields.keys())
        choice, count = _choice(body, fields, index, prompt, chat)
        choices.append(choice)
        sampled += count
    document: dict[str, Any] = {
        "id": f"mock-{serial}",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": body.get("model"),
        "choices": choices,
        "usage": {
            "prompt_tokens": len(prompt),
            "completion_tokens": sampled,
            "total_tokens": len(prompt) + sampled,
        },
        "seed": body.get("seed"),
    }
    if body.get("return_token_ids") and chat:
        document["prompt_token_ids"] = prompt
    document.update(overrides)
    return document


def _choice(
    body: Mapping[str, Any], fields: dict[str, Any], index: int, prompt: list[int], chat: bool
) -> tuple[dict[str, Any], int]:
    message = {"role": "assistant", **fields}
    forced = {key: message.pop(key) for key in _CHOICE_FIELDS & message.keys()}
    ids, text, reason = _sample(body, toy_tokens.sampled_text(message))
    if text is not None:
        message = {"role": "assistant", "content": text}
    elif message.get("tool_calls"):
        reason = "tool_calls"
    choice: dict[str, Any] = {"index": index}
    if chat:
        message.setdefault("content", None)
        choice["message"] = message
    else:
        choice["text"] = message.get("content") or ""
    choice["logprobs"] = _logprobs(body, prompt, ids, index)
    choice["finish_reason"] = reason
    if body.get("return_token_ids"):
        choice["token_ids"] = ids
        if not chat:
            choice["prompt_token_ids"] = prompt
    choice.update(forced)
    return choice, len(ids)


def _sample(body: Mapping[str, Any], text: str) -> tuple[list[int], str | None, str]:
    """The sampled ids, the text if it was cut (else None), and the finish reason.

    As in vLLM the ids hold a stop string that ended the answer while the text does not.
    """
    stops = body.get("stop") or ()
    found = [(text.find(s), s) for s in ([stops] if isinstance(stops, str) else stops) if s in text]
    cut: str | None = None
    if found:
        at, stop = min(found)
        cut = text[:at]
        ids = toy_tokens.encode(text[: at + len(stop)])
    else:
        ids = [*toy_tokens.encode(text), END]
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is None or limit >= len(ids):
        return ids, cut, "stop"
    ids = ids[:limit]
    return ids, toy_tokens.decode(ids), "length"


def _logprobs(
    body: Mapping[str, Any], prompt: list[int], ids: list[int], index: int
) -> dict[str, Any] | None:
    asked = body.get("logprobs")
    if asked is None or asked is False:
        return None
    logprobs = toy_tokens.toy_logprobs(prompt, ids, (body.get("seed") or 0) + index)
    named = bool(body.get("return_tokens_as_token_ids"))
    tokens = [f"token_id:{i}" if named else toy_tokens.decode([i]) for i in ids]
    if "messages" in body:
        rows: list[dict[str, Any]] = [
            {"token": token, "logprob": logprob, "bytes": None, "top_logprobs": []}
            for token, logprob in zip(tokens, logprobs, strict=True)
        ]
        return {"content": rows}
    return {
        "tokens": tokens,
        "token_logprobs": logprobs,
        "top_logprobs": None,
        "text_offset": list(range(len(ids))),
    }
