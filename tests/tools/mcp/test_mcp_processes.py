"""No server process outlives whoever started it, and none is started or ended twice."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from typing import Any

import pytest

from textgym.errors import EnvError
from textgym.tools import MCPToolProvider
from textgym.tools.mcp_session import MCPSession

pytest.importorskip("mcp")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups and signals of POSIX")

SCRIPT = """
import asyncio, os, signal, sys, time
from textgym.tools import MCPToolProvider

provider = MCPToolProvider(sys.argv[2:])
tools = {tool.name: tool for tool in asyncio.run(provider.open())}
print(asyncio.run(tools["pid"]()), flush=True)
"""


def children_of(pid: int) -> list[int]:
    """The processes that name it as their parent, or in their command line."""
    lister = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid=,args="], stdout=subprocess.PIPE, text=True)
    rows = [line.split(None, 2) for line in lister.communicate()[0].splitlines()]
    rows = [row for row in rows if row[0] != str(lister.pid)]
    return [int(row[0]) for row in rows if row[1] == str(pid) or (row[2:] and f"child-of-{pid}" in row[2])]


STUBBORN = ("stubborn", "nested")


@pytest.mark.parametrize(
    ("words", "ending", "code"),
    [
        ((), "pass", 0),
        ((), "os.kill(os.getpid(), signal.SIGKILL)", -9),
        (STUBBORN, "pass", 0),
        (STUBBORN, "raise RuntimeError('at the end')", 1),
        (STUBBORN, "os._exit(4)", 4),
        (STUBBORN, "os.kill(os.getpid(), signal.SIGKILL)", -9),
        (STUBBORN, "os.kill(os.getpid(), signal.SIGTERM)", -15),
        (STUBBORN, "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2),
    ],
)
def test_no_server_outlives_the_interpreter(
    command: Any, gone: Any, words: tuple[str, ...], ending: str, code: int
) -> None:
    script = SCRIPT + "sys.stdin.readline()\n" + ending
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, "-", *command(*words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    server = int(process.stdout.readline())
    nested = children_of(server)
    assert len(nested) == len(words) // 2
    _, errors = process.communicate("\n", timeout=60)
    assert process.returncode == code
    assert "Exception ignored" not in errors
    assert "Warning" not in errors
    assert gone(server, *nested)


def test_a_dropped_session_ends_its_server(command: Any, gone: Any) -> None:
    async def main() -> int:
        provider = MCPToolProvider(command())
        tools = {tool.name: tool for tool in await provider.open()}
        return int(await tools["pid"]())

    pid = asyncio.run(main())
    gc.collect()
    assert gone(pid)


def test_a_cancelled_opening_ends_its_server(command: Any, gone: Any) -> None:
    async def main() -> list[int]:
        before = set(children_of(os.getpid()))
        provider = MCPToolProvider(command("deaf"))
        opening = asyncio.ensure_future(provider.open())
        while not (started := set(children_of(os.getpid())) - before):
            await asyncio.sleep(0.02)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        return list(started)

    assert gone(*asyncio.run(main()))


def test_close_leaves_nothing_behind(command: Any, gone: Any) -> None:
    before = children_of(os.getpid())
    provider = MCPToolProvider(command("stubborn", "nested"))
    tools = {tool.name: tool for tool in asyncio.run(provider.open())}
    server = int(asyncio.run(tools["pid"]()))
    nested = children_of(server)
    asyncio.run(provider.close())
    assert gone(server, *nested)
    assert children_of(os.getpid()) == before, "the keeper goes with the last server"


def test_a_forked_child_leaves_the_session_alone(command: Any) -> None:
    script = SCRIPT + (
        "from textgym.errors import NotForkable\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    try:\n"
        "        asyncio.run(tools['add'](a=1))\n"
        "    except NotForkable:\n"
        "        print('refused', flush=True)\n"
        "    asyncio.run(provider.close())\n"
        "    fresh = {tool.name: tool for tool in asyncio.run(provider.open())}\n"
        "    print(asyncio.run(fresh['add'](a=1)), flush=True)\n"
        "    asyncio.run(provider.close())\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print(asyncio.run(tools['add'](a=2)), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "-", *command()], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split()[1:] == ["refused", "2", "3"], done.stderr


def test_many_start_at_once(command: Any, gone: Any) -> None:
    async def main() -> list[str]:
        sessions = [MCPSession(MCPToolProvider(command()).server) for _ in range(8)]
        await asyncio.gather(*(session.tools() for session in sessions))
        found = await asyncio.gather(*(session.call("pid", {}) for session in sessions))
        await asyncio.gather(*(session.close() for session in sessions))
        return [result.content[0].text for result in found]

    pids = set(map(int, asyncio.run(main())))
    assert len(pids) == 8
    assert gone(*pids)


def test_a_session_closed_in_the_moment_of_its_opening(command: Any) -> None:
    async def main() -> None:
        session = MCPSession(MCPToolProvider(command("deaf")).server)
        opening = asyncio.ensure_future(session.tools())
        await asyncio.gather(asyncio.sleep(0), session.close())
        with pytest.raises(EnvError, match="it was closed"):
            await opening

    asyncio.run(main())
