"""Groups in the making: members arrive one by one; a complete group is compared and handed out.

Invariant: where a rubric compares members, no trajectory leaves before its group is complete, so nobody
sees a reward that changes later. Failed members are left out of the comparison; if it fails, or fewer than
two members are valid, the valid ones become errors of the boundary ``reward``, never a silent 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textgym.errors import ConfigError
from textgym.rollouts.episode import judged
from textgym.rollouts.shares import Report, Share
from textgym.rollouts.trajectory import Boundary, Failure, Trajectory
from textgym.types import StopReason

__all__ = ["Grouping"]


@dataclass(slots=True)
class _Open:
    """A group of which something is still to come."""

    left: int
    missing: int
    held: list[tuple[Trajectory, Mapping[str, Any] | None]] = field(default_factory=list)


class Grouping:
    """The open groups of one player.

    Args:
        judge: The environment whose ``score_group`` compares members, or None if nothing does.
        whole: Whether trajectories leave only with their whole group, although nothing compares them.
    """

    def __init__(self, judge: Any = None, *, whole: bool = False) -> None:
        self._judge = judge
        self._holds = whole or judge is not None
        self._open: dict[int, _Open] = {}

    @property
    def compares(self) -> bool:
        """Whether members are compared, so that a trajectory is final only with its group."""
        return self._judge is not None

    def begin(self, share: Share) -> None:
        """Open a group."""
        self._open[share.group_id] = _Open(len(share.tasks), share.missing)

    def is_open(self, number: int) -> bool:
        """Whether a group still needs members."""
        return number in self._open

    async def add(self, trajectory: Trajectory, member: Mapping[str, Any] | None = None) -> Report:
        """Add a finished member.

        Args:
            trajectory: Its record.
            member: What the comparison needs of it; None if it failed.

        Raises:
            ConfigError: A group function asks for something that is not there.
        """
        number = trajectory.group_id
        group = self._open.get(number)
        if group is None:  # it came in while its group was being closed
            return Report(number, cancelled=1)
        group.left -= 1
        group.missing -= trajectory.error is None
        if self._holds:
            group.held.append((trajectory, member))
        if group.left and group.missing > 0:
            return Report(number, () if self._holds else (trajectory,))
        del self._open[number]
        if not self._holds:
            return Report(number, (trajectory,), closed=True)
        members = sorted(group.held, key=lambda member: member[0].sample)
        if self.compares:
            await self._compare([(t, m) for t, m in members if t.error is None and m is not None])
        return Report(number, tuple(trajectory for trajectory, _ in members), closed=True)

    async def _compare(self, members: Sequence[tuple[Trajectory, Mapping[str, Any]]]) -> None:
        arguments = [{**member, "reward": trajectory.reward} for trajectory, member in members]
        try:
            scores = await self._judge.score_group(arguments)
        except ConfigError:
            raise
        except Exception as error:
            for trajectory, _ in members:
                _fail(trajectory, error)
            return
        for (trajectory, _), score in zip(members, scores, strict=True):
            trajectory.reward = (trajectory.reward or 0.0) + score.reward
            for name, value in score.rewards.items():
                trajectory.rewards[name] = trajectory.rewards.get(name, 0.0) + value
            trajectory.metrics.update(score.metrics)
            trajectory.success = judged(self._judge.success(trajectory))


def _fail(trajectory: Trajectory, error: Exception) -> None:
    trajectory.reward = trajectory.success = None
    trajectory.stop_reason = StopReason.ERROR
    trajectory.error = Failure(
        boundary=Boundary.REWARD,
        type=type(error).__name__,
        message=str(error),
        turn=len(trajectory.steps),
        where="group",
    )
