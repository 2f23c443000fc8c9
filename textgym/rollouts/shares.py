"""The seam between a run and whoever plays its episodes: shares of work go out, reports come back.

Invariant: a group is played whole by one player, so that its members can be compared there and stopped early. The
run alone writes the record; a player knows neither the run directory nor the other players.

``slots.py`` plays on the running event loop, ``processes.py`` hands shares to other processes, where slots play
them. Anything else (a cluster) is one more class with ``play``. Whoever hands them on keeps ``ledger.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.trajectory import Trajectory

__all__ = ["ANY_GROUP", "Deliver", "Player", "Report", "Share"]

ANY_GROUP = -1
"""Stands for the groups that were under way when the run had enough."""


@dataclass(frozen=True, slots=True)
class Share:
    """What is to be played of one group."""

    group_id: int
    """Index of the group."""
    tasks: tuple[EpisodeTask, ...]
    """Its episodes, in the order in which they begin."""
    missing: int
    """With so many valid ones the group is complete."""


@dataclass(slots=True)
class Report:
    """What has become of a share."""

    group_id: int
    """Index of the group."""
    trajectories: tuple[Trajectory, ...] = ()
    """Episodes whose record is final."""
    closed: bool = False
    """Whether the group is complete now."""
    cancelled: int = 0
    """Episodes that were begun and leave no record."""
    retried: int = 0
    """Failed attempts that were replaced."""


Deliver: TypeAlias = Callable[[Report], bool]
"""Takes a report; False says that the run has enough. What it raises ends the run."""


class Player(Protocol):
    """Whoever plays episodes."""

    async def play(self, shares: Iterator[Share], deliver: Deliver) -> None:
        """Play all shares on the running loop, or wait until they are played elsewhere.

        Args:
            shares: The work, drawn from as slots become free.
            deliver: Gets a report whenever something is final, in the order of completion, in this loop's thread.

        Raises:
            AuthenticationFailed: As ``run_episode``; what is under way is cancelled first.
            ConfigError: Likewise.
            RunAborted: The work cannot go on.
        """
        ...
