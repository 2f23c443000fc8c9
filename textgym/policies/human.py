"""The person at the keyboard.

Invariant: a question that nobody answers holds nothing up: Ctrl-C and a limit on seconds end it at once,
because no thread waits inside ``input()``, which could not be left.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from textgym.errors import PolicyError
from textgym.types import Completion, CompletionRequest

__all__ = ["HumanPolicy", "Keyboard"]

_POLL_SECONDS = 0.05
_QUOTES = '"""'


class HumanPolicy:
    """Asks a person, one question at a time: a line or, between two lines of three quotes, several.

    Args:
        read: Plain or async; gets the prompt and returns one line without its end, or raises EOFError. By
            default it reads standard input.
        write: Shows a text on lines of its own. By default standard output.
        commands: Words that are no answer where they stand alone on its first line, and what is called with
            the request instead; then the person is asked again.
    """

    name = "human"

    def __init__(
        self,
        read: Callable[[str], Any] | None = None,
        write: Callable[[str], Any] | None = None,
        commands: Mapping[str, Callable[[CompletionRequest], Any]] | None = None,
    ) -> None:
        self._write = write or _show
        self._read = read or Keyboard()
        self._commands = dict(commands or {})
        self._turn = asyncio.Lock()

    async def complete(self, request: CompletionRequest) -> Completion:
        """Show the newest observation and read the answer; episodes wait for each other.

        Raises:
            PolicyError: The input has ended.
        """
        async with self._turn:
            self.show(request)
            try:
                return Completion(text=await self._answer(request))
            except EOFError:
                raise PolicyError("the input ended before the episode did") from None
            except asyncio.CancelledError:
                self._write("")  # off the line of the question
                raise

    def show(self, request: CompletionRequest) -> None:
        """Show what is to be answered, and at the beginning of an episode how."""
        if request.turn == 0:
            self._write(f"(answer on one line; for several begin and end with a line {_QUOTES})")
        self._write(f"\n{request.observation}\n")

    async def _answer(self, request: CompletionRequest) -> str:
        while (line := await self._line("> ")).strip() in self._commands:
            self._commands[line.strip()](request)
        if line.strip() != _QUOTES:
            return line
        lines = []
        while (line := await self._line("… ")).strip() != _QUOTES:
            lines.append(line)
        return "\n".join(lines)

    async def _line(self, prompt: str) -> str:
        line = self._read(prompt)
        return str(await line if isawaitable(line) else line)


def _show(text: str) -> None:
    sys.stdout.write(text + "\n")


class Keyboard:
    """Standard input, read line by line without a thread that could not be stopped."""

    def __init__(self) -> None:
        self._pending = b""

    async def __call__(self, prompt: str) -> str:
        """Ask on standard error and read one line.

        Args:
            prompt: What stands before the cursor.

        Returns:
            The line without its end.

        Raises:
            EOFError: The input has ended.
        """
        sys.stderr.write(prompt)
        sys.stderr.flush()
        try:
            source = sys.stdin.fileno()
        except (OSError, ValueError):
            source = -1
        if source < 0 or sys.platform == "win32":  # nothing that could be polled
            return _last(await asyncio.to_thread(sys.stdin.readline))
        while b"\n" not in self._pending:
            # Polled, because event loops cannot watch a file that stands in for the keyboard.
            while not select.select([source], [], [], 0)[0]:  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            read = os.read(source, 65536)
            if not read:
                rest, self._pending = self._pending, b""
                return _last(rest.decode("utf-8", "replace"))
            self._pending += read
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r")


def _last(line: str) -> str:
    if not line:
        raise EOFError
    return line.rstrip("\r\n")
