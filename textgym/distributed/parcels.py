"""What crosses between driver and workers: the job once, then shares of tasks and reports.

Invariant: an environment crosses as what it is made from, a policy as its settings: what holds a connection, a
lock or a session does not pickle, and is refused by name before anything starts. Reports are packed as between
the processes of one machine. This module sends nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium as gym

import textgym
from textgym.errors import ConfigError, MissingExtra, RunAborted, TextgymError
from textgym.rollouts.env_source import EnvLike, EnvSource
from textgym.rollouts.packing import PackedReport, packed_error
from textgym.rollouts.plan import Plan
from textgym.rollouts.shares import Share

__all__ = [
    "Answer",
    "Job",
    "pack_job",
    "pack_shares",
    "unpack_job",
    "unpack_shares",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker has to know before its first task."""

    plan: Plan
    """The plan; on the way it has no environments."""
    env: EnvLike
    """What to make environments from."""
    env_kwargs: dict[str, Any]
    """Arguments for it."""
    record_kwargs: dict[str, Any]
    """The same, as trajectories tell them."""
    policy: Any
    """Who plays."""


def pack_job(job: Job) -> bytes:
    """The job as bytes that any process with the same code can read.

    Raises:
        ConfigError: A part of it cannot cross; says which and why.
        MissingExtra: Ray is not installed.
    """
    try:
        from ray import cloudpickle
    except ImportError as error:
        raise MissingExtra("textgym.distributed needs Ray", extra="ray") from error
    plan = job.plan
    job = replace(job, env=_for_others(job.env, plan), plan=replace(plan, source=None))  # type: ignore[arg-type]
    parts = {"env": job.env, "env_kwargs": job.env_kwargs, "policy": job.policy, "tokenizer": plan.template}
    parts |= {"options": plan.options, "sampling": plan.sampling, "limits": plan.limits}
    for name, part in parts.items():
        try:
            cloudpickle.dumps(part)
        except Exception as error:
            raise ConfigError(
                f"{name} cannot be sent to other processes ({type(error).__name__}: {error}): {part!r:.100} "
                "has to pickle, so give what it is made from (an id, a function, settings) and nothing that "
                "holds a connection, a lock or a session"
            ) from error
    return pickle.dumps((textgym.__version__, cloudpickle.dumps(job)))


def _for_others(env: EnvLike, plan: Plan) -> EnvLike:
    """An id as its spec: other processes may not have registered it. It may lack its version, or name a module."""
    if not isinstance(env, str):
        return env
    made = plan.source.prototype.spec
    return gym.spec(env if made is None else made.id)


def unpack_job(data: bytes) -> Job:
    """The job of a worker, with environments of its own.

    Raises:
        ConfigError: It was made by another version of textgym.
    """
    version, packed = pickle.loads(data)
    if version != textgym.__version__:
        raise ConfigError(
            f"the driver has textgym {version} and this worker {textgym.__version__}: install the same version on "
            "every node"
        )
    job: Job = pickle.loads(packed)
    return replace(job, plan=replace(job.plan, source=EnvSource(job.env, job.env_kwargs)))


def pack_shares(shares: Sequence[Share]) -> bytes:
    """Shares as bytes, without the environment's arguments, which the job holds."""
    return pickle.dumps([_with_kwargs(share, {}) for share in shares], 5)


def unpack_shares(data: bytes, job: Job) -> list[Share]:
    """The shares, whole again."""
    return [_with_kwargs(share, job.record_kwargs) for share in pickle.loads(data)]


def _with_kwargs(share: Share, env_kwargs: dict[str, Any]) -> Share:
    return replace(share, tasks=tuple(replace(task, env_kwargs=env_kwargs) for task in share.tasks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a worker says when it is asked: what has become of its groups, and what ended its work."""

    reports: Sequence[PackedReport] = ()
    """In the order of completion."""
    error: bytes | None = None
    """A pickled exception after which it plays no more."""

    def raise_error(self) -> None:
        """Raise the exception, if there is one."""
        if self.error is not None:
            error: BaseException = pickle.loads(self.error)
            raise error

    @classmethod
    def of(cls, error: BaseException) -> Answer:
        """The answer after a failure. Errors of other packages arrive as ``RunAborted``: they may not pickle."""
        if isinstance(error, TextgymError | gym.error.Error) and (packed := packed_error(error)) is not None:
            return cls(error=packed)
        return cls(error=pickle.dumps(RunAborted(f"{type(error).__name__}: {error}")))
