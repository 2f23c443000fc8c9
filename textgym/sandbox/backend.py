"""``Backend``: the ways to isolate, strongest first.

Invariant: each but the last applies seccomp, resource limits and ``no_new_privs``, and Landlock where the
kernel has it.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["AUTOMATIC", "Backend"]


class Backend(StrEnum):
    """How the code is kept from the rest of the machine."""

    BUBBLEWRAP = "bubblewrap"
    """A view made by ``bwrap``."""
    NAMESPACES = "namespaces"
    """The same view made by the zygote itself."""
    LANDLOCK = "landlock"
    """No view: Landlock alone stands before the file system."""
    UNSAFE_SUBPROCESS = "unsafe-subprocess"
    """A subprocess with limits and no isolation."""


AUTOMATIC = (Backend.BUBBLEWRAP, Backend.NAMESPACES, Backend.LANDLOCK)
"""What ``backend="auto"`` tries, in order."""
