"""The tools ``python`` and ``python_executor`` over the real sandbox."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest

from textgym.errors import SandboxUnavailable
from textgym.sandbox import shared
from textgym.tools import ToolOutcome, ToolResult, Toolset, python, python_executor, registry
from textgym.types import ToolCall


@pytest.fixture(scope="module", autouse=True)
def _sandbox() -> None:
    try:
        shared().run("pass")
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def ran(code: str) -> str:
    return str(asyncio.run(python(code)))


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
        ("print('before'); 1/0", ["before\n", "Error: ZeroDivisionError: division by zero", "line 1"]),
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
