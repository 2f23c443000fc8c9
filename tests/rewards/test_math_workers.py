"""The worker pool, with a stand-in for math-verify that does as it is told."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from textgym.rewards.math import pool as pools
from textgym.rewards.math.outcome import MathOutcome
from textgym.rewards.math.pool import WorkerPool

STAND_IN = """
import os, sys, time
LatexExtractionConfig = object

def parse(text, config, fallback_mode, parsing_timeout):
    body = text[len("\\\\boxed{"):-1]
    if body == "hang":
        while True: pass
    if body == "die":
        os._exit(1)
    if body == "die once" and not os.path.exists(os.environ["TMPDIR"] + "/died"):
        open(os.environ["TMPDIR"] + "/died", "w").close()
        os._exit(1)
    if body == "memory":
        raise MemoryError
    if body == "raise":
        raise KeyError(body)
    if body == "print":
        print("to standard output")
        os.write(1, b"and around Python")
    if body == "environment":
        body = ",".join(sorted(os.environ))
    if body == "modules":
        body = str(any(name.startswith(("textgym", "gymnasium", "numpy")) for name in sys.modules))
    if body == "sleep":
        time.sleep(0.3)
    if body == "allocate":
        body = bytes(3 * 2**30)
    return [] if body == "nothing" else [body]

