"""Calling hooks that may be plain functions or coroutines, from both sync and async callers.

The logic of an environment step or of a score is written once, as an ``async def`` flow that hands
every value a hook returned to ``await settle(value)``. Two drivers run such a flow:

- ``drive(flow)`` from ordinary code. With plain hooks no event loop is touched; an awaitable is run
  to its end on one background loop per process.
- ``adrive(flow)`` from a coroutine. Awaitables are awaited on the caller's own loop.

A hook that is itself a flow is marked with ``@flow``: what it returns is run as part of the caller's flow,
and may still be awaited by ordinary coroutines (a user's ``await super().respond(action)``).

What has to outlive the loop that asked for it (a connection that several steps use, each of them perhaps under
a loop of its own) is begun with ``in_background(awaitable)`` on that same background loop.

Invariant: a flow awaits nothing but ``settle`` and other flows, so both drivers give the same result.
This module does not make blocking functions asynchronous; ``textgym.astep`` does that with threads.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from inspect import isawaitable
from types import coroutine
from typing import Any, Generic, ParamSpec, TypeVar

__all__ = ["PLAIN", "Flow", "adrive", "drive", "flow", "in_background", "settle", "waited"]

P = ParamSpec("P")
T = TypeVar("T")
PLAIN = frozenset({str, bool, float, int, dict, list, tuple, type(None)})
"""Types of values that are settled as they are. Hot flows look here before they ``await settle(value)``."""


class _Waited(threading.local):
    times = 0


waited = _Waited()
"""``waited.times``: how often ``drive`` has had to wait for an awaitable in this thread, so far."""


class _Ask:
    """A flow's request to its driver: run this awaitable and send me the result."""

    __slots__ = ("awaitable",)

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self.awaitable = awaitable


@coroutine
def _ask(awaitable: Awaitable[Any]) -> Generator[_Ask, Any, Any]:
    return (yield _Ask(awaitable))


class Flow(Generic[T]):
    """A flow that has not begun: ``settle`` runs it in place, ordinary coroutines may await it."""

    __slots__ = ("coroutine",)

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        return adrive(self.coroutine).__await__()


def flow(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Flow[T]]:
    """Mark an ``async def`` method that awaits only ``settle`` and other flows as a flow.

    Args:
        method: The method.

    Returns:
        The method, returning a ``Flow``.
    """

    @functools.wraps(method)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Flow[T]:
        return Flow(method(*args, **kwargs))

    return begin


async def settle(value: Any) -> Any:
    """Inside a flow: the value itself, or what it resolves to if it is a flow or awaitable.

    Args:
        value: Whatever a hook returned.

    Returns:
        The settled value.
    """
    if type(value) is Flow:
        return await value.coroutine
    if type(value) in PLAIN or not isawaitable(value):  # isawaitable alone costs a microsecond
        return value
    return await _ask(value)


def drive(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow from ordinary code.

    Args:
        flow: An ``async def`` call that awaits only ``settle`` and other flows.

    Returns:
        What the flow returns.

    Raises:
        RuntimeError: Called from the background loop itself, where waiting would never end.

    Example:
        >>> async def hook(): return 2
        >>> async def flow(): return 1 + await settle(hook())
        >>> drive(flow())
        3
    """
    resume: Any = flow.send
    value: Any = None
    while True:
        try:
            ask = resume(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        waited.times += 1
        try:
            resume, value = flow.send, _background.run(_asked(flow, ask))
        except BaseException as error:
            resume, value = flow.throw, error


async def adrive(flow: Coroutine[Any, Any, T]) -> T:
    """Run a flow from a coroutine; the awaitables of its hooks run on the caller's loop.

    Args:
        flow: An ``async def`` call that awaits only ``settle`` and other flows.

    Returns:
        What the flow returns.
    """
    resume: Any = flow.send
    value: Any = None
    while True:
        try:
            ask = resume(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        try:
            resume, value = flow.send, await _asked(flow, ask)
        except BaseException as error:
            resume, value = flow.throw, error


def in_background(awaitable: Awaitable[T]) -> Future[T]:
    """Begin something on the background loop of this process.

    Args:
        awaitable: What to run to its end. It should wait, not work: everybody shares the loop.

    Returns:
        A future for threads. A coroutine awaits it by ``asyncio.wrap_future``, and passes its own
        cancellation on that way.
    """
    return _background.begin(awaitable)


def _asked(flow: Any, ask: Any) -> Awaitable[Any]:
    if isinstance(ask, _Ask):
        return ask.awaitable
    raise TypeError(
        f"{getattr(flow, '__qualname__', flow)!r} awaited something directly; inside textgym's "
        "flows write `await settle(value)`"
    )


class _Background:
    """One event loop in a daemon thread per process; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def begin(self, awaitable: Awaitable[T]) -> Future[T]:
        return self._begun(awaitable, self._running_loop())

    def _begun(self, awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop) -> Future[T]:
        async def whole() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(whole(), loop)

    def run(self, awaitable: Awaitable[T]) -> T:
        loop = self._running_loop()
        if threading.current_thread() is self._thread:
            if asyncio.iscoroutine(awaitable):
                awaitable.close()
            raise RuntimeError(
                "a sync step or reset was called from inside a coroutine hook: it would wait for "
                "itself; use `await textgym.astep(env, action)` there"
            )
        future = self._begun(awaitable, loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="textgym-hooks", daemon=True
                )
                self._thread.start()
            return self._loop


_background = _Background()
