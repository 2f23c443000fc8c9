"""``MCPSession``: one connection to one MCP server, usable from every loop and thread.

The scopes of the ``mcp`` client have to be entered and left by one and the same task. So each connection lives
in a task of its own on the background loop of ``textgym.hooks``, which enters them, waits, and leaves them; calls
are made on that loop too. That makes a session independent of the loop, the thread and the lifetime of its caller.

Invariant: a session that was begun is ended: by ``close``, when its handle is garbage, or when the interpreter
exits. It never begins anew: who wants another connection makes another session. This module knows messages of
the protocol, not what a model sees of them.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import math
import os
import weakref
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from textgym.errors import EnvError, NotForkable
from textgym.hooks import in_background
from textgym.tools.mcp_process import MAX_MESSAGE, Keeper, MCPProcess

__all__ = ["MCPSession", "Server"]

T = TypeVar("T")
_log = logging.getLogger(__name__)

_GOODBYE = 8.0
"""Most seconds for a connection to end; a server process needs 3 at most."""

_PAGES = 100
"""Most pages of a list of tools, so that a server that never ends it holds up nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is: a command to start, or a URL."""

    command: tuple[str, ...] = ()
    """Program and arguments, or empty."""

    url: str = ""
    """Address of the streamable HTTP endpoint, or empty."""

    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the command, on top of the few that are inherited."""

    cwd: str | None = None
    """Working directory of the command."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of every request to the URL."""

    timeout: float = 30.0
    """Seconds until the server has to be ready."""

    def __str__(self) -> str:
        return f"MCP server {self.url or ' '.join(self.command)!r:.200}"


class MCPSession:
    """A handle on a connection; it opens on first use and ends with ``close`` or with the handle.

    Args:
        server: What to connect to.
    """

    def __init__(self, server: Server) -> None:
        self._connection = _Connection(server)
        self._pid = os.getpid()
        forgotten = weakref.finalize(self, self._connection.abandon, self._pid)
        forgotten.atexit = False  # `_farewell` is there for that, and waits

    async def tools(self) -> list[Any]:
        """The tools that the server listed when the connection was opened.

        Returns:
            ``mcp.types.Tool`` objects, in the server's order.

        Raises:
            EnvError: The server cannot be reached, ends, or is not ready in time.
        """
        return await self._there(self._connection.opened())

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a tool.

        Args:
            name: Its name on the server.
            arguments: JSON values by name.

        Returns:
            The ``mcp.types.CallToolResult``, which may be an error of the tool.

        Raises:
            EnvError: There is no server any more.
            NotForkable: The process was forked since the session began.
            ValueError: The arguments cannot be sent as JSON.
            mcp.MCPError: The server refused the call.
        """
        return await self._there(self._connection.call(name, dict(arguments)))

    async def close(self) -> None:
        """End the connection, and the server's process where there is one. Again is no error."""
        if self._pid == os.getpid():
            await self._there(self._connection.close())

    @property
    def usable(self) -> bool:
        """Whether a call may still succeed; False in a forked child, whose parent owns the connection."""
        return self._pid == os.getpid() and not self._connection.over

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        if self._pid != os.getpid():
            work.close()
            raise NotForkable(
                "this MCP session belongs to the parent process: reset the environment in the child"
            )
        return await asyncio.wrap_future(in_background(work))


