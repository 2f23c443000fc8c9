"""How many files (and so connections) this process may have open.

Invariant: the system's own limit is never exceeded; only the part that a process may grant itself is used.
"""

from __future__ import annotations

__all__ = ["SPARE", "allow", "limit"]

SPARE = 64
"""Open files that a process needs besides its connections."""


def limit() -> tuple[int | None, int | None]:
    """The present limit and the highest one that the system allows; None is no limit, or unknown."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None, None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    return None if soft == unlimited else soft, None if hard == unlimited else hard


def allow(connections: int) -> str | None:
    """Raise the limit of this process, if need be and as far as the system allows.

    Args:
        connections: How many are going to be open at a time.

    Returns:
        What is still wrong and how to mend it, or None.
    """
    needed = connections + SPARE
    soft, hard = limit()
    if soft is None or soft >= needed:
        return None
    import resource

    granted = needed if hard is None else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, -1 if hard is None else hard))
    except (OSError, ValueError):
        granted = soft
    if granted >= needed:
        return None
    return (
        f"{connections} episodes at a time need {needed} open files and the system allows {granted}: raise "
        f"it (ulimit -n {needed}), or use --max-concurrency {max(granted - SPARE, 1)}"
    )
