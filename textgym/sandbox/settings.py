"""``Settings``: what a pool was asked for.

Invariant: hashable and picklable; two sandboxes with equal settings behave alike.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from textgym.errors import ConfigError, SandboxUnavailable
from textgym.sandbox.limits import SandboxLimits

__all__ = ["DEFAULT_MODULES", "DEFAULT_SESSIONS", "Settings"]

DEFAULT_MODULES = (
    "math", "cmath", "random", "json", "re", "itertools", "collections", "fractions", "decimal", "statistics",
    "datetime", "functools", "string", "heapq", "bisect", "operator", "copy", "typing", "dataclasses", "enum",
    "textwrap", "time", "io", "contextlib",
)  # fmt: skip
"""Modules that are loaded before a run begins; others of the standard library are imported when the code
does."""

DEFAULT_SESSIONS = 256
"""Sessions of one sandbox that may have a process at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of a sandbox, checked."""

    limits: SandboxLimits
    """Bounds of a run."""
    modules: tuple[str, ...]
    """To be loaded by the zygote."""
    workers: int
    """Most runs at a time."""
    sessions: int = DEFAULT_SESSIONS
    """Most sessions that have a process at a time."""

    def crowded(self) -> SandboxUnavailable:
        """What a session gets that would be one too many."""
        return SandboxUnavailable(
            f"{self.sessions} sessions of this sandbox have a process, and it is to have no more: close some, or "
            "make it with Sandbox(sessions=…), for as many as the memory is enough"
        )

    def limits_as_json(self) -> dict[str, Any]:
        """The limits, in whole numbers as the kernel wants them."""
        return {name: int(value) for name, value in asdict(self.limits).items()}

    @classmethod
    def checked(
        cls, limits: SandboxLimits | None, modules: tuple[str, ...], workers: int | None, sessions: int
    ) -> Settings:
        """The settings, or a ``ConfigError`` that says what is wrong."""
        if limits is not None and not isinstance(limits, SandboxLimits):
            raise ConfigError(
                f"limits is {limits!r:.60}; allowed: SandboxLimits(...), or None for the defaults"
            )
        if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
            raise ConfigError(f"modules is {modules!r}; allowed: names of modules, such as ('math', 'json')")
        if workers is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            workers = max(2, cores)
        if isinstance(workers, bool) or not (isinstance(workers, int) and workers > 0):
            raise ConfigError(f"workers is {workers!r}; allowed: a positive integer, or None for the cores")
        if isinstance(sessions, bool) or not (isinstance(sessions, int) and sessions > 0):
            raise ConfigError(f"sessions is {sessions!r}; allowed: a positive integer")
        return cls(
            limits=limits or SandboxLimits(), modules=tuple(modules), workers=workers, sessions=sessions
        )
