"""A file that grows by whole lines, written and fsync'ed by a thread of its own.

Invariant: lines reach the disk in the order in which they were given; after an error of the disk nothing more is
written, and whoever gives the next line is told. It does not know what the lines say.
"""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path

from textgym.errors import RunError

__all__ = ["LineWriter"]


class LineWriter:
    """A thread that appends lines and fsyncs once for all that have come meanwhile.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lines: queue.SimpleQueue[bytes | threading.Event | None] = queue.SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="textgym-store", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Hand a line over; raises ``RunError`` if an earlier one could not be written."""
        self._check()
        self._lines.put(line)

    def flush(self) -> None:
        """Wait until all lines are on disk; raises ``RunError`` if they are not."""
        written = threading.Event()
        self._lines.put(written)
        written.wait()
        self._check()

    def close(self) -> None:
        """Write what is left and close the file; raises ``RunError`` if that fails."""
        self._lines.put(None)
        self._thread.join()
        os.close(self._fd)
        self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise RunError(
                f"writing {self._path} failed: {self._error.strerror or self._error}. Every line before "
                "is whole; make room and resume"
            ) from self._error

    def _work(self) -> None:
        while True:
            batch = [self._lines.get()]
            while not self._lines.empty():
                batch.append(self._lines.get())
            lines = b"".join(line for line in batch if isinstance(line, bytes))
            if lines and self._error is None:
                try:
                    _write_all(self._fd, lines)
                    os.fsync(self._fd)
                except OSError as error:
                    self._error = error
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            if None in batch:
                return


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
