"""Sessions: names live on, and how they are lost."""

from __future__ import annotations

import asyncio
import gc
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest

from textgym.errors import ConfigError, SandboxUnavailable
from textgym.sandbox import Sandbox, SandboxStatus
from textgym.sandbox.child import Child
from textgym.sandbox.job import Job


def test_names_live_on(box: Sandbox) -> None:
    with box.session() as session, box.session() as other:
        assert session.run("x = 1\ndef f(): return x").ok
        assert session.run("x += 1\nprint(f())").stdout == "2\n"
        assert other.run("print('x' in globals())").stdout == "False\n"
        assert session.run("print(input())", stdin="a\n").stdout == "a\n"
        assert session.run("print(input())", stdin="b\n").stdout == "b\n"


def test_an_error_or_an_exit_loses_nothing(auto: Sandbox) -> None:
    with auto.session() as session:
        session.run("x = 1\ndef f():\n    return x / 0")
        failed = session.run("f()")
        assert failed.status is SandboxStatus.ERROR
        assert 'File "<run 1>", line 3, in f\n    return x / 0' in failed.stderr
        assert session.run("exit()").ok
        assert session.run("print(x)").stdout == "1\n"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", SandboxStatus.TIMEOUT),
        ("import os; os._exit(0)", SandboxStatus.KILLED),
        ("while True: print('x' * 1000)", SandboxStatus.OUTPUT),
    ],
)
def test_a_run_that_ends_the_process_says_so(auto: Sandbox, code: str, status: SandboxStatus) -> None:
    with auto.session() as session:
        session.run("x = 1")
        ended = session.run(code, timeout=0.5)
        assert ended.status is status
        assert ended.stderr.endswith("[the session's names are gone with it]\n")
        after = session.run("print('x' in globals())")
        assert (after.stdout, after.stderr) == ("False\n", "")


def test_names_that_a_cancelled_run_took_are_missed(auto: Sandbox) -> None:
    async def scenario() -> None:
        with auto.session() as session:
            await session.arun("x = 1")
            task = asyncio.create_task(session.arun("import time; time.sleep(60)", timeout=100))
            await asyncio.sleep(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            after = await session.arun("print('x' in globals())")
            assert after.stdout == "False\n"
            assert after.stderr.startswith("[the session was lost, a run of it was cancelled: ")
            assert (await session.arun("print(1)")).stderr == ""

    asyncio.run(scenario())


def test_a_cancelled_run_does_not_take_the_news_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Child.begin

    def cancelled(child: Child, job: Job) -> None:
        begun(child, job)
        if job.code == "cancelled":
            job.future.cancel()

    with Sandbox() as box, box.session() as session:
        session.run("x = 1")
        monkeypatch.setattr(Child, "begin", cancelled)
        with pytest.raises(CancelledError):
            session.run("cancelled")
        with pytest.raises(CancelledError):
            session.run("cancelled")
        assert "[the session was lost, " in session.run("print('x' in globals())").stderr


def test_output_is_bounded_by_the_run_and_not_by_the_session(auto: Sandbox) -> None:
    with auto.session() as session:
        for _ in range(4):
            assert len(session.run("print('x' * 50000)").stdout) == 50001


def test_runs_of_a_session_keep_their_order(auto: Sandbox) -> None:
    async def scenario() -> list[str]:
        with auto.session() as session:
            await session.arun("seen = []")
            await asyncio.gather(*(session.arun(f"seen.append({n})") for n in range(20)))
            return (await session.arun("print(seen == list(range(20)))")).stdout.split()

    assert asyncio.run(scenario()) == ["True"]


def test_many_sessions_wait_without_holding_up_others() -> None:
    with Sandbox(workers=1) as box:
        sessions = [box.session() for _ in range(12)]
        for n, session in enumerate(sessions):
            session.run(f"x = {n}")
        assert box.run("print('free')").stdout == "free\n"
        assert [session.run("print(x)").stdout for session in sessions] == [f"{n}\n" for n in range(12)]


def test_nothing_moves_between_runs(auto: Sandbox) -> None:
    with auto.session() as session:
        started = session.run(
            "import threading, time\ncount = 0\n"
            "def work():\n    global count\n    while True:\n        count += 1\n        time.sleep(0.001)\n"
            "threading.Thread(target=work, daemon=True).start()\nprint(count)"
        )
        if "can't start new thread" in started.stderr:
            pytest.skip("threads are refused here")
        time.sleep(0.5)
        assert int(session.run("print(count)").stdout) < 100


def test_a_closed_session(auto: Sandbox) -> None:
    session = auto.session()
    session.run("x = 1")
    session.close()
    session.close()
    with pytest.raises(ConfigError, match="session is closed"):
        session.run("x")


def test_a_session_that_is_dropped_ends_its_process() -> None:
    with Sandbox() as box:
        session = box.session()
        session.run("x = 1")
        zygote = next(iter(box._pool._zygotes))  # type: ignore[union-attr]
        assert len(zygote.children) == 1
        del session
        gc.collect()
        box.run("1")
        deadline = time.monotonic() + 20
        while zygote.children and time.monotonic() < deadline:
            box.run("1")
        assert not zygote.children


def test_closing_the_sandbox_fails_what_runs() -> None:
    box = Sandbox()
    session = box.session()

    async def scenario() -> None:
        task = asyncio.create_task(session.arun("import time; time.sleep(60)", timeout=100))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(box.close)
        with pytest.raises(SandboxUnavailable, match="closed"):
            await task

    asyncio.run(scenario())
    with pytest.raises(ConfigError, match="closed"):
        session.run("1")


@pytest.mark.parametrize("backend", ["auto", "unsafe-subprocess"])
@pytest.mark.filterwarnings("ignore:backend='unsafe-subprocess'")
def test_only_so_many_sessions_have_a_process(backend: str, auto: Sandbox) -> None:
    with Sandbox(backend=backend, sessions=2) as box:
        first, second, third = (box.session() for _ in range(3))
        assert first.run("x = 1").ok
        assert second.run("x = 2").ok
        with pytest.raises(SandboxUnavailable, match=r"2 sessions .* close some, or .*sessions="):
            third.run("x = 3")
        assert box.run("print(1)").ok  # a run without a session counts among the workers only
        assert (first.run("print(x)").stdout, second.run("print(x)").stdout) == ("1\n", "2\n")
        first.run("import os; os._exit(1)")  # a session without a process does not count
        assert third.run("x = 3").ok
        with pytest.raises(SandboxUnavailable, match="sessions"):
            first.run("pass")
        third.close()
        assert first.run("print('again')").stdout == "again\n"


def test_runs_of_one_session_that_wait_count_once(auto: Sandbox) -> None:
    async def main(box: Sandbox) -> list[str]:
        session = box.session()
        return [
            each.stdout for each in await asyncio.gather(*(session.arun(f"print({n})") for n in range(3)))
        ]

    with Sandbox(sessions=1) as box:
        assert asyncio.run(main(box)) == ["0\n", "1\n", "2\n"]


@pytest.mark.parametrize("sessions", [0, -1, True, 1.5, None])
def test_how_many_sessions_is_checked(sessions: Any) -> None:
    with pytest.raises(ConfigError, match="sessions is"):
        Sandbox(sessions=sessions)
