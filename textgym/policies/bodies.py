"""From a ``CompletionRequest`` to the JSON body of OpenAI's protocol.

Invariant: a body holds exactly the fields that were asked for, because strict servers refuse the
rest, and it is always valid UTF-8: lone surrogates become U+FFFD. Nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.errors import ConfigError
from textgym.jsontext import dumps, printable
from textgym.types import CompletionRequest

__all__ = ["CHAT", "COMPLETIONS", "encode_body", "request_body"]

CHAT = "chat/completions"
"""Route of chat completions, below the base URL."""
COMPLETIONS = "completions"
"""Route of text completions, below the base URL."""


def request_body(
    request: CompletionRequest,
    *,
    model: str,
    mode: str,
    tokens: bool,
    extra: Mapping[str, Any],
) -> tuple[str, dict[str, Any]]:
    """The route and the body of one request.

    Args:
        request: The turn.
        model: Name of the model.
        mode: ``auto``, ``chat`` or ``completions``; auto continues a prompt where there is one.
        tokens: Ask for token ids and log-probabilities, as vLLM names them.
        extra: Fields of every body; the request's own sampling fields win over them.

    Returns:
        The route below the base URL, and the body as a fresh dict.

    Raises:
        ConfigError: Completions are asked for and the request has no prompt.
    """
    prompt: Any = request.prompt
    if request.prompt_ids is not None:
        prompt = _id_list(request.prompt_ids)
    body: dict[str, Any] = {"model": model}
    if mode == "chat" or (mode == "auto" and prompt is None):
        route = CHAT
        body["messages"] = request.messages
        if not request.messages and request.prompt is not None:
            body["messages"] = [{"role": "user", "content": request.prompt}]
    elif prompt is None:
        raise ConfigError(
            "mode='completions' needs a request with a prompt or prompt_ids, and this one has only "
            "messages: use mode='chat' or 'auto', or an environment with message_type='completion'"
        )
    else:
        route = COMPLETIONS
        body["prompt"] = prompt
    if tokens:
        body["return_token_ids"] = True
        if route is CHAT:
            body["logprobs"], body["top_logprobs"] = True, 0
        else:
            body["logprobs"] = 0
    if extra:
        body.update(extra)
    _add_sampling(body, request)
    return route, body


def _id_list(ids: Any) -> list[int]:
    return ids.tolist() if hasattr(ids, "tolist") else [int(token) for token in ids]


def _add_sampling(body: dict[str, Any], request: CompletionRequest) -> None:
    sampling = request.sampling
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.stop:
        body["stop"] = sampling.stop
    if request.seed is not None:
        body["seed"] = request.seed
    if request.tools:
        body["tools"] = request.tools
    if sampling.extra:
        body.update(sampling.extra)


def encode_body(body: Mapping[str, Any]) -> bytes:
    """The body as JSON that every server can decode.

    Args:
        body: JSON types.

    Raises:
        ConfigError: A value is no JSON type.
    """
    try:
        data = dumps(body)
        # A surrogate escape appears only where the fast codec refused the document: the text
        # holds lone surrogates, or an integer was too long.
        if b"\\ud" in data:
            data = dumps(_sendable(body))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the request body cannot be written as JSON ({error}): messages, tools, "
            "sampling.extra and extra_body have to hold JSON types only"
        ) from error
    return data


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_sendable(key): _sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sendable(item) for item in value]
    return value
