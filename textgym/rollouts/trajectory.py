"""Trajectory: the record of one episode of one seat, complete enough to train on and to read.

Invariant: ``reward`` is the sum of the steps' rewards (and of group rewards), or None exactly when ``error``
is set; nothing in a record is invented, so ``tokens`` is None where the server told no ids. ``from_dict``
restores what ``to_dict`` wrote, token arrays bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from textgym.errors import RunError
from textgym.tokens import TokenStream
from textgym.types import FinishReason, Message, StopReason, Usage

__all__ = ["SCHEMA", "Boundary", "Failure", "Step", "Trajectory"]

SCHEMA = 0
"""Version of the record's layout; stays 0 until the trainers' adapters have read it."""


class Boundary(StrEnum):
    """Where an episode broke."""

    POLICY = "policy"
    """The policy gave no completion."""
    ENV = "env"
    """The environment raised, or broke its contract."""
    REWARD = "reward"
    """A reward function raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an episode has no reward."""

    boundary: Boundary
    """Whose code or server failed."""
    type: str
    """Class of the exception."""
    message: str
    """Its text."""
    turn: int
    """Completions that had been taken before."""
    where: str = ""
    """File, line and function that raised, innermost last."""
    status: int | None = None
    """HTTP status, where the error came as one."""

    def __str__(self) -> str:
        return f"{self.boundary} error in turn {self.turn}: {self.type}: {self.message}"


@dataclass(slots=True, kw_only=True)
class Step:
    """One action and what came of it."""

    observation: str
    """What the policy answered."""
    action: str
    """What it said."""
    reward: float = 0.0
    """Sum of ``rewards``."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Component name -> reward."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Component name -> value that earned nothing."""
    terminated: bool = False
    """The task ended here."""
    truncated: bool = False
    """An outside limit ended the episode here."""
    finish_reason: FinishReason = FinishReason.STOP
    """Why the completion ended."""
    usage: Usage = field(default_factory=Usage)
    """Tokens of this call, as the server reported them."""
    prompt_end: int | None = None
    """Offset in ``tokens`` where this step's completion begins, or None without ids."""
    completion_end: int | None = None
    """Offset in ``tokens`` where it ends, or None."""
    latency: float = 0.0
    """Seconds that the policy took."""

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON types."""
        return {
            "observation": self.observation,
            "action": self.action,
            "reward": self.reward,
            "rewards": self.rewards,
            "metrics": self.metrics,
            "terminated": self.terminated,
            "truncated": self.truncated,
            "finish_reason": self.finish_reason.value,
            "usage": self.usage.to_dict(),
            "prompt_end": self.prompt_end,
            "completion_end": self.completion_end,
            "latency": self.latency,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Step:
        """The step that ``to_dict`` wrote."""
        known = dict(data)
        known["finish_reason"] = FinishReason(known["finish_reason"])
        known["usage"] = Usage(**known["usage"])
        return cls(**known)


@dataclass(slots=True, kw_only=True)
class Trajectory:
    """One finished (or failed) episode."""

    env_id: str
    """Id or name of the environment."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments that it was made with."""
    seed: int | None = None
    """Seed of its reset; equal within a group."""
    example_id: str = ""
    """Stable key of the task instance."""
    group_id: int = 0
    """Index of the group in its run."""
    sample: int = 0
    """Index of the member in its group."""
    agent: str = "policy"
    """Name of the seat."""
    messages: list[Message] = field(default_factory=list)
    """The conversation; each message also says whether the policy ``sampled`` it."""
    steps: list[Step] = field(default_factory=list)
    """The turns."""
    tokens: TokenStream | None = None
    """Exact ids, mask and logprobs, or None where the policy did not tell them."""
    reward: float | None = None
    """The return, or None if the episode failed."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Component name -> sum over the steps."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Component name -> last value."""
    success: bool | None = None
    """Whether the environment counts it as solved; None if the episode failed or nobody can tell."""
    answer: str | None = None
    """The gold answer that the environment showed at the end."""
    stop_reason: StopReason = StopReason.ERROR
    """Why it ended."""
    error: Failure | None = None
    """What broke, or None."""
    policy: str = ""
    """Name of the policy."""
    policy_version: int | str | None = None
    """Version of the weights that sampled it, where the policy knows one; of several, the first."""
    seconds: float = 0.0
    """Wall time from reset to end."""

    @property
    def usage(self) -> Usage:
        """Token counts of all steps together."""
        total = Usage()
        for step in self.steps:
            total = total + step.usage
        return total

    @property
    def terminated(self) -> bool:
        """The task itself ended."""
        return bool(self.steps) and self.steps[-1].terminated

    @property
    def truncated(self) -> bool:
        """An outside limit ended the episode."""
        return self.error is None and not self.terminated

    @property
    def completion(self) -> str:
        """The last thing that the policy said."""
        return self.steps[-1].action if self.steps else ""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON types, with ``schema``."""
        error = self.error
        return {
            "schema": SCHEMA,
            "env_id": self.env_id,
            "env_kwargs": self.env_kwargs,
            "seed": self.seed,
            "example_id": self.example_id,
            "group_id": self.group_id,
            "sample": self.sample,
            "agent": self.agent,
            "messages": self.messages,
            "steps": [step.to_dict() for step in self.steps],
            "tokens": None if self.tokens is None else self.tokens.to_dict(),
            "reward": self.reward,
            "rewards": self.rewards,
            "metrics": self.metrics,
            "success": self.success,
            "answer": self.answer,
            "stop_reason": self.stop_reason.value,
            "error": None
            if error is None
            else {
                "boundary": error.boundary.value,
                "type": error.type,
                "message": error.message,
                "turn": error.turn,
                "where": error.where,
                "status": error.status,
            },
            "policy": self.policy,
            "policy_version": self.policy_version,
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Trajectory:
        """The record that ``to_dict`` wrote.

        Raises:
            RunError: It was written by a version with another schema, or a field is missing.
        """
        known = dict(data)
        schema = known.pop("schema", None)
        if schema != SCHEMA:
            raise RunError(
                f"this trajectory has schema {schema!r} and this textgym reads {SCHEMA}: read it with "
                "the version that wrote it"
            )
        try:
            known["steps"] = [Step.from_dict(step) for step in known["steps"]]
            known["stop_reason"] = StopReason(known["stop_reason"])
            if known["tokens"] is not None:
                known["tokens"] = TokenStream.from_dict(known["tokens"])
            if known["error"] is not None:
                error = known["error"]
                known["error"] = Failure(**{**error, "boundary": Boundary(error["boundary"])})
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"this is no trajectory record: {type(error).__name__}: {error}") from error
