"""``Settings``: what a pool was asked for.

Invariant: hashable and picklable; two sandboxes with equal settings behave alike.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from textgym.errors import ConfigError
from textgym.sandbox.limits import SandboxLimits

__all__ = ["DEFAULT_MODULES", "Settings"]

DEFAULT_MODULES = (
    "math", "cmath", "random", "json", "re", "itertools", "collections", "fractions", "decimal", "statistics",
    "datetime", "functools", "string", "heapq", "bisect", "operator", "copy", "typing", "dataclasses", "enum",
    "textwrap", "time", "io", "contextlib",
)  # fmt: skip
"""Modules that are loaded before a run begins; others of the standard library are imported when the code
does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of a sandbox, checked."""

    limits: SandboxLimits
    """Bounds of a run."""
    modules: tuple[str, ...]
    """To be loaded by the zygote."""
    workers: int
    """Most runs at a time."""

    def limits_as_json(self) -> dict[str, Any]:
        """The limits, in whole numbers as the kernel wants them."""
        return {name: int(value) for name, value in asdict(self.limits).items()}

    @classmethod
    def checked(cls, limits: SandboxLimits | None, modules: tuple[str, ...], workers: int | None) -> Settings:
        """The settings, or a ``ConfigError`` that says what is wrong."""
        if isinstance(modules, str) or not all(isinstance(name, str) and name for name in modules):
            raise ConfigError(f"modules is {modules!r}; allowed: names of modules, such as ('math', 'json')")
        if workers is None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            workers = max(2, cores)
        if not (isinstance(workers, int) and workers > 0):
            raise ConfigError(f"workers is {workers!r}; allowed: a positive integer, or None for the cores")
        return cls(limits=limits or SandboxLimits(), modules=tuple(modules), workers=workers)
