"""Who runs when, and what is trained on, event by event: the rule of ``policy``.

Invariant: the bound on staleness holds for every trained group, and a group ends trained, dropped or
unfinished, never twice.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduling.cluster import Clock, Cluster, Request, falling_rates
from scheduling.policy import Engines, Late, Order, Policy, Routing
from scheduling.workload import Group, Workload

__all__ = ["Client", "Trained"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A group that was trained on."""

    staleness: int
    """Versions between its start and its training."""
    group: Group
    """What was drawn."""
    kept: list[int]
    """The samples that were trained on, by row, in the order in which they were done."""


class _Episode:
    __slots__ = ("active", "context", "group", "home", "request", "row", "turn", "visited")

    def __init__(self, group: _Running, row: int) -> None:
        self.group, self.row, self.turn = group, row, 0
        self.home = self.visited = -1
        self.context = 0.0
        self.request: Request | None = None
        self.active = False


class _Running:
    __slots__ = ("drawn", "episodes", "is_over", "kept", "read_at", "stamp")

    def __init__(self, drawn: Group, stamp: int) -> None:
        self.drawn, self.stamp = drawn, stamp
        self.episodes = [_Episode(self, row) for row in range(len(drawn.tokens))]
        self.kept: list[int] = []
        self.read_at: set[int] = set()
        self.is_over = False


class _Least:
    """The replica with the least load, in constant time: loads are small whole numbers."""

    def __init__(self, replicas: int) -> None:
        self._load = [0] * replicas
        self._levels: list[dict[int, None]] = [dict.fromkeys(reversed(range(replicas)))]
        self._lowest = 0

    def add(self, replica: int, amount: int) -> None:
        load = self._load[replica]
        del self._levels[load][replica]
        self._load[replica] = load = load + amount
        while len(self._levels) <= load:
            self._levels.append({})
        self._levels[load][replica] = None
        self._lowest = min(self._lowest, load)

    def pick(self) -> int:
        """A replica of the least load: of several the one that got there last."""
        levels = self._levels
        while not levels[self._lowest]:
            self._lowest += 1
        replica, _ = levels[self._lowest].popitem()
        levels[self._lowest][replica] = None
        return replica


