"""Calls: every one gets one result, in order, whatever the model wrote and whatever the tool did."""

from __future__ import annotations

import asyncio
import copy
import datetime
import json
import pickle
import sys
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from textgym.errors import ConfigError, EnvError
from textgym.hooks import drive, settle
from textgym.tools import Search, Tool, ToolError, ToolOutcome, ToolResult, Toolset, execution
from textgym.tools.sessions import Sessions
from textgym.types import ToolCall

OK, RAISED, TIMEOUT = ToolOutcome.OK, ToolOutcome.RAISED, ToolOutcome.TIMEOUT


def call(name: str, arguments: Any = None, call_id: str = "1") -> ToolCall:
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(id=call_id, name=name, arguments=written)


def of(function: Any, **options: Any) -> Tool:
    return Tool.from_function(function, **options)


def run(tools: Any, *calls: ToolCall, way: str = "sync", **options: Any) -> list[ToolResult]:
    toolset = Toolset(tools)
    if way == "sync":
        return list(drive(settle(toolset.calls(calls, **options))))

    async def play() -> list[ToolResult]:
        return await toolset.calls(calls, **options)

    return asyncio.run(play())


def one(function: Any, arguments: Any = None, way: str = "sync", **options: Any) -> ToolResult:
    return run([of(function, **options)], call(function.__name__, arguments), way=way)[0]


def add(a: int, b: float = 0.5) -> float:
    return a + b


WAYS = pytest.mark.parametrize("way", ["sync", "async"])
KINDS = pytest.mark.parametrize("timeout", [None, 30.0], ids=["inline", "thread"])


@WAYS
@KINDS
def test_a_call(way: str, timeout: float | None) -> None:
    result = one(add, {"a": 1}, way, timeout=timeout)
    assert (result.call_id, result.name, result.outcome, result.text) == ("1", "add", OK, "1.5")
    assert result.ok
    assert result.seconds >= 0
    assert not result.truncated
    assert result.to_dict()["outcome"] == "ok"


@WAYS
def test_async_tools(way: str) -> None:
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x

    def handed(x: int) -> Any:
        return later(x)

    for tool in (of(later), of(later, timeout=None), of(handed), of(handed, timeout=None)):
        (result,) = run([tool], call(tool.name, {"x": 3}), way=way)
        assert (result.outcome, result.text) == (OK, "3")


@pytest.mark.parametrize(
    ("asked", "outcome", "text"),
    [
        (call("ad"), "unknown_tool", "Error: there is no tool 'ad': the tools are add. Did you mean 'add'?"),
        (call("x" * 1000), "unknown_tool", f"Error: there is no tool '{'x' * 60}': the tools are add."),
        (call(""), "malformed", "Error: the call names no tool"),
        (
            call("add", "{"),
            "malformed",
            "Error: add: the arguments are no valid JSON: Expecting property name",
        ),
        (call("add", "[1]"), "malformed", "Error: add: the arguments must be a JSON object"),
        (call("add"), "invalid_arguments", "Error: add: argument 'a' (an integer) is missing"),
        (
            call("add", {"a": "3"}),
            "invalid_arguments",
            "Error: add: argument 'a' is \"3\": it must be an integer",
        ),
        (
            call("add", {"a": 1, "c": 2}),
            "invalid_arguments",
            "Error: add: there is no argument 'c': there are a, b",
        ),
        (
            call("add", {"b": []}),
            "invalid_arguments",
            "Error: add: argument 'a' (an integer) is missing; argument",
        ),
        (call("add", {"a" * 5000: 1, "a": 1}), "invalid_arguments", "Error: add: there is no argument 'aaaa"),
        (call("add", '{"a": ' + "[" * 100_000), "malformed", "Error: add: the arguments are no valid JSON"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(asked: ToolCall, outcome: str, text: str) -> None:
    (result,) = run([add], asked)
    assert (result.outcome, result.text[: len(text)]) == (outcome, text)
    assert len(result.text) <= 2000


@WAYS
@KINDS
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no\nsecond line"), "Error: ValueError: no"),
        (ToolError("no\nsecond line"), "Error: no\nsecond line"),
        (ToolError(""), "Error: ToolError"),
        (ValueError(""), "Error: ValueError"),
        (ValueError("x" * 10_000), "Error: ValueError: " + "x" * 500),
        (SystemExit(3), "Error: SystemExit: 3"),
        (RecursionError("deep"), "Error: RecursionError: deep"),
        (MemoryError(), "Error: MemoryError"),
        (StopIteration(4), "Error: StopIteration: 4"),
        (asyncio.CancelledError(), "Error: CancelledError"),
        (TimeoutError("mine"), "Error: TimeoutError: mine"),
        (BaseException("base"), "Error: BaseException: base"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_tool_raises_is_contained(way: str, timeout: float | None, error: Any, text: str) -> None:
    def fail() -> None:
        raise error

    result = one(fail, way=way, timeout=timeout)
    assert (result.outcome, result.text) == (RAISED, text)


@WAYS
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), asyncio.CancelledError()])
def test_what_an_async_tool_raises_is_contained(way: str, error: BaseException) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise error

    result = one(fail, way=way)
    assert result.outcome is RAISED
    assert result.text.startswith(f"Error: {type(error).__name__}")
    assert one(fail, way=way).outcome is RAISED  # the background loop lives on


@WAYS
@pytest.mark.parametrize("kind", ["inline", "thread", "async"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), EnvError("no sandbox"), ConfigError("wrong")])
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_not_the_models_doing_breaks_the_episode(
    way: str, kind: str, error: BaseException, count: int
) -> None:
    def fail() -> None:
        raise error

    async def afail() -> None:
        raise error

    tool = of(afail if kind == "async" else fail, timeout=None if kind == "inline" else 30.0)
    with pytest.raises(type(error)):
        run([tool], *[call(tool.name)] * count, way=way)
    assert one(add, {"a": 1}).ok


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Odd:
    def __str__(self) -> str:
        return "odd"


