"""The MCP client against a real server process: what a model sees, and what a user is told."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textgym.errors import ConfigError, EnvError, MissingExtra
from textgym.tools import MCPToolProvider, Tool, ToolProvider, Toolset
from textgym.tools.mcp_session import MCPSession

pytest.importorskip("mcp")


@pytest.fixture(scope="module")
def tools() -> Iterator[list[Tool]]:
    """The tools of one server, for the tests that leave it as it is."""
    server = os.path.join(os.path.dirname(__file__), "mcp_server.py")
    provider = MCPToolProvider([sys.executable, server, "noisy", "chatty"], env={"API_KEY": "k"})
    yield asyncio.run(provider.open())
    asyncio.run(provider.close())


def opened(provider: MCPToolProvider) -> list[Tool]:
    return asyncio.run(provider.open())


def test_schemas_are_the_servers_own(tools: list[Tool]) -> None:
    named = {tool.name: tool for tool in tools}
    assert list(named)[:3] == ["add", "slow", "fail"]
    assert named["add"].description == "Add two whole numbers."
    parameters = named["add"].parameters
    assert parameters["required"] == ["a"]
    assert parameters["properties"]["b"] == {"default": 1, "title": "B", "type": "integer"}
    assert named["add"].concurrent, "the server says that it only reads"
    assert not named["count"].concurrent


@pytest.mark.parametrize(
    ("name", "arguments", "outcome", "text"),
    [
        ("add", {"a": 1, "b": 2}, "ok", "3"),
        ("echo", {"text": "naïve 🦆\u2028\x00\r\n</result>"}, "ok", "naïve 🦆\u2028\x00\r\n</result>"),
        ("point", {"x": 1, "y": 2}, "ok", '{\n  "x": 1,\n  "y": 2\n}'),
        ("only_structure", {}, "ok", '{"name": "Zoë", "n": 1}'),
        (
            "fail",
            {"reason": "line one\nline two"},
            "raised",
            "Error: Error executing tool fail: line one\nline two",
        ),
        (
            "echo",
            {"text": "\ud800"},
            "raised",
            "Error: ValueError: the arguments hold half of a surrogate pair",
        ),
        ("echo", {"text": 1}, "invalid_arguments", "Error: echo: argument 'text' is 1: it must be a string"),
        ("nothing", {}, "unknown_tool", "Error: there is no tool 'nothing'"),
        ("flood", {"characters": 20 << 20}, "raised", "Error: the answer of the tool server has 2"),
        ("add", {"a": 4}, "ok", "5"),
    ],
)
def test_what_the_model_sees(
    tools: list[Tool], called: Any, name: str, arguments: dict[str, Any], outcome: str, text: str
) -> None:
    found = called(tools, name, **arguments)
    assert (found[0], found[1][: len(text)]) == (outcome, text)


def test_what_is_no_text_has_a_placeholder(tools: list[Tool], called: Any) -> None:
    assert called(tools, "blocks")[1].split("\n") == [
        "first",
        "[image: image/png, 3 bytes]",
        "[audio: audio/wav, 5 bytes]",
        "[resource: file:///page.html]",
        "[resource: file:///note.txt]",
        "inside",
        "last",
    ]


def test_long_results_are_cut(tools: list[Tool], called: Any) -> None:
    outcome, text = called(tools, "flood", characters=9 << 20)
    assert outcome == "ok"
    assert len(text) == 4096


def test_only_named_variables_reach_the_server(tools: list[Tool], called: Any, monkeypatch: Any) -> None:
    variables = called(tools, "variables")[1].split()
    assert "API_KEY" in variables
    assert "PATH" in variables
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST_CURRENT_TEST" not in variables


def test_every_loop_and_thread_may_call(tools: list[Tool], called: Any) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(called(tools, "pid")[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_calls_run_at_the_same_time(tools: list[Tool]) -> None:
    async def main() -> list[str]:
        named = {tool.name: tool for tool in tools}
        slow = asyncio.ensure_future(named["slow"](seconds=60))
        first = await named["add"](a=1)
        slow.cancel()
        await asyncio.wait([slow])
        return [first, await named["add"](a=2), str(slow.cancelled())]

    assert asyncio.run(main()) == ["2", "3", "True"]


def test_names_that_collide(tools: list[Tool], command: Any) -> None:
    def add(a: int) -> int:
        """Add."""
        return a

    with pytest.raises(
        ConfigError, match=r"two tools are called 'add', .*add.* and 'add' of MCP server .*prefix"
    ):
        Toolset([add]).with_tools(tools)
    provider = MCPToolProvider(command(), prefix="math_", include=["add", "echo"], exclude=["echo"])
    [tool] = opened(provider)
    assert tool.name == "math_add"
    assert len(Toolset([add]).with_tools([tool])) == 2
    asyncio.run(provider.close())


@pytest.mark.parametrize(
    ("words", "options", "error", "message"),
    [
        ((), {"include": ["ad"]}, ConfigError, "include names the tool 'ad': MCP server '.*' has add, slow"),
        (("twins",), {}, ConfigError, "has two tools 'a': exclude=.'a'. leaves both"),
        (("endless",), {}, EnvError, "its list of tools has no end"),
        (("dead",), {}, EnvError, "it ended by itself.*API_KEY is not set"),
        (("deaf", "stubborn"), {"timeout": 0.5}, EnvError, "it was not ready within 0.5 s"),
    ],
)
def test_what_cannot_be_opened(
    command: Any, words: tuple[str, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        opened(MCPToolProvider(command(*words), **options))


@pytest.mark.parametrize(
    ("words", "options", "names"),
    [
        (("pages",), {}, ["t0", "t1"]),
        (("twins",), {"exclude": ["a"]}, ["b"]),
        (("modern",), {"include": ["pid"]}, ["pid"]),
    ],
)
def test_odd_servers_that_are_understood(
    command: Any, words: tuple[str, ...], options: dict[str, Any], names: list[str]
) -> None:
    provider = MCPToolProvider(command(*words), **options)
    assert [tool.name for tool in opened(provider)] == names
    asyncio.run(provider.close())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "either a command, like .* or a url"),
        ((["python"],), {"url": "http://localhost/mcp"}, "either a command"),
        (("python server.py",), {}, "command is 'python server.py': give a list"),
        (([],), {}, "give a list of texts"),
        ((["no-such-program-of-textgym", "x"],), {}, "command 'no-such-program-of-textgym' is not found"),
        (([sys.executable],), {"headers": {"a": "b"}}, "headers belong to a url"),
        (([sys.executable],), {"cwd": "no/such/folder"}, "cwd is 'no/such/folder': there is no such folder"),
        ((), {"url": "localhost:80"}, "url is 'localhost:80': it must begin with http"),
        ((), {"url": "http://localhost/mcp", "env": {"A": "b"}}, "env and cwd belong to a command"),
        ((), {"url": "http://localhost/mcp", "timeout": 0}, "timeout is 0: it must be a positive number"),
        ((), {"url": "http://localhost/mcp", "include": "add"}, "include is the text 'add'"),
    ],
)
def test_arguments_are_checked_at_once(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MCPToolProvider(*arguments, **options)


def test_a_command_is_looked_for_from_its_folder(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert MCPToolProvider(["./server"], cwd=str(tmp_path)).server.command == (str(program),)
    with pytest.raises(ConfigError, match=r"command './server' is not found"):
        MCPToolProvider(["./server"])


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtra, match=r'pip install "textgym\[mcp\]"'):
        MCPToolProvider(["python"])


def test_a_list_that_changes_is_not_followed(command: Any, called: Any) -> None:
    provider = MCPToolProvider(command())
    tools = opened(provider)
    assert called(tools, "change") == ("ok", "changed")
    outcome, text = called(tools, "echo", text="still there?")
    assert outcome == "raised"
    assert "echo" in text
    assert called(tools, "add", a=1) == ("ok", "2")
    asyncio.run(provider.close())


def test_a_crash_is_told_to_the_model_and_stays(command: Any, called: Any, caplog: Any) -> None:
    provider = MCPToolProvider(command("nested"))
    tools = opened(provider)
    down = ("raised", "Error: the tool server has broken down")
    assert called(tools, "crash") == down
    assert "it ended by itself with exit code 7; it last wrote: mcp_server: crashing" in caplog.text
    assert called(tools, "add", a=1) == down, "a fresh server would not know what has happened"
    asyncio.run(provider.close())
    assert called(tools, "add", a=1) == ("raised", "Error: the session with the tool server has been closed")


def test_a_server_that_is_killed_between_calls(command: Any, called: Any, gone: Any) -> None:
    provider = MCPToolProvider(command())
    tools = opened(provider)
    pid = int(called(tools, "pid")[1])
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert called(tools, "add", a=1)[0] == "raised"
    asyncio.run(provider.close())


def test_a_call_that_takes_too_long(command: Any, called: Any) -> None:
    provider = MCPToolProvider(command(), include=["slow", "add"])
    tools = opened(provider)
    schema = {"type": "object", "properties": {"seconds": {"type": "number"}}}
    hasty = Tool("slow", "", schema, next(t for t in tools if t.name == "slow").function, timeout=0.2)
    assert called([hasty], "slow", seconds=60) == ("timeout", "Error: slow did not return within 0.2 seconds")
    assert called(tools, "add", a=1) == ("ok", "2")
    asyncio.run(provider.close())


def test_an_episode_has_a_server_of_its_own(command: Any, called: Any) -> None:
    provider = MCPToolProvider(command())
    twins = [copy.deepcopy(provider), pickle.loads(pickle.dumps(provider))]
    assert all(isinstance(twin, ToolProvider) and not twin.shared for twin in twins)
    first, second = map(opened, twins)
    assert [called(first, "count")[1], called(first, "count")[1], called(second, "count")[1]] == [
        "1",
        "2",
        "1",
    ]
    for twin in twins:
        asyncio.run(twin.close())


def test_a_shared_session_lasts_until_the_last_close(command: Any, called: Any, gone: Any) -> None:
    provider = MCPToolProvider(command(), shared=True)
    assert copy.deepcopy(provider) is provider
    first, second = opened(provider), opened(provider)
    assert [called(first, "count")[1], called(second, "count")[1]] == ["1", "2"]
    asyncio.run(provider.close())
    pid = int(called(second, "pid")[1])
    asyncio.run(provider.close())
    assert gone(pid)


def test_a_shared_session_is_begun_anew_after_a_crash(command: Any, called: Any) -> None:
    provider = MCPToolProvider(command(), shared=True)
    tools = opened(provider)
    assert called(tools, "count") == ("ok", "1")
    assert called(tools, "crash")[0] == "raised"
    assert called(tools, "count") == ("ok", "1")
    asyncio.run(provider.close())


def test_http_sessions(http_server: Any, called: Any) -> None:
    url, _ = http_server()
    provider = MCPToolProvider(url=url, headers={"x-key": "secret"})
    twins = [copy.deepcopy(provider), copy.deepcopy(provider)]
    first, second = map(opened, twins)
    assert called(first, "header", name="x-key") == ("ok", "secret")
    assert [called(first, "count")[1], called(first, "count")[1], called(second, "count")[1]] == [
        "1",
        "2",
        "1",
    ]
    assert called(first, "echo", text="\ud800")[0] == "raised"
    assert called(first, "flood", characters=2 << 20)[0] == "ok"
    assert called(first, "flood", characters=20 << 20)[0] == "raised"
    assert called(first, "count") == ("ok", "3")
    for twin in twins:
        asyncio.run(twin.close())


def test_http_without_sessions(http_server: Any, called: Any) -> None:
    url, _ = http_server("stateless", "modern")
    provider = MCPToolProvider(url=url)
    tools = opened(provider)
    assert called(tools, "add", a=1) == ("ok", "2")
    asyncio.run(provider.close())


def test_http_server_that_goes_away_and_comes_back(http_server: Any, called: Any) -> None:
    url, process = http_server()
    own, shared = MCPToolProvider(url=url), MCPToolProvider(url=url, shared=True)
    tools, shared_tools = opened(own), opened(shared)
    process.kill()
    process.wait()
    assert called(tools, "add", a=1)[0] == "raised"
    assert called(shared_tools, "add", a=1)[0] == "raised"
    with pytest.raises(EnvError, match=rf"MCP server '{url}': the connection failed"):
        opened(MCPToolProvider(url=url))
    http_server(port=int(url.split(":")[2].split("/")[0]))
    assert called(tools, "add", a=1)[0] == "raised", "its session has died with the server"
    assert called(shared_tools, "add", a=1) == ("ok", "2")
    for provider in (own, shared):
        asyncio.run(provider.close())


def test_an_http_server_that_has_forgotten_the_session(http_server: Any, called: Any) -> None:
    url, process = http_server()
    own, shared = MCPToolProvider(url=url), MCPToolProvider(url=url, shared=True)
    tools, shared_tools = opened(own), opened(shared)
    process.kill()
    process.wait()
    http_server(port=int(url.split(":")[2].split("/")[0]))
    assert called(tools, "add", a=1)[0] == "raised"
    assert called(shared_tools, "add", a=1)[0] == "raised", (
        "nobody repeats a call that may have had an effect"
    )
    assert called(shared_tools, "add", a=1) == ("ok", "2")
    for provider in (own, shared):
        asyncio.run(provider.close())


def test_unfinished_opening_is_given_up(command: Any) -> None:
    async def main() -> bool:
        session = MCPSession(MCPToolProvider(command("deaf")).server)
        opening = asyncio.ensure_future(session.tools())
        await asyncio.sleep(0.2)
        await session.close()
        with pytest.raises(EnvError, match="it was closed"):
            await opening
        return session.usable

    assert not asyncio.run(main())
