"""The values that cross floors: messages, examples, requests, completions, reasons.

Invariant: everything here is plain immutable data (frozen slotted dataclasses and string enums),
cheap to make, comparable and picklable. Nothing here talks to a model or an environment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeAlias

from textgym.errors import ConfigError

__all__ = [
    "TERMINAL",
    "Completion",
    "CompletionRequest",
    "Example",
    "FinishReason",
    "Message",
    "Sampling",
    "StopReason",
    "ToolCall",
    "Transition",
    "Usage",
]

Message: TypeAlias = dict[str, Any]
"""One chat message in the OpenAI form: ``{"role": …, "content": …}`` and, where there are tools,
``tool_calls`` or ``tool_call_id``. A plain dict, so that it goes to JSON and to chat templates."""

Transition: TypeAlias = tuple[str, float, bool, bool, dict[str, Any]]
"""What ``step`` returns: (observation, reward, terminated, truncated, info), as Gymnasium has it."""


class StopReason(StrEnum):
    """Why an episode ended. The first four terminate it, the others truncate it, the last breaks it."""

    COMPLETED = "completed"
    """The task came to its own end: answered, won or given up."""
    FAILED = "failed"
    """The task ended against the policy, for instance a game was lost."""
    FORMAT = "format"
    """The action was unusable in a way that ends the task (over-long, unparsable for good)."""
    OUT_OF_TURNS = "out_of_turns"
    """The number of turns that the rules of the task grant is used up."""
    MAX_TURNS = "max_turns"
    """The caller's limit on turns (no rule of the task)."""
    COMPLETION_TOKENS = "completion_tokens"
    """The caller's limit on sampled tokens of the episode."""
    TOTAL_TOKENS = "total_tokens"
    """The caller's limit on prompt plus sampled tokens, summed over all calls of the episode."""
    CONTEXT_TOKENS = "context_tokens"
    """The conversation outgrew the caller's limit or the model's context."""
    SECONDS = "seconds"
    """The caller's limit on wall time."""
    ENV_TRUNCATED = "env_truncated"
    """The environment truncated the episode and gave no reason."""
    ERROR = "error"
    """The episode broke; its trajectory has an ``error`` and no reward."""


TERMINAL = frozenset({StopReason.COMPLETED, StopReason.FAILED, StopReason.FORMAT, StopReason.OUT_OF_TURNS})
"""The reasons with which the task itself ends; every other one truncates."""