class Client:
    """Plays groups on a cluster and trains on them.

    Args:
        workload: What is generated.
        engines: Where.
        policy: How.
    """

    def __init__(self, workload: Workload, engines: Engines, policy: Policy) -> None:
        self.workload, self.engines, self.policy = workload, engines, policy
        self.clock = Clock()
        rates = falling_rates(engines.slots, engines.single_rate, engines.share_when_full)
        self.cluster = Cluster(self.clock, engines.replicas, rates, self._answered)
        self.version = 0
        self.trained: list[Trained] = []
        """In the order of training."""
        self.dropped: list[Group] = []
        self.waits: list[float] = []
        """Of all requests that ended."""
        self.lost_work = 0.0
        """Tokens that aborted requests had got."""
        self._needed = workload.group_size - policy.extra_members
        if self._needed < 1:
            raise ValueError(
                f"extra_members is {policy.extra_members}: it must be less than the group_size, "
                f"{workload.group_size}"
            )
        self._places = max(1, round(engines.load * engines.replicas * engines.slots))
        self._under_way = 0
        self._ready: deque[_Episode] = deque()
        self._window: deque[Group] = deque()
        self._drawn = 0
        self._alive: dict[_Running, None] = {}
        self._stamps: Counter[int] = Counter()
        self._finished: dict[int, deque[_Running]] = {}
        self._least = _Least(engines.replicas)
        self._is_training = False
        self.marks: list[dict[str, float]] = []
        """Totals at the beginning of every training step."""

    def run(self, batches: int) -> None:
        """Go on until so many batches have been trained."""
        self._admit()
        self.clock.run(until=lambda: len(self.marks) >= batches)

    # Starting.

    def _admit(self) -> None:
        while self._under_way < self._places:
            if not self._ready and not self._start():
                return
            episode = self._ready.popleft()
            if not episode.group.is_over:
                self._under_way += 1
                episode.active = True
                self._attach(episode)
                self._ask(episode)

    def _start(self) -> bool:
        policy = self.policy
        if self._is_training and not policy.staleness:
            return False
        living = len(self.trained) + self._stamps.total()
        allowed = (self.version + policy.staleness) * policy.batch + math.ceil(
            policy.over_sampling * policy.batch
        )
        if living >= allowed:
            return False
        group = _Running(self._next(), self.version)
        self._alive[group] = None
        self._stamps[group.stamp] += 1
        self._ready.extend(group.episodes)
        return True

    def _next(self) -> Group:
        if not self._window:
            size = math.ceil(self.policy.over_sampling * self.policy.batch)
            groups = [self.workload.group(self._drawn + i) for i in range(size)]
            self._drawn += size
            if self.policy.order is not Order.GIVEN:
                backwards = self.policy.order is Order.LONGEST
                groups.sort(key=lambda group: group.expected, reverse=backwards)
            self._window.extend(groups)
        return self._window.popleft()

    # Routing.

    def _attach(self, episode: _Episode) -> None:
        group = episode.group
        if self.policy.routing is Routing.GROUP:
            if episode.home < 0:
                home = self._least.pick()
                self._least.add(home, len(group.episodes))
                for member in group.episodes:
                    member.home = home
        elif self.policy.routing is Routing.SAMPLE:
            episode.home = self._least.pick()
            self._least.add(episode.home, 1)

    def _leave(self, episode: _Episode) -> None:
        """The episode is over, or the turn where each has its own replica."""
        if episode.home >= 0:
            self._least.add(episode.home, -1)
            episode.home = -1

    def _ask(self, episode: _Episode) -> None:
        if self.policy.routing is Routing.TURN:
            episode.home = self._least.pick()
            self._least.add(episode.home, 1)
        group, home = episode.group, episode.home
        prompt = self.workload.prompt_tokens
        if home == episode.visited:
            unread = 0.0
        elif home in group.read_at:
            unread = episode.context
        else:
            unread = episode.context + prompt
            group.read_at.add(home)
        episode.visited = home
        written = float(group.drawn.tokens[episode.row, episode.turn])
        episode.context += written
        episode.request = Request(episode, written + self.engines.prefill * unread)
        self.cluster.submit(episode.request, home)

    # Going on.

    def _answered(self, request: Request) -> None:
        episode: _Episode = request.owner
        episode.request = None
        self.waits.append(request.wait)
        if self.policy.routing is Routing.TURN:
            self._leave(episode)
        drawn = episode.group.drawn
        if episode.turn < drawn.latencies.shape[1]:
            latency = float(drawn.latencies[episode.row, episode.turn])
            self.clock.at(self.clock.now + latency, self._stepped, episode)
            return
        self._stop(episode)
        group = episode.group
        group.kept.append(episode.row)
        if len(group.kept) == self._needed:
            self._end(group)
            self._finished.setdefault(group.stamp, deque()).append(group)
            self._train()
        self._admit()

    def _stepped(self, episode: _Episode) -> None:
        if not episode.group.is_over:
            episode.turn += 1
            self._ask(episode)

    def _stop(self, episode: _Episode) -> None:
        episode.active = False
        self._under_way -= 1
        self._leave(episode)

    # Training.

    def _train(self) -> None:
        policy = self.policy
        if self._is_training:
            return
        taken = self._oldest()
        if taken is None or (policy.late is Late.WAIT and not self._leaves_time(taken)):
            return
        for stamp, count in taken.items():
            groups = self._finished[stamp]
            for group in (groups.popleft() for _ in range(count)):
                self.trained.append(Trained(self.version - stamp, group.drawn, group.kept))
            self._forget(stamp, count)
        self._is_training = True
        if policy.late is Late.DROP:
            self._drop_late()
        self._mark()
        self.clock.at(self.clock.now + policy.train_seconds, self._trained, None)

    def _oldest(self) -> dict[int, int] | None:
        """How many finished groups of each stamp make the next batch, oldest first; None if there are too few."""
        missing, taken = self.policy.batch, {}
        for stamp in sorted(self._finished):
            taken[stamp] = min(missing, len(self._finished[stamp]))
            missing -= taken[stamp]
        return None if missing else taken

    def _leaves_time(self, taken: Mapping[int, int]) -> bool:
        """Whether all others can still be trained on in time, a batch a version: earliest deadline first."""
        left = 0
        due = self.version - self.policy.staleness
        for stamp in sorted(self._stamps):
            left += self._stamps[stamp] - taken.get(stamp, 0)
            if left > max(0, stamp - due) * self.policy.batch:
                return False
        return True

    def _drop_late(self) -> None:
        due = self.version - self.policy.staleness
        late = [group for group in self._alive if group.stamp <= due]
        for group in late:
            self._end(group)
        for stamp in [stamp for stamp in self._finished if stamp <= due]:
            late += self._finished.pop(stamp)
        for group in late:
            self._forget(group.stamp, 1)
            self.dropped.append(group.drawn)
        if not self.policy.staleness:  # what has not begun would begin with the next batch's
            self.dropped += self._window
            self._window.clear()

    def _forget(self, stamp: int, count: int) -> None:
        """So many groups of a stamp are no longer to be trained on."""
        self._stamps[stamp] -= count
        if not self._stamps[stamp]:
            del self._stamps[stamp]
        if stamp in self._finished and not self._finished[stamp]:
            del self._finished[stamp]

    def _end(self, group: _Running) -> None:
        """Nothing of a group goes on."""
        del self._alive[group]
        group.is_over = True
        for episode in group.episodes:
            self._abort(episode)
        group.episodes = []

    def _abort(self, episode: _Episode) -> None:
        if episode.request is not None:
            self.lost_work += self.cluster.abort(episode.request)
        if episode.active:
            self._stop(episode)
        elif episode.home >= 0:  # it had its place with its group
            self._leave(episode)

    def _trained(self, _: Any) -> None:
        self._is_training = False
        self.version += 1
        self._train()
        self._admit()

    def _mark(self) -> None:
        self.cluster.settle()
        self.marks.append(
            {
                "time": self.clock.now,
                "busy": self.cluster.busy_area,
                "waits": len(self.waits),
                "dropped": len(self.dropped),
            }
        )
