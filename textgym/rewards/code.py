"""Programs against tests: the candidate runs in the sandbox, the judge does not.

Invariant: expected results never enter the sandbox. The candidate gets inputs only; what it returns comes back as
JSON values and is compared here, type by type. A test counts as passed only if its own call gave the right
value, so leaving early, printing, patching builtins or forging results gains nothing that the right value
would not. Whatever the candidate does earns a verdict and never an error; an error means that the machine
failed.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from textgym.sandbox import CallOutcome, Sandbox, SandboxStatus

__all__ = ["CodeOutcome", "CodeTest", "CodeVerdict", "judge_code", "same_json"]


class CodeOutcome(StrEnum):
    """What became of a program."""

    PASSED = "passed"
    """Every test gave the right value."""
    WRONG = "wrong"
    """It ran, and some value is wrong or no JSON value."""
    RAISED = "raised"
    """The program, or the function in some test, raised, or there is no such function."""
    TIMEOUT = "timeout"
    """It ran too long."""
    MEMORY = "memory"
    """It needed too much memory."""
    OUTPUT = "output"
    """It printed too much."""
    STOPPED = "stopped"
    """It ended before its time: it crashed, left, or did something that is not allowed."""
    MISSING = "missing"
    """There is no program."""


_OUTCOMES = {
    SandboxStatus.ERROR: CodeOutcome.RAISED,
    SandboxStatus.TIMEOUT: CodeOutcome.TIMEOUT,
    SandboxStatus.MEMORY: CodeOutcome.MEMORY,
    SandboxStatus.OUTPUT: CodeOutcome.OUTPUT,
    SandboxStatus.KILLED: CodeOutcome.STOPPED,
}


@dataclass(frozen=True, slots=True)
class CodeTest:
    """One test of a function."""

    arguments: Sequence[Any]
    """What the function is called with: JSON values."""
    expected: Any
    """What it has to return: a JSON value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeVerdict:
    """What a program achieved."""

    outcome: CodeOutcome
    """What became of it."""
    passed: tuple[bool, ...] = ()
    """Whether each test gave the right value, in order."""
    calls: tuple[CallOutcome, ...] = ()
    """What the calls gave, in order; fewer than tests if the program did not get so far."""
    detail: str = ""
    """The end of the error output, where the program as a whole failed."""


async def judge_code(
    sandbox: Sandbox, code: str, function: str, tests: Sequence[CodeTest], *, seconds: float | None = None
) -> CodeVerdict:
    """Run a program and call its function on the inputs of all tests.

    Args:
        sandbox: Where it runs.
        code: The program.
        function: Name of the function.
        tests: The tests, at least one.
        seconds: Time for the program and all calls together; None is the limit of the sandbox.

    Returns:
        The verdict.

    Raises:
        SandboxUnavailable: This machine cannot run code safely.
    """
    arguments = [copy.deepcopy(list(test.arguments)) for test in tests]
    result = await sandbox.acall(code, function, arguments, timeout=seconds)
    calls = tuple(result.values)[: len(tests)]
    passed = tuple(
        index < len(calls) and calls[index].ok and same_json(calls[index].value, test.expected)
        for index, test in enumerate(tests)
    )
    outcome = _OUTCOMES.get(result.status)
    detail = "" if outcome is None else result.stderr.strip()[-500:]
    if outcome is None:
        if len(calls) < len(tests):
            outcome = CodeOutcome.STOPPED
        elif not all(call.ok for call in calls):
            outcome = CodeOutcome.RAISED
        else:
            outcome = CodeOutcome.PASSED if all(passed) else CodeOutcome.WRONG
    return CodeVerdict(outcome=outcome, passed=passed, calls=calls, detail=detail)


def same_json(value: Any, expected: Any) -> bool:
    """Whether two JSON values are equal in type and value.

    ``True`` is not 1 and 1.0 is not 1; the order of keys does not matter. Tuples cannot be told from lists,
    for JSON has one kind of array.

    Args:
        value: What a program returned.
        expected: What it should have returned; its depth bounds the work.

    Example:
        >>> same_json([1, {"a": None}], [1, {"a": None}]), same_json(1.0, 1), same_json(True, 1)
        (True, False, False)
    """
    if type(value) is not type(expected):
        return False
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(same_json, value, expected))
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(
            same_json(value[key], expected[key]) for key in expected
        )
    return bool(value == expected)
