"""Landlock: the kernel refuses every path that was not named, for this process and for good.

Invariant: all rights that the kernel knows are handled, so that what no rule allows is forbidden. Landlock says
nothing about ``stat``, ``chmod``, ``chown``, ``utime`` and extended attributes (seccomp does), and it cannot
hide that a path exists.

Numbers and structures are those of ``linux/landlock.h``.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Iterator

from textgym.sandbox.jail.libc import syscall

__all__ = ["entries_without", "restrict", "ruleset", "version"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_REMOVE_AND_MAKE = (
    0b11_1111_1111 << 4
)  # remove dir and file, make char, dir, reg, sock, fifo, block, sym; refer
_OF_FILES = 1 | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS_BY_VERSION = (0, 13, 14, 15, 15)  # how many rights of the file system each version knows
_ALL_RIGHTS = 16
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6


def version() -> int:
    """The kernel's Landlock ABI version; 0 where there is none, or it is off."""
    try:
        return syscall("landlock_create_ruleset", _CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def ruleset(readable: Iterable[str], writable: Iterable[str]) -> int:
    """Make a ruleset.

    Args:
        readable: Files, and directories with all below them, that may be read.
        writable: The same, that may be changed, too.

    Returns:
        Its file descriptor.

    Raises:
        OSError: The kernel has no Landlock, or refuses a rule.
    """
    known = version()
    count = _RIGHTS_BY_VERSION[known] if known < len(_RIGHTS_BY_VERSION) else _ALL_RIGHTS
    handled = (1 << count) - 1
    network = 0b11 if known >= _NETWORK_SINCE else 0
    scopes = 0b11 if known >= _SCOPES_SINCE else 0
    length = 24 if scopes else 16 if network else 8
    attributes = struct.pack("=QQQ", handled, network, scopes)[:length]
    buffer = ctypes.create_string_buffer(attributes, length)
    made = syscall("landlock_create_ruleset", _CREATE_RULESET, buffer, length, 0)
    for path in readable:
        _allow(made, path, _READ_FILE | _READ_DIR)
    for path in writable:
        _allow(made, path, handled & (_READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _REMOVE_AND_MAKE))
    return made


def _allow(made: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, opened), 12)
        syscall(f"landlock_add_rule for {path}", _ADD_RULE, made, _PATH_BENEATH, rule, 0)
    finally:
        os.close(opened)


def restrict(made: int) -> None:
    """Put this thread and what it starts under a ruleset.

    Raises:
        OSError: The kernel refuses.
    """
    syscall("landlock_restrict_self", _RESTRICT_SELF, made, 0)


def entries_without(directory: str, excluded: Iterable[str]) -> Iterator[str]:
    """Paths that together hold everything below a directory but the excluded subdirectories.

    Rules only ever add, so a directory that holds an excluded one has to be named entry by entry.
    """
    inside = [path for path in excluded if path == directory or path.startswith(directory.rstrip("/") + "/")]
    if directory in inside:
        return
    if not inside:
        yield directory
        return
    for entry in sorted(os.listdir(directory)):
        path = os.path.join(directory, entry)
        if os.path.islink(path):
            yield path  # the rule is for what it points to
        elif os.path.isdir(path):
            yield from entries_without(path, inside)
        else:
            yield path
