"""What this machine offers to a sandbox, found by trying it.

Invariant: a backend counts as usable only if a process was confined by it and code in there failed to do what
it must not. Findings are kept for the life of the process; one that is forked in the middle of a trial makes its
own.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgym.errors import ConfigError, SandboxUnavailable
from textgym.sandbox.backend import AUTOMATIC, Backend
from textgym.sandbox.bubblewrap import find_bwrap
from textgym.sandbox.jail import landlock
from textgym.sandbox.jail.libc import prctl
from textgym.sandbox.jail.syscalls import architecture
from textgym.sandbox.job import Job
from textgym.sandbox.limits import SandboxLimits
from textgym.sandbox.settings import Settings

if TYPE_CHECKING:
    from textgym.sandbox.pool import Pool

__all__ = ["ProbeRow", "chosen", "probe", "trial"]

_AUTO = "auto"
_OPTIONS = (
    "options: a Linux kernel of 5.13 or later with Landlock on (boot option lsm=landlock,...); or one that lets "
    "this user make user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
    "user.max_user_namespaces above 0); or bubblewrap, installed by the system; or "
    'backend="unsafe-subprocess", which isolates nothing'
)
_RESTRICTIONS = {
    "user.max_user_namespaces": "0",
    "kernel.unprivileged_userns_clone": "0",
    "kernel.apparmor_restrict_unprivileged_userns": "1",
}
_TRIAL_SECONDS = 20.0
_ATTEMPTED = """
import os, sys
broken = []
def refused(what, attempt):
    try:
        attempt()
    except OSError:
        return
    broken.append(what)
def fork():
    if os.fork() == 0:
        os._exit(0)
def connect():
    import _socket
    _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
refused("read files", lambda: open({path!r}).close())
refused("list directories", lambda: os.listdir({folder!r}))
refused("write files", lambda: open("/tmp/textgym-probe", "w").close())
refused("open sockets", connect)
refused("signal other processes", lambda: os.kill(os.getppid(), 0))
refused("run programs", lambda: os.execv({program!r}, ["python", "-c", "pass"]))
refused("fork", fork)
print(",".join(broken))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRow:
    """One thing that the sandbox can use."""

    feature: str
    """What."""
    works: bool
    """Whether it is there and does what it is for."""
    found: str
    """What is there, or why it is of no use."""


_lock = threading.RLock()
_trials: dict[Backend, str] = {}
_pools: list[Pool] = []
"""The pool of the trial that is on."""


def trial(backend: Backend) -> str:
    """Why a backend is of no use here; "" if it works. It is really run, once a process.

    Args:
        backend: Which.

    Returns:
        The reason, or "".
    """
    with _lock:
        if backend not in _trials:
            _trials[backend] = _tried(backend)
        return _trials[backend]


def _tried(backend: Backend) -> str:
    if backend is Backend.UNSAFE_SUBPROCESS:
        return ""
    missing = _missing(backend)
    if missing:
        return missing
    from textgym.sandbox.pool import Pool  # what it needs is only there on Linux

    settings = Settings(limits=SandboxLimits(), modules=(), workers=1)
    here = os.path.abspath(__file__)
    code = _ATTEMPTED.format(path=here, folder=os.path.dirname(here), program=sys.executable)
    pool = Pool(settings, lambda: backend)
    _pools.append(pool)
    job = Job(code=code, stdin="", seconds=_TRIAL_SECONDS)
    try:
        pool.submit(job)
        result = job.future.result()
    except (SandboxUnavailable, ConfigError, OSError) as error:
        return str(error)
    finally:
        pool.close()
        _pools.remove(pool)
    if not result.ok:
        return f"a trial ended with {result.status}: {result.stderr.strip()[-200:]}"
    broken = result.stdout.strip()
    return f"code in it could {broken.replace(',', ', ')}" if broken else ""


def _missing(backend: Backend) -> str:
    """What can be known to be missing without trying."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {platform.system()}"
    if architecture() is None:
        return f"there is no system-call filter for {platform.machine()}; there is one for x86_64 and aarch64"
    if backend is Backend.BUBBLEWRAP and find_bwrap() is None:
        return "the program bwrap is not installed"
    if backend is Backend.LANDLOCK and not landlock.version():
        return f"Landlock is missing or off (kernel {platform.release()}, ABI 0)"
    return ""


def chosen(backend: str) -> Backend:
    """The backend that a request for one leads to.

    Args:
        backend: ``"auto"`` or the name of one.

    Returns:
        One that works here.

    Raises:
        SandboxUnavailable: It does not, or none does.
    """
    wanted = AUTOMATIC if backend == _AUTO else (Backend(backend),)
    reasons = []
    for each in wanted:
        why = trial(each)
        if not why:
            return each
        reasons.append(f"{each}: {why}")
    raise SandboxUnavailable(f"no code can be run safely here. {'; '.join(reasons)}; {_OPTIONS}")


def probe() -> tuple[ProbeRow, ...]:
    """Try everything, once a process.

    Returns:
        The table that ``textgym doctor`` prints: what the kernel and the system have, whether each backend works,
        and which one ``"auto"`` takes.
    """
    linux, machine = sys.platform == "linux", architecture()
    version = landlock.version() if linux else 0
    bwrap = find_bwrap()
    restricted = _restriction() if linux else "there are none"
    rows = [
        ProbeRow(feature="kernel", works=linux, found=f"{platform.system()} {platform.release()}"),
        ProbeRow(feature="system-call filter", works=machine is not None, found=platform.machine()),
        ProbeRow(feature="no_new_privs", works=_has_no_new_privs(), found="PR_SET_NO_NEW_PRIVS"),
        ProbeRow(feature="Landlock", works=version > 0, found=f"ABI {version}"),
        ProbeRow(feature="user namespaces", works=not restricted, found=restricted or "not restricted"),
        ProbeRow(feature="bwrap", works=bwrap is not None, found=bwrap or "not installed"),
    ]
    for backend in AUTOMATIC:
        why = trial(backend)
        rows.append(ProbeRow(feature=f"backend {backend}", works=not why, found=why or "works"))
    try:
        rows.append(ProbeRow(feature="backend auto", works=True, found=chosen(_AUTO).value))
    except SandboxUnavailable:
        rows.append(ProbeRow(feature="backend auto", works=False, found="no backend works"))
    return tuple(rows)


def _has_no_new_privs() -> bool:
    if sys.platform != "linux":
        return False
    get_no_new_privs = 39
    try:
        return prctl("prctl(PR_GET_NO_NEW_PRIVS)", get_no_new_privs) >= 0
    except OSError:
        return False


def _restriction() -> str:
    """What the system's settings have against user namespaces; they do not tell all, so that trials decide."""
    for name, forbidding in _RESTRICTIONS.items():
        try:
            value = Path("/proc/sys", *name.split(".", 1)).read_text("ascii").strip()
        except OSError:
            continue
        if value == forbidding:
            return f"sysctl {name} is {value}"
    return ""


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # the thread that held it is not here
    while _pools:
        with suppress(OSError):  # the fork may have come in the middle of anything
            _pools.pop().abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
