"""Running one tool: in place, in a thread or on the loop, with a deadline, so that nothing escapes.

Invariant: a tool's exceptions, ``SystemExit`` among them, become a result; its loop and its caller live on. Three
kinds pass through, for they are not the model's doing: ``KeyboardInterrupt``, the cancelling of the episode, and
textgym's own errors (no sandbox, a wrong configuration), which a tool raises to break the episode instead of
telling the model. A coroutine that blocks its loop cannot be stopped.
"""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias

from textgym.errors import EnvError, TextgymError
from textgym.hooks import settle
from textgym.tools.definition import Tool
from textgym.tools.result import ToolOutcome, ToolTimeout, error_text, result_text

__all__ = ["MAX_ABANDONED", "Finished", "abandoned", "in_place", "run_tool"]

Finished: TypeAlias = tuple[ToolOutcome, str]
"""What became of a call, and its whole text."""

MAX_ABANDONED = 256
"""Threads of tools that never ended, beyond which no further one is begun."""
_FIRST_WARNING = 8
_ESCAPES = (KeyboardInterrupt, GeneratorExit, TextgymError)

_lock = threading.Lock()
_abandoned: list[threading.Thread] = []


@dataclass(frozen=True, slots=True)
class _Escaped:
    """An exception that is to be raised by the caller: one raised within a task would end the loop itself."""

    error: BaseException


def in_place(tool: Tool) -> bool:
    """Whether a tool is called where its caller is: a plain function that is trusted to end by itself."""
    return tool.timeout is None and not tool.is_async


async def run_tool(tool: Tool, arguments: Mapping[str, Any]) -> Finished:
    """Run a tool, as a flow of ``textgym.hooks``.

    Args:
        tool: The tool.
        arguments: Checked and complete arguments.

    Raises:
        KeyboardInterrupt: The tool raised it.
        TextgymError: The tool raised it, or too many threads of tools that hang are left behind.
    """
    if in_place(tool):
        result = _contained(tool.function, arguments)
        if isawaitable(result):
            result = await settle(_in_time(_awaited(result), None))
    elif tool.is_async:
        result = await settle(_in_time(_called(tool.function, arguments), tool.timeout))
    else:
        result = await settle(_in_thread(tool, arguments))
    if isinstance(result, _Escaped):
        raise result.error
    if result is None:
        return ToolOutcome.TIMEOUT, f"Error: {tool.name} did not return within {tool.timeout:g} seconds"
    finished: Finished = result
    return finished


def abandoned() -> int:
    """How many threads of tools that went over their deadline are still running."""
    with _lock:
        _abandoned[:] = [thread for thread in _abandoned if thread.is_alive()]
        return len(_abandoned)


def _contained(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What a plain call comes to: finished, escaped, or something to await."""
    try:
        value = function(**arguments)
        return value if isawaitable(value) else (ToolOutcome.OK, result_text(value))
    except BaseException as error:
        return _failed(error)


async def _called(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    return await _awaited(function(**arguments))


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    try:
        return ToolOutcome.OK, result_text(await awaitable)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        return _failed(error)


def _failed(error: BaseException) -> Finished | _Escaped:
    if isinstance(error, _ESCAPES):
        return _Escaped(error)
    late = isinstance(error, ToolTimeout)
    return ToolOutcome.TIMEOUT if late else ToolOutcome.RAISED, error_text(error)


async def _in_time(work: Any, seconds: float | None) -> Any:
    """What a coroutine gives, or None at the deadline; it is cancelled then and not waited for."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except BaseException:
        task.cancel()
        raise
    if not task.done():
        task.cancel()
        task.add_done_callback(_forget)
        return None
    if task.cancelled():  # by itself: nobody here has cancelled it
        return ToolOutcome.RAISED, "Error: CancelledError"
    return task.result()


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _in_thread(tool: Tool, arguments: Mapping[str, Any]) -> Any:
    """What a plain function gives in a daemon thread, or None at the deadline; the thread is left behind then."""
    assert tool.timeout is not None
    if (count := abandoned()) >= MAX_ABANDONED:
        raise EnvError(
            f"tool {tool.name!r} is not run: {count} threads of tools that never returned are left behind; bound "
            "their work by themselves, or make them async"
        )
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def deliver(result: Any) -> None:
        if not future.done():
            future.set_result(result)

    def work() -> None:
        result = context.run(_contained, tool.function, arguments)
        try:
            loop.call_soon_threadsafe(deliver, result)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    thread = threading.Thread(target=work, name=f"textgym-tool-{tool.name}", daemon=True)
    began = time.monotonic()
    thread.start()
    try:
        await asyncio.wait({future}, timeout=tool.timeout)
    finally:
        if not future.done():
            _abandon(thread, tool)
    if not future.done():
        return None
    result = future.result()
    if isawaitable(result):
        left = tool.timeout - (time.monotonic() - began)
        return await _in_time(_awaited(result), max(left, 0.0))
    return result


def _abandon(thread: threading.Thread, tool: Tool) -> None:
    count = abandoned() + 1
    with _lock:
        _abandoned.append(thread)
    if count >= _FIRST_WARNING and count & (count - 1) == 0:
        warnings.warn(
            f"{count} threads of tools that went over their deadline are still running, "
            f"the last of {tool.name!r}: a thread cannot be stopped; bound the tool's own work, or make it async",
            RuntimeWarning,
            stacklevel=2,
        )
