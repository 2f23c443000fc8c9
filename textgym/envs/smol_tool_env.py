"""SmolToolEnv: a ToolEnv over the tools of smolagents.

Invariant: it differs from ``ToolEnv`` in what it takes, in its default parser and prompt, and in a metric for
each tool; an episode goes exactly as one of ``ToolEnv``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from textgym.envs.episode_parts import Ending
from textgym.envs.tool_env import TOOL_SYSTEM_PROMPT, ToolEnv
from textgym.errors import ConfigError
from textgym.hooks import flow, settle
from textgym.parsers import Parser, XMLParser
from textgym.rewards import Rubric
from textgym.tools import ToolOutcome, Toolset
from textgym.tools.smolagents_tools import SmolagentsTools, is_smolagents_tool
from textgym.types import StopReason

__all__ = ["SmolToolEnv"]

_PROMPT = TOOL_SYSTEM_PROMPT.replace("think>", "reasoning>")


class SmolToolEnv(ToolEnv):
    """Questions that the model may answer with the help of smolagents tools.

    The text protocol of ``ToolEnv``, with ``<reasoning>`` before each ``<tool>`` or ``<answer>``. Whoever
    samples may stop at ``SmolToolEnv.stop``, so that a model does not invent the result of its call; the
    server must then leave the stop string in its output, for an answer without its closing tag is none
    (vLLM and SGLang: ``Sampling(stop=SmolToolEnv.stop, extra={"include_stop_str_in_output": True})``).

    ## Rewards
    As in ``ToolEnv``. Further metrics: ``tool_success/<name>``, for each tool the share of its calls that
    ran and returned, 0.0 without calls.

    Args:
        dataset: As for ``ToolEnv``, like all arguments that are not named here.
        tools: smolagents tools (see ``SmolagentsTools``), and whatever ``ToolEnv`` takes.
        rubric: Judges the episode.
        parser: By default ``XMLParser(["reasoning", ("tool", "answer")])``.
        max_steps: Another name of ``max_turns``: most answers of the model in an episode, by default 10. Few-shot
            messages do not count.
        **kwargs: As for ``ToolEnv``.

    Raises:
        ConfigError: ``max_steps`` and ``max_turns`` are both given, or as for ``ToolEnv``.

    Example:
        >>> class Double:
        ...     name, description, output_type = "double", "Double a number.", "integer"
        ...     inputs = {"n": {"type": "integer", "description": "The number"}}
        ...     def __call__(self, n):
        ...         return 2 * n
        >>> env = SmolToolEnv([{"prompt": "Twice 21?", "answer": "42"}], [Double()])
        >>> _ = env.reset(seed=0)
        >>> print(env.step('<tool>{"name": "double", "args": {"n": 21}}</tool>')[0])
        <result>
        42
        </result>
        >>> env.step("<reasoning>Read.</reasoning><answer>42</answer>")[4]["metrics"]["tool_success/double"]
        1.0
    """

    stop = ("</tool>", "</answer>")
    """Where sampling may stop."""

    def __init__(
        self,
        dataset: Any,
        tools: Iterable[Any],
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        system_prompt: str | None = None,
        protocol: str = "text",
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        if max_steps is not None:
            if "max_turns" in kwargs:
                raise ConfigError("max_steps and max_turns are two names of one thing: give one of them")
            kwargs["max_turns"] = max_steps
        if protocol == "text":
            parser = XMLParser(["reasoning", ("tool", "answer")]) if parser is None else parser
            system_prompt = _PROMPT if system_prompt is None else system_prompt
        if not isinstance(tools, Toolset | str) and isinstance(tools, Iterable):
            tools = [SmolagentsTools([tool]).tools[0] if is_smolagents_tool(tool) else tool for tool in tools]
        super().__init__(
            dataset, tools, rubric, parser, system_prompt=system_prompt, protocol=protocol, **kwargs
        )

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """As ``ToolEnv``, and how often each tool succeeded."""
        ending: Ending = await settle(super().finish(reason))
        calls = self.state["tool_calls"]
        shares = {}
        for tool in self.toolset:
            outcomes = [call["outcome"] == ToolOutcome.OK for call in calls if call["name"] == tool.name]
            shares[f"tool_success/{tool.name}"] = sum(outcomes) / len(outcomes) if outcomes else 0.0
        return replace(ending, metrics={**shares, **ending.metrics})
