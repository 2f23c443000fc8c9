"""One request to the sandbox, from the caller to the result.

Invariant: a job's future is settled once, by the pool's thread; cancelling it ends the process that runs it.
"""

from __future__ import annotations

import json
import secrets
from concurrent.futures import Future
from dataclasses import dataclass, field

from textgym.sandbox.result import SandboxResult

__all__ = ["Job"]


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """What is to be run, and what the caller waits for."""

    code: str
    """Python source."""
    stdin: str
    """Text of standard input."""
    seconds: float
    """From when the code begins to when it has ended."""
    key: object | None = None
    """The session, if it belongs to one."""
    lost: str = ""
    """Why the session has lost its names, if the caller knows."""
    name: str = ""
    """Function to be called, if any."""
    arguments: tuple[str, ...] = ()
    """Argument lists of the calls, each as JSON text."""
    future: Future[SandboxResult] = field(default_factory=Future)
    """Gets the result, or what kept it from being run."""
    attempts: int = 0
    """How often it was begun."""
    nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    """Repeated by reports; unlike that of any other job."""
    settled: bool = False
    """Whether the caller has been told."""

    def request(self, *, with_stdin: bool = False) -> bytes:
        """The request as the child reads it, with standard input where that has no descriptor of its own."""
        return json.dumps(
            {
                "nonce": self.nonce,
                "kind": "call" if self.name else "run",
                "code": self.code,
                "name": self.name,
                "stdin": self.stdin if with_stdin else "",
                "arguments": self.arguments,
            }
        ).encode("ascii")

    def succeed(self, result: SandboxResult) -> None:
        """Hand over the result, unless nobody wants it any more."""
        if self._is_awaited():
            self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Hand over what kept the code from being run."""
        if self._is_awaited():
            self.future.set_exception(error)

    def _is_awaited(self) -> bool:
        if self.settled:
            return False
        self.settled = True
        return self.future.set_running_or_notify_cancel()
