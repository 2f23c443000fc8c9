"""Reports on their way from one process to another.

Invariant: a trajectory that arrives equals the one that was sent, its token arrays bit for bit; only values of
``messages`` or ``metrics`` that do not pickle become their ``repr``, as in a run directory. One that cannot be
read where it arrives is a failed episode there, and costs no other. This module sends nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass

from textgym import jsontext
from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.shares import Report
from textgym.rollouts.trajectory import Boundary, Failure, Trajectory
from textgym.types import StopReason

__all__ = ["PackedReport", "lost_episode", "packed_error"]


@dataclass(frozen=True, slots=True)
class PackedReport:
    """A report on its way; its trajectories are without the environment's arguments."""

    group_id: int
    """As in the report, like all that follows."""
    closed: bool
    """Whether the group is complete."""
    cancelled: int
    """Episodes that leave no record."""
    retried: int
    """Attempts that were replaced."""
    trajectories: tuple[tuple[int, bytes], ...]
    """Sample index and record of each."""

    @classmethod
    def of(cls, report: Report) -> PackedReport:
        """Pack a report. Its trajectories belong to the caller no more."""
        packed = tuple((trajectory.sample, _packed(trajectory)) for trajectory in report.trajectories)
        return cls(report.group_id, report.closed, report.cancelled, report.retried, packed)

    @property
    def size(self) -> int:
        """Bytes of its trajectories."""
        return sum(len(data) for _, data in self.trajectories)

    def unpacked(self, tasks: Mapping[int, EpisodeTask] | None) -> Report:
        """The report.

        Args:
            tasks: Sample index -> the episode, of those that are owed of its group; None if the group is not
                expected from whoever sent it, so that nothing of it counts but what was left out.
        """
        report = Report(self.group_id, cancelled=self.cancelled, retried=self.retried)
        if tasks is not None:
            report.trajectories = tuple(_unpacked(data, tasks[sample]) for sample, data in self.trajectories)
            report.closed = self.closed
        return report


def lost_episode(task: EpisodeTask, kind: str, message: str) -> Trajectory:
    """The record of an episode that was lost with the process that played it, or on its way.

    Args:
        task: The episode.
        kind: Type of the error.
        message: What happened.
    """
    return Trajectory(
        env_id=task.env_id,
        env_kwargs=task.env_kwargs,
        seed=task.seed,
        group_id=task.group_id,
        sample=task.sample,
        stop_reason=StopReason.ERROR,
        error=Failure(boundary=Boundary.ENV, type=kind, message=message, turn=0),
        policy=task.policy,
    )


def packed_error(error: BaseException) -> bytes | None:
    """An error for another process; None where it cannot be written, or not be read there."""
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)  # some can be written and not read
    except Exception:
        return None
    return packed


def _packed(trajectory: Trajectory) -> bytes:
    trajectory.env_kwargs = {}  # the run has them, and they may hold a whole dataset
    try:
        return pickle.dumps(trajectory, pickle.HIGHEST_PROTOCOL)
    except Exception:  # an object of the environment's that does not pickle must not cost the episode
        plain = jsontext.loads(jsontext.dumps(trajectory.to_dict(), odd=repr))
        return pickle.dumps(Trajectory.from_dict(plain), pickle.HIGHEST_PROTOCOL)


def _unpacked(data: bytes, task: EpisodeTask) -> Trajectory:
    try:
        trajectory: Trajectory = pickle.loads(data)
    except Exception as error:  # it holds an object of a class that only the worker knows
        message = f"its trajectory cannot be read here: {type(error).__name__}: {error}"
        return lost_episode(task, type(error).__name__, message)
    trajectory.env_kwargs = task.env_kwargs
    return trajectory
