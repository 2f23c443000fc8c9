"""One timer for the deadlines of many requests that all have equally long.

``asyncio.timeout`` sets a timer of its own each time, which is a good part of what a policy adds to
a request. Here deadlines are first in, first out, so only the oldest needs a timer.

Invariant: a task is cancelled from here at most once per ``Deadline``, only while inside it, and
that cancellation never leaks: it ends as ``TimeoutError``, as with ``asyncio.timeout``. It serves
one event loop.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """The deadlines of one event loop; make it inside that loop.

    Args:
        seconds: How long each of them is away when it is entered.
    """

    __slots__ = ("_loop", "_open", "_timer", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, deadline: Deadline) -> None:
        """Watch a deadline that is later than all those before it."""
        self._open[deadline] = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline.at, self._strike)

    def remove(self, deadline: Deadline) -> None:
        """Stop watching; the timer stays and finds out for itself."""
        self._open.pop(deadline, None)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _strike(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._open:
            oldest = next(iter(self._open))
            if oldest.at > now:
                self._timer = self._loop.call_at(oldest.at, self._strike)
                return
            del self._open[oldest]
            oldest.strike()


class Deadline:
    """A ``with`` block that ends in ``TimeoutError`` when its time is up.

    Args:
        deadlines: Whose timer watches it.
    """

    __slots__ = ("_asked", "_deadlines", "_task", "at", "expired")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self.expired = False
        """Whether the time was up before the block was left."""

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline works inside a task only")
        self._task = task
        self._asked = task.cancelling()
        self.at = self._deadlines._loop.time() + self._deadlines.seconds
        """Time of the loop at which it strikes."""
        self._deadlines.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.remove(self)
        if self.expired and self._task.uncancel() <= self._asked and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def strike(self) -> None:
        """The time is up: break off what the task is waiting for."""
        self.expired = True
        self._task.cancel()