class FinishReason(StrEnum):
    """Why the policy stopped writing a completion."""

    STOP = "stop"
    """It ended by itself or at a stop string."""
    LENGTH = "length"
    """It was cut at ``max_tokens``; the text is stepped as it is."""
    TOOL_CALLS = "tool_calls"
    """It ended in order to call tools."""
    CONTENT_FILTER = "content_filter"
    """The server withheld or cut the text."""
    ABORT = "abort"
    """The server gave up on the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool, as the policy asked for it."""

    id: str
    """Identifier that the tool's answer refers to."""
    name: str
    """Name of the tool."""
    arguments: str
    """The arguments as the policy wrote them: JSON text, not yet parsed and maybe malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One task instance: a row of a dataset, or what a generator made from a seed."""

    id: str
    """Stable key of the instance: equal content has an equal id in every process and version."""
    prompt: str | tuple[Message, ...] | None = None
    """The finished prompt, as text or messages, or None where ``question`` is to be formatted."""
    question: str | None = None
    """The bare question, for templates."""
    answer: Any = None
    """The gold answer. It is never shown to the policy before the episode has ended."""
    task: str = "default"
    """Name of the kind of task within a mixed dataset; chooses the prompt template."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that the row holds."""

    def __getitem__(self, key: str) -> Any:
        """A field or a column of ``info`` by name, so that an example reads like its row."""
        if key in _EXAMPLE_FIELDS:
            return getattr(self, key)
        return self.info[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The same with a default for columns that the row does not have."""
        return getattr(self, key) if key in _EXAMPLE_FIELDS else self.info.get(key, default)

    @property
    def text(self) -> str:
        """The question, or the prompt's text where the row has no separate question."""
        if self.question is not None:
            return self.question
        if self.prompt is None or isinstance(self.prompt, str):
            return self.prompt or ""
        return "\n\n".join(str(message.get("content") or "") for message in self.prompt)


_EXAMPLE_FIELDS = frozenset(f.name for f in fields(Example))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a policy samples. None leaves a value to the server's default.

    Raises:
        ConfigError: A value is outside its range.
    """

    temperature: float | None = None
    """Softmax temperature, at least 0."""
    top_p: float | None = None
    """Nucleus mass in (0, 1]."""
    max_tokens: int | None = None
    """Most tokens of one completion, at least 1."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the request body, for servers that know more (``top_k``, …)."""

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        elif not isinstance(self.stop, tuple):
            object.__setattr__(self, "stop", tuple(self.stop))
        _check("temperature", self.temperature, 0.0, math.inf, "at least 0")
        _check("top_p", self.top_p, 1e-12, 1.0, "in (0, 1]")
        if self.max_tokens is not None and (
            isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1
        ):
            raise ConfigError(
                f"sampling.max_tokens is {self.max_tokens!r}: it must be a whole number of at "
                "least 1, or None for the server's default"
            )

    def to_dict(self) -> dict[str, Any]:
        """The fields that are set, as JSON types."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None and value != () and value != {}
        }


def _check(name: str, value: float | None, low: float, high: float, allowed: str) -> None:
    if value is None:
        return
    if not isinstance(value, int | float) or not low <= value <= high or math.isinf(value):
        raise ConfigError(f"sampling.{name} is {value!r}: it must be a number {allowed}, or None")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one or more calls, as the server reported them; None where it did not."""

    prompt_tokens: int | None = None
    """Tokens read."""
    completion_tokens: int | None = None
    """Tokens sampled."""

    def __add__(self, other: Usage) -> Usage:
        """The sum; a count that only one side knows is taken from that side."""
        return Usage(
            prompt_tokens=_sum(self.prompt_tokens, other.prompt_tokens),
            completion_tokens=_sum(self.completion_tokens, other.completion_tokens),
        )

    def to_dict(self) -> dict[str, int | None]:
        """Both counts as JSON types."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


def _sum(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """What a policy is asked: one turn of one episode."""

    messages: list[Message]
    """The conversation so far. It belongs to the episode: a policy reads it and does not keep it."""
    observation: str = ""
    """The newest observation: the whole prompt at reset, later the newest environment text."""
    prompt: str | None = None
    """The text to continue, in completion mode; None in chat mode."""
    tools: list[dict[str, Any]] | None = None
    """JSON schemas of the tools on offer, or None."""
    prompt_ids: Any = None
    """Token ids to continue exactly (int32, shape ``(n,)``), or None where the server renders. A policy that
    continues them says so with ``Completion.prompt_token_ids``; one that cannot may ignore them."""
    sampling: Sampling = field(default_factory=Sampling)
    """How to sample."""
    seed: int | None = None
    """Sampling seed of this call, in [0, 2**31); differs between the members of a group."""
    group: str = ""
    """Key shared by all calls of a group, for policies that keep a group on one server."""
    sample: int = 0
    """Which member of the group asks; ``(group, sample)`` names the episode within its run."""
    turn: int = 0
    """How many completions this episode has had before."""
    env: Any = None
    """The environment, for policies that may look into it (oracle, random, human); else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a policy answered, exactly as far as it is known. No field is ever invented."""

    text: str
    """The action: what the environment is stepped with."""
    reasoning: str | None = None
    """Reasoning that the server reported apart from the text, or None."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Native tool calls, in order."""
    token_ids: Any = None
    """The sampled ids (sequence of int, length T), or None where the server does not tell."""
    logprobs: Any = None
    """Log-probability of each sampled id (nats, length T), or None."""
    prompt_token_ids: Any = None
    """The ids that the server really conditioned on (length P), or None."""
    finish_reason: FinishReason = FinishReason.STOP
    """Why it ended."""
    usage: Usage = Usage()  # one for all: it cannot be changed
    """Token counts."""
    policy_version: int | str | None = None
    """Version of the weights that sampled it, where the policy knows one."""
