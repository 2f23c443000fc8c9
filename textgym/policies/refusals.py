"""What an HTTP status other than success means: which error, and how long to wait.

Invariant: a secret never enters a message, and whatever a server wrote is shown short and
printable. ``ProviderFailed`` means that another attempt may help; every other class means that it
cannot. Nothing here waits or sends.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from textgym.errors import (
    AuthenticationFailed,
    ContextOverflow,
    PolicyError,
    ProviderFailed,
    ProviderRejected,
)
from textgym.jsontext import loads

__all__ = ["BUSY", "LONGEST_RETRY_AFTER", "error_text", "excerpt", "refusal", "retry_after"]

BUSY = frozenset([429, 503, 529])
"""Statuses that mean "too much at once": the whole fleet of requests slows down."""
LONGEST_RETRY_AFTER = 60.0
"""No Retry-After is obeyed for longer, in seconds."""

_TRANSIENT = frozenset([408, 409, 425, *BUSY])
_QUOTA_CODES = frozenset(["insufficient_quota", "billing_hard_limit_reached"])
_OVERFLOW_CODES = frozenset(["context_length_exceeded", "exceed_context_size_error"])
_OVERFLOW = re.compile(
    "|".join(
        [
            # OpenAI, vLLM, SGLang (prompt plus max_tokens), TensorRT-LLM
            r"maximum context length",
            # OpenAI's newer wording
            r"exceeds? (?:the|this model's) context (?:window|length)",
            # SGLang, Together
            r"longer than the model'?s context length",
            r"input length \(?\d+(?: tokens)?\)? exceeds the maximum allowed length",
            # vLLM's engine
            r"longer than the maximum model length",
            # llama.cpp and what is built on it
            r"exceeds the available context size",
            r"context size has been exceeded",
            r"requested tokens \(\d+\) exceed context window",
            r"greater than the context length",
            # TGI
            r"`inputs` (?:tokens \+ `max_new_tokens` )?must (?:be <=|have less than)",
            # Anthropic, Gemini, xAI, Groq, Mistral behind OpenAI-compatible gateways
            r"prompt is too long",
            r"input token count .{0,40}exceeds the maximum number of tokens",
            r"maximum prompt length is",
            r"reduce the length of the messages",
            r"too large for model with \d+ maximum context",
        ]
    ),
    re.IGNORECASE,
)
_CONTEXT_SIZE = re.compile(r"context length (?:is|of) (\d+)", re.IGNORECASE)
_EXCERPT_LENGTH = 300


def excerpt(text: str | bytes, secret: str | None = None) -> str:
    r"""A short, printable, one-line piece of what a server wrote.

    Args:
        text: The body, or text from it.
        secret: A key to blank out should the server have echoed it.

    Example:
        >>> excerpt(b"Bad\x1b[31m  key\n\nsk-12345678", secret="sk-12345678")
        'Bad [31m key ***'
    """
    if isinstance(text, bytes):
        text = text[: 4 * _EXCERPT_LENGTH].decode("utf-8", "replace")
    if secret and len(secret) >= 8:
        text = text.replace(secret, "***")
    text = "".join(char if char.isprintable() else " " for char in text[: 4 * _EXCERPT_LENGTH])
    text = " ".join(text.split())
    if len(text) > _EXCERPT_LENGTH:
        text = text[: _EXCERPT_LENGTH - 1] + "…"
    return text or "(nothing)"


def error_text(document: Any) -> tuple[str, tuple[Any, ...]]:
    """The message and the codes of an error body, in the forms that servers use.

    Args:
        document: The parsed body.

    Returns:
        The message, "" where there is none, and whatever stands in ``code`` and ``type``.
    """
    if isinstance(document, dict):
        error = document.get("error", document)
        if isinstance(error, str):
            return error, ()
        if isinstance(error, dict):
            message = error.get("message") or error.get("detail")
            codes = (error.get("code"), error.get("type"))
            return (message if isinstance(message, str) else ""), codes
    return "", ()


def refusal(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    *,
    source: str,
    secret: str | None = None,
    max_tokens: int | None = None,
) -> PolicyError:
    """The error that a reply without success stands for.

    Args:
        status: HTTP status, not 2xx.
        body: The body, or its beginning.
        headers: The reply's headers.
        source: Names model and URL.
        secret: The API key, to be kept out of the message.
        max_tokens: What the request asked for, or None.

    Returns:
        The error, not raised: ``ProviderFailed`` where another attempt may help.
    """
    try:
        message, codes = error_text(loads(body))
    except (ValueError, RecursionError):
        message, codes = "", ()
    said = excerpt(message or body, secret)
    if status in (401, 403):
        return AuthenticationFailed(
            f"{source} refuses the credentials (HTTP {status}): pass api_key=… "
            "(--api-key-env on the command line) or set the "
            f"environment variable OPENAI_API_KEY to a key of this server. It said: {said}",
            status=status,
        )
    overflow = _overflow(status, message, codes, max_tokens)
    if overflow is not None:
        return overflow(f"{source} (HTTP {status}): {said}", status=status)
    if status == 429 and _QUOTA_CODES.intersection(c for c in codes if isinstance(c, str)):
        return ProviderRejected(
            f"{source}: the account's quota is used up (HTTP 429), and waiting will not refill "
            f"it. It said: {said}",
            status=status,
        )
    if status in _TRANSIENT or status >= 500:
        return ProviderFailed(f"HTTP {status}: {said}", status=status)
    return ProviderRejected(_rejection(status, headers, source, said), status=status)


def _overflow(
    status: int, message: str, codes: tuple[Any, ...], max_tokens: int | None
) -> type[ProviderRejected] | None:
    # llama.cpp has answered 500 here; 429 texts speak of tokens too and mean something else.
    if status == 429 or status < 400:
        return None
    named = any(isinstance(code, str) and code in _OVERFLOW_CODES for code in codes)
    if not named and not _OVERFLOW.search(message):
        return None
    size = _CONTEXT_SIZE.search(message)
    if size and max_tokens is not None and max_tokens >= int(size[1][:18]):
        return ProviderRejected  # no prompt at all would fit: the caller's max_tokens is wrong
    return ContextOverflow


def _rejection(status: int, headers: Mapping[str, str], source: str, said: str) -> str:
    if status < 400:
        place = excerpt(headers.get("Location", "(no Location)"))
        return (
            f"{source} redirects to {place} (HTTP {status}): set base_url to the final address, "
            "redirects are not followed because they would carry the API key along"
        )
    if status == 404:
        return (
            f"{source}: not found (HTTP 404). Either this server has no such model, or base_url is "
            f"not the root of its API (it usually ends in /v1). It said: {said}"
        )
    return f"{source} rejects the request (HTTP {status}): {said}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How long a server asks to wait.

    Args:
        headers: The reply's headers; ``Retry-After-Ms`` and ``Retry-After`` (seconds or an HTTP
            date, which is read against the server's own ``Date``) are understood.

    Returns:
        Seconds in [0, ``LONGEST_RETRY_AFTER``], or None where nothing readable is said.
    """
    for name, scale in (("Retry-After-Ms", 1000.0), ("Retry-After", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
    until = _timestamp(headers.get("Retry-After"))
    if until is None:
        return None
    now = _timestamp(headers.get("Date")) or time.time()
    return min(max(until - now, 0.0), LONGEST_RETRY_AFTER)


def _timestamp(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
