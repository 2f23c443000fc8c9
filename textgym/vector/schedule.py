"""Which task every member of a group vector environment gets, episode after episode.

Invariant: the members of a group get the same task in their n-th episode, whatever was played in between. Under
a run seed ``s``, group ``g`` of ``G`` gets in its n-th episode what group ``n * G + g`` of a rollout of run seed
``s`` gets; a list of seeds is handed to the environments as it is, which then go on by themselves, as under
Gymnasium's own vector environments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym.rollouts.plan import group_seed

__all__ = ["Schedule"]

_PER_GROUP = ("index", "example")


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
        self._run_seed: int | None = None
        self._seeds: list[int | None] = []
        self._episodes = [-1] * (num_groups * group_size)

    @property
    def is_seeded(self) -> bool:
        """Whether it knows how to go on without a new seed."""
        return self._run_seed is not None or bool(self._seeds)

    def seed(self, seed: int | Sequence[int | None]) -> None:
        """Begin anew.

        Args:
            seed: A run seed, or one seed a member, or one a group.

        Raises:
            ConfigError: A list has another length.
        """
        self._episodes = [-1] * len(self._episodes)
        if not isinstance(seed, Sequence | np.ndarray):
            self._run_seed, self._seeds = int(seed), []
            return
        seeds = [None if one is None else int(one) for one in seed]
        if len(seeds) == self._groups:
            seeds = [one for one in seeds for _ in range(self._size)]
        if len(seeds) != len(self._episodes):
            raise ConfigError(
                f"seed lists {len(seeds)} seeds: give one for each of the {len(self._episodes)} members or "
                f"{self._groups} groups"
            )
        self._run_seed, self._seeds = None, seeds

    def begin(self, member: int, options: Mapping[str, Any]) -> tuple[int | None, dict[str, Any]]:
        """Seed and options of a member's next episode.

        Args:
            member: Index of the member.
            options: Reset options of the vector environment: ``index`` and ``example`` may be lists with one entry
                a group.

        Raises:
            ConfigError: Such a list has another length.
        """
        group, episode = member // self._size, self._episodes[member] + 1
        self._episodes[member] = episode
        own = {name: self._of_group(name, value, group) for name, value in options.items()}
        if self._run_seed is None:
            return (self._seeds[member] if episode == 0 else None), own
        number = episode * self._groups + group
        if self._locate is not None and not own.keys() & set(_PER_GROUP):
            index = self._locate(self._run_seed, number)
            if index is not None:
                own["index"] = index
        return group_seed(self._run_seed, number), own

    def episode(self, member: int) -> int:
        """How many episodes a member had before its present one."""
        return self._episodes[member]

    def _of_group(self, name: str, value: Any, group: int) -> Any:
        if name not in _PER_GROUP or not isinstance(value, list | tuple | np.ndarray):
            return value
        if len(value) != self._groups:
            raise ConfigError(
                f"reset option {name} lists {len(value)} entries: give one for each of the {self._groups} groups"
            )
        return value[group]
