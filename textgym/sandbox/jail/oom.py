"""Who is to die first, should the machine run out of memory.

Invariant: after this, the kernel takes this process, or one that it starts, before any that has not asked for it.
It costs no privilege. Where there is no ``/proc`` to say it in, nothing changes.
"""

from __future__ import annotations

__all__ = ["die_first"]

_MOST = "1000"


def die_first() -> None:
    """Ask for it, for this process and what it starts from now on."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(_MOST)
    except OSError:
        pass
