"""Which task every member of a group vector environment gets, episode after episode.

Invariant: the members of a group get the same task in their n-th episode, whatever was played in between and
whatever failed. Under a run seed ``s``, group ``g`` of ``G`` gets in its n-th episode what group ``n * G + g`` of
a rollout of run seed ``s`` gets; a list of seeds is handed to the environments as it is, which then go on by
themselves, as under Gymnasium's own vector environments. This module resets nothing: ``begun`` tells it what has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from textgym.errors import ConfigError
from textgym.rollouts.plan import group_seed

__all__ = ["EpisodeKey", "Schedule"]

EpisodeKey: TypeAlias = tuple[int, int, int]
"""Group, course and number of an episode: equal for the members of a group that play the same task."""
_PER_GROUP = ("index", "example")


@dataclass(frozen=True, slots=True)
class _Course:
    """What one call of ``seed`` began."""

    number: int
    run_seed: int | None
    seeds: Sequence[int | None] = ()


class Schedule:
    """The tasks of one vector environment.

    Args:
        num_groups: Groups.
        group_size: Members of each.
        locate: ``(run_seed, group) -> index`` of a finite dataset's row, or None where the seed decides.
    """

    def __init__(
        self, num_groups: int, group_size: int, locate: Callable[[int, int], int | None] | None
    ) -> None:
        self._groups, self._size, self._locate = num_groups, group_size, locate
        self._courses: list[_Course | None] = [None] * (num_groups * group_size)
        self._episodes = [0] * (num_groups * group_size)
        self._newest = 0
        self.unseeded = list(range(num_groups * group_size))
        """The members that have no course yet."""

    def seed(self, seed: int | Sequence[int | None], members: Iterable[int]) -> None:
        """Begin a course for some members; the others stay on theirs.

        Args:
            seed: A run seed, or one seed a member of the whole environment, or one a group.
            members: For whom it is.

        Raises:
            ConfigError: It is no seed, or a list has another length.
        """
        if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str | bytes):
            run_seed, seeds = None, self._of_members(seed)
        else:
            run_seed, seeds = _number(seed), []
        self._newest += 1
        course = _Course(self._newest, run_seed, seeds)
        for member in members:
            self._courses[member], self._episodes[member] = course, 0
        self.unseeded = [member for member in self.unseeded if self._courses[member] is None]

    def _of_members(self, seed: Any) -> list[int | None]:
        members = len(self._courses)
        if len(seed) == members:
            return [None if one is None else _number(one) for one in seed]
        if len(seed) != self._groups:
            raise ConfigError(
                f"seed lists {len(seed)} seeds: give one for each of the {members} members or "
                f"{self._groups} groups"
            )
        return [_number(one) for one in seed for _ in range(self._size)]  # None would part the group

    def task(self, member: int, options: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Seed and options of a member's next episode.

        Args:
            member: Index of the member, which has a course.
            options: Reset options of the vector environment: ``index`` and ``example`` may be lists with one entry
                a group.

        Raises:
            ConfigError: Such a list has another length.
        """
        group, episode, course = member // self._size, self._episodes[member], self._courses[member]
        assert course is not None
        own = {name: self._of_group(name, value, group) for name, value in options.items()}
        if course.run_seed is None:
            return (course.seeds[member] if episode == 0 else None), own
        number = episode * self._groups + group
        if self._locate is not None and not own.keys() & set(_PER_GROUP):
            index = self._locate(course.run_seed, number)
            if index is not None:
                own["index"] = index
        return group_seed(course.run_seed, number), own

    def begun(self, member: int) -> EpisodeKey:
        """Note that a member has begun its next episode, and name that."""
        course = self._courses[member]
        assert course is not None
        self._episodes[member] += 1
        return member // self._size, course.number, self._episodes[member] - 1

    def _of_group(self, name: str, value: Any, group: int) -> Any:
        if name not in _PER_GROUP or not isinstance(value, list | tuple | np.ndarray):
            return value
        if len(value) != self._groups:
            raise ConfigError(
                f"reset option {name} lists {len(value)} entries: give one for each of the {self._groups} groups"
            )
        return value[group]


def _number(seed: Any) -> int:
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or seed.__index__() < 0:
        raise ConfigError(
            f"seed is {seed!r:.60}: it must be a whole number of at least 0, or a list of such with one a member "
            "or one a group"
        )
    return int(seed.__index__())
