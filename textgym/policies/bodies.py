"""From a ``CompletionRequest`` to the JSON body of OpenAI's protocol.

Invariant: a body holds exactly the fields that were asked for, because strict servers refuse the
rest, and it is always valid UTF-8: lone surrogates become U+FFFD. Nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textgym.errors import ConfigError
from textgym.jsontext import dumps, printable
from textgym.policies.capture import Dialect, Form
from textgym.types import CompletionRequest

__all__ = ["encode_body", "form_of", "request_body"]


def form_of(request: CompletionRequest, mode: str) -> Form:
    """What a request continues.

    Args:
        request: The turn.
        mode: ``auto``, ``chat`` or ``completions``; auto continues a prompt where there is one.

    Raises:
        ConfigError: Completions are asked for and the request has no prompt.
    """
    if mode != "chat":
        if request.prompt_ids is not None:
            return Form.IDS
        if request.prompt is not None:
            return Form.PROMPT
        if mode == "completions":
            raise ConfigError(
                "mode='completions' needs a request with a prompt or prompt_ids, and this one has only "
                "messages: use mode='chat' or 'auto', or an environment with message_type='completion'"
            )
    return Form.CHAT


def request_body(
    request: CompletionRequest,
    *,
    model: str,
    form: Form,
    dialect: Dialect,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The body of one request.

    Args:
        request: The turn.
        model: Name of the model.
        form: Which part of the request is continued.
        dialect: How tokens are asked for.
        extra: Fields of every body; the request's own sampling fields win over them.

    Returns:
        The body as a fresh dict.
    """
    if dialect.route == "/generate":
        return _generate_body(request, extra)
    body: dict[str, Any] = {"model": model}
    if form is Form.CHAT:
        body["messages"] = request.messages
        if not request.messages and request.prompt is not None:
            body["messages"] = [{"role": "user", "content": request.prompt}]
    elif form is Form.PROMPT:
        body["prompt"] = request.prompt
    else:
        body["prompt"] = _id_list(request.prompt_ids)
    body.update(dialect.fields)
    if extra:
        body.update(extra)
    _add_sampling(body, request, tools=form is Form.CHAT)
    return body


def _generate_body(request: CompletionRequest, extra: Mapping[str, Any]) -> dict[str, Any]:
    """SGLang's own protocol: sampling stands in an object of its own, under other names."""
    sampling: dict[str, Any] = dict(extra)
    _add_sampling(sampling, request, tools=False)
    for ours, theirs in (("max_tokens", "max_new_tokens"), ("seed", "sampling_seed")):
        if ours in sampling:
            sampling[theirs] = sampling.pop(ours)
    return {
        "input_ids": _id_list(request.prompt_ids),
        "sampling_params": sampling,
        "return_logprob": True,
    }


def _id_list(ids: Any) -> list[int]:
    return ids.tolist() if hasattr(ids, "tolist") else [int(token) for token in ids]


def _add_sampling(body: dict[str, Any], request: CompletionRequest, *, tools: bool) -> None:
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
    if tools and request.tools:
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
