"""``MCPProcess``: an MCP server as a child process, spoken to over its standard input and output.

Invariant: when ``streams()`` is left, no process of the server's group is alive (POSIX); if this process dies
first, however it dies, the keeper ends the group in its place. It stands where the mcp package's own
``stdio_client`` could stand, because that one needs time quadratic in the length of a message (40 MB stop
its event loop for ten seconds), reads lines without a bound, lets the children of a server that went in peace
live on, and says no process id.

It knows JSON-RPC messages but nothing of tools. On Windows there are neither groups nor the keeper: the server
alone is ended, and after a crash of this process it has to notice the end of its input itself.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["MAX_MESSAGE", "Keeper", "MCPProcess"]

MAX_MESSAGE = 16 << 20
"""Most bytes of one message from a server: a longer one is skipped, and the call it answers fails."""

PATIENCE = 1.0
"""Seconds that a server has to go after the end of its input, and again after SIGTERM."""

_CHUNK = 1 << 16
_LAST_WORDS = 2_000
_ANSWER = re.compile(rb'\s*\{(?:\s*"jsonrpc"\s*:\s*"2\.0"\s*,)?\s*"id"\s*:\s*(\d{1,18})\s*,')


class MCPProcess:
    """One server process, for one connection.

    Args:
        command: Program and arguments.
        env: All of its environment variables.
        cwd: Its working directory, or None for the present one.
        keeper: Ends it if this process dies first.
        on_end: Called once the server has closed its output: it will answer nothing more.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        keeper: Keeper,
        on_end: Callable[[], object],
    ) -> None:
        self._command, self._env, self._cwd = tuple(command), dict(env), cwd
        self._keeper, self._on_end = keeper, on_end
        self._process: asyncio.SubprocessTransport | None = None
        self._went_alone = False
        self._stderr = b""

    def obituary(self, cause: str) -> str:
        """How the server ended, for who has to mend it.

        Args:
            cause: What to say where the server did not end by itself.

        Returns:
            Its exit code or the cause, with the last that it wrote to stderr.
        """
        if self._process is not None and self._went_alone:
            cause = f"it ended by itself with exit code {self._process.get_returncode()}"
        words = self._stderr.decode("utf-8", "replace").strip()
        return f"{cause}; it last wrote: {words}" if words else cause

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[Any]:
        """Start the server; on leaving, end it with all that it has started.

        Yields:
            The pair of message streams that ``mcp.Client`` asks of a transport.

        Raises:
            OSError: The program cannot be started.
        """
        import anyio

        pipes = await self._start()
        sender, receiver = anyio.create_memory_object_stream[Any](0)
        reading = asyncio.create_task(self._read(pipes.stdout, sender))
        pumps = [
            reading,
            asyncio.create_task(self._hear(pipes.stderr)),
            asyncio.create_task(self._watch(pipes, reading)),
        ]
        try:
            yield receiver, _Input(pipes.stdin)
        finally:
            receiver.close()  # from here on the output is read only so that the server does not block on it
            with anyio.CancelScope(shield=True):
                await self._end(pipes)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            sender.close()

    async def _start(self) -> _Pipes:
        loop = asyncio.get_running_loop()
        self._process, pipes = await loop.subprocess_exec(
            lambda: _Pipes(loop),
            *self._command,
            env=self._env,
            cwd=self._cwd,
            start_new_session=True,  # a group of its own, which the terminal's Ctrl-C does not reach
        )
        self._keeper.add(self._process.get_pid())
        return pipes

    async def _end(self, pipes: _Pipes) -> None:
        process = self._process
        assert process is not None
        self._went_alone = pipes.exited.is_set() or pipes.stdout.at_eof()
        pipes.stdin.close()
        for force in (None, "SIGTERM", "SIGKILL"):
            if force is not None:
                _end_group(process, force)
            try:
                await asyncio.wait_for(pipes.exited.wait(), PATIENCE)
                break
            except TimeoutError:
                continue
        _end_group(process, "SIGKILL")  # what the server has started and left behind
        self._keeper.remove(process.get_pid())
        process.close()

    async def _read(self, output: asyncio.StreamReader, sender: Any) -> None:
        """Cut the output into lines and hand them on, in linear time and bounded memory."""
        line, length = bytearray(), 0
        try:
            while chunk := await output.read(_CHUNK):
                for number, piece in enumerate(chunk.split(b"\n")):
                    if number:
                        await _deliver(line, length, sender)
                        line, length = bytearray(), 0
                    length += len(piece)
                    if length <= MAX_MESSAGE:
                        line += piece
        finally:
            self._on_end()
            sender.close()

    async def _watch(self, pipes: _Pipes, reading: asyncio.Task[None]) -> None:
        """Let the connection end with the server, even if a child of it holds the output open."""
        await pipes.exited.wait()
        assert self._process is not None
        _end_group(self._process, "SIGKILL")
        await asyncio.wait([reading], timeout=PATIENCE)
        reading.cancel()

    async def _hear(self, errors: asyncio.StreamReader) -> None:
        while chunk := await errors.read(_CHUNK):
            self._stderr = (self._stderr + chunk)[-_LAST_WORDS:]


