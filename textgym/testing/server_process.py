"""The mock model server as a process of its own: its command line, and the handle on one.

Invariant: a spawned server never outlives its parent, because it ends when its standard input
does. What it answers is the business of ``mock_server.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from textgym.jsontext import dumps, loads

__all__ = ["ServerProcess", "main"]


class ServerProcess:
    """A mock model server in another process, as a context manager.

    Args:
        options: JSON-like arguments of ``MockModelServer``.

    Raises:
        RuntimeError: The process ended before it listened; its standard error says why.
    """

    base_url: str
    """What a client takes as its base URL, ending in ``/v1``."""
    pid: int
    """Process id."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ServerProcess:
        home = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        code = "from textgym.testing.server_process import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--options", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(dumps(self.options) + b"\n")
        stdin.flush()
        self.pid = self._process.pid
        self.base_url = stdout.readline().decode("utf-8").strip()
        if not self.base_url:
            self.close()
            raise RuntimeError(f"the mock server did not start with {self.options!r}: see stderr")
        return self

    def stats(self) -> dict[str, Any]:
        """Counters and CPU seconds of the process, as ``MockModelServer.stats``."""
        key = self.options.get("api_key")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with urlopen(Request(self.base_url[:-3] + "/stats", headers=headers), timeout=10) as reply:
            stats: dict[str, Any] = loads(reply.read())
        return stats

    def close(self) -> None:
        """Kill the process and wait for it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def main(argv: Sequence[str] | None = None) -> None:
    """Run a server until it is killed; the first line of standard output is its base URL.

    Args:
        argv: Command line arguments; None takes those of the process.
    """
    arguments = _parser().parse_args(argv)
    watched = arguments.options == "-"
    options = _options(arguments)
    try:
        asyncio.run(_serve(options, watched))
    except KeyboardInterrupt:
        pass


async def _serve(options: Mapping[str, Any], watched: bool) -> None:
    from textgym.testing.mock_server import MockModelServer

    server = MockModelServer(**options)
    task = asyncio.create_task(server.serve())
    await server.listening()
    sys.stdout.write(server.base_url + "\n")
    sys.stdout.flush()
    if watched:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
    await task


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m textgym.testing.mock_server",
        description="A scripted OpenAI-compatible model server on loopback.",
    )
    parser.add_argument("--answer", action="append", help="the answer; repeat it for one a turn")
    parser.add_argument("--latency", type=float, help="seconds before each completion")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (0: a free one)")
    parser.add_argument("--api-key", help="the key that clients have to send")
    parser.add_argument("--model", help="name listed by /v1/models")
    parser.add_argument("--dialect", help="how tokens are told: vllm, sglang, openai or text")
    parser.add_argument("--chaos", help="a chaos mode, or JSON: a list or {mode: probability}")
    parser.add_argument("--chaos-times", type=int, help="only the first so many completions")
    parser.add_argument("--seed", type=int, help="fixes the draws of a chaos plan")
    parser.add_argument("--retry-after", type=float, help="Retry-After of 429 and 503, seconds")
    parser.add_argument("--options", help="all arguments as one JSON object; - reads a line")
    return parser


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    given = {key: value for key, value in vars(arguments).items() if value is not None}
    whole = given.pop("options", None)
    if whole is not None:
        text = sys.stdin.buffer.readline() if whole == "-" else whole.encode()
        given = {**json.loads(text), **given}
    answers = given.get("answer")
    if isinstance(answers, list) and len(answers) == 1:
        given["answer"] = answers[0]
    chaos = given.get("chaos")
    if isinstance(chaos, str) and chaos[:1] in "[{":
        given["chaos"] = json.loads(chaos)
    return given
