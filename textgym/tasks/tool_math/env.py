"""ToolMath-v0: calculations too large for the head, with a calculator at hand.

Invariant: an answer counts if, and only if, it is one number equal to the exact answer, however it was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.datasets import GeneratedDataset
from textgym.envs import ToolEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric, number_match
from textgym.tasks.difficulty import check_difficulty
from textgym.tasks.tool_math.generator import KINDS, LEVELS, make_problem
from textgym.tasks.tool_math.prompt import TASK
from textgym.tasks.tool_prompt import tool_prompt
from textgym.tools import tool_success

__all__ = ["ToolMathEnv"]

TOOLS = ("calculator", "python", "python_executor")
"""The tools that may be offered."""


@dataclass(frozen=True, slots=True)
class _Problems:
    """Draws a problem as a row."""

    difficulty: int
    kinds: tuple[str, ...]

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        problem = make_problem(rng, self.difficulty, self.kinds)
        calls = [{"name": "calculator", "arguments": {"expression": call}} for call in problem.calls]
        return {
            "question": problem.question,
            "answer": problem.answer,
            "task": problem.kind,
            "info": {"calls": calls},
        }


class ToolMathEnv(ToolEnv):
    """Solve a problem that is too large for the head.

    ## Description
    One procedurally made problem of ten kinds: large expressions, remainders of powers, numbers of selections,
    compound interest, bills with discount and tax, means and variances, common divisors and multiples, areas of
    triangles, journeys, growing populations. Difficulty adds digits (3 to 8) and steps (1 to 6). The tool
    ``calculator`` is exact; ``python`` may be offered besides or instead.

    ## Action Space
    Text: calls of the tools, or ``<answer>`` with one number: whole, decimal, or a fraction like ``3/4``.

    ## Observation Space
    Text: the instructions and the problem, later the results of the calls.

    ## Starting State
    A problem drawn from the kinds at the given difficulty; every kind is equally likely.

    ## Rewards
    1 if the answer is the exact number (component ``correct``), else 0. Metrics: ``format`` is 1 if the message
    keeps to the tags, ``tool_success`` the share of calls without error (0 without calls), and those of every
    environment with tools.

    ## Episode End
    Terminates with an answer, or when the turns are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/ToolMath-v0", difficulty=2, kinds=None, tools=["calculator"], split="train",
    protocol="text", max_turns=12)``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 to 5.
        kinds: Which kinds of problems: ``expression``, ``remainder``, ``selection``, ``interest``, ``bill``,
            ``statistics``, ``divisors``, ``triangle``, ``journey``, ``growth``; None for all.
        tools: Names among ``calculator``, ``python`` and ``python_executor``; the last two run code in the
            sandbox. The oracle uses the calculator alone.
        split: ``"train"``, ``"test"`` (disjoint), or None for both.
        protocol: ``"text"`` (calls in ``<tool>`` tags) or ``"native"`` (the calls of a chat server).
        max_turns: Messages that the policy may write.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 2,
        kinds: Sequence[str] | None = None,
        tools: Sequence[str] = ("calculator",),
        split: Literal["train", "test"] | None = "train",
        protocol: str = "text",
        max_turns: int = 12,
        render_mode: str | None = None,
    ) -> None:
        check_difficulty(difficulty, LEVELS)
        names = (kinds,) if isinstance(kinds, str) else tuple(KINDS if kinds is None else kinds)
        offered = (tools,) if isinstance(tools, str) else tuple(tools)
        for argument, given, known in (("kinds", names, tuple(KINDS)), ("tools", offered, TOOLS)):
            unknown = [name for name in given if name not in known]
            if unknown or not given:
                raise ConfigError(f"{argument} is {given!r:.60}: it may hold {', '.join(known)}")
        parser = XMLParser(["think", "answer"])
        rubric = Rubric(parser=parser).add(number_match, name="correct")
        rubric.add_metric(parser.get_format_reward_func(), name="format").add_metric(tool_success)
        super().__init__(
            GeneratedDataset(_Problems(difficulty, names), split=split, name=f"tool-math-{difficulty}"),
            offered,
            rubric,
            parser,
            system_prompt=tool_prompt(TASK, protocol),
            protocol=protocol,
            max_turns=max_turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )

    def oracle_calls(self) -> Sequence[Mapping[str, Any]]:
        """The calculator's expressions, where it is offered."""
        return super().oracle_calls() if "calculator" in self.toolset else ()
