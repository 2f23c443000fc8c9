"""What the mock model server can do wrong, and to which request it does it.

A *mode* is the name of one fault. ``Chaos`` decides by the serial number of a request which mode
it gets; the tables say what each mode answers. The modes that need the raw connection (``WIRE``)
are acted out by the server itself.

Invariant: the decision is a pure function of the plan, the seed and the serial number, so a chaotic
run can be repeated. Nothing here opens a socket.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from textgym.errors import ConfigError
from textgym.jsontext import dumps

__all__ = ["MODES", "PAYLOADS", "STATUSES", "WIRE", "Chaos", "ChaosPlan", "spoil"]

ChaosPlan: TypeAlias = str | Sequence[str | None] | Mapping[str, float] | None
"""A mode for every request, one mode (or None) per request index, or mode -> probability."""

_CONTEXT = (
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the "
    "messages, Please reduce the length of the messages."
)


def _error(message: str, kind: str, code: Any = None) -> bytes:
    return dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


STATUSES: Mapping[str, tuple[int, bytes]] = {
    "400": (400, _error("'temperature' is not what it should be", "invalid_request_error")),
    "401": (401, _error("Incorrect API key provided", "invalid_request_error", "invalid_api_key")),
    "403": (403, _error("You may not use this model", "permission_error")),
    "404": (404, _error("The model does not exist", "NotFoundError", "model_not_found")),
    "429": (429, _error("Rate limit reached", "rate_limit_error", "rate_limit_exceeded")),
    "429-date": (429, _error("Rate limit reached", "rate_limit_error", "rate_limit_exceeded")),
    "500": (500, b"Internal Server Error"),
    "503": (503, _error("The server is starting", "service_unavailable")),
    "529": (529, _error("Overloaded", "overloaded_error")),
    "context": (400, _error(_CONTEXT, "invalid_request_error", "context_length_exceeded")),
}
"""Modes that are an HTTP status: (status, body). The 429 and 503 ones may carry Retry-After."""

WIRE = ("reset", "truncated", "hang", "hang-after-headers", "slow-loris")
"""Modes of the connection: reset before a reply, a body cut short, silence (before or after the
headers), one byte every ``slow_interval`` seconds."""

PAYLOADS: Mapping[str, tuple[str, bytes]] = {
    "html-200": ("text/html", b"<html><body><h1>Welcome to nginx!</h1></body></html>"),
    "bad-utf8": ("application/json", b'{"choices":[{"message":{"content":"\xff\xfe\x80"}}]}'),
    "garbage-json": ("application/json", b'{"id":"mock-0","choices":[{"index":0,"mess'),
    "json-string": ("application/json", b'"upstream timed out"'),
    "error-200": ("application/json", _error("Worker died", "internal_error", 500)),
}
"""Modes that are a fixed 200 reply: (content type, body)."""


def _first(document: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = document["choices"][0]
    return choice


def _content(document: dict[str, Any], value: Any) -> None:
    choice = _first(document)
    if "message" in choice:
        choice["message"]["content"] = value
    else:
        choice["text"] = value


def _each_logprobs(document: dict[str, Any], change: Callable[[list[Any]], None]) -> None:
    """Change the list of numbers in place, wherever this kind of reply keeps it."""
    table = _first(document).get("logprobs") or {}
    if "token_logprobs" in table:
        change(table["token_logprobs"])
    elif table.get("content"):
        values = [row["logprob"] for row in table["content"]]
        change(values)
        table["content"] = [
            {**row, "logprob": value} for row, value in zip(table["content"], values, strict=False)
        ]


def _no_tokens(document: dict[str, Any]) -> None:
    document.pop("prompt_token_ids", None)
    for choice in document["choices"]:
        choice.pop("token_ids", None)
        choice.pop("prompt_token_ids", None)


def _nan(values: list[Any]) -> None:
    values[0] = float("nan")


def _no_calls(document: dict[str, Any]) -> None:
    choice = _first(document)
    choice["finish_reason"] = "tool_calls"
    choice["message"].update(content=None, tool_calls=[])


_SPOILERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "choices-empty": lambda document: document.update(choices=[]),
    "choices-none": lambda document: document.update(choices=None),
    "choices-str": lambda document: document.update(choices="oops"),
    "null-content": lambda document: _content(document, None),
    "missing-usage": lambda document: document.pop("usage"),
    "nan-logprobs": lambda document: _each_logprobs(document, _nan),
    "short-logprobs": lambda document: _each_logprobs(document, lambda values: values.pop()),
    "no-token-ids": _no_tokens,
    "surrogate": lambda document: _content(document, "a\ud800b\0c"),
    "fewer-choices": lambda document: document["choices"].pop(),
    "length": lambda document: _first(document).update(finish_reason="length"),
    "content_filter": lambda document: _first(document).update(finish_reason="content_filter"),
    "tool-calls-empty": _no_calls,
}

MODES: tuple[str, ...] = (
    *STATUSES,
    "422-unknown-field",
    *WIRE,
    *PAYLOADS,
    "bom",
    "huge",
    "huge-chunked",
    *_SPOILERS,
)
"""Every mode. ``422-unknown-field`` refuses only bodies with fields outside OpenAI's protocol;
``bom`` puts a byte order mark before a good reply; ``huge`` and ``huge-chunked`` answer
``huge_mb`` MiB with and without Content-Length; ``fewer-choices`` answers one choice less than
asked; the others spoil one field of a good reply."""


def spoil(document: dict[str, Any], mode: str) -> dict[str, Any]:
    """Apply a mode that spoils one field of a good reply; other modes leave it as it is."""
    spoiler = _SPOILERS.get(mode)
    if spoiler is not None:
        spoiler(document)
    return document


class Chaos:
    """The plan that gives some requests a mode.

    Args:
        plan: A mode for every request; a sequence with one mode or None per request (what comes
            after it is healthy); or probabilities by mode, whose sum is at most 1.
        times: Only the first so many requests are affected; None for no such limit.
        seed: Fixes the draws of a plan of probabilities.

    Raises:
        ConfigError: A mode is unknown or a probability is out of range.
    """

    def __init__(self, plan: ChaosPlan = None, *, times: int | None = None, seed: int = 0) -> None:
        named = [plan] if isinstance(plan, str) else list(plan or ())
        unknown = [name for name in named if name is not None and name not in MODES]
        if unknown:
            known = ", ".join(MODES)
            raise ConfigError(f"chaos mode {unknown[0]!r} is unknown: use one of {known}")
        if isinstance(plan, Mapping) and not (
            min(plan.values(), default=0) >= 0 and sum(plan.values()) <= 1 + 1e-9
        ):
            raise ConfigError(f"chaos is {plan!r}: probabilities must be >= 0 and sum to <= 1")
        self.plan = plan
        self.times = times
        self.seed = seed

    def mode(self, index: int) -> str | None:
        """The mode of a request, or None for a healthy one.

        Args:
            index: Serial number of the completion request, from 0.
        """
        plan = self.plan
        if plan is None or (self.times is not None and index >= self.times):
            return None
        if isinstance(plan, str):
            return plan
        if not isinstance(plan, Mapping):
            return plan[index] if index < len(plan) else None
        draw = random.Random(f"{self.seed}:{index}").random()
        for name, probability in plan.items():
            draw -= probability
            if draw < 0:
                return name
        return None
