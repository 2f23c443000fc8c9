"""Groups in the making: members arrive one by one, and a complete group is scored and handed out.

Invariant: where a rubric compares members, no trajectory leaves before its group is complete, so nobody
sees a reward that changes later. Failed members are left out of the comparison; if it fails, or fewer than
two members are valid, the valid ones become errors of the boundary ``reward``, never a silent 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textgym.errors import ConfigError
from textgym.rollouts.episode import judged
from textgym.rollouts.run import Group
from textgym.rollouts.trajectory import Boundary, Failure, Trajectory
from textgym.types import StopReason

__all__ = ["Grouping"]


@dataclass(slots=True)
class Grouping:
    """The open groups of a run.

    Args:
        size: Members of a group.
        judge: The environment whose ``score_group`` compares members, or None if nothing does.
    """

    size: int
    judge: Any = None
    _open: dict[int, list[tuple[Trajectory, Mapping[str, Any] | None]]] = field(default_factory=dict)

    @property
    def compares(self) -> bool:
        """Whether members are compared, so that a trajectory is final only with its group."""
        return self.judge is not None

    def add(self, trajectory: Trajectory, member: Mapping[str, Any] | None = None) -> bool:
        """Add a finished member.

        Args:
            trajectory: Its record.
            member: What the comparison needs of it; None if it failed.

        Returns:
            Whether its group is complete now.
        """
        members = self._open.setdefault(trajectory.group_id, [])
        members.append((trajectory, member))
        return len(members) == self.size

    def restore(self, trajectories: Iterable[Trajectory]) -> Iterator[Group]:
        """Take over members that an earlier session has finished, and hand out the complete groups.

        Args:
            trajectories: Final records; where members are compared, of whole groups only.
        """
        for trajectory in trajectories:
            if self.add(trajectory):
                members = sorted(self._open.pop(trajectory.group_id), key=lambda member: member[0].sample)
                yield Group(trajectory.group_id, tuple(restored for restored, _ in members))

    async def close(self, number: int) -> Group:
        """Compare the members of a complete group, and hand it out.

        Args:
            number: Index of the group.

        Raises:
            ConfigError: A group function asks for something that is not there.
        """
        members = sorted(self._open.pop(number), key=lambda member: member[0].sample)
        if self.compares:
            await self._compare([(t, m) for t, m in members if t.error is None and m is not None])
        return Group(number, tuple(trajectory for trajectory, _ in members))

    async def _compare(self, members: Sequence[tuple[Trajectory, Mapping[str, Any]]]) -> None:
        arguments = [{**member, "reward": trajectory.reward} for trajectory, member in members]
        try:
            scores = await self.judge.score_group(arguments)
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
            trajectory.success = judged(self.judge.success(trajectory))


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
