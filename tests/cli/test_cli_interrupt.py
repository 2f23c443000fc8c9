"""Ctrl-C and SIGTERM: what had finished is kept, and the printed command plays the rest."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Cli, start

from textgym import Run
from textgym.testing import MockModelServer

EPISODES = 40


def wait_for(condition: object, seconds: float = 30.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such signals and terminals")


@pytest.fixture
def inherited(request: pytest.FixtureRequest) -> Iterator[None]:
    """What children inherit: SIGINT heeded, as in a terminal, or ignored, as in a background job."""
    ignored = getattr(request, "param", False)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "code", "inherited"),
    [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True)],
    indirect=["inherited"],
)
def test_an_interrupted_run_goes_on_where_it_was(
    cli: Cli, tmp_path: Path, number: signal.Signals, code: int, inherited: None
) -> None:
    with MockModelServer(latency=0.1) as server:
        words = ["eval", "textgym/Echo-v0", "--model", "mock", "--base-url", server.base_url]
        words += ["-n", str(EPISODES // 2), "-g", "2", "--max-concurrency", "4", "--out", "run dir"]
        process = start(*words, cwd=tmp_path)
        wait_for(lambda: server.counters["status:200"] >= 10)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err

        finished = len(Run.load("run dir"))
        assert 0 < finished < EPISODES
        assert f"episodes  {finished} in " in out
        assert f"textgym: interrupted after {finished} of {EPISODES}" in err
        assert "Traceback" not in err
        command = err.splitlines()[-1]
        prefix = f"play the {EPISODES - finished} that are missing: python -m textgym "
        assert command.startswith(prefix)
        resume = shlex.split(command.removeprefix(prefix))
        assert resume == [*words, "--resume"]

        answered = server.counters["chat"]
        server.latency = 0.0
        assert cli(*resume).code == 0
        assert server.counters["chat"] - answered == EPISODES - finished
    run = Run.load("run dir")
    keys = Counter((trajectory.group_id, trajectory.sample) for trajectory in run)
    assert keys == {(group, sample): 1 for group in range(EPISODES // 2) for sample in range(2)}
    assert len(Path("run dir/episodes.jsonl").read_bytes().splitlines()) == EPISODES


def test_what_is_ignored_on_purpose_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with MockModelServer(latency=0.05) as server:
            words = ["--model", "mock", "--base-url", server.base_url, "-n", 20, "--max-concurrency", 2]
            process = start("eval", "textgym/Echo-v0", *words, cwd=tmp_path)
            wait_for(lambda: server.counters["status:200"] >= 4)
            process.send_signal(signal.SIGHUP)
            out, err = process.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.returncode == 0, err
    assert "20 in 20 groups" in out


@pytest.mark.usefixtures("inherited")
def test_a_person_at_a_terminal_can_leave(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "textgym", "eval", "textgym/Echo-v0", "--policy", "human", "-n", "2"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment,
        cwd=tmp_path,
    )
    os.close(theirs)
    seen = b""
    while b"> " not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, b"1234\n")
    while seen.count(b"> ") < 2:
        seen += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    try:
        while read := os.read(ours, 4096):
            seen += read
    except OSError:  # how a terminal says that nobody is left at its other end
        pass
    os.close(ours)
    assert b"the answer was " in seen
    assert b"textgym: interrupted after 1 of 2; without --out nothing is kept" in seen
    assert b"Traceback" not in seen
