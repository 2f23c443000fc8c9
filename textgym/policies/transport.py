"""One HTTP exchange with a model server over aiohttp, within bounds and with little CPU.

Invariant: ``send`` returns a whole reply no larger than the cap, or raises a ``PolicyError``;
nothing of aiohttp leaks out. It knows no retries, no deadline for the whole completion and nothing
of what replies mean.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, Protocol

import aiohttp
from yarl import URL

from textgym.errors import (
    MalformedResponse,
    PolicyError,
    ProviderFailed,
    ProviderUnreachable,
)
from textgym.policies.refusals import excerpt

__all__ = [
    "HttpLimits",
    "HttpTransport",
    "Reply",
    "Transport",
    "Unfixable",
    "affordable_connections",
]

# Uvicorn, which serves vLLM and SGLang, closes idle connections after 5 s. Dropping them earlier
# avoids writing a request into a connection that is just being closed.
_KEEPALIVE_SECONDS = 4.0
_ERROR_BODY_BYTES = 64 * 1024
# Left to everything else in the process when connections are bounded by the limit on open files.
_OTHER_FILES = 128
# aiohttp warns about larger bodies unless they come as a file.
_LARGEST_PLAIN_BODY = 2**20


class Reply(NamedTuple):
    """One HTTP reply, read to its end."""

    status: int
    """HTTP status."""
    body: bytes
    """The body; of a refusal maybe only its beginning."""
    headers: Mapping[str, str]
    """Header fields, looked up without regard to case."""


class Unfixable(ProviderUnreachable):
    """The server cannot be reached and time will not mend it: its certificate is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """The bounds within which a transport works."""

    connect_timeout: float = 5.0
    """Seconds for one connection to be made."""
    max_connections: int = 1024
    """Most connections of one loop, if the limit on open files allows it; further requests wait."""
    max_response_bytes: int = 16 * 2**20
    """Longest body of a success that is read."""
    trust_env: bool = False
    """Whether to use the proxies that the environment names."""


def affordable_connections(wanted: int) -> int:
    """How many of the wanted connections the process's limit on open files leaves room for."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, max(soft - _OTHER_FILES, soft // 2)))


class Transport(Protocol):
    """Whatever carries one request to a server and its reply back."""

    async def send(self, base_url: str, route: str, body: bytes) -> Reply:
        """Send one request; raises ``PolicyError`` where no whole reply was had."""
        ...

    async def probe(self, base_url: str) -> int:
        """The status that the server answers to a harmless request."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...

    def abandon(self) -> None:
        """Let go of what belongs to a loop that is closed already."""
        ...


class HttpTransport:
    """Connections of one event loop. Make it inside that loop.

    Args:
        headers: Sent with every request.
        limits: The bounds.
    """

    def __init__(self, headers: Mapping[str, str], limits: HttpLimits) -> None:
        self._cap = limits.max_response_bytes
        self._urls: dict[tuple[str, str], URL] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits.max_connections,
                limit_per_host=0,
                keepalive_timeout=_KEEPALIVE_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.connect_timeout),
            trust_env=limits.trust_env,
        )

    async def send(self, base_url: str, route: str, body: bytes) -> Reply:
        """Post one JSON body and read the whole reply.

        Args:
            base_url: The server.
            route: Path below it, for instance ``chat/completions``, or below the server's root, ``/generate``.
            body: The JSON document.

        Returns:
            The reply, whatever its status.

        Raises:
            ProviderUnreachable: No connection could be made.
            ProviderFailed: The connection broke before the reply was complete.
            MalformedResponse: The body is longer than the cap.
        """
        url = self._urls.get((base_url, route)) or self._url(base_url, route)
        data = body if len(body) <= _LARGEST_PLAIN_BODY else io.BytesIO(body)
        try:
            response = await self._session.post(url, data=data, allow_redirects=False)
            status, headers, length = response.status, response.headers, response.content_length
            plain = length is not None and length <= self._cap and status < 300
            if plain and "Content-Encoding" not in headers:
                return Reply(
                    status, await response.read(), headers
                )  # which lets go of the connection, always
            async with response:
                return Reply(status, await self._read(response), headers)
        except aiohttp.ClientConnectorError as error:
            raise _unreachable(error) from error
        except aiohttp.ConnectionTimeoutError as error:
            raise ProviderUnreachable("connecting took too long") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderFailed(f"the connection broke: {_said(error)}") from error
        except RuntimeError as error:
            if self._session.closed:
                raise PolicyError("the policy was closed while a request was under way") from error
            raise

    async def probe(self, base_url: str) -> int:
        """The status that the server answers to ``GET /models``.

        Raises:
            ProviderUnreachable: There is no HTTP server at that address.
        """
        try:
            url = self._url(base_url, "models")
            async with self._session.get(url, allow_redirects=False) as response:
                return response.status
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error

    async def aclose(self) -> None:
        """Close all connections; requests that are under way fail."""
        await self._session.close()

    def abandon(self) -> None:
        """Let go of the connections of a loop that is closed already."""
        self._session.detach()

    def _url(self, base_url: str, route: str) -> URL:
        base = URL(base_url)
        if route.startswith("/"):
            base, route = (
                URL(base_url.partition("?")[0].removesuffix("/v1")).with_query(base.query),
                route[1:],
            )
        url = (base / route).with_query(base.query)
        self._urls[base_url, route] = url
        return url

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """Read a body of unknown or too great length: of a success all, of a refusal some."""
        success = response.status < 300
        cap = self._cap if success else _ERROR_BODY_BYTES
        if success and (response.content_length or 0) > cap:
            self._overflow(response)
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > cap:
                if success:
                    self._overflow(response)
                response.close()
                return bytes(body[:cap])
        return bytes(body)

    def _overflow(self, response: aiohttp.ClientResponse) -> NoReturn:
        response.close()
        raise MalformedResponse(
            f"the reply of {response.url.with_query(None)} is longer than max_response_bytes="
            f"{self._cap}: ask for fewer tokens or raise the cap",
            status=response.status,
        )


def _unreachable(error: Exception) -> ProviderUnreachable:
    if isinstance(error, aiohttp.ClientSSLError):
        return Unfixable(f"TLS failed: {_said(error)}")
    return ProviderUnreachable(f"no connection: {_said(error)}")


def _said(error: Exception) -> str:
    return excerpt(str(error) or type(error).__name__)
