"""ToolResult: what came of one call, and the text that the model sees.

Invariant: the text is at most as long as the tool's bound, with a visible marker where it was cut, and making it
never raises for anything but what the value itself raises.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from textgym.jsontext import dumps

__all__ = ["ToolError", "ToolOutcome", "ToolResult", "ToolTimeout", "error_text", "result_text"]

_LONGEST_ERROR = 500


class ToolError(Exception):
    """Raised by a tool to tell the model, in whole and in these words, why it failed.

    Of every other exception the model sees the type and the first line.
    """


class ToolTimeout(ToolError):
    """A ``ToolError`` of a tool that has a deadline of its own: the outcome is ``timeout``."""


class ToolOutcome(StrEnum):
    """What became of a call. All but the first are shown to the model as ``Error: …``."""

    OK = "ok"
    """The tool ran and returned."""
    UNKNOWN_TOOL = "unknown_tool"
    """There is no tool of that name."""
    MALFORMED = "malformed"
    """The call is no JSON, its arguments are no object, or it names no tool."""
    INVALID_ARGUMENTS = "invalid_arguments"
    """An argument is missing, unknown, or not what the schema allows."""
    RAISED = "raised"
    """The tool raised."""
    TIMEOUT = "timeout"
    """The tool did not return in time, or raised ``ToolTimeout``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of one call."""

    call_id: str
    """Identifier of the call."""
    name: str
    """Name of the tool, as the model gave it."""
    outcome: ToolOutcome
    """What became of it."""
    text: str
    """What the model sees."""
    seconds: float = 0.0
    """Wall time of the call."""
    truncated: bool = False
    """Whether the text was cut at the tool's bound."""

    @property
    def ok(self) -> bool:
        """Whether the tool ran and returned."""
        return self.outcome is ToolOutcome.OK

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {
            "call_id": self.call_id,
            "name": self.name,
            "outcome": self.outcome.value,
            "text": self.text,
            "seconds": self.seconds,
            "truncated": self.truncated,
        }


def result_text(value: Any) -> str:
    """What a tool returned as text: text as it is, None as "", anything else as JSON, or else by ``str``.

    Example:
        >>> result_text("a"), result_text(None), result_text({"a": [1, None]}), result_text(float("inf"))
        ('a', '', '{"a":[1,null]}', 'inf')
    """
    if isinstance(value, str):
        return str.__str__(value)
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        return dumps(value, str).decode()
    except (TypeError, ValueError, RecursionError):
        return str(value)


def error_text(error: BaseException) -> str:
    """What the model sees of an exception: its type and the first line of its message, bounded.

    The message of a ``ToolError`` is written for the model, and is seen whole.

    Example:
        >>> error_text(ValueError("no such page\\nwith details"))
        'Error: ValueError: no such page'
    """
    try:
        message = str(error).strip()
    except Exception:
        message = ""
    if isinstance(error, ToolError) and message:
        return f"Error: {message}"
    first = message.split("\n", 1)[0].strip()[:_LONGEST_ERROR]
    return f"Error: {type(error).__name__}: {first}" if first else f"Error: {type(error).__name__}"
