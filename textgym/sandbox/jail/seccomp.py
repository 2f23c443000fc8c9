"""Seccomp: a list of the system calls that running Python needs; everything else is refused by the kernel.

Invariant: a list of what is allowed, never of what is forbidden. Calls that are neither named in ``_PLAIN`` nor
pass a test of their arguments in ``_tested`` fail with EPERM, as if the user had no right to them; a call by
another ABI (32 bits, x32) kills the process. A filter sees numbers and no memory: paths are the business of
Landlock and of the view.

The program is classic BPF over ``struct seccomp_data``, as in ``linux/seccomp.h``.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from textgym.sandbox.jail.libc import prctl
from textgym.sandbox.jail.syscalls import Architecture

__all__ = ["Extra", "install", "program"]

_ITSELF = 0x7FFFFFF1
"""Stands for the process id in a program that was not yet given to a process."""

_PLAIN_NAMES = """
read write readv writev pread64 pwrite64 preadv pwritev lseek close close_range fstat stat lstat newfstatat
statx getdents64 dup dup2 dup3 pipe pipe2 select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl
epoll_wait epoll_pwait eventfd2 recvfrom recvmsg shutdown getsockname getpeername mmap munmap
mremap mprotect brk madvise futex set_robust_list rseq sched_yield rt_sigaction rt_sigprocmask rt_sigreturn
rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause alarm setitimer getitimer clock_gettime
clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage getpid getppid gettid getuid
geteuid getgid getegid getresuid getresgid getgroups getpgrp uname sysinfo getrandom exit exit_group wait4
waitid restart_syscall umask getcwd getcpu getrlimit
"""
_PLAIN = _PLAIN_NAMES.split()


class Extra(StrEnum):
    """System calls beyond the plain ones, allowed where another layer makes them harmless."""

    VIEW = "view"
    """Looking at paths in other ways than by opening them, where only the view exists."""
    SCRATCH = "scratch"
    """Changing a file system, where there is one of the process's own."""
    THREADS = "threads"
    """Threads, where their number is limited."""


_VIEW_NAMES = "access faccessat faccessat2 readlink readlinkat chdir fchdir"
_SCRATCH_NAMES = (
    "mkdir mkdirat unlink unlinkat rename renameat renameat2 rmdir ftruncate fsync fdatasync flock"
)
_NAMED = {Extra.VIEW: _VIEW_NAMES.split(), Extra.SCRATCH: _SCRATCH_NAMES.split()}


class _Test(NamedTuple):
    """One argument, masked, has to have this value; both are compared by their lower 32 bits."""

    argument: int
    mask: int
    value: int


_ALL = 0xFFFFFFFF
_WRITABLE, _TRUNCATE, _PATH_ONLY = 0o3, 0o1000, 0o10000000
_UNIX, _STREAM, _NONBLOCK_CLOEXEC = 1, 1, 0o4000 | 0o2000000
_VM_SIGHAND_THREAD = 0x100 | 0x800 | 0x10000
_NO_THREAD = 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x800000 | 0x80000000 | 0x7E020000
"""Of clone: PIDFD, PTRACE, VFORK, PARENT, UNTRACED, IO and all namespaces."""
_SOL_SOCKET, _SOCKET_FACTS = 1, (3, 4, 7, 8, 30, 38, 39)
"""TYPE, ERROR, SNDBUF, RCVBUF, ACCEPTCONN, PROTOCOL, DOMAIN."""
_DUPLICATE_AND_FLAGS = (0, 1, 2, 3, 4, 1030)
_TCGETS, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)
_SET_NAME, _GET_NAME = 15, 16


