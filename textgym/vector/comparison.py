"""Group rewards: what the members of a group earn when the last of them has ended.

Invariant: only members that played the same task to its end are compared, and a group is compared once; one of
which a member was reset before its end is not compared at all. This module scores nothing itself, the rubric does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from textgym.hooks import settle
from textgym.vector.schedule import EpisodeKey

__all__ = ["Comparison"]

_Group: TypeAlias = dict[int, Mapping[str, Any] | None]


class Comparison:
    """Who has ended in which episode, until the whole group has.

    Args:
        envs: The environments of the members.
        group_size: Members of a group.
    """

    def __init__(self, envs: Sequence[Any], group_size: int) -> None:
        self._envs, self._size = envs, group_size
        self._courses: list[tuple[int, int] | None] = [None] * len(envs)
        self._playing: list[EpisodeKey | None] = [None] * len(envs)
        self._returns = [0.0] * len(envs)
        self._left: list[dict[EpisodeKey, _Group]] = [{} for _ in range(len(envs) // group_size)]
        """By group: who has left an episode that others still play, and with what (None: before its end)."""

    def begin(self, member: int, episode: EpisodeKey) -> None:
        """A member begins an episode; if it has not ended the one before, its group misses it there."""
        self._leave(member, None)
        # Who is seeded anew never comes where others wait.
        if self._courses[member] not in (None, episode[:2]):
            waiting = self._left[episode[0]]
            for key in [key for key in waiting if key[:2] == self._courses[member]]:
                del waiting[key]
        self._courses[member], self._playing[member], self._returns[member] = episode[:2], episode, 0.0

    def earn(self, member: int, reward: float) -> None:
        """A member earns something of its own."""
        self._returns[member] += reward

    async def end(self, member: int) -> list[tuple[int, dict[str, Any]]]:
        """A member has ended.

        Returns:
            (member, ``{"group_rewards": {name: reward}}``) of its whole group if it is the last one, else nothing.

        Raises:
            RewardError: The comparison failed.
        """
        env = self._envs[member].unwrapped
        group = self._leave(member, {**env.group_member(), "reward": self._returns[member]})
        if group is None:
            return []
        members = sorted(group)
        scores = await settle(env.score_group([group[one] for one in members]))
        rewards = [{"group_rewards": dict(score.rewards)} for score in scores]
        return list(zip(members, rewards, strict=True))

    def _leave(self, member: int, result: Mapping[str, Any] | None) -> _Group | None:
        """Note how a member left its episode; its group if that is complete and can be compared."""
        episode, self._playing[member] = self._playing[member], None
        if episode is None:
            return None
        first = episode[0] * self._size
        if any(course not in (None, episode[:2]) for course in self._courses[first : first + self._size]):
            return None
        group = self._left[episode[0]].setdefault(episode, {})
        group[member] = result
        if len(group) < self._size:
            return None
        del self._left[episode[0]][episode]
        return None if None in group.values() else group