def verify(gold, answer, float_rounding, timeout_seconds):
    return gold == answer or (gold == ["one way"] and answer == ["other way"])
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerPool]:
    (tmp_path / "math_verify.py").write_text(STAND_IN, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    pool = WorkerPool(size=2)
    yield pool
    pool.close()


Judge = Callable[..., "MathOutcome | None"]


@pytest.fixture
def judge(workers: WorkerPool) -> Judge:
    return lambda gold, answer, deadline=10.0: workers.ask(gold, answer, deadline).result(30.0)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_verdicts(judge: Judge) -> None:
    assert judge("a", "a") is MathOutcome.CORRECT
    assert judge("a", "b") is MathOutcome.WRONG
    assert judge("a", "nothing") is judge("nothing", "b") is MathOutcome.UNPARSABLE
    assert judge("a", "raise") is MathOutcome.UNPARSABLE
    assert judge("one way", "other way") is judge("other way", "one way") is MathOutcome.CORRECT
    assert judge("print", "print") is MathOutcome.CORRECT


def test_odd_characters_cross_the_pipe(judge: Judge) -> None:
    for text in ("\ud800", "a\nb", "\x00", "½" * 2000):
        assert judge(text, text) is MathOutcome.CORRECT


def test_one_process_serves_many_questions(workers: WorkerPool, judge: Judge) -> None:
    assert workers.pids() == []
    judge("a", "a")
    pids = workers.pids()
    for i in range(20):
        assert judge("a", f"b{i}") is MathOutcome.WRONG
    assert workers.pids() == pids
    assert len(pids) == 1


def test_the_deadline_kills_and_the_next_question_gets_a_new_process(
    workers: WorkerPool, judge: Judge
) -> None:
    judge("a", "a")
    (before,) = workers.pids()
    began = time.monotonic()
    assert judge("a", "hang", 0.2) is MathOutcome.TIMEOUT
    assert 0.2 <= time.monotonic() - began < 5.0
    assert not is_alive(before)
    assert judge("c", "c") is MathOutcome.CORRECT
    assert before not in workers.pids()


def test_starting_does_not_count_against_the_deadline(judge: Judge) -> None:
    assert judge("a", "a", 0.2) is MathOutcome.CORRECT


def test_a_process_that_dies_is_tried_once_more(judge: Judge) -> None:
    assert judge("a", "die once") is MathOutcome.WRONG
    assert judge("a", "die") is MathOutcome.TIMEOUT
    assert judge("a", "a") is MathOutcome.CORRECT


def test_a_killed_process_is_replaced(workers: WorkerPool, judge: Judge) -> None:
    judge("a", "a")
    os.kill(workers.pids()[0], signal.SIGKILL)
    assert judge("b", "b") is MathOutcome.CORRECT


def test_memory_is_bounded(judge: Judge) -> None:
    assert judge("a", "memory") is MathOutcome.TIMEOUT
    assert judge("a", "allocate") is MathOutcome.TIMEOUT
    assert judge("a", "a") is MathOutcome.CORRECT


def test_the_process_gets_no_secrets_and_does_not_load_the_package(judge: Judge) -> None:
    names = "OPENAI_API_KEY"
    assert judge("False", "modules") is MathOutcome.CORRECT
    assert names in os.environ
    kept = sorted(name for name in os.environ if name in WORKER_SEES)
    seen = ",".join(sorted({*kept, "PYTHONHASHSEED"}))
    assert judge(seen, "environment") in (MathOutcome.CORRECT, MathOutcome.WRONG)
    assert judge("OPENAI_API_KEY", "environment") is MathOutcome.WRONG


WORKER_SEES = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PYTHONPATH", "TMPDIR"}


def test_questions_are_asked_once(workers: WorkerPool) -> None:
    futures = [workers.ask("a", "sleep", 10.0) for _ in range(50)]
    assert len(set(map(id, futures))) == 1
    assert futures[0].result(30.0) is MathOutcome.WRONG
    assert workers.ask("a", "sleep", 10.0).done()


def test_a_small_pool_serves_a_crowd(workers: WorkerPool) -> None:
    async def main() -> list[MathOutcome | None]:
        waiting = [asyncio.wrap_future(workers.ask("a", f"b{i}", 10.0)) for i in range(200)]
        return await asyncio.gather(*waiting)

    assert set(asyncio.run(main())) == {MathOutcome.WRONG}
    assert len(workers.pids()) <= 2


def test_callers_cannot_cancel_each_other(workers: WorkerPool) -> None:
    future = workers.ask("a", "sleep", 10.0)
    assert not future.cancel()
    assert future.result(30.0) is MathOutcome.WRONG


def test_without_math_verify_there_is_no_verdict_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError('Unsupported ANTLR version')", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pools._warn.cache_clear()
    pool = WorkerPool(size=1)
    with caplog.at_level(logging.WARNING):
        assert pool.ask("a", "a", 5.0).result(30.0) is None
        assert pool.ask("a", "b", 5.0).result(30.0) is None
    pool.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Unsupported ANTLR version" in caplog.text


def test_a_machine_that_starts_no_process_is_an_error_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    pool = WorkerPool(size=1)
    failed: Future[MathOutcome | None] = pool.ask("a", "a", 5.0)
    with pytest.raises(OSError, match="nonexistent"):
        failed.result(30.0)
    assert pool.ask("a", "a", 5.0) is not failed  # it is tried again


def test_a_closed_pool_refuses(workers: WorkerPool, judge: Judge) -> None:
    judge("a", "a")
    pids = workers.pids()
    workers.close()
    assert not any(map(is_alive, pids))
    with pytest.raises(OSError, match="closed"):
        judge("a", "b")


SCRIPT = """
import os, signal, sys, threading, time
from textgym.rewards.math.pool import pool
pool().ask("a", "a", 10.0).result(30.0)
pids = pool().pids()
if sys.argv[1] != "idle":
    pool().ask("a", "hang", 100.0)
    time.sleep(0.2)
print(*pids, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc; busy workers die with their parent on Linux")
@pytest.mark.parametrize("end", ["exits", "killed"])
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_worker_outlives_its_parent(state: str, end: str, workers: WorkerPool) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, state, end], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.returncode == (0 if end == "exits" else -signal.SIGKILL)
    assert time.monotonic() - began < 20.0
    assert done.stdout.strip()
    assert eventually(lambda: not any(is_alive(int(pid)) for pid in done.stdout.split()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_gets_workers_of_its_own(workers: WorkerPool) -> None:
    script = textwrap.dedent("""
        import os, warnings
        from textgym.rewards.math.pool import pool
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, from Python 3.12 on
        assert pool().ask("a", "a", 10.0).result(30.0) == "correct"
        mine = pool().pids()
        child = os.fork()
        if child == 0:
            right = pool().ask("b", "b", 10.0).result(30.0) == "correct" and pool().pids() != mine
            pool().close()
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert pool().ask("c", "c", 10.0).result(30.0) == "correct"
        assert pool().pids() == mine
    """)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
