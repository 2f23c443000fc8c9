"""One worker process, as its owner sees it: ask, wait until the deadline, kill.

Invariant: used by one thread. A process that missed a deadline, died, or has served ``MAX_QUESTIONS`` is replaced
before the next question; its whole process group is killed and it is reaped. It gets a few environment variables,
no file but its pipes, and text as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

__all__ = ["Missing", "WorkerProcess", "WorkerTimeout"]

MAX_QUESTIONS = 2000
"""Questions until a process is replaced, because the caches of sympy grow."""
START_SECONDS = 60.0
"""Time for a process to import math-verify; no answer is judged by it."""

_SCRIPT = str(Path(__file__).with_name("worker.py"))
_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV",
    "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP",
)  # fmt: skip
_LONGEST_REPLY = 4096


class WorkerTimeout(Exception):
    """The worker did not answer in time and was killed."""


class Missing(Exception):
    """The worker runs, and math-verify cannot be imported there."""


class WorkerProcess:
    """A worker that is started when it is first needed, and again whenever it is gone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._served = 0
        self._ready = False

    @property
    def pid(self) -> int:
        """Process id; 0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def ask(self, gold: str, answer: str, timeout: float) -> str:
        """Hand over one question and wait for the reply.

        Args:
            gold: The gold answer in TeX.
            answer: The other.
            timeout: Seconds for the reply; starting a process is not counted.

        Returns:
            The verdict as the worker spells it.

        Raises:
            WorkerTimeout: No reply came in time.
            EOFError: The process died.
            Missing: math-verify is not there.
            OSError: No process could be started.
        """
        process = self._running()
        assert process.stdin is not None
        question = json.dumps({"gold": gold, "answer": answer, "seconds": timeout}) + "\n"
        try:
            process.stdin.write(question.encode("ascii"))
        except OSError as error:
            self._drop()
            raise EOFError from error
        line = self._line(process, timeout)
        self._served += 1
        try:
            return str(json.loads(line)["verdict"])
        except (ValueError, LookupError, TypeError) as error:
            self._drop()
            raise EOFError from error

    def end(self) -> None:
        """Kill the process group and reap the process, from any thread."""
        process = self._process
        if process is not None and process.returncode is None:
            _kill_group(process)
            process.wait()

    def abandon(self) -> None:
        """Close this end of the pipes of a process that belongs to somebody else, the parent of this fork."""
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0  # not ours to wait for
            _close_pipes(process)

    def _drop(self) -> None:
        self.end()
        process, self._process = self._process, None
        if process is not None:
            _close_pipes(process)

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        if process is not None and (process.poll() is not None or self._served >= MAX_QUESTIONS):
            self._drop()
            process = None
        if process is None:
            process = self._process = self._started()
            self._served, self._ready = 0, False
        if not self._ready:
            try:
                first = json.loads(self._line(process, START_SECONDS))
            except (EOFError, ValueError, WorkerTimeout) as error:
                self._drop()
                raise OSError("the math worker did not start") from error
            if not first.get("ready"):
                self._drop()
                raise Missing(str(first.get("why")))
            self._ready = True
        return process

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        # By path and not by -m: importing textgym would double the start-up, and -P keeps this folder and the
        # working directory out of the worker's module search.
        return subprocess.Popen(
            [sys.executable, "-P", _SCRIPT, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**environment, "PYTHONHASHSEED": "0"},
            start_new_session=True,
        )

    def _line(self, process: subprocess.Popen[bytes], timeout: float) -> bytes:
        """The next line of the process, which is killed if it takes longer.

        Raises:
            WorkerTimeout: It took longer.
            EOFError: It died.
        """
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            self.end()

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        timer.start()
        try:
            line = process.stdout.readline(_LONGEST_REPLY)
        finally:
            timer.cancel()
        if line.endswith(b"\n"):
            return line
        self._drop()
        raise WorkerTimeout if late.is_set() else EOFError


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # it leads its own session
        else:
            process.kill()
    except OSError:
        pass


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