class Broken:
    def __str__(self) -> str:
        raise ValueError("no text")


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        (None, ""),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        (float("nan"), "nan"),
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        ({1: 2}, '{"1":2}'),
        ((1, 2), "[1,2]"),
        (Odd(), '"odd"'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        (datetime.date(2020, 1, 2), '"2020-01-02"'),
        (10**30, str(10**30)),
        ("\ud800\x00", "\ud800\x00"),
        (LOOP, "[[...]]"),
    ],
)
def test_results_as_text(value: Any, text: str) -> None:
    def give() -> Any:
        return value

    for timeout in (None, 30.0):
        result = one(give, timeout=timeout)
        assert (result.outcome, result.text) == (OK, text)
        assert type(result.text) is str


def test_a_result_or_error_without_text() -> None:
    def give() -> Any:
        return Broken()

    def fail() -> None:
        raise Unprintable

    assert one(give).text == "Error: ValueError: no text"
    assert one(fail).text == "Error: Unprintable"


@WAYS
def test_a_flood_is_cut(way: str) -> None:
    def flood(size: int) -> str:
        return "x" * size

    tool = of(flood, max_output=60)
    cut, whole = run([tool], call("flood", {"size": 10**7}), call("flood", {"size": 60}), way=way)
    assert (len(cut.text), cut.truncated, cut.outcome) == (60, True, OK)
    assert cut.text.endswith("[… cut: 10000000 characters, limit 60]")
    assert (whole.text, whole.truncated) == ("x" * 60, False)


