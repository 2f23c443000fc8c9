"""A thousand calls, well and ill behaved: nothing stays behind in this process or beside it."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the sandbox is built on Linux", allow_module_level=True)

from containment.machine import BACKENDS, why_not
from containment.table import adopt_orphans, children, limits, orphans

from textgym.sandbox import Sandbox

CALLS = 1000
CODES = (
    *(["print(sum(range(100)))"] * 16),
    "raise ValueError",
    "import os; os._exit(3)",
    "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "print('x' * 10**7)",
)


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child]
            try:
                found += descendants(child)
            except OSError:
                continue
    return found


def resident(pids: list[int]) -> int:
    """KiB of memory of processes of their own."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Private_Clean"))
        )
    return total


def state() -> dict[str, int]:
    gc.collect()
    below = descendants(os.getpid())
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(below),
        "threads": len(os.listdir("/proc/self/task")),
        "own KiB": resident([os.getpid()]),
        "KiB below": resident(below),
    }


def settled(before: dict[str, int]) -> dict[str, int]:
    """The state when what was told to end has ended."""
    end = time.monotonic() + 10
    while (now := state())["processes"] > before["processes"] or now["descriptors"] > before["descriptors"]:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return now


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    adopt_orphans()
    others = children()  # of tests before
    yield request.param
    left = orphans(others=others)
    adopt_orphans(False)
    assert left == [], "processes were left behind"


async def play(box: Sandbox, count: int) -> list[str]:
    room = asyncio.Semaphore(8)

    async def one(number: int) -> str:
        async with room:
            return str((await box.arun(CODES[number % len(CODES)])).status)

    return await asyncio.gather(*(one(number) for number in range(count)))


def test_a_thousand_calls_leave_nothing(backend: str) -> None:
    with Sandbox(limits=limits(), backend=backend) as box:
        asyncio.run(play(box, 100))
        before = state()
        statuses = asyncio.run(play(box, CALLS))
        after = settled(before)
    assert statuses.count("ok") >= CALLS * 16 // 20, statuses
    assert after["descriptors"] == before["descriptors"], (before, after)
    assert after["processes"] <= before["processes"], (before, after)
    assert after["threads"] <= before["threads"], (before, after)
    assert after["own KiB"] - before["own KiB"] < 8192, (before, after)
    assert after["KiB below"] - before["KiB below"] < 8192, (before, after)


def test_sessions_leave_nothing(backend: str) -> None:
    with Sandbox(limits=limits(), backend=backend) as box:
        for _ in range(20):
            with box.session() as session:
                session.run("pass")
        before = state()
        for number in range(60):
            with box.session() as session:
                session.run("x = 1\nimport threading; threading.Thread(target=input, daemon=True).start()")
                if number % 3 == 0:
                    session.run("import os; os._exit(1)")
        after = settled(before)
    assert after["descriptors"] <= before["descriptors"], (before, after)
    assert after["processes"] <= before["processes"], (before, after)
    assert after["own KiB"] - before["own KiB"] < 4096, (before, after)


def test_an_abandoned_session_is_ended_with_its_sandbox(backend: str) -> None:
    with Sandbox(limits=limits(), backend=backend) as box:
        box.session().run("x = 1")


def test_floods_are_not_kept(backend: str) -> None:
    with Sandbox(limits=limits(), backend=backend) as box:
        box.run("pass")
        before = state()["own KiB"]
        for _ in range(3):
            result = box.run("import os\nwhile True: os.write(1, b'x' * 65536)", timeout=5)
            assert result.status == "output", result.status
        assert state()["own KiB"] - before < 8192
