"""CodeMath-v0: programs agree with the answers, and many episodes at once leave nothing behind."""

from __future__ import annotations

import contextlib
import io
import os
import time
from typing import Any

import pytest

import textgym
from textgym import seeding
from textgym.errors import ConfigError
from textgym.sandbox import Sandbox
from textgym.tasks.code_math.env import CodeMathTaskEnv
from textgym.tasks.code_math.generator import DIFFICULTIES, FAMILIES, KINDS, LEAST, Computations, expand


def printed(program: str) -> str:
    """What a program of ours prints, run in this process."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(program, "<program>", "exec"), {})
    return output.getvalue().strip()


@pytest.mark.parametrize("kind", KINDS)
def test_programs_print_the_answers(kind: str) -> None:
    for difficulty in DIFFICULTIES:
        make = Computations(difficulty, (kind,))
        rows = [make(seeding.generator(seed, kind, difficulty)) for seed in range(60)]
        assert len({row["question"] for row in rows}) == len(rows)
        for row in rows[: 8 if difficulty < 5 else 3]:
            assert printed(row["info"]["program"]) == row["answer"], row["question"]
            assert int(row["answer"]) >= LEAST
            assert row["question"].endswith((".", "?", ")"))


def test_answers_are_hard_to_guess() -> None:
    for difficulty in (1, 3):
        rows = [Computations(difficulty)(seeding.generator(seed)) for seed in range(400)]
        answers = [row["answer"] for row in rows]
        assert max(map(answers.count, answers)) < 0.03 * len(rows)


def test_kinds_and_families() -> None:
    assert expand(["tables", "primes", "change"]) == (*FAMILIES["tables"], "primes")
    env = CodeMathTaskEnv(kinds="sums", difficulty=1)
    seen = {env.reset(seed=seed) and env.example.task for seed in range(100)}  # type: ignore[union-attr]
    assert seen == set(FAMILIES["sums"])
    with pytest.raises(ConfigError, match="kinds holds 'sum'"):
        CodeMathTaskEnv(kinds=["sum"])
    with pytest.raises(ConfigError, match="difficulty is 0"):
        CodeMathTaskEnv(difficulty=0)


def children() -> set[int]:
    """Process ids below this process, however deep."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with (
                contextlib.suppress(OSError),
                open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file,
            ):
                parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found - {os.getpid()}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="counts processes in /proc")
@pytest.mark.parametrize("persistent", [False, True])
def test_64_episodes_at_once_leave_no_process(persistent: bool) -> None:
    before = children()  # of tests before, whose sandboxes may begin another process at any time
    with Sandbox() as box:
        run = textgym.rollout(
            CodeMathTaskEnv,
            textgym.OraclePolicy(),
            num_examples=64,
            env_kwargs={"persistent": persistent, "sandbox": box},
            max_concurrency=16,
        )
        assert [one.reward for one in run] == [1.0] * 64
        runs: list[Any] = [one.steps[0] for one in run]
        assert all(step.observation for step in runs)
        mine = children() - before
        assert len(mine) <= 16  # what belongs to the sandbox itself, and no session
        ended = time.monotonic() + 10
    while children() & mine and time.monotonic() < ended:
        time.sleep(0.02)
    assert not children() & mine
