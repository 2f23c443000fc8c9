"""``MCPToolProvider``: the tools of an MCP server, over standard input and output or streamable HTTP.

Invariant: what the server says reaches the model as text and nothing else: an error of a tool, a crash of the
server or a picture becomes the text of a result, and never ends the process, the loop or another episode.
The protocol is the official ``mcp`` package's; the connection is ``MCPSession``'s. Resources, prompts, sampling
and elicitation of the protocol are not offered: a server that asks for them is refused by the package.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError, EnvError, MissingExtra
from textgym.tools.definition import DEFAULT_MAX_OUTPUT, DEFAULT_TIMEOUT, Tool
from textgym.tools.mcp_session import MCPSession, Server
from textgym.tools.result import ToolError

__all__ = ["MCPToolProvider"]

_log = logging.getLogger(__name__)


class MCPToolProvider:
    """Brings the tools of one MCP server into an environment: ``ToolEnv(data, [MCPToolProvider([...])])``.

    **Sessions.** By default every episode has a session of its own, which is a server process of its own or, over
    HTTP, a session of the server's if it keeps any; so what a server remembers belongs to one episode. A server
    that breaks down in an episode stays down: its calls are answered by errors, for a fresh server would not know
    what has happened. With ``shared=True`` all environments that are given this provider use one session, which
    lasts until the last of them is closed; after a breakdown the next call connects anew, once. The list
    of tools is the one at the opening; later changes of it are not followed.

    **The server's environment.** A command inherits no variables but those that the ``mcp`` package lets
    through: HOME, LOGNAME, PATH, SHELL, TERM and USER (on Windows their counterparts). Keys and the like are
    given in ``env``. What it writes to stderr is kept back; the end of it is part of an error.

    **Ends.** The server ends with the episode, with ``env.close()``, when the environment is garbage, when the
    interpreter exits, and on POSIX also when this process is killed; with it all processes of its group.

    Args:
        command: Program and arguments of a server that speaks over its standard input and output.
        url: Instead of a command, the address of a streamable HTTP endpoint.
        env: Environment variables of the command, on top of those above.
        cwd: Working directory of the command.
        headers: Headers of every request to the URL.
        shared: Whether all episodes use one session.
        timeout: Seconds that the server may take to start, and again for each call. No more servers start at once
            than there are processors (four at least); the time that others wait for that does not count.
        prefix: Put before the names of the tools, where they would collide with others.
        include: The server's names of the tools to take, by default all.
        exclude: The server's names of tools to leave out.
        max_output: Longest result in code points; a longer one is cut. A message of more than 16 MiB is
            not read at all.

    Raises:
        ConfigError: An argument is unusable, or the command is not found.
        MissingExtra: The package ``mcp`` is not installed.

    Example:
        provider = MCPToolProvider(["python", "server.py"], env={"API_KEY": key}, exclude=["delete_all"])
        env = ToolEnv(dataset, [provider], protocol="native")
    """

    deterministic = False
    """Equal calls may give unequal results: nothing is known of a server."""
    forkable = False
    """A live session cannot be copied."""

    def __init__(
        self,
        command: Sequence[str] | None = None,
        *,
        url: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        headers: Mapping[str, str] | None = None,
        shared: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
        prefix: str = "",
        include: Collection[str] | None = None,
        exclude: Collection[str] = (),
        max_output: int = DEFAULT_MAX_OUTPUT,
    ) -> None:
        for name, names in (("include", include), ("exclude", exclude)):
            if isinstance(names, str):
                raise ConfigError(f"{name} is the text {names!r}: give a list of names, [{names!r}]")
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise ConfigError(f"timeout is {timeout!r}: it must be a positive number of seconds")
        self.shared = bool(shared)
        """Whether all episodes use one session."""
        self.server = _server(command, url, env, cwd, headers, float(timeout))
        """Where the tools come from."""
        self.prefix, self.max_output = prefix, max_output
        self.include = None if include is None else tuple(include)
        self.exclude = tuple(exclude)
        self._lock = threading.Lock()
        self._users = 0
        self._session: MCPSession | None = None

    async def open(self) -> list[Tool]:
        """Connect, unless a shared session is there already, and take the server's tools.

        Returns:
            One ``Tool`` for each, in the server's order; its schema is the server's own.

        Raises:
            ConfigError: ``include`` or ``exclude`` names a tool that the server lacks, or a name is not usable.
            EnvError: The server cannot be reached, ends, or is not ready in time.
        """
        session = self._enter()
        try:
            return self._tools(await session.tools())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the session, if nobody else uses it."""
        with self._lock:
            self._users = max(self._users - 1, 0)
            session = self._session
            if self._users:
                return
            self._session = None
        if session is not None:
            await session.close()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Call a tool of the server.

        Args:
            name: Its name there, without the prefix.
            arguments: JSON values by name.

        Returns:
            The result as text.

        Raises:
            ToolError: The tool failed, the server refused the call, or it is gone.
            EnvError: A shared session was lost, and the server cannot be reached again.
        """
        from mcp import MCPError
        from mcp.types import INVALID_REQUEST

        session = await self._living()
        try:
            result = await session.call(name, arguments)
        except EnvError as error:
            _log.warning("%s", error)
            raise ToolError("the tool server has broken down") from error
        except MCPError as error:
            if error.code == INVALID_REQUEST:  # so a server says that it does not know the session any more
                self._drop(session)
            raise ToolError(str(error)) from error
        if result.is_error:
            raise ToolError(_text(result) or "the tool failed without saying why")
        return _text(result)

    def __deepcopy__(self, memo: dict[int, Any]) -> MCPToolProvider:
        return self if self.shared else self._fresh()

    def __getstate__(self) -> dict[str, Any]:
        private = {"_lock", "_users", "_session"}
        return {name: value for name, value in vars(self).items() if name not in private}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock(), _users=0, _session=None)

    def __repr__(self) -> str:
        return f"MCPToolProvider({self.server.url or list(self.server.command)!r:.120})"

    def _fresh(self) -> MCPToolProvider:
        twin = object.__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def _enter(self) -> MCPSession:
        with self._lock:
            self._users += 1
            if self._session is None or not self._session.usable:
                self._session = MCPSession(self.server)
            return self._session

    async def _living(self) -> MCPSession:
        """The session for a call; a shared one that was lost is begun anew."""
        with self._lock:
            session = self._session
            if session is None:
                raise ToolError("the session with the tool server has been closed")
            if session.usable or not self.shared:
                return session
            session = self._session = MCPSession(self.server)
        await session.tools()
        return session

    def _drop(self, session: MCPSession) -> None:
        """Let a shared session go that the server has forgotten; calls that are under way still end."""
        with self._lock:
            if self.shared and self._session is session:
                self._session = MCPSession(self.server)

    def _tools(self, found: Sequence[Any]) -> list[Tool]:
        names = [tool.name for tool in found]
        for option, wanted in (("include", self.include or ()), ("exclude", self.exclude)):
            for name in wanted:
                if name not in names:
                    raise ConfigError(
                        f"{option} names the tool {name!r}: {self.server} has {', '.join(names)}"
                    )
        taken = [
            tool
            for tool in found
            if tool.name not in self.exclude and (self.include is None or tool.name in self.include)
        ]
        twice = [tool.name for tool in taken if names.count(tool.name) > 1]
        if twice:
            raise ConfigError(
                f"{self.server} has two tools {twice[0]!r}: exclude=[{twice[0]!r}] leaves both of them out"
            )
        return [self._tool(tool) for tool in taken]

    def _tool(self, tool: Any) -> Tool:
        hints = tool.annotations
        return Tool(
            name=self.prefix + tool.name,
            description=tool.description or tool.title or "",
            parameters=tool.input_schema,
            function=_Remote(self, tool.name),
            timeout=self.server.timeout,
            max_output=self.max_output,
            concurrent=hints is not None and hints.read_only_hint is True,
        )


class _Remote:
    """One tool of a server as a coroutine function."""

    def __init__(self, provider: MCPToolProvider, name: str) -> None:
        self._provider, self._name = provider, name

    async def __call__(self, **arguments: Any) -> str:
        return await self._provider.call(self._name, arguments)

    def __repr__(self) -> str:
        return f"{self._name!r} of {self._provider.server}"


def _server(
    command: Any,
    url: str | None,
    env: Mapping[str, str] | None,
    cwd: str | None,
    headers: Mapping[str, str] | None,
    timeout: float,
) -> Server:
    """The checked place of the server.

    Raises:
        ConfigError: The arguments contradict each other, or the command is not found.
        MissingExtra: The package ``mcp`` is not installed.
    """
    try:
        from mcp import Client  # noqa: F401 - the name that tells version 2 from version 1
        from mcp.client.stdio import get_default_environment
    except ImportError as error:
        raise MissingExtra("MCPToolProvider needs the package mcp, version 2", extra="mcp") from error
    if (command is None) == (url is None):
        raise ConfigError("give either a command, like ['python', 'server.py'], or a url")
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"url is {url!r}: it must begin with http:// or https://")
        if env or cwd:
            raise ConfigError("env and cwd belong to a command: a server at a url has its own")
        return Server(url=url, headers=dict(headers or {}), timeout=timeout)
    if isinstance(command, str) or not command or not all(isinstance(part, str) for part in command):
        raise ConfigError(f"command is {command!r:.80}: give a list of texts, like ['python', 'server.py']")
    if headers:
        raise ConfigError("headers belong to a url: a command gets its settings by env")
    if cwd is not None and not os.path.isdir(cwd):
        raise ConfigError(f"cwd is {cwd!r}: there is no such folder")
    variables = {**get_default_environment(), **(env or {})}
    program = os.path.join(cwd or "", command[0]) if os.path.dirname(command[0]) else command[0]
    found = shutil.which(program, path=variables.get("PATH"))
    if found is None:
        raise ConfigError(f"command {command[0]!r} is not found: install it, or give its whole path")
    command = (os.path.abspath(found), *command[1:])
    return Server(command=command, env=variables, cwd=cwd, timeout=timeout)


def _text(result: Any) -> str:
    """What the model sees of a result: its texts, and a line for whatever is not text."""
    parts = [_block_text(block) for block in result.content]
    if result.structured_content is not None and not any(block.type == "text" for block in result.content):
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    return "\n".join(parts)


def _block_text(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type in ("image", "audio"):
        return f"[{block.type}: {block.mime_type}, {_size(block.data)} bytes]"
    if block.type == "resource_link":
        return f"[resource: {block.uri}]"
    resource = block.resource
    if hasattr(resource, "text"):
        return f"[resource: {resource.uri}]\n{resource.text}"
    return f"[resource: {resource.uri}, {resource.mime_type or 'unknown type'}, {_size(resource.blob)} bytes]"


def _size(data: str) -> int:
    """How many bytes base64 text stands for."""
    return len(data) * 3 // 4 - data[-2:].count("=")
