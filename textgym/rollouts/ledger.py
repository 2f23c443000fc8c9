"""The ledger: which groups are still to be played, which worker holds which, what has come of them.

Invariant: at any time every group that is not closed is either waiting or held by exactly one worker, and what
is reported of it counts only if it comes from that worker. What a lost worker held is owed again, less the
episodes that it had delivered. The ledger counts; it knows neither Ray nor clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.packing import PackedReport, lost_episode
from textgym.rollouts.shares import Report, Share

__all__ = ["MAX_LOSSES", "Ledger", "OpenGroup"]

MAX_LOSSES = 3
"""A group that has lost so many workers, the last one while it was played alone, is given up."""


@dataclass(slots=True)
class OpenGroup:
    """A group that is not closed."""

    id: int
    """Its index in the run."""
    owed: dict[int, EpisodeTask]
    """Sample index -> the episode, of those that have no record."""
    missing: int
    """With so many more valid ones it is complete."""
    losses: int = 0
    """Workers that died while they held it."""

    @property
    def suspect(self) -> bool:
        """Whether it is played alone, to see if it is what kills workers."""
        return self.losses >= MAX_LOSSES - 1

    @property
    def share(self) -> Share:
        """What is left to be played."""
        return Share(self.id, tuple(self.owed.values()), self.missing)

    def given_up(self, message: str) -> Report:
        """What is recorded of a group that nobody can play: as many failed members as it is missing."""
        tasks = list(self.owed.values())[: self.missing]
        return Report(
            self.id, tuple(lost_episode(task, "WorkerDied", message) for task in tasks), closed=True
        )


class Ledger:
    """The work of a run, as handed out.

    Args:
        shares: The work; it is read as it is handed out.
        window: Groups that are read ahead, so that the end of the run can be divided evenly.
    """

    def __init__(self, shares: Iterable[Share], window: int) -> None:
        self._fresh: Iterator[Share] = iter(shares)
        self._window = window
        self._waiting: deque[OpenGroup] = deque()
        self._returned: deque[OpenGroup] = deque()
        self._suspects: deque[OpenGroup] = deque()
        self._held: dict[str, dict[int, OpenGroup]] = {}
        self.repeated = 0
        """Episodes that were handed out again because their worker was lost."""
        self._read()

    @property
    def known(self) -> int:
        """Groups that are not closed, as far as they have been read; 0 when all is done."""
        held = sum(map(len, self._held.values()))
        return len(self._waiting) + len(self._returned) + len(self._suspects) + held

    def held(self, worker: str) -> int:
        """Episodes that a worker holds and has not reported."""
        return sum(len(group.owed) for group in self._held.get(worker, {}).values())

    def holders(self) -> list[str]:
        """The workers that hold more than one group, those with most episodes first."""
        several = [worker for worker, groups in self._held.items() if len(groups) > 1]
        return sorted(several, key=self.held, reverse=True)

    def take(self, worker: str, room: int, crew: int) -> list[Share]:
        """Hand out groups.

        Args:
            worker: Who takes them.
            room: Episodes that it has room for; the last group may go beyond.
            crew: Workers that share what is left, so that none takes more than its part of it.

        Returns:
            What is owed of each group; nothing while it plays a suspect, which is always played alone.
        """
        mine = self._held.setdefault(worker, {})
        if not mine and self._suspects:
            return [self._hand(mine, self._suspects.popleft())]
        if any(group.suspect for group in mine.values()):
            return []
        part = max(1, -(-self.known // max(1, crew)))
        taken: list[Share] = []
        while room > 0 and len(mine) < part and (self._returned or self._waiting):
            group = (self._returned or self._waiting).popleft()
            room -= len(group.owed)
            taken.append(self._hand(mine, group))
        self._read()
        return taken

    def tasks(self, worker: str, group: int) -> Mapping[int, EpisodeTask] | None:
        """The episodes that a worker owes of a group, by sample; None if it does not hold the group."""
        found = self._held.get(worker, {}).get(group)
        return None if found is None else found.owed

    def receive(self, worker: str, packed: PackedReport) -> Report:
        """Unpack what a worker reports, and note it if the worker holds the group."""
        tasks = self.tasks(worker, packed.group_id)
        report = packed.unpacked(tasks)
        if tasks is not None:
            self.note(worker, report)
        return report

    def note(self, worker: str, report: Report) -> None:
        """Note what has become of a group that the worker holds."""
        mine = self._held[worker]
        group = mine[report.group_id]
        for trajectory in report.trajectories:
            del group.owed[trajectory.sample]
            group.missing -= trajectory.error is None
        if report.closed:
            del mine[group.id]
            self._read()

    def give_back(self, worker: str, groups: Iterable[int]) -> int:
        """Take groups back from a worker that has not begun them.

        Returns:
            How many groups it held of these.
        """
        mine = self._held.get(worker, {})
        found = [mine.pop(number) for number in groups if number in mine]
        self._returned.extend(found)
        return len(found)

    def lose(self, worker: str) -> OpenGroup | None:
        """Note that a worker is gone: what it held is owed again.

        Returns:
            A group that is given up, as it has killed ``MAX_LOSSES`` workers. It is closed, and it is for the
            caller to record what it is ``given_up`` as.
        """
        lost = self._held.pop(worker, {})
        for group in lost.values():
            group.losses += 1
            if len(lost) == 1 and group.losses >= MAX_LOSSES:
                self._read()
                return group
            self.repeated += len(group.owed)
            (self._suspects if group.suspect else self._returned).append(group)
        return None

    def _hand(self, mine: dict[int, OpenGroup], group: OpenGroup) -> Share:
        mine[group.id] = group
        return group.share

    def _read(self) -> None:
        while len(self._waiting) < self._window and (share := next(self._fresh, None)) is not None:
            owed = {task.sample: task for task in share.tasks}
            self._waiting.append(OpenGroup(share.group_id, owed, share.missing))
