"""What ``backend="unsafe-subprocess"`` runs: the same interpreter without any isolation, on any system.

Requests come as lines of JSON by standard input. A report goes to standard error as NUL and a line of JSON; the
end of a run is told on both outputs by NUL and a line with the nonce.

Invariant: none that hostile code could not break.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from typing import Any

from textgym.sandbox.jail.interpreter import Interpreter
from textgym.sandbox.jail.oom import die_first

__all__ = ["main"]


def main() -> None:
    """Answer requests until standard input ends; the one argument has limits and whether it is a session."""
    die_first()
    config = json.loads(sys.argv[1])
    requests = os.fdopen(os.dup(0), "rb")
    output, errors = os.dup(1), os.dup(2)
    for name, value in config["limits"].items():
        _limit(name, value)
    importlib.import_module("site").setquit()
    os.environ.clear()
    interpreter = Interpreter(lambda report: _write(errors, "\0" + report + "\n"), lasting=config["lasting"])
    for line in requests:
        request = json.loads(line)
        interpreter.answer(request, _input(request["stdin"]))
        for descriptor in (output, errors):
            _write(descriptor, "\0" + request["nonce"] + "\n")
        if not config["lasting"]:
            break
    os._exit(0)


def _input(text: str) -> int:
    with tempfile.TemporaryFile() as file:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.seek(0)
        return os.dup(file.fileno())


def _write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


def _limit(name: str, value: int) -> None:
    try:
        resource: Any = importlib.import_module("resource")
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # no such limit on this system
