"""The backend that isolates nothing: it warns, and keeps its bounds."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator

import pytest

from textgym.errors import ConfigError
from textgym.sandbox import Backend, Sandbox, SandboxLimits, SandboxStatus


@pytest.fixture(scope="module")
def unsafe() -> Iterator[Sandbox]:
    with pytest.warns(UserWarning, match="isolates nothing"):
        box = Sandbox(SandboxLimits(seconds=20), backend="unsafe-subprocess")
    with box:
        yield box


def test_each_of_them_warns(unsafe: Sandbox) -> None:
    for _ in range(2):
        with pytest.warns(UserWarning, match="isolates nothing"):
            Sandbox(backend="unsafe-subprocess")
    with pytest.warns(UserWarning, match="isolates nothing"):
        pickle.loads(pickle.dumps(unsafe))
    assert unsafe.backend is Backend.UNSAFE_SUBPROCESS


def test_runs(unsafe: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGYM_SECRET", "hunter2")
    result = unsafe.run(
        "import os, sys\nprint(input(), dict(os.environ))\nprint('e', file=sys.stderr)", stdin="in\n"
    )
    assert (result.stdout, result.stderr, result.status) == ("in {}\n", "e\n", SandboxStatus.OK)
    failed = unsafe.run("1 / 0")
    assert failed.status is SandboxStatus.ERROR
    assert failed.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "sandbox.py" not in failed.stderr


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("print('begun')\nwhile True: pass", SandboxStatus.TIMEOUT),
        ("print('begun')\nwhile True: print('x' * 1000)", SandboxStatus.OUTPUT),
        ("print('begun')\nprint('x' * 70000)", SandboxStatus.OUTPUT),
        ("print('begun')\nimport os; os._exit(0)", SandboxStatus.KILLED),
    ],
)
def test_bad_ends(unsafe: Sandbox, code: str, status: SandboxStatus) -> None:
    result = unsafe.run(code, timeout=2)
    assert result.status is status
    assert result.stdout.startswith("begun\n")
    assert len(result.stdout) <= 64 << 10
    assert result.stderr.splitlines()[-1].startswith(f"[{status}: ")


def test_calls(unsafe: Sandbox) -> None:
    result = unsafe.call("def f(x): return 1 / x", "f", [[2], [0]])
    assert [(each.ok, each.value, each.error) for each in result.values] == [
        (True, 0.5, ""),
        (False, None, "ZeroDivisionError: division by zero"),
    ]


def test_sessions(unsafe: Sandbox) -> None:
    with unsafe.session() as session:
        assert session.run("x = 1").ok
        assert session.run("x += 1\nprint(x)").stdout == "2\n"
        assert session.run("print(input())", stdin="a").stdout == "a\n"
        ended = session.run("while True: pass", timeout=0.5)
        assert ended.status is SandboxStatus.TIMEOUT
        assert ended.stderr.endswith("[the session's names are gone with it]\n")
        assert session.run("print('x' in globals())").stdout == "False\n"

        async def many() -> list[str]:
            await session.arun("seen = []")
            await asyncio.gather(*(session.arun(f"seen.append({n})") for n in range(5)))
            return (await session.arun("print(seen)")).stdout.split("\n")

        assert asyncio.run(many()) == ["[0, 1, 2, 3, 4]", ""]


def test_a_closed_one() -> None:
    with pytest.warns(UserWarning, match="isolates nothing"):
        box = Sandbox(backend="unsafe-subprocess")
    session = box.session()
    session.run("x = 1")
    box.close()
    with pytest.raises(ConfigError, match="closed"):
        box.run("1")
