"""Where a model server is and how to be let in: base URLs and API keys, checked.

Invariant: a base URL that passes has a scheme, a host, no credentials and no trailing slash, and
nothing in here puts a key into a message. Whether anything listens there is not asked.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from textgym.errors import ConfigError

__all__ = ["OPENAI", "api_key_of", "base_urls_of", "shown_url"]

OPENAI = "https://api.openai.com/v1"
"""Base URL of OpenAI's own server."""


def base_urls_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """The base URLs, checked, without trailing slashes and repetitions.

    Args:
        given: One URL, or several.

    Raises:
        ConfigError: There is none, or one cannot be used.
    """
    if not given:
        raise ConfigError(f"base_url is {given!r}: give a URL, such as {OPENAI}, or a list of URLs")
    urls = [given] if isinstance(given, str) else list(given)
    return tuple(dict.fromkeys(_base_url(url) for url in urls))


def _base_url(url: Any) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise ConfigError(f"base_url is {url!r:.200}: it must look like http://localhost:8000/v1 or {OPENAI}")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"base_url {parts.hostname} holds credentials: give them as api_key or in headers")
    path = parts.path.rstrip("/")
    for route in ("/chat/completions", "/completions"):
        if path.endswith(route):
            root = f"{parts.scheme}://{parts.netloc}{path.removesuffix(route)}"
            raise ConfigError(f"base_url ends in {route}: give the root of the API, {root}")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path}{query}"


def api_key_of(given: Any, base_urls: Sequence[str]) -> str:
    """The API key to send.

    Args:
        given: What the caller gave; None takes the environment variable OPENAI_API_KEY.
        base_urls: Where it is sent. Servers other than OpenAI's get "EMPTY" where there is no key.

    Raises:
        ConfigError: OpenAI's server is meant and there is no key, or it cannot stand in a header.
    """
    key = os.environ.get("OPENAI_API_KEY", "") if given is None else given
    if not isinstance(key, str):
        raise ConfigError(f"api_key is of type {type(key).__name__}: it must be a str")
    key = key.strip()
    if not key.isprintable() or not key.isascii():
        raise ConfigError("api_key holds characters that cannot stand in an HTTP header")
    if key:
        return key
    hosts = [urlsplit(url).hostname or "" for url in base_urls]
    if any(host == "openai.com" or host.endswith(".openai.com") for host in hosts):
        raise ConfigError(
            "there is no API key: pass api_key=… or set the environment variable OPENAI_API_KEY, "
            "or give the base_url of another server"
        )
    return "EMPTY"


def shown_url(base_url: str) -> str:
    """A base URL as messages and records show it: a query string may hold a secret."""
    return base_url.partition("?")[0]
