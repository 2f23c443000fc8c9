"""A deadline for code that may hang: a regular expression, a sleep, an endless loop.

Invariant: an alarm that was set before (pytest-timeout sets one) is still set afterwards. Only the main
thread of a Unix process can be interrupted; elsewhere the block simply runs, and its time can be measured.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Overdue", "deadline"]


class Overdue(BaseException):
    """The block took too long. No ``Exception``, so that the interrupted code does not swallow it."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block when its time is up.

    Args:
        seconds: How long it may take.

    Raises:
        Overdue: It took longer.
    """
    able = hasattr(signal, "setitimer")
    if not able or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(signum: int, frame: Any) -> None:
        raise Overdue(f"not finished after {seconds:g} seconds")

    handler = signal.signal(signal.SIGALRM, ring)
    began = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3))
