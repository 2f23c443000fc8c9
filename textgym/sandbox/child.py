"""A child of the zygote as the pool sees it: what it has written, and what that amounts to.

Invariant: nothing that comes from it is trusted. What is kept is bounded by the limits, a report that is
malformed or repeats another nonce is no report, and the verdict is that of the clock, the bounds and the exit
status first.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from contextlib import suppress
from enum import Enum
from typing import Any

from textgym.sandbox.job import Job
from textgym.sandbox.limits import SandboxLimits
from textgym.sandbox.result import CallOutcome, SandboxResult, SandboxStatus
from textgym.sandbox.zygote_process import ZygoteProcess, memory_file

__all__ = ["Child", "State"]

START_SECONDS = 60.0
"""Time for a zygote to come up and fork; no code is judged by it."""
_CHUNK = 1 << 16
_OF_REPORTS = 1 << 16
"""Bytes of reports beyond the values, for what surrounds them."""
_ECHOED = 500
_SIGNALS = {
    signal.SIGKILL: "killed by the system; it may have been out of memory",
    signal.SIGSEGV: "crashed (segmentation fault)",
    signal.SIGABRT: "aborted",
}
_CLAIMS = {status.value: status for status in (SandboxStatus.OK, SandboxStatus.ERROR, SandboxStatus.MEMORY)}


class State(Enum):
    """Where a child is in its life."""

    STARTING = "starting"
    """Its confinement is not complete."""
    RUNNING = "running"
    """It runs a job."""
    IDLE = "idle"
    """It belongs to a session and waits, stopped."""
    ENDING = "ending"
    """It was told to end, or has reported and is about to."""


class Child:
    """One process, its socket and its two pipes.

    Args:
        ordinal: Number by which the zygote knows it.
        zygote: Where it is forked.
        limits: Bounds of its runs.
        cpu_seconds: Bound of its computing time; 0 for a child that belongs to a session.

    Raises:
        OSError: There are no descriptors left.
    """

    def __init__(self, ordinal: int, zygote: ZygoteProcess, limits: SandboxLimits, cpu_seconds: int) -> None:
        self.ordinal = ordinal
        self.zygote = zygote
        self.lasting = not cpu_seconds
        self.state = State.STARTING
        self.job: Job | None = None
        self.key: object | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self.fault = ""
        """Why its confinement failed, if it did."""
        self.reported = False
        self._closed = False
        self._limits = limits
        opened: list[int] = []
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            opened += [ours.detach(), theirs.detach()]
            for _ in range(2):
                opened += os.pipe2(os.O_CLOEXEC)
        except BaseException:
            for each in opened:
                os.close(each)
            raise
        self.channel, remote, self.out, remote_out, self.err, remote_err = opened
        self.readable = [self.channel, self.out, self.err]
        """Descriptors that have not come to their end."""
        for each in self.readable:
            os.set_blocking(each, False)
        zygote.children[ordinal] = self
        zygote.started += 1
        start = {"do": "start", "id": ordinal, "lasting": self.lasting, "cpu_seconds": cpu_seconds}
        zygote.tell(start, [remote, remote_out, remote_err])
        self._forget_run()

    def _forget_run(self) -> None:
        self._text: dict[int, bytearray] = {self.out: bytearray(), self.err: bytearray()}
        self._reports = bytearray()
        self._reported_bytes = 0
        self._claim: SandboxStatus | None = None
        self._values: dict[int, CallOutcome] = {}
        self._began = 0.0
        self._excess = ""
        self.verdict: SandboxStatus | None = None
        self.reported = False

    def begin(self, job: Job) -> None:
        """Hand over a job; its clock runs from when the child is ready.

        Raises:
            OSError: There are no descriptors or no memory left.
        """
        self._forget_run()
        self.job = job
        job.attempts += 1
        files: list[int] = []
        try:
            files.append(memory_file(job.request()))
            files.append(memory_file(job.stdin.encode("utf-8", "backslashreplace")))
            channel = socket.socket(fileno=os.dup(self.channel))
            with channel, suppress(ConnectionError):  # it is gone, as its zygote will tell
                socket.send_fds(channel, [b"r"], files)
        finally:
            for each in files:
                os.close(each)
        if self.state is not State.STARTING:
            self._start_clock()

    def _start_clock(self) -> None:
        assert self.job is not None
        self.state = State.RUNNING
        self._began = time.monotonic()
        self.deadline = self._began + self.job.seconds

    def read(self, descriptor: int) -> None:
        """Take what can be read from one of the descriptors at once."""
        while True:
            try:
                data = os.read(descriptor, _CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.readable.remove(descriptor)
                return
            if descriptor == self.channel:
                self._take_reports(data)
            else:
                self._keep(descriptor, data)
            if self.verdict is SandboxStatus.OUTPUT:
                return

    def _keep(self, descriptor: int, data: bytes) -> None:
        room = self._limits.output_bytes - sum(map(len, self._text.values()))
        self._text[descriptor] += data[:room]
        if len(data) > room and self.verdict is None:
            self.verdict = SandboxStatus.OUTPUT
            self._excess = f"it wrote more than {self._limits.output_bytes} bytes"

    def _take_reports(self, data: bytes) -> None:
        self._reports += data
        self._reported_bytes += len(data)
        if self._reported_bytes > self._limits.result_bytes + _OF_REPORTS:
            self._reports.clear()
            if self.verdict is None:
                self.verdict = SandboxStatus.OUTPUT
                self._excess = f"its values took more than {self._limits.result_bytes} bytes"
        while len(self._reports) >= 4:
            (length,) = struct.unpack_from("!I", self._reports)
            if len(self._reports) < 4 + length:
                return
            text = bytes(self._reports[4 : 4 + length])
            del self._reports[: 4 + length]
            try:
                report = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(report, dict):
                self._take_report(report)

    def _take_report(self, report: dict[str, Any]) -> None:
        if self.state is State.STARTING:  # the only one that comes before any code has run
            self.fault = str(report.get("failed", ""))
            if not self.fault and self.job is not None:
                self._start_clock()
            return
        job = self.job
        if job is None or report.get("nonce") != job.nonce:
            return
        place, claim = report.get("place"), report.get("status")
        if type(place) is int and 0 <= place < len(job.arguments) and place not in self._values:
            self._values[place] = _outcome(report)
        elif isinstance(claim, str) and claim in _CLAIMS:
            self._claim = _CLAIMS[claim]
            self.reported = True

    def result(self, status: int | None) -> SandboxResult:
        """What the run came to.

        Args:
            status: Wait status of the process; None where it lives on, or nobody knows.

        Returns:
            The result.
        """
        job = self.job
        assert job is not None
        seconds = time.monotonic() - self._began if self._began else 0.0
        verdict, note = self._judge(status, job)
        stderr = self._text[self.err].decode("utf-8", "replace")
        if note:
            stderr += f"{'' if not stderr or stderr.endswith(chr(10)) else chr(10)}[{verdict}: {note}]\n"
        missing = CallOutcome(ok=False, error=f"not called: {verdict}")
        return SandboxResult(
            stdout=self._text[self.out].decode("utf-8", "replace"),
            stderr=stderr,
            status=verdict,
            seconds=seconds,
            values=tuple(self._values.get(place, missing) for place in range(len(job.arguments))),
        )

    def _judge(self, status: int | None, job: Job) -> tuple[SandboxStatus, str]:
        if self.verdict is SandboxStatus.TIMEOUT:
            return self.verdict, f"stopped after {job.seconds:g} s"
        if self.verdict is SandboxStatus.OUTPUT:
            return self.verdict, f"stopped because {self._excess}"
        if status is None:
            if self._claim is not None and self.lasting:
                return self._claim, ""
            return SandboxStatus.KILLED, "the process that it was forked from is gone"
        if os.WIFSIGNALED(status):
            number = signal.Signals(os.WTERMSIG(status))
            if number is signal.SIGXCPU:
                return SandboxStatus.TIMEOUT, "stopped for its computing time"
            return SandboxStatus.KILLED, _SIGNALS.get(number, f"ended by {number.name}")
        code = os.waitstatus_to_exitcode(status)
        if code == 0 and self._claim is not None:
            return self._claim, ""
        return SandboxStatus.KILLED, f"the process ended with exit code {code} before the code had ended"

    def kill(self) -> None:
        """Have it killed; the zygote tells when it has ended."""
        if self.state is not State.ENDING:
            self.state = State.ENDING
            self.deadline = time.monotonic() + START_SECONDS
        self.zygote.tell({"do": "kill", "id": self.ordinal})

    def close(self) -> None:
        """Close the descriptors, once."""
        if not self._closed:
            self._closed = True
            for each in (self.channel, self.out, self.err):
                os.close(each)


def _outcome(report: dict[str, Any]) -> CallOutcome:
    value = report.get("value")
    if report.get("ok") is True:
        try:
            json.dumps(value, ensure_ascii=False).encode()  # forged reports may hold halves of characters
        except (ValueError, RecursionError):
            return CallOutcome(ok=False, error="the result is no JSON value")
        return CallOutcome(ok=True, value=value)
    error = report.get("error")
    told = (
        error[-_ECHOED:] if isinstance(error, str) else ""
    )  # anything else was forged, perhaps to break str()
    return CallOutcome(ok=False, error=told.encode("utf-8", "replace").decode())
