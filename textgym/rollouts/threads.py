"""Threads for environments that block.

Invariant: a call that never returns costs its own episode and nobody else's: it holds neither a place that others
wait for, nor the end of the run, nor the end of the program. An environment is never closed while a thread is
still inside one of its calls.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar, Token, copy_context
from typing import Any, Self

__all__ = ["Threads", "close_in_thread", "in_thread"]

log = logging.getLogger(__name__)

_current: ContextVar[Threads | None] = ContextVar("textgym_threads", default=None)


class Threads:
    """While the ``with`` block lasts, ``in_thread`` of the same context runs its calls here.

    Not a ``ThreadPoolExecutor``: Python waits for the threads of those before it ends.

    Args:
        most: Most calls at a time, those that nobody waits for any longer not counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._free = 0
        """Threads that wait, less calls that wait."""
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._left: set[Future[Any]] = set()
        self._token: Token[Threads | None] | None = None

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._token is not None
        _current.reset(self._token)
        for _ in range(self._started):
            self._calls.put(None)

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Run a call as soon as there is a place."""
        future: Future[Any] = Future()
        self._calls.put((future, call))
        with self._lock:
            self._free -= 1
            self._start_if_needed()
        return future

    def leave(self, future: Future[Any]) -> None:
        """Wait for a call no longer: if it is under way, its place goes to others."""
        if future.cancel():
            return
        with self._lock:
            if not future.done():
                self._left.add(future)
                self._most += 1
                self._start_if_needed()

    def _start_if_needed(self) -> None:
        if self._free < 0 and self._started < self._most:
            self._started += 1
            self._free += 1
            threading.Thread(target=self._work, name="textgym-env", daemon=True).start()

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                _run(future, call)
            with self._lock:
                if future in self._left:  # another has its place
                    self._left.discard(future)
                    self._most -= 1
                    self._started -= 1
                    return
                self._free += 1
            del item, future, call


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    try:
        result = call()
    except StopIteration as error:  # which a future cannot hold
        future.set_exception(RuntimeError(f"the call raised {error!r}"))
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


async def in_thread(call: Callable[[], Any], env: Any) -> Any:
    """Await a blocking call of an environment.

    Args:
        call: What to call.
        env: The environment that it is inside of meanwhile.
    """
    run = copy_context().run
    threads = _current.get()
    if threads is None:
        return await asyncio.get_running_loop().run_in_executor(None, run, call)
    future = threads.submit(lambda: run(call))
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        threads.leave(future)
        if not future.done():
            _inside[id(env)] = (env, future)
        raise


_inside: dict[int, tuple[Any, Future[Any]]] = {}
"""Identity of an environment -> the call that a thread is inside of although nobody waits for it."""


async def close_in_thread(env: Any) -> None:
    """Close an environment that blocks: now, or as soon as the thread comes out that is still inside."""
    _, inside = _inside.pop(id(env), (env, None))
    if inside is None:
        await in_thread(env.close, env)
    else:
        inside.add_done_callback(lambda _: _close_late(env))


def _close_late(env: Any) -> None:
    try:
        env.close()
    except Exception:
        log.warning("closing %s failed", env, exc_info=True)
