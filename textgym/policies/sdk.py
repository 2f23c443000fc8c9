"""Sending through a client that the user brings: ``openai.AsyncOpenAI``, ``openai.OpenAI``, a fake.

The client is recognised by what it has and by the names of its classes; ``openai`` is never
imported. A real client hands out the raw reply, so the same checks apply as over HTTP; of anything
else the returned object is turned into the same JSON. Invariant: like every transport it returns a
whole reply or raises a ``PolicyError``. It does not close the client, which belongs to the user.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textgym.errors import (
    MalformedResponse,
    PolicyError,
    ProviderFailed,
    ProviderRejected,
    ProviderUnreachable,
)
from textgym.jsontext import dumps, loads
from textgym.policies.refusals import excerpt
from textgym.policies.transport import HttpLimits, Reply

__all__ = ["SdkTransport", "is_asynchronous"]

_PROBE_SECONDS = 5.0
_MOST_THREADS = 256
# Parameters of the client's own methods; all other fields travel in ``extra_body``.
_PARAMETERS = frozenset(
    [
        "frequency_penalty",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "parallel_tool_calls",
        "presence_penalty",
        "prompt",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
    ]
)


class SdkTransport:
    """Sends through a client of the ``openai`` package, or anything shaped like one.

    Args:
        client: The client. A synchronous one is run in threads, as many as there are connections.
        timeout: Seconds after which a request is given up.
        limits: The bounds; the longest reply is checked after the client has read it, and
            connections are the client's own business.
    """

    def __init__(self, client: Any, timeout: float, limits: HttpLimits) -> None:
        self._real = any(base.__module__.startswith("openai.") for base in type(client).__mro__)
        self._async = is_asynchronous(client)
        self._client = client.with_options(max_retries=0) if self._real else client
        self._timeout = timeout
        self._cap = limits.max_response_bytes
        self._threads = min(limits.max_connections, _MOST_THREADS)
        self._pool: ThreadPoolExecutor | None = None

    async def send(self, base_url: str, route: str, body: bytes) -> Reply:
        """Send one request through the client.

        Args:
            base_url: Of the client; only for messages.
            route: ``chat/completions`` or ``completions``.
            body: The JSON document.

        Returns:
            The reply, whatever its status.

        Raises:
            ProviderUnreachable: No connection could be made.
            ProviderFailed: The connection broke or a timeout of the client struck.
            MalformedResponse: The body is longer than the cap.
            ProviderRejected: The client has no method for the route.
            PolicyError: The client raised something else.
        """
        if route.startswith("/"):
            raise ProviderRejected(f"a client cannot ask for {route}: give base_url instead of client")
        fields = loads(body)
        given = {key: fields.pop(key) for key in _PARAMETERS & fields.keys()}
        if fields:
            given["extra_body"] = fields
        resource = self._client.completions if route == "completions" else self._client.chat.completions
        if self._real:
            resource, given["timeout"] = resource.with_raw_response, self._timeout
        reply = await self._call(resource.create, given)
        if len(reply.body) > self._cap:
            raise MalformedResponse(
                f"the reply of {base_url} is longer than max_response_bytes={self._cap}: ask for "
                "fewer tokens or raise the cap",
                status=reply.status,
            )
        return reply

    async def probe(self, base_url: str) -> int:
        """The status that the server answers to a request for its models."""
        if not self._real:
            return 200
        reply = await self._call(self._client.models.with_raw_response.list, {"timeout": _PROBE_SECONDS})
        return reply.status

    async def aclose(self) -> None:
        """Let the threads go; the client stays open."""
        self.abandon()

    def abandon(self) -> None:
        """Let the threads go."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, method: Callable[..., Any], given: Mapping[str, Any]) -> Reply:
        try:
            if self._async or inspect.iscoroutinefunction(method):
                result = await method(**given)
            else:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self._threads, "textgym-openai")
                loop = asyncio.get_running_loop()
                result = await loop.run_in_executor(self._pool, lambda: method(**given))
                if inspect.isawaitable(result):
                    result = await result
        except Exception as error:
            return _reply_of_error(error)
        if self._real:
            return Reply(result.status_code, result.content, result.headers)
        return Reply(200, dumps(_plain(result)), {})


def is_asynchronous(client: Any) -> bool:
    """Whether a client's methods are coroutines, as far as the names of its classes tell."""
    return any(base.__name__.startswith("Async") for base in type(client).__mro__)


def _reply_of_error(error: Exception) -> Reply:
    """An HTTP error as the reply it was; everything else is raised as a ``PolicyError``."""
    names = {base.__name__ for base in type(error).__mro__}
    response = getattr(error, "response", None)
    if "APIStatusError" in names and response is not None:
        return Reply(response.status_code, response.content, response.headers)
    cause = type(error.__cause__).__name__
    detail = excerpt(f"{type(error).__name__}: {error.__cause__ or error}")
    if cause in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol"):
        raise ProviderUnreachable(f"no connection: {detail}") from error
    if "APIConnectionError" in names or isinstance(error, OSError):
        raise ProviderFailed(f"the connection broke: {detail}") from error
    if isinstance(error, PolicyError):
        raise error
    raise PolicyError(f"the client raised {detail}") from error


def _plain(value: Any) -> Any:
    """A result object of any client as JSON types."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump") and not hasattr(value, "_mock_children"):
        return value.model_dump()
    fields = getattr(value, "__dict__", None) or {}
    return {name: _plain(item) for name, item in fields.items() if not name.startswith("_")}
