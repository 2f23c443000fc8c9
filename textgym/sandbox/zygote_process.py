"""A zygote as the pool sees it: start, tell, hear, end.

Invariant: used by one thread, the pool's, which is also the one whose end the kernel tells the zygote of. It is
started by ``exec``, gets nothing but the text of ``textgym.sandbox.program`` and one socket, and never the data
of a call.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from textgym.errors import SandboxUnavailable
from textgym.sandbox.backend import Backend
from textgym.sandbox.bubblewrap import command, find_bwrap
from textgym.sandbox.program import ARGUMENTS, ENVIRONMENT, program
from textgym.sandbox.settings import Settings
from textgym.sandbox.view import interpreter, view

if TYPE_CHECKING:
    from textgym.sandbox.child import Child

__all__ = ["ZygoteProcess", "memory_file"]

_SCRATCH = "/scratch/run"
_LONGEST_MESSAGE = 1 << 16
_ECHOED_BYTES = 2000
_ADD_SEALS, _ALL_SEALS = 1033, 0b1111
"""``F_ADD_SEALS``, and those against sealing, shrinking, growing and writing; named by ``fcntl`` only on
Linux."""


class ZygoteProcess:
    """A running zygote.

    Args:
        backend: How it is isolated.
        settings: What its children may do.

    Raises:
        OSError: It cannot be started.
        ConfigError: A module is not installed.
        SandboxUnavailable: A scratch directory is wanted, and this backend can give none.
    """

    def __init__(self, backend: Backend, settings: Settings) -> None:
        self.children: dict[int, Child] = {}
        self.ready = False
        self.started = 0
        shown = view(settings.modules)
        scratch = _SCRATCH if settings.limits.scratch_bytes else ""
        if scratch and backend is Backend.LANDLOCK:
            raise SandboxUnavailable(
                "a scratch directory needs a view of its own (backend bubblewrap or namespaces), and only "
                "landlock is there; use SandboxLimits(scratch_bytes=0)"
            )
        self._outbox: deque[tuple[bytes, Sequence[int]]] = deque()
        bwrap = backend is Backend.BUBBLEWRAP
        with ExitStack() as kept, ExitStack() as sent:
            self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            kept.enter_context(self.control)
            sent.enter_context(theirs)
            self.control.setblocking(False)
            self._faults = os.memfd_create("textgym-faults", os.MFD_CLOEXEC)
            kept.callback(os.close, self._faults)
            text = memory_file(program("zygote"))
            sent.callback(os.close, text)
            inside = [interpreter(), *ARGUMENTS, str(theirs.fileno())]
            if bwrap:
                inside = command(find_bwrap() or "bwrap", shown, scratch, inside)
            self._process = subprocess.Popen(
                inside,
                stdin=text,
                stdout=subprocess.DEVNULL,
                stderr=self._faults,
                pass_fds=[theirs.fileno()],
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
            kept.pop_all()  # it runs: from here on ``end`` closes them
        self.tell(
            {
                "parent": 0 if bwrap else os.getpid(),
                "make_view": backend is Backend.NAMESPACES,
                "has_view": backend is not Backend.LANDLOCK,
                "view": shown.as_json(),
                "scratch": scratch,
                "packages": shown.packages,
                "modules": settings.modules,
                "limits": settings.limits_as_json(),
            }
        )

    @property
    def pid(self) -> int:
        """Process id of what was started: the zygote, or its parent where it has a pid namespace."""
        return self._process.pid

    @property
    def has_words(self) -> bool:
        """Whether messages wait to be sent."""
        return bool(self._outbox)

    def tell(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send a message; the descriptors are closed once they are sent."""
        self._outbox.append((json.dumps(message).encode(), descriptors))
        self.flush()

    def flush(self) -> None:
        """Send what the socket takes."""
        while self._outbox:
            data, descriptors = self._outbox[0]
            try:
                socket.send_fds(self.control, [data], list(descriptors))
            except BlockingIOError:
                return
            except OSError:
                pass  # it is gone, of which reading tells more
            self._outbox.popleft()
            for each in descriptors:
                os.close(each)

    def hear(self) -> list[dict[str, Any]] | None:
        """Messages that have come, or None when it is gone."""
        messages: list[dict[str, Any]] = []
        while True:
            try:
                data = self.control.recv(_LONGEST_MESSAGE)
            except BlockingIOError:
                return messages
            except ConnectionResetError:
                continue  # it ended with messages unread; what it said before comes next
            except OSError:
                return messages or None
            if not data:
                return messages or None
            messages.append(json.loads(data))

    def faults(self) -> str:
        """What it wrote to its standard error, shortened."""
        text = os.pread(self._faults, os.fstat(self._faults).st_size, 0).decode("utf-8", "replace")
        return " ".join(text.split())[-_ECHOED_BYTES:]

    def end(self) -> None:
        """Kill it, and with it all of its children; reap it. Once more does no harm."""
        self._process.kill()
        self._process.wait()
        self._close()

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        self._process.returncode = 0  # not ours to wait for
        self._close()

    def _close(self) -> None:
        self.control.close()
        faults, self._faults = self._faults, -1
        if faults >= 0:
            os.close(faults)
        while self._outbox:
            for each in self._outbox.popleft()[1]:
                os.close(each)


def memory_file(data: bytes) -> int:
    """A descriptor of a file in memory that nobody can change, at its beginning."""
    made = os.memfd_create("textgym", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(made, "wb", closefd=False) as file:
            file.write(data)
        os.lseek(made, 0, os.SEEK_SET)
        fcntl.fcntl(made, _ADD_SEALS, _ALL_SEALS)
    except BaseException:
        os.close(made)
        raise
    return made