@WAYS
def test_a_tool_that_hangs_is_left_behind(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        release.wait()

    monkeypatch.setattr(execution, "_abandoned", [])  # those of other tests may end at any time
    result = one(hang, way=way, timeout=0.05)
    assert (result.outcome, result.text) == (TIMEOUT, "Error: hang did not return within 0.05 seconds")
    assert execution.abandoned() == 1
    release.set()
    threads[0].join(30)
    assert execution.abandoned() == 0


@WAYS
def test_an_async_tool_that_hangs_is_cancelled(way: str) -> None:
    seen = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.set()
            raise

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # neither is waited for
            raise ValueError("not now") from None

    def late() -> Any:
        return hang()

    for function in (hang, stubborn, late):
        assert one(function, way=way, timeout=0.05).outcome is TIMEOUT
    assert seen.wait(30)


def test_many_threads_left_behind_are_told_and_at_last_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    threads = [threading.Thread(target=release.wait, daemon=True) for _ in range(7)]
    for thread in threads:
        thread.start()
    monkeypatch.setattr(execution, "_abandoned", list(threads))
    try:

        def hang() -> None:
            release.wait()

        with pytest.warns(RuntimeWarning, match="8 threads of tools"):
            assert one(hang, timeout=0.05).outcome is TIMEOUT
        monkeypatch.setattr(execution, "MAX_ABANDONED", 8)
        with pytest.raises(EnvError, match="8 threads of tools that never returned"):
            one(hang, timeout=0.05)
        assert one(add, {"a": 1}, timeout=None).ok
    finally:
        release.set()
    for thread in threads:
        thread.join(30)


def test_cancelling_the_episode_cancels_its_tools() -> None:
    cancelled: list[int] = []

    async def wait(x: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(x)
            raise

    async def cancel(count: int) -> None:
        async def body() -> None:
            await Toolset([wait]).calls([call("wait", {"x": x}) for x in range(count)])

        task = asyncio.create_task(body())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.01)

    asyncio.run(cancel(1))
    assert cancelled == [0]
    asyncio.run(cancel(2))
    assert sorted(cancelled) == [0, 0, 1]


@WAYS
def test_calls_run_together_and_results_keep_their_order(way: str) -> None:
    barrier = threading.Barrier(3, timeout=30)
    events = {"ready": 0}

    def meet(x: int) -> int:
        barrier.wait()  # passes only if all three are there at the same time
        return x

    async def ameet(x: int) -> int:
        events["ready"] += 1
        while events["ready"] < 3:
            await asyncio.sleep(0.001)
        return x

    for function in (meet, ameet):
        calls = [call(function.__name__, {"x": x}, f"id{x}") for x in range(3)]
        results = run([function], *calls, call("nothing"), way=way)
        assert [result.text for result in results[:3]] == ["0", "1", "2"]
        assert [result.call_id for result in results[:3]] == ["id0", "id1", "id2"]
        assert results[3].outcome is ToolOutcome.UNKNOWN_TOOL


@WAYS
def test_tools_that_are_not_concurrent_run_in_order(way: str) -> None:
    log: list[str] = []

    async def slow(x: int) -> None:
        log.append(f"begin {x}")
        await asyncio.sleep(0.005)
        log.append(f"end {x}")

    def quick(x: int) -> None:
        log.append(f"quick {x}")

    tools = [of(slow, concurrent=False), of(quick, concurrent=False)]
    run(tools, call("slow", {"x": 0}), call("quick", {"x": 1}), call("slow", {"x": 2}), way=way)
    assert log == ["begin 0", "end 0", "quick 1", "begin 2", "end 2"]


def test_quick_tools_need_no_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("an event loop was used")

    monkeypatch.setattr(asyncio, "new_event_loop", refuse)
    monkeypatch.setattr("textgym.hooks._Background.run", refuse)
    results = run([of(add, timeout=None)], call("add", {"a": 1}), call("add", {"a": 2}), call("x"))
    assert [result.ok for result in results] == [True, True, False]


def test_hidden_arguments() -> None:
    def look(x: int, db: Any, state: Any) -> Any:
        return [x, db, sorted(state)]

    tool = of(look, hidden=["db", "state"])
    assert list(tool.schema["function"]["parameters"]["properties"]) == ["x"]
    state = {"db": {"k": 1}, "other": 2}
    (result,) = run([tool], call("look", {"x": 1}), hidden=state)
    assert result.text == '[1,{"k":1},["db","other"]]'
    (given,) = run([tool], call("look", {"x": 1, "db": "mine"}), hidden=state)
    assert given.text == "Error: look: there is no argument 'db': the only one is x"
    with pytest.raises(EnvError, match="needs the hidden argument 'db', and the state has other"):
        run([tool], call("look", {"x": 1}), hidden={"other": 2})
    (own,) = run([tool], call("look", {"x": 1}), hidden={"db": 1, "state": {"key": 2}})
    assert own.text == '[1,1,["key"]]'


@WAYS
def test_arguments_may_be_prepared(way: str) -> None:
    def prepare(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {**arguments, "b": 10}

    async def aprepare(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return prepare(name, arguments)

    for prepared in (prepare, aprepare):
        assert run([add], call("add", {"a": 1}), way=way, prepare=prepared)[0].text == "11"
    with pytest.raises(EnvError, match="must be a dict"):
        run([add], call("add", {"a": 1}), way=way, prepare=lambda name, arguments: None)


def test_what_makes_a_toolset() -> None:
    toolset = Toolset([add, of(add, name="plus")])
    assert [tool.name for tool in toolset] == ["add", "plus"]
    assert (len(toolset), "plus" in toolset, toolset["plus"].name) == (2, True, "plus")
    assert repr(toolset) == "Toolset(add, plus)"
    assert [schema["function"]["name"] for schema in toolset.schemas] == ["add", "plus"]
    assert toolset.describe().startswith("add\nArguments:\n- a (an integer)")
    for wrong, words in (
        ([add, add], "two tools are called 'add'"),
        (add, "give a list"),
        ("add", "give a list"),
        ([3], "each must be a function"),
        (["no_such_tool"], "no tool called 'no_such_tool'"),
    ):
        with pytest.raises(ConfigError, match=words):
            Toolset(wrong)  # type: ignore[arg-type]


class Owner:
    def __init__(self) -> None:
        self.kept: list[int] = []
        self.toolset = Toolset([self.keep, add])

    def keep(self, x: int) -> int:
        self.kept.append(x)
        return len(self.kept)


def test_copies_share_and_methods_follow_their_object() -> None:
    toolset = Toolset([add])
    assert copy.deepcopy(toolset) is toolset
    assert copy.copy(toolset) is toolset
    owner = Owner()
    for twin in (copy.deepcopy(owner), pickle.loads(pickle.dumps(owner))):
        drive(settle(twin.toolset.call(call("keep", {"x": 1}))))
        assert (owner.kept, twin.kept) == ([], [1])
        assert twin.toolset["keep"].schema == owner.toolset["keep"].schema


class Provider:
    """Counts what is open; its tools say which session they belong to."""

    opened: ClassVar[list[int]] = []
    closed: ClassVar[list[int]] = []

    def __init__(self, shared: bool = False, fail: str = "") -> None:
        self.shared = shared
        self.fail = fail
        self.number = -1

    async def open(self) -> Sequence[Tool]:
        await asyncio.sleep(0)
        if self.fail == "open":
            raise OSError("no server")
        self.number = len(self.opened)
        self.opened.append(self.number)
        if self.fail == "kind":
            return ["tool"]  # type: ignore[list-item]
        return [Tool(f"session{self.number}", "", {"type": "object"}, lambda: self.number)]

    async def close(self) -> None:
        self.closed.append(self.number)
        if self.fail == "close":
            raise OSError("gone")


@pytest.fixture(autouse=True)
def _fresh_provider() -> None:
    Provider.opened, Provider.closed = [], []


def test_sessions_open_a_copy_for_each_episode() -> None:
    given, common = Provider(), Provider(shared=True)
    sessions = Sessions(Toolset([given, common]).providers)
    assert [tool.name for tool in drive(sessions.begin())] == ["session0", "session1"]
    assert (given.number, common.number) == (-1, 1)
    assert [tool.name for tool in drive(sessions.begin())] == ["session2", "session1"]
    assert Provider.closed == [0]
    twin = copy.deepcopy(sessions)
    drive(twin.close())
    assert Provider.closed == [0]
    drive(sessions.end())
    drive(sessions.end())
    assert Provider.closed == [0, 2]
    drive(sessions.close())
    drive(sessions.close())
    assert Provider.closed == [0, 2, 1]
    assert not sessions.forkable


def test_what_a_provider_breaks(caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions([Provider(), Provider(fail="open")])
    with pytest.raises(OSError, match="no server"):
        drive(sessions.begin())
    assert (Provider.opened, Provider.closed) == ([0], [0])
    with pytest.raises(ConfigError, match=r"must be a list of textgym\.tools\.Tool"):
        drive(Sessions([Provider(fail="kind")]).begin())
    bad = Sessions([Provider(fail="close")])
    drive(bad.begin())
    drive(bad.end())
    assert "could not be closed" in caplog.text


def test_a_tool_may_be_called_in_a_forked_child() -> None:
    if sys.platform == "win32":
        pytest.skip("there is no fork")
    assert one(add, {"a": 1}).ok
    import warnings
    from multiprocessing import get_context

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with get_context("fork").Pool(1) as pool:
            assert pool.apply(_in_child).text == "1.5"


def _in_child() -> ToolResult:
    return one(add, {"a": 1})


def test_what_holds_tools_stands_for_them() -> None:
    documents = [{"id": "heron", "text": "A wading bird."}]
    held = Toolset([Search(documents), "calculator"])
    assert [tool.name for tool in held] == ["search", "read", "calculator"]
    assert [tool.name for tool in Toolset([held])] == ["search", "read", "calculator"]
    for wrong in ([], {"type": "function"}, ["calculator"], 5):
        with pytest.raises(ConfigError, match="tools holds"):
            Toolset([wrong])
