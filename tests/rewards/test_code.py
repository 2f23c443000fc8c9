"""The judge of programs: strict comparison of JSON values, verdicts for whatever a program does."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.rewards.code import CodeOutcome, CodeTest, CodeVerdict, judge_code, same_json
from textgym.sandbox import CallOutcome, SandboxResult, SandboxStatus, shared

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(st.text(max_size=3), parts, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    assert same_json(copy.deepcopy(value), value)


@given(JSON, JSON)
def test_what_is_the_same_is_written_alike(one: Any, other: Any) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, sort_keys=True).replace("-0.0", "0.0")

    assert same_json(one, other) == same_json(other, one) == (written(one) == written(other))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, 1), (1, True), (1.0, 1), (1, 1.0), (0, False), (None, 0), ("1", 1), ([1], [True]), ([], {}), ([1],
    [1, 2]),
     ({"a": 1}, {"a": 1.0}), ({"a": 1}, {"b": 1}), ("", []), ([[]], [])],
)  # fmt: skip
def test_types_count(value: Any, expected: Any) -> None:
    assert not same_json(value, expected)


class Recorder:
    """In the place of a sandbox: gives a fixed result and keeps what it was asked."""

    def __init__(self, *calls: CallOutcome, status: SandboxStatus = SandboxStatus.OK) -> None:
        self.calls, self.status = calls, status
        self.asked: list[Any] = []

    async def acall(self, *asked: Any, **kwargs: Any) -> SandboxResult:
        self.asked += [*asked, *kwargs.values()]
        return SandboxResult(stdout="", stderr="why", status=self.status, seconds=0.1, values=self.calls)


GOOD, BAD, FAILED = (
    CallOutcome(ok=True, value=1),
    CallOutcome(ok=True, value=2),
    CallOutcome(ok=False, error="no"),
)
TWO = [CodeTest([["in"]], 1), CodeTest([["out"]], 1)]


def judged(box: Any, tests: list[CodeTest] = TWO) -> CodeVerdict:
    return asyncio.run(judge_code(box, "code", "f", tests, seconds=3.0))


@pytest.mark.parametrize(
    ("calls", "status", "outcome", "passed"),
    [
        ((GOOD, GOOD), SandboxStatus.OK, CodeOutcome.PASSED, (True, True)),
        ((GOOD, GOOD, GOOD), SandboxStatus.OK, CodeOutcome.PASSED, (True, True)),
        ((GOOD, BAD), SandboxStatus.OK, CodeOutcome.WRONG, (True, False)),
        ((FAILED, GOOD), SandboxStatus.OK, CodeOutcome.RAISED, (False, True)),
        ((GOOD,), SandboxStatus.OK, CodeOutcome.STOPPED, (True, False)),
        ((), SandboxStatus.OK, CodeOutcome.STOPPED, (False, False)),
        ((), SandboxStatus.ERROR, CodeOutcome.RAISED, (False, False)),
        ((GOOD,), SandboxStatus.TIMEOUT, CodeOutcome.TIMEOUT, (True, False)),
        ((GOOD, GOOD), SandboxStatus.TIMEOUT, CodeOutcome.TIMEOUT, (True, True)),
        ((), SandboxStatus.MEMORY, CodeOutcome.MEMORY, (False, False)),
        ((), SandboxStatus.OUTPUT, CodeOutcome.OUTPUT, (False, False)),
        ((GOOD, GOOD), SandboxStatus.KILLED, CodeOutcome.STOPPED, (True, True)),
    ],
)
def test_outcomes(calls: Any, status: SandboxStatus, outcome: CodeOutcome, passed: tuple[bool, ...]) -> None:
    verdict = judged(Recorder(*calls, status=status))
    assert (verdict.outcome, verdict.passed, verdict.calls) == (outcome, passed, calls[:2])


def test_every_status_has_an_outcome() -> None:
    for status in set(SandboxStatus) - {SandboxStatus.OK}:
        assert judged(Recorder(status=status)).outcome not in (CodeOutcome.PASSED, CodeOutcome.WRONG)


def test_only_inputs_enter_the_sandbox() -> None:
    box, tests = Recorder(), [CodeTest([[1, 2]], "the secret"), CodeTest([{"a": 1}, 2], "the secret")]
    judged(box, tests)
    assert box.asked == ["code", "f", [[[1, 2]], [{"a": 1}, 2]], 3.0]


def test_a_program_cannot_change_the_inputs_of_the_tests() -> None:
    tests = [CodeTest([[3, 1, 2]], [1, 2, 3]), CodeTest([[3, 1, 2]], [1, 2, 3])]
    verdict = asyncio.run(judge_code(shared(), "def f(x):\n    x.sort()\n    return x", "f", tests))
    assert verdict.outcome is CodeOutcome.PASSED
    assert [test.arguments for test in tests] == [[[3, 1, 2]]] * 2
