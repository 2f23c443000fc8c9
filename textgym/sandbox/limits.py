"""``SandboxLimits``: how much of the machine one run may use.

Invariant: every bound is positive and holds for each run by itself; what a session keeps between its runs
counts, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from textgym.errors import ConfigError

__all__ = ["SandboxLimits"]

_LEAST = {"seconds": 0.001, "memory_bytes": 64 * 2**20, "scratch_bytes": 0, "open_files": 16}
"""Smallest values of the bounds for which it is not 1; with less, Python itself does not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """Bounds of one run.

    Raises:
        ConfigError: A bound is no finite number, or too small.
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
            if not (isinstance(value, (int, float)) and math.isfinite(value)):
                raise ConfigError(f"SandboxLimits.{field.name} is {value!r}; allowed: a finite number")
            least = _LEAST.get(field.name, 1)
            if value < least:
                raise ConfigError(f"SandboxLimits.{field.name} is {value!r}; allowed: at least {least}")
