"""``SandboxLimits``: how much of the machine one run may use.

Invariant: every bound is positive and holds for each run by itself; what a session keeps between its runs
counts, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from textgym.errors import ConfigError

__all__ = ["MAX_SECONDS", "SandboxLimits", "checked_seconds"]

MAX_SECONDS = 1e6
"""Longest deadline: what waits for it counts milliseconds in 31 bits."""

_LEAST = {"seconds": 0.001, "memory_bytes": 64 * 2**20, "scratch_bytes": 0, "open_files": 16}
"""Smallest values of the bounds for which it is not 1; with less, Python itself does not run."""
_MOST = {"seconds": MAX_SECONDS, "open_files": 2**20, "threads": 2**20}
_MOST_OF_OTHERS = 2**40
"""Largest values. The kernel's are larger, but not everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """Bounds of one run.

    Raises:
        ConfigError: A bound is no finite number, too small or too large.
    """

    seconds: float = 10.0
    """Time from when the code begins to when its process has ended; ``run`` may be given another."""
    memory_bytes: int = 512 * 2**20
    """Address space of the process, interpreter included (it takes some 50 MiB)."""
    output_bytes: int = 64 * 2**10
    """Standard output and standard error together; with more, the process is killed."""
    result_bytes: int = 2**20
    """Reports of a call, values included; with more, the process is killed."""
    file_bytes: int = 16 * 2**20
    """Longest file that can be written, where there is a scratch directory."""
    open_files: int = 64
    """Descriptors."""
    threads: int = 32
    """Threads, the main one included. None but that one where the kernel cannot count them (see the
    package)."""
    scratch_bytes: int = 0
    """Size of a file system of the process's own, which is its working directory; 0: nothing can be written."""
    scratch_files: int = 256
    """Files and directories that it can hold."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not _is_finite(value):
                raise ConfigError(f"SandboxLimits.{field.name} is {value!r}; allowed: a finite number")
            least, most = _LEAST.get(field.name, 1), _MOST.get(field.name, _MOST_OF_OTHERS)
            if not least <= value <= most:
                raise ConfigError(f"SandboxLimits.{field.name} is {value!r}; allowed: {least} to {most}")


def checked_seconds(name: str, value: Any) -> float:
    """A deadline that a run may have.

    Args:
        name: What it is called, for the error.
        value: Seconds.

    Returns:
        The same.

    Raises:
        ConfigError: It is no positive number, or more than ``MAX_SECONDS``.
    """
    if not _is_finite(value) or not 0 < value <= MAX_SECONDS:
        raise ConfigError(
            f"{name} is {value!r:.60}: it must be a positive number of seconds, up to {MAX_SECONDS:g}"
        )
    return float(value)


def _is_finite(value: Any) -> bool:
    """Whether it is a number; True and False are none here."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
