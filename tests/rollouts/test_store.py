"""The run directory: whole lines, honest resume, one writer, and nothing lost when killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textgym
from textgym import Completion, CompletionRequest, Run
from textgym.errors import RunError, RunLocked, RunMismatch
from textgym.rollouts.store import RunDirectory, episode_key, work_digest

MATH: dict[str, Any] = {"env": "textgym/Math-v0", "num_examples": 6, "group_size": 2, "seed": 3}


def play(out: Path, policy: Any = None, **changes: Any) -> Run:
    return textgym.rollout(policy=policy or textgym.OraclePolicy(), out=out, **{**MATH, **changes})


def lines(out: Path) -> list[bytes]:
    return (out / "episodes.jsonl").read_bytes().splitlines(keepends=True)


def test_a_run_loads_as_it_was(tmp_path: Path) -> None:
    run = play(tmp_path / "deep" / "run")
    loaded = Run.load(tmp_path / "deep" / "run")
    assert list(loaded) == list(run)
    assert str(loaded.summary()) == str(run.summary())
    assert loaded.config == run.config
    head = json.loads((tmp_path / "deep" / "run" / "run.json").read_text())
    assert head["config"]["env"] == "textgym/Math-v0"
    assert head["versions"]["textgym"] == textgym.__version__
    for line in lines(tmp_path / "deep" / "run"):
        assert set(json.loads(line)) == {"key", "crc", "episode"}


def test_token_arrays_and_any_text_are_kept_exactly(tmp_path: Path) -> None:
    text = "a\ud800b\x00c \U0001f600 é\r\n\u2028"
    ids = [0, 2**31 - 1, 7]
    logprobs = np.array([-0.1, -1e-30, -25.5], dtype=np.float32)

    def policy(request: CompletionRequest) -> Completion:
        return Completion(text=text, prompt_token_ids=[1, 2], token_ids=ids, logprobs=logprobs)

    run = play(tmp_path / "run", textgym.ScriptedPolicy(policy))
    loaded = Run.load(tmp_path / "run")
    assert loaded[0].steps[0].action == text
    assert list(loaded) == list(run)
    assert loaded[0].tokens is not None
    assert loaded[0].tokens.logprobs[2:].tobytes() == logprobs.tobytes()


def test_saving_a_run(tmp_path: Path) -> None:
    run = textgym.rollout(policy=textgym.OraclePolicy(), **MATH)
    run.save(tmp_path / "copy")
    loaded = Run.load(tmp_path / "copy")
    assert list(loaded) == list(run)
    with pytest.raises(RunError, match="holds a run already"):
        run.save(tmp_path / "copy")


def test_resume_plays_only_what_is_owed(tmp_path: Path) -> None:
    whole = play(tmp_path / "a")
    kept = lines(tmp_path / "a")[:5]
    torn = lines(tmp_path / "a")[5][:-20]
    damaged = kept[1].replace(b"textgym/Math", b"textgym/Moth")
    (tmp_path / "a" / "episodes.jsonl").write_bytes(b"".join([kept[0], damaged, *kept[2:], torn]))
    asked = []

    class Counting(textgym.OraclePolicy):
        async def complete(self, request: CompletionRequest) -> Completion:
            asked.append((request.group, request.sample))
            return await super().complete(request)

    resumed = play(tmp_path / "a", Counting(), resume=True)
    assert len(asked) == 12 - 4
    assert [t.messages for t in resumed] == [t.messages for t in whole]
    assert [t.messages for t in Run.load(tmp_path / "a")] == [t.messages for t in whole]
    assert b"Moth" in (tmp_path / "a" / "episodes.jsonl").read_bytes()  # nothing is deleted silently
    asked.clear()
    assert len(play(tmp_path / "a", Counting(), resume=True)) == 12
    assert asked == []


def test_failed_episodes_are_owed_again(tmp_path: Path) -> None:
    class Flaky(textgym.OraclePolicy):
        broken = True

        async def complete(self, request: CompletionRequest) -> Completion:
            if self.broken and request.sample == 1:
                raise textgym.errors.PolicyError("down")
            return await super().complete(request)

    policy = Flaky()
    assert len(play(tmp_path / "a", policy).errors) == 6
    policy.broken = False
    resumed = play(tmp_path / "a", policy, resume=True)
    assert (len(resumed), len(resumed.errors)) == (12, 0)
    assert len(Run.load(tmp_path / "a").errors) == 0


def test_another_configuration_is_refused_with_the_difference(tmp_path: Path) -> None:
    play(tmp_path / "a")
    with pytest.raises(RunMismatch, match=r'(?s)-  "seed": 3.*\+  "seed": 4'):
        play(tmp_path / "a", resume=True, seed=4)
    with pytest.raises(RunError, match="resume"):
        play(tmp_path / "a")
    assert len(Run.load(tmp_path / "a")) == 12


def test_resuming_nothing_begins(tmp_path: Path) -> None:
    assert len(play(tmp_path / "new", resume=True)) == 12


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path / "a", {"x": 1}):
        with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
            RunDirectory.create(tmp_path / "a", {"x": 1})
    RunDirectory.create(tmp_path / "a", {"x": 1}).close()


def test_an_unwritable_directory_is_found_before_the_first_completion(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write the run directory"):
        play(tmp_path / "file" / "run", lambda observation: pytest.fail("was asked"))


def test_what_is_no_run_is_said_clearly(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run\.json"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text("{broken")
    with pytest.raises(RunError, match="cannot read"):
        Run.load(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RunError, match="no object"):
        Run.load(tmp_path)


def test_records_of_another_schema_are_refused(tmp_path: Path) -> None:
    data = play(tmp_path / "a")[0].to_dict()
    with pytest.raises(RunError, match="schema 7"):
        textgym.Trajectory.from_dict({**data, "schema": 7})
    with pytest.raises(RunError, match="no trajectory record"):
        textgym.Trajectory.from_dict({"schema": 0})


def test_a_full_disk_stops_the_run_and_keeps_whole_lines(tmp_path: Path) -> None:
    code = f"""
