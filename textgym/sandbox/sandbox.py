"""``Sandbox``: what callers hold.

Invariant: an object costs nothing until it is used; then it has one thread and one zygote. It may be used from
any thread and any event loop, and in a forked process, which gets processes of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from textgym.errors import ConfigError
from textgym.sandbox.backend import Backend
from textgym.sandbox.job import Job
from textgym.sandbox.limits import SandboxLimits, checked_seconds
from textgym.sandbox.probe import chosen
from textgym.sandbox.result import SandboxResult
from textgym.sandbox.settings import DEFAULT_MODULES, DEFAULT_SESSIONS, Settings
from textgym.sandbox.unsafe import UnsafePool

if TYPE_CHECKING:
    from textgym.sandbox.pool import Pool

__all__ = ["Sandbox", "SandboxSession", "shared"]

_AUTO = "auto"


class Sandbox:
    """Runs Python that nobody trusts, in processes of its own.

    Args:
        limits: Bounds of each run; None: the defaults.
        backend: ``"auto"`` takes the strongest of ``"bubblewrap"``, ``"namespaces"`` and ``"landlock"`` that works
            on this machine. ``"unsafe-subprocess"`` isolates nothing and warns.
        modules: What is loaded before a run begins. Other modules of the standard library can be imported anyway;
            installed packages only if one is named here, which makes all readable that are installed beside it.
        workers: Most runs at a time; None: one a core, at least two.
        sessions: Most sessions that have a process at a time. A run that would start the process of one more
            raises ``SandboxUnavailable`` at once, and the others go on.

    Raises:
        ConfigError: An argument is wrong.

    Example:
        >>> with Sandbox() as box:
        ...     box.run("print(6 * 7)").stdout
        '42\\n'
    """

    def __init__(
        self,
        limits: SandboxLimits | None = None,
        backend: str = _AUTO,
        modules: Iterable[str] = DEFAULT_MODULES,
        workers: int | None = None,
        sessions: int = DEFAULT_SESSIONS,
    ) -> None:
        if backend != _AUTO and backend not in list(Backend):
            allowed = ", ".join([_AUTO, *Backend])
            raise ConfigError(f"backend is {backend!r}; allowed: {allowed}")
        names = modules if isinstance(modules, str) else tuple(modules)
        self._arguments = (limits, backend, names, workers, sessions)
        self._settings = Settings.checked(limits, names, workers, sessions)  # type: ignore[arg-type]
        self._backend = backend
        self._lock = threading.Lock()
        self._pool: Pool | UnsafePool | None = None
        self._end: Any = None
        self._closed = False
        _sandboxes.add(self)
        if backend == Backend.UNSAFE_SUBPROCESS:
            warnings.warn(
                "backend='unsafe-subprocess' isolates nothing: the code can read and write what this user can, "
                "and reach the network",
                stacklevel=2,
            )

    def run(self, code: str, timeout: float | None = None, stdin: str = "") -> SandboxResult:
        """Run code in a fresh process.

        Args:
            code: Python source; nothing is echoed, print to see.
            timeout: Seconds from when the code begins; None: those of the limits.
            stdin: Text of standard input.

        Returns:
            What it came to.

        Raises:
            SandboxUnavailable: This machine has no way to isolate it.
            ConfigError: The timeout is no positive number, code or input are no texts, or the sandbox was closed.
        """
        return _waited(self._submit(self._job(code, timeout, stdin)))

    async def arun(self, code: str, timeout: float | None = None, stdin: str = "") -> SandboxResult:  # noqa: ASYNC109
        """The awaitable twin of ``run``, for any event loop; cancelling it kills the process."""
        return await asyncio.wrap_future(self._submit(self._job(code, timeout, stdin)))

    def call(
        self, code: str, name: str, arguments: Iterable[Sequence[Any]], timeout: float | None = None
    ) -> SandboxResult:
        """Run code, then call a function that it defines, once for each argument list.

        All calls are made in one process. Give it inputs only, and compare what comes back out here: whatever
        is in that process can be read and changed by the code.

        Args:
            code: Python source.
            name: The function.
            arguments: Argument lists, of JSON values; as in ``values``, the floats nan and inf count as such.
            timeout: Seconds for all of it; None: those of the limits.

        Returns:
            The result, with one outcome in ``values`` for each argument list. A call that raises, or returns no
            JSON value, is an outcome; the status is about the code as a whole.

        Raises:
            SandboxUnavailable: This machine has no way to isolate it.
            ConfigError: An argument is no JSON value, or as in ``run``.
        """
        return _waited(self._submit(self._call_job(code, name, arguments, timeout)))

    async def acall(
        self,
        code: str,
        name: str,
        arguments: Iterable[Sequence[Any]],
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> SandboxResult:
        """The awaitable twin of ``call``."""
        return await asyncio.wrap_future(self._submit(self._call_job(code, name, arguments, timeout)))

    def session(self) -> SandboxSession:
        """A process that keeps its names from run to run; it starts with its first run.

        It has the process, and the memory that its names take, until it is closed, collected or ended by a run;
        ``sessions`` bounds how many have one.
        """
        return SandboxSession(self)

    @property
    def limits(self) -> SandboxLimits:
        """Bounds of each run."""
        return self._settings.limits

    @property
    def backend(self) -> Backend:
        """The backend that is used.

        Raises:
            SandboxUnavailable: There is none.
        """
        return chosen(self._backend)

    def pids(self) -> list[int]:
        """Process ids of the running zygotes."""
        return self._pool.pids() if self._pool is not None else []

    def close(self) -> None:
        """Kill its processes; what runs fails with ``SandboxUnavailable``."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            self._end()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Sandbox:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Sandbox:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments

    def __repr__(self) -> str:
        return f"Sandbox(backend={self._backend!r}, workers={self._settings.workers})"

    def _job(self, code: str, timeout: float | None, stdin: str) -> Job:
        _check_text("code", code)
        _check_text("stdin", stdin)
        return Job(code=code, stdin=stdin, seconds=self._seconds(timeout))

    def _call_job(
        self, code: str, name: str, arguments: Iterable[Sequence[Any]], timeout: float | None
    ) -> Job:
        _check_text("code", code)
        if not (isinstance(name, str) and name):
            raise ConfigError(f"the name of the function is {name!r:.60}; allowed: a text that is not empty")
        try:
            lists = tuple(json.dumps(list(each)) for each in arguments)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigError(f"arguments of {name!r} are no lists of JSON values: {error}") from error
        return Job(code=code, stdin="", seconds=self._seconds(timeout), name=name, arguments=lists)

    def _seconds(self, timeout: float | None) -> float:
        if timeout is None:
            return self._settings.limits.seconds
        return checked_seconds("timeout", timeout)

    def _submit(self, job: Job) -> Future[SandboxResult]:
        self._running().submit(job)
        return job.future

    def _running(self) -> Pool | UnsafePool:
        with self._lock:
            if self._closed:
                raise ConfigError("this sandbox is closed: make another")
            if self._pool is None:
                self._pool = _pool(self._settings, self._backend)
                self._end = weakref.finalize(self, self._pool.close)
            return self._pool

    def _forget(self, key: object) -> None:
        pool = self._pool
        if pool is not None:
            pool.forget(key)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        pool, self._pool = self._pool, None
        if pool is not None:
            self._end.detach()
            with suppress(OSError):  # the fork may have come in the middle of anything
                pool.abandon()