class Keeper:
    """A small shell process that ends the groups in its care once this process is gone.

    It runs only while there are groups to keep. Nothing needs it in the ordinary way of things: it is for
    SIGKILL, ``os._exit`` and crashes, which leave no time for anything else. Where this process was forked, it
    waits for the children too. To be used on one event loop.
    """

    _SCRIPT = """
    kept=
    while read -r verb group; do
      left=
      for one in $kept; do [ "$one" = "$group" ] || left="$left $one"; done
      kept=$left
      [ "$verb" = add ] && kept="$kept $group"
    done
    [ -n "$kept" ] || exit 0
    for one in $kept; do kill -s TERM -- "-$one"; done
    sleep 1
    for one in $kept; do kill -s KILL -- "-$one"; done
    """

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """Keep a process group, named by its leader's process id."""
        self._groups.add(group)
        if os.name == "posix" and self._shell is None:
            try:
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", self._SCRIPT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError:
                return
        self._tell("add", group)

    def remove(self, group: int) -> None:
        """Forget a group: it has ended."""
        self._groups.discard(group)
        self._tell("remove", group)
        if not self._groups and self._shell is not None:
            shell, self._shell = self._shell, None
            shell.communicate()

    def _tell(self, verb: str, group: int) -> None:
        if self._shell is None or self._shell.stdin is None:
            return
        try:
            self._shell.stdin.write(f"{verb} {group}\n".encode())
            self._shell.stdin.flush()
        except OSError:  # somebody has ended it; the groups are still ended in the ordinary way
            return


class _Pipes(asyncio.subprocess.SubprocessStreamProtocol):
    """The three pipes of a server, and an event for its exit that does not wait for them to close."""

    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=_CHUNK, loop=loop)
        self.exited = asyncio.Event()

    def process_exited(self) -> None:
        self.exited.set()
        super().process_exited()


class _Input:
    """The stream of messages to the server."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, item: Any) -> None:
        import anyio

        line = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        try:
            self._writer.write(line)
            await self._writer.drain()
        except OSError:
            raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        self._writer.close()

    async def __aenter__(self) -> _Input:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


async def _deliver(line: bytearray, length: int, receiver: Any) -> None:
    import anyio

    message = _message(line, length)
    if message is not None:
        try:
            await receiver.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody listens any more
            return


def _message(line: bytearray, length: int) -> Any:
    """What one line says, or the refusal of the call that it would have answered, or None."""
    from mcp.shared.message import SessionMessage
    from mcp.types import PARSE_ERROR, ErrorData
    from mcp.types.jsonrpc import JSONRPCError, jsonrpc_message_adapter

    if length > MAX_MESSAGE:
        trouble = f"the answer of the tool server has {length} bytes, more than {MAX_MESSAGE}"
    else:
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(bytes(line), by_name=False))
        except ValueError:
            trouble = "the answer of the tool server is no valid message"
    answer = _ANSWER.match(line)
    if answer is None:
        return None
    error = ErrorData(code=PARSE_ERROR, message=trouble)
    return SessionMessage(JSONRPCError(jsonrpc="2.0", id=int(answer[1]), error=error))


def _end_group(process: asyncio.SubprocessTransport, how: str) -> None:
    try:
        if os.name == "posix":
            os.killpg(process.get_pid(), getattr(signal, how))
        elif process.get_returncode() is None:
            process.kill()
    except (ProcessLookupError, PermissionError):  # gone, or of other users
        return