import resource, signal, textgym
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    textgym.rollout("textgym/Math-v0", textgym.OraclePolicy(), num_examples=500, out={str(tmp_path / "a")!r})
except textgym.errors.RunError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "writing" in done.stdout
    assert "resume" in done.stdout
    kept = len(Run.load(tmp_path / "a"))
    assert 0 < kept < 500
    run = textgym.rollout(
        "textgym/Math-v0", textgym.OraclePolicy(), num_examples=500, out=tmp_path / "a", resume=True
    )
    assert len(run) == len(Run.load(tmp_path / "a")) == 500


def test_keys_depend_on_the_work_alone() -> None:
    config = {"env": "x", "seed": 1}
    digest = work_digest(config)
    assert digest == work_digest({"seed": 1, "env": "x", "num_examples": 7})
    other = work_digest({"env": "y"})
    keys = {episode_key(d, g, s) for d in (digest, other) for g in range(3) for s in range(3)}
    assert len(keys) == 18


KILLED = """
import asyncio, sys, textgym

async def policy(observation):
    await asyncio.sleep(0.002)
    return observation[-4:]

open(sys.argv[1] + ".log", "a").write("start\\n")
textgym.rollout("textgym/Echo-v0", policy, num_examples=150, group_size=2, max_concurrency=4,
                out=sys.argv[1], resume=True)
"""


@pytest.mark.parametrize("attempt", range(4))
def test_killed_at_random_times_nothing_is_lost_or_doubled(tmp_path: Path, attempt: int) -> None:
    out = tmp_path / "run"
    rng = random.Random(attempt)
    kills = 0
    while True:
        child = subprocess.Popen([sys.executable, "-c", KILLED, str(out)], stderr=subprocess.PIPE)
        try:
            child.wait(timeout=rng.uniform(0.4, 0.9) if kills < 4 else 60)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            if (out / "run.json").exists():
                before = {(t.group_id, t.sample) for t in Run.load(out)}
                assert len(before) == len(Run.load(out))
            continue
        finally:
            assert child.stderr is not None
            message = child.stderr.read()
            child.stderr.close()
        assert child.returncode == 0, message
        break
    run = Run.load(out)
    assert [(t.group_id, t.sample) for t in run] == [(g, s) for g in range(150) for s in range(2)]
    finished = [json.loads(line)["key"] for line in lines(out)]
    assert len(finished) == len(set(finished))  # what was on disk was not played again
    assert run.summary().reward == 1.0


def test_writing_is_grouped_and_flushed(tmp_path: Path) -> None:
    run = textgym.rollout(policy=textgym.OraclePolicy(), **MATH)
    with RunDirectory.create(tmp_path / "a", run.config) as directory:
        began = time.monotonic()
        for trajectory in list(run) * 20:
            directory.append(trajectory)
        directory.flush()
        assert len(lines(tmp_path / "a")) == 240
        assert time.monotonic() - began < 5
    with pytest.raises(RunError, match="closed"):
        directory.append(run[0])
    directory.close()
