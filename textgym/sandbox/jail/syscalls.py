"""Numbers of the system calls that the sandbox allows or makes, by architecture.

Invariant: a name that is missing for an architecture does not exist there. Numbers are those of the kernel's
``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64).
"""

from __future__ import annotations

import platform
import struct
import sys
from typing import NamedTuple

__all__ = ["ARCHITECTURES", "Architecture", "architecture"]


class Architecture(NamedTuple):
    """What a seccomp filter has to know about a machine."""

    audit: int
    """``AUDIT_ARCH_*``, which the kernel gives to the filter."""
    highest: int
    """System calls from this number on belong to another ABI (x32)."""
    numbers: dict[str, int]
    """Name -> number."""


# fmt: off
_X86_64 = {
    "read": 0, "write": 1, "readv": 19, "writev": 20, "pread64": 17, "pwrite64": 18, "preadv": 295,
    "pwritev": 296, "lseek": 8, "close": 3, "close_range": 436, "fstat": 5, "stat": 4, "lstat": 6,
    "newfstatat": 262, "statx": 332, "getdents64": 217, "dup": 32, "dup2": 33, "dup3": 292, "pipe": 22,
    "pipe2": 293, "select": 23, "pselect6": 270, "poll": 7, "ppoll": 271, "epoll_create": 213,
    "epoll_create1": 291, "epoll_ctl": 233, "epoll_wait": 232, "epoll_pwait": 281, "eventfd2": 290,
    "recvfrom": 45, "recvmsg": 47, "shutdown": 48, "getsockname": 51, "getpeername": 52, "getsockopt": 55,
    "mmap": 9, "munmap": 11, "mremap": 25, "mprotect": 10, "brk": 12, "madvise": 28, "futex": 202,
    "set_robust_list": 273, "rseq": 334, "sched_yield": 24, "rt_sigaction": 13, "rt_sigprocmask": 14,
    "rt_sigreturn": 15, "rt_sigpending": 127, "rt_sigtimedwait": 128, "rt_sigsuspend": 130,
    "sigaltstack": 131, "pause": 34, "alarm": 37, "setitimer": 38, "getitimer": 36, "clock_gettime": 228,
    "clock_getres": 229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96, "time": 201,
    "times": 100, "getrusage": 98, "getpid": 39, "getppid": 110, "gettid": 186, "getuid": 102,
    "geteuid": 107, "getgid": 104, "getegid": 108, "getresuid": 118, "getresgid": 120, "getgroups": 115,
    "getpgrp": 111, "uname": 63, "sysinfo": 99, "getrandom": 318, "exit": 60, "exit_group": 231,
    "wait4": 61, "waitid": 247, "restart_syscall": 219, "umask": 95, "getcwd": 79, "getcpu": 309,
    "getrlimit": 97, "access": 21, "faccessat": 269, "faccessat2": 439, "readlink": 89, "readlinkat": 267,
    "chdir": 80, "fchdir": 81, "mkdir": 83, "mkdirat": 258, "unlink": 87, "unlinkat": 263, "rename": 82,
    "renameat": 264, "renameat2": 316, "rmdir": 84, "ftruncate": 77, "fsync": 74, "fdatasync": 75,
    "flock": 73, "open": 2, "openat": 257, "fcntl": 72, "ioctl": 16, "prctl": 157, "prlimit64": 302,
    "clone": 56, "clone3": 435, "kill": 62, "tgkill": 234, "socketpair": 53, "sendto": 44, "getpgid": 121,
    "getsid": 124, "sched_getaffinity": 204, "capset": 126, "pivot_root": 155,
}
_AARCH64 = {
    "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "pwrite64": 68, "preadv": 69,
    "pwritev": 70, "lseek": 62, "close": 57, "close_range": 436, "fstat": 80, "newfstatat": 79,
    "statx": 291, "getdents64": 61, "dup": 23, "dup3": 24, "pipe2": 59, "pselect6": 72, "ppoll": 73,
    "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "eventfd2": 19, "recvfrom": 207,
    "recvmsg": 212, "shutdown": 210, "getsockname": 204, "getpeername": 205, "getsockopt": 209, "mmap": 222,
    "munmap": 215, "mremap": 216, "mprotect": 226, "brk": 214, "madvise": 233, "futex": 98,
    "set_robust_list": 99, "rseq": 293, "sched_yield": 124, "rt_sigaction": 134, "rt_sigprocmask": 135,
    "rt_sigreturn": 139, "rt_sigpending": 136, "rt_sigtimedwait": 137, "rt_sigsuspend": 133,
    "sigaltstack": 132, "setitimer": 103, "getitimer": 102, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "nanosleep": 101, "gettimeofday": 169, "times": 153, "getrusage": 165,
    "getpid": 172, "getppid": 173, "gettid": 178, "getuid": 174, "geteuid": 175, "getgid": 176,
    "getegid": 177, "getresuid": 148, "getresgid": 150, "getgroups": 158, "uname": 160, "sysinfo": 179,
    "getrandom": 278, "exit": 93, "exit_group": 94, "wait4": 260, "waitid": 95, "restart_syscall": 128,
    "umask": 166, "getcwd": 17, "getcpu": 168, "getrlimit": 163, "faccessat": 48, "faccessat2": 439,
    "readlinkat": 78, "chdir": 49, "fchdir": 50, "mkdirat": 34, "unlinkat": 35, "renameat": 38,
    "renameat2": 276, "ftruncate": 46, "fsync": 82, "fdatasync": 83, "flock": 32, "openat": 56, "fcntl": 25,
    "ioctl": 29, "prctl": 167, "prlimit64": 261, "clone": 220, "clone3": 435, "kill": 129, "tgkill": 131,
    "socketpair": 199, "sendto": 206, "getpgid": 155, "getsid": 156, "sched_getaffinity": 123, "capset": 91,
    "pivot_root": 41,
}
# fmt: on

ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, 0x40000000, _X86_64),
    "aarch64": Architecture(0xC00000B7, 0x40000000, _AARCH64),
}
"""Machines for which there are filters, by ``platform.machine()``."""


def architecture() -> Architecture | None:
    """This machine, or None where there is no filter for it (another processor, 32 bits, big endian)."""
    if sys.platform != "linux" or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return None
    return ARCHITECTURES.get(platform.machine())
