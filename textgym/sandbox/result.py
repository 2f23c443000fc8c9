"""What comes back from the sandbox.

Invariant: the status is decided outside the sandbox, from how the process ended, the clock and the bounds. A
report of the process counts only where it ended by itself, with exit code 0, and within all bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["NAMES_ARE_GONE", "CallOutcome", "SandboxResult", "SandboxStatus"]

NAMES_ARE_GONE = "[the session's names are gone with it]\n"
"""Ends the standard error of a run that ended its session's process."""


class SandboxStatus(StrEnum):
    """How a run ended."""

    OK = "ok"
    """The code ran to its end, or ended by ``SystemExit`` with None or 0."""
    ERROR = "error"
    """It raised; the traceback is in ``stderr``."""
    TIMEOUT = "timeout"
    """It was killed at the deadline."""
    MEMORY = "memory"
    """It raised ``MemoryError`` and did not catch it."""
    OUTPUT = "output"
    """It was killed because it printed, or returned, more than is allowed."""
    KILLED = "killed"
    """It ended in another way: a crash, ``os._exit``, the kernel's hand. ``stderr`` says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """What one call of a function came to."""

    ok: bool
    """Whether it returned a JSON value."""
    value: Any = None
    """The value; tuples have become lists."""
    error: str = ""
    """Why there is none, in one line or a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxResult:
    """What one run came to."""

    stdout: str
    """What it printed, as far as ``output_bytes`` goes; what is no UTF-8 is replaced."""
    stderr: str
    """The same for standard error; a last line in brackets, if any, is the sandbox's own."""
    status: SandboxStatus
    """How it ended."""
    seconds: float
    """Time from when the code began to when its process had ended (in a session: had reported)."""
    values: tuple[CallOutcome, ...] = ()
    """Of ``call``: one outcome an argument list, in order."""

    @property
    def ok(self) -> bool:
        """Whether the status is ``ok``."""
        return self.status is SandboxStatus.OK
