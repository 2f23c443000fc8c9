"""A small pool of worker processes that judge what this process does not dare to.

Each worker belongs to one daemon thread, which starts it, hands it one question at a time, and kills its process
group at the deadline. Callers get a future, so that any thread waits for it and any event loop awaits it.

Invariant: a question is answered, timed out or failed within its deadline after a worker has taken it. Workers are
started by ``exec`` and never by forking this process, and none of them outlives it. Verdicts are kept for repeated
questions. Nothing is read or compared here.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from collections import OrderedDict
from concurrent.futures import Future
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from textgym.rewards.math.outcome import MathOutcome
from textgym.rewards.math.process import Missing, WorkerProcess, WorkerTimeout

__all__ = ["MAX_WORKERS", "WorkerPool", "is_installed", "pool"]

MAX_WORKERS = max(1, min(4, os.cpu_count() or 1))
"""Most processes at a time; they are started as questions come."""
_REMEMBERED = 512


class _Question(NamedTuple):
    gold: str
    answer: str
    timeout: float


class WorkerPool:
    """Worker processes and the threads that own them; nothing starts before the first question.

    Args:
        size: Most workers at a time.
    """

    def __init__(self, size: int = MAX_WORKERS) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[_Question, Future[MathOutcome | None]]] = queue.SimpleQueue()
        self._known: OrderedDict[_Question, Future[MathOutcome | None]] = OrderedDict()
        self._threads = 0
        self._idle = 0
        self._workers: set[WorkerProcess] = set()
        self._closed = False

    def ask(self, gold: str, answer: str, timeout: float) -> Future[MathOutcome | None]:
        """Have a pair judged.

        Args:
            gold: The gold answer in TeX.
            answer: The other.
            timeout: Seconds that a worker may take, from when it has the question.

        Returns:
            A future of the outcome; its result is None where math-verify cannot be used, and it raises
            ``OSError`` where no process could be started.
        """
        question = _Question(gold, answer, timeout)
        with self._lock:
            known = self._known.get(question)
            if known is not None:
                self._known.move_to_end(question)
                return known
            future: Future[MathOutcome | None] = Future()
            self._known[question] = future
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            future.set_running_or_notify_cancel()  # callers share it: none of them can cancel it
            if self._idle:
                self._idle -= 1
            elif self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._serve, name="textgym-math", daemon=True).start()
            self._waiting.put((question, future))
        return future

    def pids(self) -> list[int]:
        """Process ids of the running workers."""
        return [worker.pid for worker in list(self._workers) if worker.pid]

    def close(self) -> None:
        """Kill all workers; questions after that fail."""
        self._closed = True
        for worker in list(self._workers):
            worker.end()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's workers without touching them."""
        for worker in list(self._workers):
            worker.abandon()

    def _serve(self) -> None:
        worker = WorkerProcess()
        self._workers.add(worker)
        while True:
            question, future = self._waiting.get()
            try:
                outcome = self._judged(worker, question)
            except BaseException as error:
                with self._lock:
                    self._known.pop(question, None)  # a failure of the machine is no verdict
                future.set_exception(error)
            else:
                future.set_result(outcome)
            with self._lock:
                self._idle += 1

    def _judged(self, worker: WorkerProcess, question: _Question) -> MathOutcome | None:
        for attempt in (1, 2):
            if self._closed:
                raise OSError("the math workers of this process are closed")
            try:
                reply = worker.ask(question.gold, question.answer, question.timeout)
            except Missing as missing:
                _warn(str(missing))
                return None
            except WorkerTimeout:
                return MathOutcome.TIMEOUT
            except EOFError:
                # It died. Once may be bad luck (the system was out of memory); twice is this question.
                if attempt == 2:
                    return MathOutcome.TIMEOUT
                continue
            return MathOutcome.TIMEOUT if reply == "memory" else MathOutcome(reply)
        raise AssertionError


@cache
def _warn(why: str) -> None:
    logging.getLogger(__name__).warning(
        "math-verify is installed but cannot be imported, so that answers are judged without it: %s", why
    )


@cache
def is_installed() -> bool:
    """Whether math-verify is installed; nothing is imported."""
    return find_spec("math_verify") is not None


_lock = threading.Lock()
_pools: list[WorkerPool] = []


def pool() -> WorkerPool:
    """The pool of this process; a forked child gets its own."""
    if not _pools:
        with _lock:
            if not _pools:
                _pools.append(WorkerPool())
                atexit.register(_pools[0].close)
    return _pools[0]


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    for each in _pools:
        each.abandon()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
