"""Whom a child runs as: a user whom nothing belongs to and whose processes the kernel can count.

Invariant: what ``chosen`` returns has been tried in a process of its own, so that ``assume`` does the same in a
child. Being nobody is one layer more and not what the others stand on: where it cannot be had, the child stays
who it is, without capabilities, and may not start threads, because nothing would limit their number.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from textgym.sandbox.jail.libc import unshare
from textgym.sandbox.jail.namespaces import NEW_USER, mount_scratch

__all__ = ["Identity", "Kind", "Scratch", "assume", "chosen"]

_FIRST_USER, _USERS = 1_879_048_192, 1 << 20
"""User ids of children: far beyond those that systems give to people and services."""


class Kind(StrEnum):
    """How a child differs from the zygote."""

    OWN_USER = "own user"
    """A user id of its own; the zygote is root."""
    OWN_NAMESPACE = "own namespace"
    """The zygote's user in a user namespace of its own, where it is nobody."""
    UNCHANGED = "unchanged"
    """The zygote's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A bounded file system for one child."""

    path: str
    """Directory that it is mounted over."""
    size: int
    """Bytes."""
    files: int
    """Files and directories."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom children run as."""

    kind: Kind
    """How they become it."""
    counted: bool
    """Whether ``RLIMIT_NPROC`` counts the threads of one child and no others."""


def chosen(readable: Iterable[str], scratch: Scratch | None) -> Identity:
    """Find the best identity that this process can give to a child.

    Args:
        readable: Directories that the child has to be able to list.
        scratch: What it has to be able to mount, if anything.

    Returns:
        The identity.

    Raises:
        OSError: A scratch file system is wanted, and no child can mount one.
    """
    directories = list(readable)

    def tried(kind: Kind, *, counted: bool) -> bool:
        assume(kind, 0, scratch)
        for directory in directories:
            os.listdir(directory)
        return not counted or _is_counted()

    for kind in Kind:
        if _succeeds(partial(tried, kind, counted=False)):
            counted = kind is not Kind.UNCHANGED and _succeeds(partial(tried, kind, counted=True))
            return Identity(kind=kind, counted=counted)
    raise OSError("a scratch file system cannot be mounted by an unprivileged process here")


def assume(kind: Kind, ordinal: int, scratch: Scratch | None) -> None:
    """Become it, in a child.

    Args:
        kind: How.
        ordinal: Number of the child.
        scratch: What to mount meanwhile.

    Raises:
        OSError: It is not allowed.
    """
    user = _FIRST_USER + ordinal % _USERS
    if scratch is not None:
        # Before a namespace is left: a file system belongs to where it is mounted, and nobody has no files there.
        owner = user if kind is Kind.OWN_USER else os.getuid()
        mount_scratch(scratch.path, scratch.size, scratch.files, owner)
    if kind is Kind.OWN_NAMESPACE:
        unshare(NEW_USER)
    if kind is Kind.OWN_USER:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def _is_counted() -> bool:
    """Whether a limit on processes binds here: root is exempt from it."""
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        child = os.fork()
    except BlockingIOError:
        return True
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return False


def _succeeds(experiment: Callable[[], bool]) -> bool:
    """Whether an experiment in a child comes out well, and the child can be killed afterwards."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if experiment():
                os.write(writing, b"1")
                signal.alarm(5)
                signal.pause()
        finally:
            os._exit(0)
    os.close(writing)
    try:
        well = os.read(reading, 1) == b"1"
        if well:
            os.kill(child, signal.SIGKILL)
    except PermissionError:
        well = False
    finally:
        os.close(reading)
    os.waitpid(child, 0)
    return well
