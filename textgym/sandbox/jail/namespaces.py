"""A view of the machine that holds nothing but what Python needs, made with the kernel's namespaces.

Invariant: after ``enter`` the process is the first of its own pid namespace, so that all below it die with it;
it sees no process, network, System V object or host name of the machine, and of the file system only the named
paths, read-only, below a root that nobody can write to.

It needs either the right to administrate (root) or a kernel that lets every user make user namespaces. Nothing
here limits memory, time or system calls.
"""

from __future__ import annotations

import ctypes
import os
import socket
from typing import Any

from textgym.sandbox.jail.libc import mount, prctl, syscall, umount, unshare
from textgym.sandbox.jail.syscalls import architecture

__all__ = ["NEW_MOUNTS", "NEW_USER", "enter", "mount_scratch"]

NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
_NEW_CGROUP, _NEW_UTS, _NEW_IPC, _NEW_PID, _NEW_NET = (
    0x02000000,
    0x04000000,
    0x08000000,
    0x20000000,
    0x40000000,
)
_ALL_BUT_USER = NEW_MOUNTS | _NEW_CGROUP | _NEW_UTS | _NEW_IPC | _NEW_PID | _NEW_NET

_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_EXECUTION = 0x1, 0x2, 0x4, 0x8
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 0x20, 0x1000, 0x4000, 0x40000
_DETACH = 2
# What statvfs says about a mount -> the mount flags that must be kept when it is mounted again.
_KEPT = {0x2: 0x2, 0x4: 0x4, 0x8: 0x8, 0x400: 0x400, 0x800: 0x800, 0x1000: 0x200000}
_OLD = "/old"
_INSIDE = 1000
"""User and group id inside, where the view has a user namespace."""
_BASES = ("/tmp", "/var/tmp", "/mnt", "/usr")


def enter(view: dict[str, Any], scratch: str) -> None:
    """Move into a view; returns in a child, while this process waits for it and ends with it.

    Args:
        view: ``directories``, ``files``, ``devices``, ``masks`` (paths) and ``links`` (path and target pairs).
        scratch: A directory to be made, or "".

    Raises:
        OSError: A step failed, and which.
    """
    _unshare()
    child = os.fork()
    if child:
        _wait_for(child)
    prctl("prctl(PR_SET_PDEATHSIG)", 1, 9)
    socket.sethostname("sandbox")
    mount(None, "/", None, _RECURSIVE | _PRIVATE)
    base = next(path for path in _BASES if os.path.isdir(path))
    mount("tmpfs", base, "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=0755,size=4m,nr_inodes=8192")
    os.mkdir(base + _OLD)
    machine = architecture()
    assert machine is not None
    roots = [ctypes.create_string_buffer(os.fsencode(path)) for path in (base, base + _OLD)]
    syscall("pivot_root", machine.numbers["pivot_root"], *roots)
    os.chdir("/")
    _fill(view)
    if scratch:
        os.makedirs(scratch, mode=0o755)
    umount(_OLD, _DETACH)
    os.rmdir(_OLD)
    mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | _NO_DEVICES)


def _unshare() -> None:
    user, group = os.getuid(), os.getgid()
    try:
        unshare(_ALL_BUT_USER)
        return
    except PermissionError:
        pass
    unshare(_ALL_BUT_USER | NEW_USER)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_INSIDE} {user} 1"),
        ("gid_map", f"{_INSIDE} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _wait_for(child: int) -> None:
    """Be nothing but the parent of the view, with which the view ends."""
    os.closerange(0, 1024)
    try:
        os.waitpid(child, 0)
    finally:
        os._exit(0)


def _fill(view: dict[str, Any]) -> None:
    for path in view["directories"]:
        os.makedirs(path, mode=0o755, exist_ok=True)
        _bind(path, _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    for path in view["files"]:
        _make_file(path)
        _bind(path, _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    for path in view["devices"]:
        _make_file(path)
        _bind(path, _NO_SETUID | _NO_EXECUTION)
    for path in view["masks"]:
        if os.path.isdir(path):
            mount(
                "tmpfs", path, "tmpfs", _READ_ONLY | _NO_SETUID | _NO_DEVICES, "mode=0755,size=4k,nr_inodes=2"
            )
    for path, target in view["links"]:
        if not os.path.lexists(path):
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            os.symlink(target, path)


def _make_file(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _bind(path: str, flags: int) -> None:
    """Show a path of the old root at its place in the new one."""
    mount(_OLD + path, path, None, _BIND)
    there = os.statvfs(path).f_flag
    kept = sum(flag for said, flag in _KEPT.items() if there & said)
    mount(None, path, None, _REMOUNT | _BIND | flags | kept)


def mount_scratch(path: str, size: int, inodes: int, owner: int) -> None:
    """Mount a bounded, empty file system of this process's own over a directory.

    Args:
        path: The directory.
        size: Bytes that it can hold.
        inodes: Files and directories that it can hold.
        owner: User id whose it is.

    Raises:
        OSError: It cannot be mounted.
    """
    unshare(NEW_MOUNTS)
    mount(None, "/", None, _RECURSIVE | _PRIVATE)
    options = f"mode=0700,uid={owner},size={size},nr_inodes={inodes + 1}"
    mount("tmpfs", path, "tmpfs", _NO_SETUID | _NO_DEVICES | _NO_EXECUTION, options)