class SandboxSession:
    """A process that keeps its names from one run to the next; made by ``Sandbox.session``.

    Runs go one after another, in the order in which they were asked for. Between them the process is stopped,
    its threads included. A run that ends the process (a timeout, say) ends the names with it, which its
    ``stderr`` says; the next run starts with none.

    Args:
        sandbox: Where it runs.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._key = object()
        self._closed = False
        self._process = 0
        weakref.finalize(self, Sandbox._forget, sandbox, self._key).atexit = False

    def run(self, code: str, timeout: float | None = None, stdin: str = "") -> SandboxResult:
        """Run code in the session's process; nothing is echoed, print to see.

        Args:
            code: Python source.
            timeout: Seconds from when the code begins; None: those of the limits.
            stdin: Text of standard input.

        Returns:
            What it came to.

        Raises:
            SandboxUnavailable: This machine has no way to isolate it, or the sandbox has its ``sessions`` already.
            ConfigError: As in ``Sandbox.run``, or the session was closed.
        """
        return _waited(self._submit(code, timeout, stdin))

    async def arun(self, code: str, timeout: float | None = None, stdin: str = "") -> SandboxResult:  # noqa: ASYNC109
        """The awaitable twin of ``run``, for any event loop; cancelling it ends the process."""
        return await asyncio.wrap_future(self._submit(code, timeout, stdin))

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._sandbox._forget(self._key)

    def __enter__(self) -> SandboxSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _submit(self, code: str, timeout: float | None, stdin: str) -> Future[SandboxResult]:
        if self._closed:
            raise ConfigError("this session is closed: make another")
        job = self._sandbox._job(code, timeout, stdin)
        job.key = self._key
        if self._process and self._process != os.getpid():
            job.lost = "this program was forked from the one that it belongs to"
        self._process = os.getpid()
        return self._sandbox._submit(job)


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise ConfigError(f"{what} is {value!r:.60}; allowed: a text (str)")


def _pool(settings: Settings, backend: str) -> Pool | UnsafePool:
    if backend == Backend.UNSAFE_SUBPROCESS:
        return UnsafePool(settings)
    if sys.platform != "linux":
        chosen(backend)  # raises
    from textgym.sandbox.pool import Pool  # what it needs is only there on Linux

    return Pool(settings, lambda: chosen(backend))


def _waited(future: Future[SandboxResult]) -> SandboxResult:
    """The result of a future; who stops waiting (Ctrl-C) ends the run."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()
_shared: list[Sandbox] = []
_shared_lock = threading.Lock()


def shared() -> Sandbox:
    """The sandbox of this process that tools and environments use unless they are given one; ends at exit."""
    with _shared_lock:
        if not _shared:
            _shared.append(Sandbox())
        return _shared[0]


def _after_fork() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for sandbox in list(_sandboxes):
        sandbox._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
