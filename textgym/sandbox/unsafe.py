"""The backend that isolates nothing: a subprocess with limits, for machines where the caller accepts that.

Invariant: a run gets a process group, an empty environment and an empty working directory of its own, ends by
its deadline, and keeps no more output than is allowed. The code can read and write what this user can, reach
the network, and start processes that leave the group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import IO, Any

from textgym.errors import SandboxUnavailable
from textgym.sandbox.job import Job
from textgym.sandbox.program import BARE_ARGUMENTS, ENVIRONMENT, program
from textgym.sandbox.result import NAMES_ARE_GONE, CallOutcome, SandboxResult, SandboxStatus
from textgym.sandbox.settings import Settings

__all__ = ["UnsafePool"]

_CHUNK = 1 << 16
_GRACE_SECONDS = 5.0
_CLAIMS = {status.value: status for status in (SandboxStatus.OK, SandboxStatus.ERROR, SandboxStatus.MEMORY)}


class _Stream:
    """One output of a process, read by a thread of its own."""

    def __init__(self, file: IO[bytes], process: _Process) -> None:
        self._file = file
        self._process = process
        self.data = bytearray()
        self.ended = False
        self.thread = threading.Thread(target=self._read, name="textgym-unsafe", daemon=True)
        self.thread.start()

    def _read(self) -> None:
        while data := os.read(self._file.fileno(), _CHUNK):
            with self._process.changed:
                self.data += data
                self._process.notice()
        with self._process.changed:
            self.ended = True  # the thread itself still lives when who waits looks
            self._process.changed.notify_all()
        self._file.close()


class _Process:
    """One subprocess, used by one thread at a time."""

    def __init__(self, settings: Settings, *, lasting: bool) -> None:
        self._settings = settings
        self._lasting = lasting
        self.changed = threading.Condition()
        self.verdict: SandboxStatus | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="textgym-", ignore_cleanup_errors=True)
        limits = settings.limits
        config = {
            "lasting": lasting,
            "limits": {
                "RLIMIT_AS": int(limits.memory_bytes),
                "RLIMIT_FSIZE": int(limits.file_bytes),
                "RLIMIT_NOFILE": int(limits.open_files),
                "RLIMIT_CORE": 0,
            },
        }
        path = os.path.join(self._folder.name, "sandbox.py")
        with open(path, "wb") as file:
            file.write(program("bare"))
        system = {
            name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ
        }  # Windows needs it
        self._popen = subprocess.Popen(
            [sys.executable, *BARE_ARGUMENTS, path, json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=self._folder.name,
            env={**ENVIRONMENT, **system},
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._out = _Stream(self._popen.stdout, self)
        self._err = _Stream(self._popen.stderr, self)
        self.pid = self._popen.pid

    def notice(self) -> None:
        """More output has come: wake who waits, and end the process if it is too much."""
        limits = self._settings.limits
        if len(self._out.data) + len(self._err.data) > limits.output_bytes + limits.result_bytes:
            self.end(SandboxStatus.OUTPUT)
        self.changed.notify_all()

    def end(self, verdict: SandboxStatus | None = None) -> None:
        """Kill the process group."""
        self.verdict = self.verdict or verdict
        try:
            if hasattr(os, "killpg"):
                os.killpg(self._popen.pid, signal.SIGKILL)
            else:
                self._popen.kill()
        except OSError:
            pass

    def close(self) -> None:
        """Kill and reap it, and remove its directory."""
        self.end()
        self._popen.wait()
        for stream in (self._out, self._err):
            stream.thread.join(_GRACE_SECONDS)
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        self._folder.cleanup()

    def run(self, job: Job) -> tuple[SandboxResult, bool]:
        """The result of a job, and whether the process lives on."""
        began = time.monotonic()
        assert self._popen.stdin is not None
        with self.changed:
            self._out.data.clear()
            self._err.data.clear()
        try:
            self._popen.stdin.write(job.request(with_stdin=True) + b"\n")
        except OSError:
            pass  # it has ended, as is seen below
        end = b"\0" + job.nonce.encode() + b"\n"
        deadline = began + job.seconds
        with self.changed:
            while self.verdict is None and any(
                end not in stream.data and not stream.ended for stream in (self._out, self._err)
            ):
                if not self.changed.wait(max(0.0, deadline - time.monotonic())):
                    self.end(SandboxStatus.TIMEOUT)
        closed = self._out.ended or self._err.ended  # which is seen before the end of the process
        lives = self._lasting and self.verdict is None and not closed and self._popen.poll() is None
        code = None if lives else self._reaped()
        return self._result(job, code, time.monotonic() - began), lives

    def _reaped(self) -> int | None:
        try:
            code = self._popen.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return code

    def _result(self, job: Job, code: int | None, seconds: float) -> SandboxResult:
        limit = self._settings.limits.output_bytes
        with self.changed:
            end = b"\0" + job.nonce.encode() + b"\n"
            out = bytes(self._out.data).replace(end, b"")
            reports, err = _split(bytes(self._err.data).replace(end, b""), job.nonce)
        values = {report["place"]: report for report in reports if type(report.get("place")) is int}
        claims = [_CLAIMS[report["status"]] for report in reports if report.get("status") in _CLAIMS]
        verdict, note = self.verdict, ""
        if verdict is None and len(out) + len(err) > limit:
            verdict = SandboxStatus.OUTPUT
        if verdict is SandboxStatus.TIMEOUT:
            note = f"stopped after {job.seconds:g} s"
        elif verdict is SandboxStatus.OUTPUT:
            note = f"it wrote more than {limit} bytes"
        elif claims and not code:
            verdict = claims[-1]
        else:
            verdict, note = (
                SandboxStatus.KILLED,
                f"the process ended with exit code {code} before the code had ended",
            )
        text = err[: max(0, limit - len(out))].decode("utf-8", "replace")
        if note:
            text += f"{'' if not text or text.endswith(chr(10)) else chr(10)}[{verdict}: {note}]\n"
        return SandboxResult(
            stdout=out[:limit].decode("utf-8", "replace"),
            stderr=text,
            status=verdict,
            seconds=seconds,
            values=tuple(_outcome(values.get(place), verdict) for place in range(len(job.arguments))),
        )


def _split(err: bytes, nonce: str) -> tuple[list[dict[str, Any]], bytes]:
    """The reports in a standard error, and what is left of it without them."""
    reports, rest = [], []
    first, *others = err.split(b'\0{"nonce": "' + nonce.encode())
    rest.append(first)
    for each in others:
        line, _, behind = each.partition(b"\n")
        try:
            reports.append(json.loads(b'{"nonce": "' + line))
        except (ValueError, RecursionError):
            pass
        rest.append(behind)
    return [report for report in reports if isinstance(report, dict)], b"".join(rest)


def _outcome(report: dict[str, Any] | None, status: SandboxStatus) -> CallOutcome:
    if report is None:
        return CallOutcome(ok=False, error=f"not called: {status}")
    if report.get("ok") is True:
        return CallOutcome(ok=True, value=report.get("value"))
    error = report.get("error")
    return CallOutcome(ok=False, error=error if isinstance(error, str) else "")


@dataclass(slots=True)
class _Session:
    process: _Process | None = None
    waiting: deque[Job] = field(default_factory=deque)
    busy: bool = False


class UnsafePool:
    """The counterpart of ``Pool``, with a thread for each run that is on.

    Args:
        settings: Limits and most runs at a time; modules are imported when the code does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._threads = ThreadPoolExecutor(settings.workers, thread_name_prefix="textgym-unsafe")
        self._sessions: dict[object, _Session] = {}
        self._running: dict[Job, _Process] = {}
        self._closed = False

    def submit(self, job: Job) -> None:
        """Have a job run; its future tells the rest."""
        job.future.add_done_callback(lambda future: self._drop(job) if future.cancelled() else None)
        with self._lock:
            if self._closed:
                job.fail(SandboxUnavailable("this sandbox is closed"))
                return
            if job.key is not None:
                if self._is_crowded(job.key):
                    job.fail(self._settings.crowded())
                    return
                session = self._sessions.setdefault(job.key, _Session())
                if session.busy:
                    session.waiting.append(job)
                    return
                session.busy = True
            self._threads.submit(self._work, job)

    def _is_crowded(self, key: object) -> bool:
        having = [
            each for each, session in self._sessions.items() if session.busy or session.process is not None
        ]
        return len(having) >= self._settings.sessions and key not in having

    def forget(self, key: object) -> None:
        """End a session's process."""
        with self._lock:
            session = self._sessions.pop(key, None)
        if session is not None:
            for job in session.waiting:
                job.fail(SandboxUnavailable("this session was closed"))
            if session.process is not None:
                session.process.close()

    def pids(self) -> list[int]:
        """Process ids of what runs."""
        with self._lock:
            return [process.pid for process in self._running.values()]

    def close(self) -> None:
        """Kill everything."""
        with self._lock:
            self._closed = True
            processes = [*self._running.values()]
            keys = list(self._sessions)
        for process in processes:
            process.end(SandboxStatus.KILLED)
        for key in keys:
            self.forget(key)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def abandon(self) -> None:
        """In a forked child: there is nothing to let go of but memory."""
        self._closed = True

    def _drop(self, job: Job) -> None:
        with self._lock:
            process = self._running.get(job)
        if process is not None:
            process.end(SandboxStatus.KILLED)

    def _work(self, job: Job) -> None:
        result: SandboxResult | Exception | None = None
        try:
            if not job.future.cancelled():
                result = self._ran(job)
        except Exception as error:
            result = error
        finally:
            self._release(job)
        if isinstance(
            result, SandboxResult
        ):  # told last: what the caller does next finds the session at rest
            job.succeed(result)
        elif result is not None:
            job.fail(result)

    def _release(self, job: Job) -> None:
        """Let the next run of the job's session come."""
        with self._lock:
            session = self._sessions.get(job.key) if job.key is not None else None
            if session is not None:
                session.busy = bool(session.waiting)
                if session.waiting and not self._closed:
                    self._threads.submit(self._work, session.waiting.popleft())

    def _ran(self, job: Job) -> SandboxResult:
        session = self._sessions.get(job.key) if job.key is not None else None
        process = session.process if session is not None else None
        if process is None:
            process = _Process(self._settings, lasting=session is not None)
        with self._lock:
            self._running[job] = process
            if session is not None:
                session.process = process
        try:
            result, lives = process.run(job)
        finally:
            with self._lock:
                del self._running[job]
        if session is not None and not lives:
            session.process = None
            result = replace(result, stderr=result.stderr + NAMES_ARE_GONE)
        return result
