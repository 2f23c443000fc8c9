"""The system prompts of the tasks with tools.

Invariant: part of what these tasks are; a change of a character here is a change of the tasks.
"""

from __future__ import annotations

from textgym.envs import TOOL_SYSTEM_PROMPT

__all__ = ["tool_prompt"]

_NATIVE = (
    "{task}\n\nCall tools as often as you need. Then finish with a message that holds your final answer, like "
    "this:\n"
    "<answer>\nyour final answer\n</answer>"
)


def tool_prompt(task: str, protocol: str) -> str:
    """What the task is and how tools are called in a protocol.

    Args:
        task: What is to be done, and what the answer has to be.
        protocol: ``"text"`` or ``"native"``.

    Example:
        >>> tool_prompt("Count.", "native").splitlines()[0]
        'Count.'
    """
    return _NATIVE.format(task=task) if protocol == "native" else f"{task}\n\n{TOOL_SYSTEM_PROMPT}"
