"""How well tools were used, as reward functions.

Invariant: they read the records of calls that an environment with tools hands out as ``tool_calls`` and nothing
else; what a tool returned is never parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.tools.result import ToolOutcome

__all__ = ["tool_success"]


def tool_success(tool_calls: Sequence[Mapping[str, Any]]) -> float:
    """Reward function: the share of the episode's calls that ran and returned, in [0, 1]; 0.0 without calls.

    Args:
        tool_calls: The records of the calls, each with an ``outcome``.

    Example:
        >>> tool_success([{"outcome": "ok"}, {"outcome": "raised"}])
        0.5
    """
    if not tool_calls:
        return 0.0
    return sum(bool(call["outcome"] == ToolOutcome.OK) for call in tool_calls) / len(tool_calls)