def _tested(extras: Iterable[Extra]) -> dict[str, Sequence[Sequence[_Test]]]:
    """System call -> alternatives, of each of which all tests have to hold."""
    opened = _WRITABLE | _TRUNCATE | _PATH_ONLY

    def opening(flags: int) -> list[list[_Test]]:
        # Truncating what is opened for reading is writing, which Landlock knew only from its third version on.
        return [
            [_Test(flags, _TRUNCATE | _PATH_ONLY, 0)],
            [_Test(flags, opened, 1 | _TRUNCATE)],
            [_Test(flags, opened, 2 | _TRUNCATE)],
        ]

    def one_of(argument: int, values: Iterable[int]) -> list[list[_Test]]:
        return [[_Test(argument, _ALL, value)] for value in values]

    tested: dict[str, Sequence[Sequence[_Test]]] = {
        "open": opening(1),
        "openat": opening(2),
        "fcntl": one_of(1, _DUPLICATE_AND_FLAGS),
        "ioctl": one_of(1, (_TCGETS, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX)),
        "prctl": one_of(0, (_SET_NAME, _GET_NAME)),
        "prlimit64": one_of(0, (0,)),
        "kill": one_of(0, (_ITSELF,)),
        "tgkill": one_of(0, (_ITSELF,)),
        "getpgid": one_of(0, (0,)),
        "getsid": one_of(0, (0,)),
        "sched_getaffinity": one_of(0, (0,)),
        # Event loops wake themselves with a pair. A stream of a pair cannot be sent elsewhere.
        "socketpair": [[_Test(0, _ALL, _UNIX), _Test(1, _ALL & ~_NONBLOCK_CLOEXEC, _STREAM)]],
        # Not who is at the other end: a handle of the trainer's process is among the answers.
        "getsockopt": [[_Test(1, _ALL, _SOL_SOCKET), *test] for test in one_of(2, _SOCKET_FACTS)],
        "sendto": [[_Test(5, _ALL, 0)]],
    }
    if Extra.THREADS in extras:
        tested["clone"] = [[_Test(0, _VM_SIGHAND_THREAD | _NO_THREAD, _VM_SIGHAND_THREAD)]]
    return tested


_LOAD, _AND, _JUMP, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_ALLOW, _ERROR, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

_Instruction = tuple[int, int, int, int]


def program(machine: Architecture, extras: Iterable[Extra]) -> bytes:
    """A filter for processes that may do the plain calls and some more.

    Args:
        machine: Their architecture.
        extras: What they may do beyond the plain calls.

    Returns:
        ``struct sock_filter[]``, for ``install`` to complete.
    """
    extras = frozenset(extras)
    names = _PLAIN + [name for extra, more in _NAMED.items() if extra in extras for name in more]
    allowed = [machine.numbers[name] for name in names if name in machine.numbers]
    code: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_FROM, 0, 1, machine.highest),
        (_RETURN, 0, 0, _KILL_PROCESS),
    ]
    for place, number in enumerate(allowed):
        code.append((_JUMP_EQUAL, len(allowed) - place, 0, number))  # to the ALLOW behind the list
    code += [(_JUMP, 0, 0, 1), (_RETURN, 0, 0, _ALLOW)]
    for name, alternatives in _tested(extras).items():
        if name in machine.numbers:
            code += _block(machine.numbers[name], alternatives)
    # The C library falls back to clone, whose flags a filter can see, only if clone3 does not exist.
    code += [(_JUMP_EQUAL, 0, 1, machine.numbers["clone3"]), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    code.append((_RETURN, 0, 0, _ERROR | _EPERM))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _block(number: int, alternatives: Sequence[Sequence[_Test]]) -> list[_Instruction]:
    """Instructions that allow or refuse one system call and let all others pass by."""
    body: list[_Instruction] = []
    for tests in alternatives:
        length = 3 * len(tests) + 1
        for place, test in enumerate(tests):
            left = length - 3 * (place + 1)
            body += [
                (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * test.argument),
                (_AND, 0, 0, test.mask),
                (_JUMP_EQUAL, 0, left, test.value),
            ]
        body.append((_RETURN, 0, 0, _ALLOW))
    body.append((_RETURN, 0, 0, _ERROR | _EPERM))
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def install(code: bytes, pid: int) -> None:
    """Put this thread under a filter, for good; ``no_new_privs`` has to be set.

    Args:
        code: The program.
        pid: This process as it sees itself: the only one that it may send signals to.

    Raises:
        OSError: The kernel refuses.
    """
    complete = code.replace(struct.pack("=I", _ITSELF), struct.pack("=I", pid))
    filters = ctypes.create_string_buffer(complete, len(complete))
    header = struct.pack("=HxxxxxxQ", len(complete) // 8, ctypes.addressof(filters))
    buffer = ctypes.create_string_buffer(header, len(header))
    set_seccomp, filter_mode = 22, 2
    prctl("prctl(PR_SET_SECCOMP)", set_seccomp, filter_mode, ctypes.addressof(buffer))
