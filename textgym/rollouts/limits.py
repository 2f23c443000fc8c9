"""Limits that a caller puts on an episode from outside, checked in one documented order.

Invariant: before every completion the limits are checked in the order of the fields of ``Limits``, and the
first one that is reached names the ``StopReason``. A limit that is reached truncates the episode, which is
scored as it stands; it is never an error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from textgym.errors import ConfigError
from textgym.types import StopReason

__all__ = ["Limits", "Spent"]


@dataclass(slots=True)
class Spent:
    """What an episode has used so far."""

    turns: int = 0
    """Completions."""
    completion_tokens: int = 0
    """Sampled tokens, as far as they are known."""
    total_tokens: int = 0
    """Prompt and sampled tokens of all calls together, as far as they are known."""
    context_tokens: int = 0
    """Prompt and sampled tokens of the newest call: the length of the conversation."""
    seconds: float = 0.0
    """Wall time since the reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one episode; None is no bound. Token limits need a policy that reports usage.

    Raises:
        ConfigError: A bound is not positive.
    """

    turns: int | None = None
    """Most completions (reason ``max_turns``)."""
    completion_tokens: int | None = None
    """Most sampled tokens; ``max_tokens`` of each call is lowered to what is left."""
    total_tokens: int | None = None
    """Most prompt plus sampled tokens over all calls."""
    context_tokens: int | None = None
    """Longest conversation, in tokens. With a tokenizer, ``max_tokens`` is lowered to what is left of it."""
    seconds: float | None = None
    """Longest wall time; a completion that is under way at that moment is given up."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            whole = f.name != "seconds"
            kind: Any = int if whole else int | float
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, kind) or not value > 0
            ):
                raise ConfigError(
                    f"limits.{f.name} is {value!r}: it must be a positive "
                    f"{'whole ' if whole else ''}number, or None for no limit"
                )

    def reached(self, spent: Spent) -> StopReason | None:
        """The first limit that is used up, or None."""
        if self.turns is not None and spent.turns >= self.turns:
            return StopReason.MAX_TURNS
        if self.completion_tokens is not None and spent.completion_tokens >= self.completion_tokens:
            return StopReason.COMPLETION_TOKENS
        if self.total_tokens is not None and spent.total_tokens >= self.total_tokens:
            return StopReason.TOTAL_TOKENS
        if self.context_tokens is not None and spent.context_tokens >= self.context_tokens:
            return StopReason.CONTEXT_TOKENS
        if self.seconds is not None and spent.seconds >= self.seconds:
            return StopReason.SECONDS
        return None

    def to_dict(self) -> dict[str, int | float]:
        """The bounds that are set."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
