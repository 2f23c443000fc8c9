"""One attack: a snippet, how it may end, and what proves it without a sandbox.

Invariant: an attack that neither finished nor ended in an allowed way counts as failed, never as held; a snippet
that broke before its attempt proves nothing. This module holds the shape, not the snippets.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

END = "the snippet reached its end"
"""Printed by every snippet that was not stopped."""

GOT = "GOT"
"""A line that begins with this says that the attack achieved what it tried."""

REFUSALS = (
    "PermissionError",
    "OSError",
    "FileNotFoundError",
    "NotADirectoryError",
    "ProcessLookupError",
    "ConnectionRefusedError",
    "BlockingIOError",
    "MemoryError",
    "RuntimeError: can't start new thread",
    "socket.gaierror",
    "ValueError: not allowed to raise maximum limit",
)
"""Last lines of a traceback that mean: it was tried, and the system refused."""


class Control(StrEnum):
    """What the same snippet does in a plain subprocess."""

    SUCCEEDS = "succeeds"
    """It achieves its effect, so the oracle can see it."""
    IF_SUPPORTED = "if the kernel has it"
    """As above, unless this kernel does not know the call."""
    DESTRUCTIVE = "destructive"
    """Not run: without a sandbox it would hurt the machine."""
    AS_ROOT = "needs root"
    """It achieves its effect where the test runs as root."""
    ENDLESS = "nothing to prove"
    """Not run: that it ends is the whole question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came back from a run, of the sandbox or of a plain subprocess."""

    stdout: str
    """What it printed."""
    stderr: str
    """What it printed as errors."""
    status: str
    """As ``SandboxStatus`` names it."""
    values: tuple[Any, ...] = ()
    """Outcomes of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A snippet and what counts as its success."""

    name: str
    """Its name in the table."""
    code: str
    """Python source; what it aims at is bound to names beforehand (see ``ground.Ground.names``)."""
    ends: frozenset[str] = frozenset()
    """Statuses with which it may end without having reached its last line."""
    control: Control = Control.SUCCEEDS
    """Whether the same snippet is shown to work without a sandbox."""
    tools: bool = False
    """Whether it calls C through ``ctypes``."""
    needs: frozenset[str] = frozenset()
    """Of ``network``, ``canary`` and ``signals``: what its ground holds and counts besides files."""
    seconds: float = 20.0
    """Wall limit; generous, because a snippet stopped early proves nothing."""
    proof: Callable[[Any, Report], str] | None = None
    """A further look at the ground or the report: what got out, or ''."""

    def source(self, names: dict[str, Any]) -> str:
        """The whole source with what it aims at."""
        head = "; ".join(f"{name} = {value!r}" for name, value in names.items())
        body = textwrap.dedent(self.code).strip("\n")
        return "\n".join([head, TOOLS if self.tools else "import os", body, f"print({END!r})"])

    def ended(self, report: Report) -> str:
        """'' if the attack was really made, else what went wrong with it."""
        last = report.stderr.strip().rsplit("\n", 1)[-1]
        if END in report.stdout or report.status in self.ends:
            return ""
        if report.status == "error" and last.startswith(REFUSALS):
            return ""
        return f"the attack itself did not finish: {report.status}, {last[:200]!r}"


TOOLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    ctypes.set_errno(0)
    values = [a if not isinstance(a, int) else ctypes.c_long(a) for a in arguments]
    return libc.syscall(ctypes.c_long(number), *values), ctypes.get_errno()
"""
"""``call(number, *arguments)`` -> (result, errno)."""
