"""The pool: one thread that starts zygotes, hands out jobs, watches the clock and collects results.

Invariant: all state belongs to that thread; callers hand it messages and get futures. At most ``workers`` runs
are on at a time and the rest wait without their clock running; every run ends by its deadline and leaves no
process and no descriptor behind. A process forked from this one has to ``abandon`` the pool.
"""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from textgym.errors import SandboxUnavailable
from textgym.sandbox.backend import Backend
from textgym.sandbox.child import Child, State
from textgym.sandbox.job import Job
from textgym.sandbox.result import NAMES_ARE_GONE, SandboxResult, SandboxStatus
from textgym.sandbox.settings import Settings
from textgym.sandbox.zygote_process import ZygoteProcess

__all__ = ["MAX_STARTS", "Pool"]

MAX_STARTS = 5000
"""Children that a zygote forks until another takes its place."""
_ATTEMPTS = 2
_KILL_SECONDS = 10.0
_FLUSH_SECONDS = 0.005


@dataclass(slots=True)
class _Session:
    """What the pool knows of a session."""

    child: Child | None = None
    waiting: deque[Job] = field(default_factory=deque)
    busy: bool = False
    lost: str = ""


class Pool:
    """Processes of one sandbox; the thread starts with the first job.

    Args:
        settings: Limits, modules, most runs at a time.
        choose: Finds the backend, called once by the thread; raises ``SandboxUnavailable``.
    """

    def __init__(self, settings: Settings, choose: Callable[[], Backend]) -> None:
        self._settings = settings
        self._choose = choose
        self._backend: Backend | None = None
        self._lock = threading.RLock()  # the garbage collector may close a pool in a thread that holds it
        self._inbox: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._wake = self._woken = -1
        self._selector: selectors.BaseSelector | None = None
        self._queue: deque[Job] = deque()
        self._sessions: dict[object, _Session] = {}
        self._zygote: ZygoteProcess | None = None
        self._zygotes: set[ZygoteProcess] = set()
        self._busy: set[Child] = set()
        self._registered: set[int] = set()
        self._ordinal = secrets.randbelow(1 << 30)  # children of two pools shall not be one user

    def submit(self, job: Job) -> None:
        """Have a job run; its future tells the rest."""

        def settled(future: Future[SandboxResult]) -> None:
            if future.cancelled():
                self._post(lambda: self._drop(job))

        job.future.add_done_callback(settled)
        if not self._post(lambda: self._accept(job)):
            job.fail(SandboxUnavailable("this sandbox is closed"))

    def forget(self, key: object) -> None:
        """End a session's process; safe to be called by the garbage collector, wherever that strikes."""
        if self._closing or self._thread is None:
            return
        self._inbox.append(lambda: self._end_session(key))
        if self._lock.acquire(blocking=False):  # else another message is on its way, which wakes the thread
            try:
                self._signal()
            finally:
                self._lock.release()

    def pids(self) -> list[int]:
        """Process ids of the zygotes (or of the parents that hold their namespaces)."""
        return [zygote.pid for zygote in list(self._zygotes)]

    def close(self) -> None:
        """Kill everything; jobs that are not done fail."""
        with self._lock:
            thread, self._closing = self._thread, True
            self._signal()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_KILL_SECONDS)

    def abandon(self) -> None:
        """In a forked child: let go of everything that belongs to the parent, and touch none of it."""
        self._closing = True
        for zygote in self._zygotes:
            for child in zygote.children.values():
                child.close()
            zygote.abandon()
        if self._selector is not None:
            self._selector.close()
        for each in (self._wake, self._woken):
            if each >= 0:
                os.close(each)
        self._wake = self._woken = -1

    # ---- between the threads

    def _post(self, message: Callable[[], None]) -> bool:
        with self._lock:
            if self._closing:
                return False
            if self._thread is None:
                self._start()
            self._inbox.append(message)
            self._signal()
            return True

    def _start(self) -> None:
        """Start the thread; should there be no descriptors or no threads left, nothing has been started."""
        selector = selectors.DefaultSelector()
        try:
            wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                selector.register(wake, selectors.EVENT_READ, self._heed)
                thread = threading.Thread(
                    target=self._main, args=(selector,), name="textgym-sandbox", daemon=True
                )
                self._selector, self._wake, self._woken = selector, wake, woken
                thread.start()
            except BaseException:
                self._selector, self._wake, self._woken = None, -1, -1
                os.close(wake)
                os.close(woken)
                raise
        except BaseException:
            selector.close()
            raise
        self._thread = thread

    def _signal(self) -> None:
        if self._woken >= 0:
            try:
                os.write(self._woken, b"w")
            except BlockingIOError:
                pass  # it is awake enough

    def _main(self, selector: selectors.BaseSelector) -> None:
        with selector:
            while not self._closing:
                try:
                    self._turn(selector)
                except Exception as error:
                    logging.getLogger(__name__).exception("the sandbox lost its processes")
                    self._fail_all(error)
            self._heed()
            self._fail_all(SandboxUnavailable("this sandbox was closed before the code had ended"))
        with self._lock:
            os.close(self._wake)
            os.close(self._woken)
            self._wake = self._woken = -1

    def _turn(self, selector: selectors.BaseSelector) -> None:
        self._begin_waiting()
        soonest = min((child.deadline for child in self._busy), default=None)
        patience = None if soonest is None else max(0.0, soonest - time.monotonic())
        for zygote in self._zygotes:
            zygote.flush()
            if zygote.has_words:
                patience = min(patience or _FLUSH_SECONDS, _FLUSH_SECONDS)
        for key, _ in selector.select(patience):
            if key.fd in self._registered or key.fd == self._wake:  # an earlier event may have closed it
                key.data()
        now = time.monotonic()
        for child in [child for child in self._busy if child.deadline <= now]:
            if child in self._busy:
                self._overdue(child)

    def _heed(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass
        while self._inbox:
            self._inbox.popleft()()

    # ---- jobs

    def _accept(self, job: Job) -> None:
        if job.key is not None:
            if self._is_crowded(job.key):
                job.fail(self._settings.crowded())
                return
            session = self._sessions.setdefault(job.key, _Session(lost=job.lost))
            if session.busy:
                session.waiting.append(job)
                return
            session.busy = True
        self._queue.append(job)

    def _is_crowded(self, key: object) -> bool:
        """Whether a run of this session would start a process beyond those that sessions may have."""
        having = [
            each for each, session in self._sessions.items() if session.busy or session.child is not None
        ]
        return len(having) >= self._settings.sessions and key not in having

    def _begin_waiting(self) -> None:
        while self._queue and len(self._busy) < self._settings.workers:
            job = self._queue.popleft()
            if job.future.cancelled():
                self._release(job)
                continue
            try:
                self._begin(job)
            except Exception as error:
                job.fail(error)
                self._release(job)

    def _begin(self, job: Job) -> None:
        session = self._sessions.get(job.key) if job.key is not None else None
        child = session.child if session is not None else None
        if child is None:
            child = self._fork(0 if session is not None else _cpu_seconds(job))
            child.key = job.key
            if session is not None:
                session.child = child
        else:
            child.zygote.tell({"do": "continue", "id": child.ordinal})
        self._busy.add(child)
        try:
            child.begin(job)
        except Exception as error:
            self._refuse(child, job, error)
        for descriptor in child.readable:
            self._watch(descriptor, lambda child=child, descriptor=descriptor: self._read(child, descriptor))  # type: ignore[misc]

    def _fork(self, cpu_seconds: int) -> Child:
        zygote = self._zygote
        if zygote is None:
            if self._backend is None:
                self._backend = self._choose()
            zygote = self._zygote = ZygoteProcess(self._backend, self._settings)
            self._zygotes.add(zygote)
            self._watch(zygote.control.fileno(), lambda: self._hear(zygote))
        self._ordinal += 1
        child = Child(self._ordinal, zygote, self._settings.limits, cpu_seconds)
        if zygote.started >= MAX_STARTS:
            self._zygote = None
        return child

    def _refuse(self, child: Child, job: Job, error: Exception) -> None:
        """Fail a child's job, and end the child; its session goes on without it."""
        session = self._sessions.get(job.key) if job.key is not None else None
        if session is not None:
            session.child = child.key = None
            if child.state is State.IDLE:
                session.lost = "a run of it could not begin"
        child.job = None
        child.kill()
        job.fail(error)
        self._release(job)

    def _release(self, job: Job) -> None:
        """Let the next run of the job's session come."""
        session = self._sessions.get(job.key) if job.key is not None else None
        if session is not None:
            session.busy = bool(session.waiting)
            if session.waiting:
                self._queue.append(session.waiting.popleft())

    def _drop(self, job: Job) -> None:
        """A job was cancelled: end what runs it."""
        for child in self._busy:
            if child.job is job:
                child.kill()

    def _end_session(self, key: object) -> None:
        session = self._sessions.pop(key, None)
        if session is None:
            return
        for job in session.waiting:
            job.fail(SandboxUnavailable("this session was closed"))
        if session.child is not None:
            session.child.key = None
            session.child.kill()
            self._busy.add(session.child)

    # ---- what children and zygotes do

    def _read(self, child: Child, descriptor: int) -> None:
        child.read(descriptor)
        self._unwatch_ended(child)
        if child.fault and child.job is not None:
            why = f"the sandbox could not confine a process: {child.fault}"
            self._refuse(child, child.job, SandboxUnavailable(why))
        elif child.verdict is SandboxStatus.OUTPUT and child.state is not State.ENDING:
            child.kill()
        elif child.reported and child.lasting and child.state is State.RUNNING:
            self._rest(child)

    def _rest(self, child: Child) -> None:
        """A run of a session has reported: collect it, and stop the process until the next."""
        for descriptor in list(child.readable):
            child.read(descriptor)
        if child.verdict is not None:
            child.kill()
            return
        child.state = State.IDLE
        child.zygote.tell({"do": "stop", "id": child.ordinal})
        for descriptor in (child.channel, child.out, child.err):
            self._unwatch(descriptor)
        self._busy.discard(child)
        self._settle(child, child.result(None))

    def _hear(self, zygote: ZygoteProcess) -> None:
        zygote.flush()
        messages = zygote.hear()
        if messages is None:
            self._lose(zygote, zygote.faults())
            return
        for message in messages:
            if "ready" in message:
                zygote.ready = True
            elif "failed" in message:
                self._lose(zygote, message["failed"])
                return
            elif (child := zygote.children.pop(message["ended"], None)) is not None:
                self._bury(child, message["status"])
        if zygote is not self._zygote and not zygote.children:
            self._unwatch(zygote.control.fileno())
            self._zygotes.discard(zygote)
            zygote.end()

    def _bury(self, child: Child, status: int | None) -> None:
        """A child has ended."""
        for descriptor in list(child.readable):
            child.read(descriptor)
        self._let_go(child)
        if child.job is None:
            return
        if status is None:
            child.job.fail(SandboxUnavailable("the sandbox could not fork: out of memory or processes"))
            self._release(child.job)
        else:
            self._settle(child, child.result(status))

    def _let_go(self, child: Child) -> None:
        for descriptor in (child.channel, child.out, child.err):
            self._unwatch(descriptor)
        child.close()
        self._busy.discard(child)
        session = self._sessions.get(child.key) if child.key is not None else None
        if session is not None and session.child is child:
            session.child = None
            if child.job is None:
                session.lost = "its process was gone"

    def _lose(self, zygote: ZygoteProcess, why: str) -> None:
        """A zygote failed or died: its jobs get another, once."""
        if self._zygote is zygote:
            self._zygote = None
        self._unwatch(zygote.control.fileno())
        zygote.end()
        for child in zygote.children.values():
            self._let_go(child)
            job = child.job
            if job is None:
                continue
            if why and not zygote.ready:
                job.fail(SandboxUnavailable(f"the sandbox ({self._backend}) could not start: {why}"))
                self._release(job)
            elif job.attempts < _ATTEMPTS and child.verdict is None and job.key is None:
                self._queue.appendleft(job)
            else:
                self._settle(child, child.result(None))
        self._zygotes.discard(zygote)  # not before: should anything fail here, all its jobs have to fail too

    def _settle(self, child: Child, result: SandboxResult) -> None:
        job, child.job = child.job, None
        assert job is not None
        session = self._sessions.get(job.key) if job.key is not None else None
        if session is not None:
            wanted = not job.future.cancelled()
            if session.lost and wanted:
                lost = f"[the session was lost, {session.lost}: this run began without its names]\n"
                result = replace(result, stderr=lost + result.stderr)
                session.lost = ""
            if session.child is None and wanted:
                result = replace(result, stderr=result.stderr + NAMES_ARE_GONE)
            elif session.child is None:  # nobody sees this result: the next one has to tell
                session.lost = "a run of it was cancelled"
        job.succeed(result)
        self._release(job)

    def _overdue(self, child: Child) -> None:
        if child.state is State.RUNNING:
            child.verdict = child.verdict or SandboxStatus.TIMEOUT
            child.kill()
        else:
            self._lose(child.zygote, "it did not answer")

    def _fail_all(self, error: BaseException) -> None:
        jobs = [*self._queue]
        for zygote in self._zygotes:
            self._unwatch(zygote.control.fileno())
            zygote.end()
            for child in zygote.children.values():
                self._let_go(child)
                if child.job is not None:
                    jobs.append(child.job)
        for session in self._sessions.values():
            jobs += session.waiting
            session.waiting.clear()
            session.busy, session.lost = False, "the sandbox lost its processes"
        self._zygotes.clear()
        self._queue.clear()
        self._busy.clear()
        self._zygote = None
        for job in jobs:
            job.fail(error)

    # ---- descriptors

    def _watch(self, descriptor: int, react: Callable[[], None]) -> None:
        assert self._selector is not None
        if descriptor not in self._registered:
            self._selector.register(descriptor, selectors.EVENT_READ, react)
            self._registered.add(descriptor)

    def _unwatch(self, descriptor: int) -> None:
        assert self._selector is not None
        if descriptor in self._registered:
            self._selector.unregister(descriptor)
            self._registered.discard(descriptor)

    def _unwatch_ended(self, child: Child) -> None:
        for descriptor in (child.channel, child.out, child.err):
            if descriptor not in child.readable:
                self._unwatch(descriptor)


def _cpu_seconds(job: Job) -> int:
    """More computing time than a job can use until its deadline: a bound, should nobody be left to kill it."""
    return 2 + int(job.seconds) * (os.cpu_count() or 1)
