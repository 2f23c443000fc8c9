"""Plain records: a trajectory as one flat JSON object, for reading and for supervised fine-tuning.

Invariant: every field is taken from the trajectory as it is; nothing is rendered, tokenized or cut. The
formats of trainers, which need token ids, are not made here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError
from textgym.rollouts.trajectory import Trajectory

__all__ = ["DEFAULT_FIELDS", "FIELDS", "ONLY", "plain_record", "select"]


def _messages(trajectory: Trajectory) -> list[dict[str, Any]]:
    return [{k: v for k, v in message.items() if k != "sampled"} for message in trajectory.messages]


def _prompt(trajectory: Trajectory) -> str:
    if trajectory.steps:
        return trajectory.steps[0].observation
    return "\n\n".join(str(message.get("content") or "") for message in trajectory.messages)


def _attribute(name: str) -> Callable[[Trajectory], Any]:
    return lambda trajectory: getattr(trajectory, name)


FIELDS: Mapping[str, Callable[[Trajectory], Any]] = {
    "messages": _messages,
    "prompt": _prompt,
    "completion": _attribute("completion"),
    "answer": _attribute("answer"),
    "reward": _attribute("reward"),
    "rewards": _attribute("rewards"),
    "example_id": _attribute("example_id"),
    "group_id": _attribute("group_id"),
    "sample": _attribute("sample"),
    "stop_reason": lambda trajectory: trajectory.stop_reason.value,
    "completions": lambda trajectory: [step.action for step in trajectory.steps],
    "env_id": _attribute("env_id"),
    "env_kwargs": _attribute("env_kwargs"),
    "seed": _attribute("seed"),
    "agent": _attribute("agent"),
    "metrics": _attribute("metrics"),
    "success": _attribute("success"),
    "turns": lambda trajectory: len(trajectory.steps),
    "usage": lambda trajectory: trajectory.usage.to_dict(),
    "steps": lambda trajectory: [step.to_dict() for step in trajectory.steps],
    "tokens": lambda trajectory: None if trajectory.tokens is None else trajectory.tokens.to_dict(),
    "error": lambda trajectory: trajectory.to_dict()["error"],
    "policy": _attribute("policy"),
    "policy_version": _attribute("policy_version"),
    "seconds": _attribute("seconds"),
}
"""Name -> what it holds. ``prompt`` is the text of the first observation and ``completion`` the last answer,
so of several turns they are no pair: ``messages`` has the whole conversation."""

DEFAULT_FIELDS = tuple(FIELDS)[:10]
"""The fields of a record for which nobody asked otherwise: ``messages`` to ``stop_reason``."""

ONLY = ("valid", "solved", "all")
"""Which episodes: those that did not fail; of these the successful ones; failed ones as well."""


def plain_record(
    trajectory: Trajectory, fields: Sequence[str] = DEFAULT_FIELDS, *, sampled: bool = False
) -> dict[str, Any]:
    """The named fields of a trajectory, as JSON types.

    Args:
        trajectory: A finished or failed trajectory; the ``reward`` of a failed one is None.
        fields: Names from ``FIELDS``, in the order of the record.
        sampled: Whether each of the ``messages`` also says whether the policy sampled it; worked examples are
            the assistant's as well, and only this tells them apart.

    Raises:
        ConfigError: A field is unknown.

    Example:
        >>> import textgym
        >>> run = textgym.rollout("textgym/Echo-v0", textgym.OraclePolicy(), num_examples=1)
        >>> plain_record(run[0], ["messages", "reward"])["messages"][-1]["role"]
        'assistant'
    """
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        raise ConfigError(f"there is no field {unknown[0]!r}: it must be one of {', '.join(FIELDS)}")
    record = {name: FIELDS[name](trajectory) for name in fields}
    if sampled and "messages" in record:
        record["messages"] = trajectory.messages
    return record


def select(trajectories: Iterable[Trajectory], only: str) -> list[Trajectory]:
    """The trajectories that are wanted.

    Args:
        trajectories: Those of a run.
        only: One of ``ONLY``.

    Raises:
        ConfigError: ``only`` is none of these, or the solved ones are wanted and nobody knows which they are.
    """
    if only not in ONLY:
        raise ConfigError(f"only is {only!r}: it must be one of {', '.join(ONLY)}")
    chosen = list(trajectories)
    if only == "all":
        return chosen
    chosen = [trajectory for trajectory in chosen if trajectory.error is None]
    if only == "valid":
        return chosen
    if chosen and all(trajectory.success is None for trajectory in chosen):
        raise ConfigError(
            "which episodes are solved is unknown, for this environment does not tell success: take the "
            "valid ones and choose by their reward"
        )
    return [trajectory for trajectory in chosen if trajectory.success]
