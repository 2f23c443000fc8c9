"""System calls that the standard library has no name for, through ctypes.

Invariant: a failed call raises ``OSError`` whose text names what was tried; nothing is ever ignored here.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

__all__ = ["mount", "prctl", "syscall", "umount", "unshare"]


@cache
def _library() -> Any:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(what: str, number: int, *arguments: Any) -> int:
    """Make a system call by number.

    Args:
        what: Its name, for the error.
        number: Its number on this architecture.
        *arguments: Integers, None, or ctypes objects that are passed by reference.

    Returns:
        What it returned, never negative.

    Raises:
        OSError: It failed.
    """
    passed = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_library().syscall(ctypes.c_long(number), *passed), what)


def prctl(what: str, option: int, *arguments: int) -> int:
    """Make a ``prctl`` call; ``what`` names it in the error.

    Raises:
        OSError: It failed.
    """
    filled = (*arguments, 0, 0, 0, 0)[:4]
    return _checked(_library().prctl(option, *map(ctypes.c_ulong, filled)), what)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` names.

    Raises:
        OSError: The kernel or a policy of the system forbids it.
    """
    _checked(_library().unshare(flags), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Call ``mount(2)``.

    Raises:
        OSError: It failed.
    """
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, options)]
    result = _library().mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3])
    _checked(result, f"mount on {target}")


def umount(target: str, flags: int) -> None:
    """Call ``umount2(2)``.

    Raises:
        OSError: It failed.
    """
    _checked(_library().umount2(os.fsencode(target), flags), f"umount of {target}")
