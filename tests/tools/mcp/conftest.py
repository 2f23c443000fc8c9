"""What the tests of the MCP client share: the server's command, processes, and what a call comes to."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

collect_ignore = ["mcp_server.py"]  # doctest collection would import it, and it needs the package

SERVER = [sys.executable, str(Path(__file__).with_name("mcp_server.py"))]


@pytest.fixture
def command() -> Callable[..., list[str]]:
    """The server's command line, with words for what it shall do badly."""
    return lambda *words: [*SERVER, *words]


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody waits for has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


@pytest.fixture
def gone() -> Callable[..., bool]:
    """Whether processes end; it waits as long as a loaded machine may need."""

    def gone(*pids: int) -> bool:
        deadline = time.monotonic() + 30
        while any(map(is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not any(map(is_alive, pids))

    return gone


@pytest.fixture
def called() -> Callable[..., Any]:
    """``called(tools, name, **arguments)``: (outcome, text) of one call, as an environment makes it."""

    def called(tools: Any, name: str, /, **arguments: Any) -> tuple[str, str]:
        from textgym.tools import Toolset
        from textgym.types import ToolCall

        async def run() -> Any:
            call = ToolCall(id="c", name=name, arguments=json.dumps(arguments))
            return await Toolset(tools).call(call)

        result = asyncio.run(run())
        return result.outcome.value, result.text

    return called


@pytest.fixture
def http_server() -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """Starts servers on loopback ports: ``(url, process)``."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, port: int = 0) -> tuple[str, subprocess.Popen[str]]:
        process = subprocess.Popen([*SERVER, f"--http={port}", *words], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", process

    yield start
    for process in started:
        process.kill()
        process.communicate()
