"""The tools ``python`` and ``python_executor`` over the real sandbox."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from textgym import sandbox
from textgym.envs import ToolEnv
from textgym.errors import SandboxUnavailable
from textgym.sandbox import Sandbox, SandboxLimits, shared
from textgym.tools import ToolOutcome, ToolResult, Toolset, python, python_executor, registry
from textgym.types import ToolCall


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        shared().run("pass")
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tools run in a sandbox with a short deadline."""
    with Sandbox(SandboxLimits(seconds=1.0)) as box:
        monkeypatch.setattr(sandbox, "shared", lambda: box)
        yield


def called(code: str) -> ToolResult:
    call = ToolCall(id="1", name="python", arguments=json.dumps({"code": code}))

    async def main() -> ToolResult:
        return await Toolset([python]).call(call)  # type: ignore[no-any-return]

    return asyncio.run(main())


def ran(code: str) -> str:
    return called(code).text


def test_what_is_printed_comes_back() -> None:
    assert ran("print(2 ** 10)") == "1024"
    assert ran("print('a\\n')\nprint('ü')") == "a\n\nü"
    assert "printed nothing" in ran("x = 1")


def test_calls_are_programs_of_their_own() -> None:
    ran("x = 1")
    assert ran("print(x)").startswith("Error: NameError: name 'x' is not defined")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('before'); 1/0", ["before", "Error: ZeroDivisionError: division by zero", "line 1"]),
        ("(", ["Error: SyntaxError"]),
        ("raise SystemExit('bye')", ["Error: bye"]),
        ("raise SystemExit(2)", ["Error: the program ended with an exit status other than 0"]),
        ("x = bytes(10**11)", ["Error: ", "emory"]),
        ("print('x' * 10**4)\n1/0", ["xxx", "[… cut: 10000 characters", "ZeroDivisionError"]),
        ("print('x' * 10**7)", ["Error: the program was stopped: it printed too much"]),
    ],
)
def test_errors_are_told(code: str, said: list[str]) -> None:
    text = ran(code)
    assert len(text) < 4096
    for part in said:
        assert part in text


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("print(1)", ToolOutcome.OK),
        ("1/0", ToolOutcome.RAISED),
        ("import os; os._exit(3)", ToolOutcome.RAISED),
        ("while True: print('x' * 10**5)", ToolOutcome.RAISED),
        ("print('before')\nwhile True: pass", ToolOutcome.TIMEOUT),
    ],
)
def test_a_program_that_fails_is_a_failed_call(code: str, outcome: ToolOutcome, quick: None) -> None:
    result = called(code)
    assert result.outcome is outcome
    assert result.text.startswith("Error: ") is (outcome is not ToolOutcome.OK)
    assert ("\nbefore" in result.text) is ("'before'" in code)


def test_a_failed_program_counts_as_an_error_of_the_episode() -> None:
    env = ToolEnv([{"prompt": "?", "answer": "1"}], [python])
    env.reset(seed=0)
    observation = env.step(env.call_parser.format("python", {"code": "print('seen')\n1/0"}))[0]
    assert "seen" in observation
    assert "ZeroDivisionError" in observation
    metrics = env.step("<answer>1</answer>")[4]["metrics"]
    assert (metrics["tool_errors"], metrics["tool/raised"], metrics["tool/ok"]) == (1.0, 1.0, 0.0)
    assert metrics["tool_success"] == 0.0


def test_both_names() -> None:
    assert (registry["python"], registry["python_executor"]) == (python, python_executor)
    twin = pickle.loads(pickle.dumps(python_executor))
    assert (twin.name, twin.function) == ("python_executor", python.function)
    assert python.is_async


def test_waiting_for_other_programs_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.wait

    async def wait(tasks: set[asyncio.Task[Any]], timeout: float | None = None) -> Any:
        return await real(tasks, timeout=None if timeout is None else 0.0)

    monkeypatch.setattr(asyncio, "wait", wait)  # a queue that is longer than any deadline of the tool
    toolset = Toolset([python, python_executor])

    async def called(name: str) -> ToolResult:
        return await toolset.call(ToolCall(id="1", name=name, arguments='{"code": "print(1)"}'))

    for name in ("python", "python_executor"):
        result = asyncio.run(called(name))
        assert (result.outcome, result.text) == (ToolOutcome.OK, "1")
