"""Environments with tools keep the contract: both protocols, plain, async, stateful and provided tools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from textgym.envs import StatefulToolEnv, ToolEnv
from textgym.testing import RuleStatus, check_text_env
from textgym.tools import Tool

ROWS = [
    {
        "prompt": f"What is {n} plus {n}?",
        "answer": str(2 * n),
        "calls": [
            {"name": "add", "arguments": {"a": n, "b": n}},
            {"name": "note", "arguments": {"text": str(n)}},
        ],
    }
    for n in range(10, 40)
]


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
        a: One
        b: Another
    """
    return a + b


async def note(text: str) -> str:
    """Take a note."""
    await asyncio.sleep(0)
    return f"noted: {text}"


def keep(text: str, notes: list[str]) -> int:
    """Keep a note."""
    notes.append(text)
    return len(notes)


def note_at_once(text: str) -> str:
    """Take a note."""
    return text.upper()


class Tools(ToolEnv):
    """Sums, with tools. Rewards: 1 for the sum."""

    def __init__(self, protocol: str = "text", **kwargs: Any) -> None:
        tools = [add, Tool.from_function(note, timeout=None)]
        super().__init__(ROWS, tools, protocol=protocol, max_turns=4, turns_are_rule=True, **kwargs)


class Quick(ToolEnv):
    """Sums, with tools that need no event loop. Rewards: 1 for the sum."""

    def __init__(self, protocol: str = "text", **kwargs: Any) -> None:
        tools = [Tool.from_function(tool, timeout=None) for tool in (add, note_at_once)]
        super().__init__(ROWS, tools, protocol=protocol, max_turns=4, **kwargs)


class Stateful(StatefulToolEnv):
    """Sums, with a tool that writes to the state. Rewards: 1 for the sum."""

    def __init__(self, protocol: str = "text", **kwargs: Any) -> None:
        tools = [add, Tool.from_function(keep, name="note", hidden=["notes"])]
        super().__init__(ROWS, tools, protocol=protocol, max_turns=4, turns_are_rule=True, **kwargs)

    def initial_state(self, example: Any) -> dict[str, Any]:
        return {"notes": []}


class Provider:
    """A session an episode."""

    deterministic = True

    async def open(self) -> Sequence[Tool]:
        kept: list[str] = []

        async def note(text: str) -> int:
            kept.append(text)
            return len(kept)

        return [Tool.from_function(add), Tool.from_function(note)]

    async def close(self) -> None:
        pass


class Provided(ToolEnv):
    """Sums, with tools over a session. Rewards: 1 for the sum."""

    def __init__(self, protocol: str = "text", **kwargs: Any) -> None:
        super().__init__(ROWS, [Provider()], protocol=protocol, max_turns=4, turns_are_rule=True, **kwargs)


UNTESTED = {
    "completion-prompt": "message_type is 'chat'",
    "tool-schemas": "offers no tools",
    "not-forkable": "is forkable",
    "first-step-terminates": "no episode ended with its first action",
    "neighbour-seeds": "the space is small",
    "unseeded-instances-differ": "too few instances",
    "disjoint-splits": "takes no argument 'split'",
    "make-vec": "has no id",
    "spec-json": "no registered spec",
}
"""Rules that may be left untested, and the reason that has to be given."""


@pytest.mark.parametrize("protocol", ["text", "native"])
@pytest.mark.parametrize("kind", [Tools, Quick, Stateful, Provided])
def test_the_contract(kind: type[ToolEnv], protocol: str) -> None:
    quick = kind in (Quick, Stateful)
    report = check_text_env(kind, env_kwargs={"protocol": protocol}, seeds=5, quick=quick)
    waived = {result.rule for result in report.having(RuleStatus.WAIVED)}
    live = {"copy-continues", "pickle-continues", "copy-keeps-sequence", "copy-independent", "shared-dataset"}
    assert waived <= (live if kind is Provided else set()), str(report)
    for result in report.having(RuleStatus.UNTESTED):
        reasons = (UNTESTED.get(result.rule, "?"), "a quick check starts no processes")
        assert any(reason in result.detail for reason in reasons[: 1 + quick]), str(report)
    if protocol == "native":
        assert report["tool-schemas"].status is RuleStatus.PASSED


def test_the_contract_in_completion_mode() -> None:
    report = check_text_env(Tools, env_kwargs={"message_type": "completion"}, quick=True)
    assert report["completion-prompt"].status is RuleStatus.PASSED
