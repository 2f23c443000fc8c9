"""The right to write a run directory, which one process has at a time.

Invariant: it ends with the process that holds it, however that dies. Where the platform has no advisory locks
(Windows), two writers are not detected.
"""

from __future__ import annotations

import os
from pathlib import Path

from textgym.errors import RunLocked

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """The right to write a directory, held by one process and let go of when it dies.

    Args:
        path: The file that is locked, inside the directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> None:
        """Take it; raises ``RunLocked``, which names the holder, if another process has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _try_lock(fd):
            holder = os.pread(fd, 64, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise RunLocked(
                f"{self._path.parent} is being written by process {holder}: wait for it, or choose "
                "another directory"
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _try_lock(fd: int) -> bool:
    try:
        import fcntl
    except ImportError:  # no advisory locks on this platform: two writers are not detected
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