class _Household:
    """What the sessions of one process share. All of it is used on the background loop only."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.living: set[_Connection] = set()
        self.starts = asyncio.Semaphore(max(4, os.cpu_count() or 1))
        """Servers that start at once: hundreds together would all miss their deadline."""
        self.keeper = Keeper()


_household: _Household | None = None


def _ours() -> _Household:
    global _household
    if _household is None or _household.pid != os.getpid():
        if _household is None:
            atexit.register(_farewell)
        _household = _Household()
    return _household


def _farewell() -> None:
    """End what is left when the interpreter exits; after that, nobody would run the loop."""
    household = _household
    if household is None or household.pid != os.getpid() or not household.living:
        return

    async def all_closed() -> None:
        await asyncio.gather(*(connection.close() for connection in list(household.living)))

    with contextlib.suppress(TimeoutError):
        in_background(all_closed()).exception(timeout=_GOODBYE + 1)


class _Connection:
    """The task that holds one connection open. Used on the background loop only, but for ``abandon``."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.over = False
        self._task: asyncio.Task[None] | None = None
        self._client: Any = None
        self._tools: list[Any] = []
        self._process: MCPProcess | None = None
        self._left = False
        self._failure = "it was closed"

    async def opened(self) -> list[Any]:
        """The server's tools, as soon as it is ready."""
        import anyio

        if self._task is None and not self.over:
            self._scope = anyio.CancelScope()
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            self._ready = asyncio.Event()
            self._task = self._loop.create_task(self._live())
        if self._task is not None:
            await self._ready.wait()
        if self._client is None:
            if self._task is not None:
                await asyncio.wait([self._task])  # until then nobody knows why
            raise EnvError(f"{self.server}: {self._failure}")
        return self._tools

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        await self.opened()
        _check_sendable(name, arguments)
        try:
            return await self._client.call_tool(name, arguments)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED and self._task is not None:
                await asyncio.wait([self._task], timeout=_GOODBYE if self._stop.is_set() else 0.5)
            if self.over:
                raise EnvError(f"{self.server}: {self._failure}") from error
            raise

    async def close(self) -> None:
        self.over = self._task is None
        if self._task is not None:
            self._leave()
            await asyncio.wait([self._task])

    def abandon(self, pid: int) -> None:
        """Nobody holds the handle any more: end without anyone waiting for it. For any thread."""
        if pid == os.getpid() and self._task is not None:
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._left = True
        self._stop.set()
        if not self._ready.is_set():
            self._scope.cancel()

    async def _live(self) -> None:
        """Connect, wait until it is time to go, and part: all of it in this one task."""
        household = _ours()
        household.living.add(self)
        try:
            with self._scope:
                await self._hold(household)
            if self._scope.cancelled_caught and not self._left:
                self._failure = f"it was not ready within {self.server.timeout:g} s"
        except Exception as error:
            self._failure = f"the connection failed: {_root(error)}"
        finally:
            if self._process is not None:
                self._failure = self._process.obituary(self._failure)
            self._client, self.over = None, True
            self._ready.set()
            household.living.discard(self)

    async def _hold(self, household: _Household) -> None:
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            async with household.starts:
                self._scope.deadline = loop.time() + self.server.timeout
                client = await self._connected(stack, household.keeper)
                self._tools = await _listed(client)
                self._scope.deadline = math.inf
            self._client = client
            self._ready.set()
            await self._stop.wait()
            self._client = None
            self._scope.deadline = loop.time() + _GOODBYE

    async def _connected(self, stack: AsyncExitStack, keeper: Keeper) -> Any:
        """A client that has shaken hands.

        With ``initialize`` first, which every server of today knows and which alone gives a session of one's
        own over HTTP; a server of the session-less protocol of 2026 refuses it and is asked in its own way.
        """
        from mcp import Client, MCPError
        from mcp.types import CONNECTION_CLOSED

        try:
            transport = await self._transport(stack, keeper)
            return await stack.enter_async_context(Client(transport, mode="legacy", cache=None))
        except* MCPError as refusal:
            if refusal.subgroup(lambda error: getattr(error, "code", 0) == CONNECTION_CLOSED):
                raise
            _log.debug("%s refused to initialize: %s", self.server, _root(refusal))
        self._stop.clear()  # the end of the first process has set it
        transport = await self._transport(stack, keeper)
        return await stack.enter_async_context(Client(transport, mode="auto", cache=None))

    async def _transport(self, stack: AsyncExitStack, keeper: Keeper) -> Any:
        if self.server.command:
            self._process = MCPProcess(
                self.server.command, self.server.env, self.server.cwd, keeper, on_end=self._stop.set
            )
            return self._process.streams()
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        timeout = httpx2.Timeout(self.server.timeout, read=None)  # how long a call may take, the caller says
        http = httpx2.AsyncClient(headers=dict(self.server.headers), timeout=timeout)
        await stack.enter_async_context(http)
        return streamable_http_client(self.server.url, http_client=http, max_sse_event_size=MAX_MESSAGE)


async def _listed(client: Any) -> list[Any]:
    tools: list[Any] = []
    cursor = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None:
            return tools
    raise EnvError(f"its list of tools has no end: more than {_PAGES} pages")


def _check_sendable(name: str, arguments: dict[str, Any]) -> None:
    """Refuse what would fail inside the transport, where it would take the whole connection with it."""
    from mcp.types import CallToolRequestParams

    CallToolRequestParams(name=name, arguments=arguments).model_dump(mode="json")
    try:
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("the arguments hold half of a surrogate pair, which is no text") from None


def _root(error: BaseException) -> str:
    """The first leaf of an exception group, in words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__
