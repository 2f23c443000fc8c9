"""Event loops for callers that have none: a rollout from ordinary code, from a script or a notebook.

Invariant: Ctrl-C ends the work and not only the waiting for it: what runs is cancelled, cleans up, and then
KeyboardInterrupt is raised. A second Ctrl-C ends it at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

__all__ = ["Interrupt", "run_on_own_loop"]

T = TypeVar("T")

_POLL_SECONDS = 0.1
_YOUNG = 20_000
"""Objects that Python's cycle collector lets come together before it looks for garbage among them."""


class Interrupt:
    """The means to end a run that is under way, from a signal handler or another thread."""

    def __init__(self) -> None:
        self._act: Callable[[], object] | None = None

    def __call__(self) -> None:
        """End it, if it runs."""
        if self._act is not None:
            self._act()

    @contextlib.contextmanager
    def by(self, act: Callable[[], object]) -> Iterator[None]:
        """While the context lasts, ending it means to call ``act``."""
        self._act = act
        try:
            yield
        finally:
            self._act = None


def run_on_own_loop(whole: Coroutine[Any, Any, T], interrupt: Interrupt) -> T:
    """Run a coroutine to its end on a loop of its own (uvloop's, where it is installed).

    Where a loop is running already, as in a notebook, it gets a thread as well: the caller waits, and its own
    Ctrl-C, and the cancellation of its task, end the work.

    Args:
        whole: The work.
        interrupt: Ends it while it runs.

    Returns:
        What it returns.

    Raises:
        KeyboardInterrupt: It was interrupted, by Ctrl-C or by ``interrupt``.
    """
    if _loop_is_running():
        return _run_in_thread(whole, interrupt)
    try:
        import uvloop
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    mine = threading.current_thread() is threading.main_thread()
    heeded = mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with _patient_collector(), asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_interruptible(whole, interrupt, heeded))


@contextlib.contextmanager
def _patient_collector() -> Iterator[None]:
    """Let the cycle collector come less often while many episodes are alive.

    Its default, every 700 new objects, walks through live episodes again and again: an eighth of a run's CPU. Who
    has set it otherwise, or switched it off, keeps what he has set.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < _YOUNG:
        yield
        return
    ours = (_YOUNG, *before[1:])
    gc.set_threshold(*ours)
    try:
        yield
    finally:
        if gc.get_threshold() == ours:
            gc.set_threshold(*before)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in_thread(whole: Coroutine[Any, Any, T], interrupt: Interrupt) -> T:
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        try:
            outcome.set_result(run_on_own_loop(whole, interrupt))
        except BaseException as error:
            outcome.set_exception(error)

    caller = asyncio.current_task()
    thread = threading.Thread(target=work, name="textgym-rollout")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL_SECONDS)
            if caller is not None and caller.cancelling():
                interrupt()
    except KeyboardInterrupt:
        interrupt()
        try:
            thread.join()
        except KeyboardInterrupt:
            interrupt()
        raise
    return outcome.result()


async def _interruptible(whole: Coroutine[Any, Any, T], interrupt: Interrupt, heeded: bool) -> T:
    """Let Ctrl-C and ``interrupt`` cancel the work even while the loop sleeps; a second time, at once.

    A handler of the loop's own wakes it up. The one that ``asyncio.Runner`` installs can miss a signal that
    comes just before the loop falls asleep.
    """
    work = asyncio.ensure_future(whole)
    loop = asyncio.get_running_loop()
    interrupted = False

    def act() -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        work.cancel()

    with contextlib.suppress(NotImplementedError):  # on Windows the Runner's handler has to do
        if heeded:
            loop.add_signal_handler(signal.SIGINT, act)
    try:
        with interrupt.by(lambda: loop.call_soon_threadsafe(act)):
            return await work
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        with contextlib.suppress(NotImplementedError):
            if heeded:
                loop.remove_signal_handler(signal.SIGINT)
