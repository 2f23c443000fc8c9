"""What a policy is told about a program that failed.

Invariant: of hidden tests, the input of one that failed and what the program itself made of it are told, never the
expected result. Expected results of the shown examples are known to the policy already.
"""

from __future__ import annotations

from collections.abc import Sequence

from textgym.rewards.code import CodeOutcome, CodeTest, CodeVerdict
from textgym.tasks.code.prompt import called

__all__ = ["feedback"]

_LONGEST = 300
"""Longest value or error that is told, in characters."""

_WHOLE = {
    CodeOutcome.TIMEOUT: "ran for too long and was stopped",
    CodeOutcome.MEMORY: "needed too much memory and was stopped",
    CodeOutcome.OUTPUT: "printed too much and was stopped",
    CodeOutcome.STOPPED: "ended before all calls were made",
}


def feedback(
    verdict: CodeVerdict, function: str, shown: Sequence[CodeTest], hidden: Sequence[CodeTest], left: int
) -> str:
    """The answer to a program that failed.

    Args:
        verdict: What became of it; its tests are the shown and then the hidden ones.
        function: Name of the function.
        shown: The examples of the question.
        hidden: The other tests.
        left: Attempts that are left.
    """
    rest = f"{left} {'attempt' if left == 1 else 'attempts'} left."
    if verdict.outcome is CodeOutcome.MISSING:
        return (
            f"I see no program that defines {function}. Give the whole program in one ```python block. {rest}"
        )
    examples, others = sum(verdict.passed[: len(shown)]), sum(verdict.passed[len(shown) :])
    lines = [
        f"The program passes {examples} of {len(shown)} examples and {others} of {len(hidden)} hidden tests.",
        _trouble(verdict, function, shown, hidden),
        f"Give the whole program again. {rest}",
    ]
    return "\n".join(lines)


def _trouble(
    verdict: CodeVerdict, function: str, shown: Sequence[CodeTest], hidden: Sequence[CodeTest]
) -> str:
    """What went wrong with the program, or with the first test that failed."""
    if verdict.outcome in _WHOLE:
        return f"It {_WHOLE[verdict.outcome]}."
    if verdict.detail or not verdict.calls:
        return f"It could not be run: {_cut(verdict.detail.splitlines()[-1]) if verdict.detail else 'no function'}"
    index = verdict.passed.index(False)
    test, outcome = [*shown, *hidden][index], verdict.calls[index]
    call = _cut(called(function, test.arguments))
    made = f"returned {_cut(repr(outcome.value))}" if outcome.ok else f"failed with {_cut(outcome.error)}"
    wanted = f"; it has to return {test.expected!r}" if index < len(shown) else ""
    return f"{call} {made}, which is wrong{wanted}."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
