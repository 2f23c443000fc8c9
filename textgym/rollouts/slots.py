"""Slots: many episodes at once on one event loop.

Invariant: ``max_concurrency`` slots, each with an environment of its own, take episodes one after another from
one queue. So at most that many episodes (and requests) are alive, whatever the size of the run; members of a group
begin together; nothing waits for a slow neighbour; and a group is reported the moment it is complete. One episode
is played by ``episode.py``; what becomes of the reports is the run's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Protocol

from textgym import seeding
from textgym.errors import RunAborted
from textgym.policies.policy import Policy
from textgym.rollouts.episode import ASKS_POLICY, EpisodeTask, run_episode
from textgym.rollouts.grouping import Grouping
from textgym.rollouts.plan import Plan
from textgym.rollouts.shares import ANY_GROUP, Deliver, Report, Share
from textgym.rollouts.stepping import Stepper, is_blocking
from textgym.rollouts.threads import Threads
from textgym.rollouts.trajectory import Boundary, Trajectory
from textgym.rollouts.watchdog import LoopWatch, Section

__all__ = ["Queue", "ShareQueue", "Slots"]

log = logging.getLogger(__name__)

PAUSE = 16
"""After this many episodes the event loop gets a turn, even if no episode has waited for anything."""
MOST_THREADS = 256
"""Most threads for environments that block."""


class Queue(Protocol):
    """Where slots take their episodes from."""

    def take(self) -> EpisodeTask | None:
        """The next episode, or None if there is none now."""
        ...

    async def more(self) -> bool:
        """Wait until there may be one; False if none will come."""
        ...


class ShareQueue:
    """The episodes of shares that are drawn as they are needed.

    Args:
        shares: The work.
        begin: Called with each share whose first episode is about to be taken.
    """

    def __init__(self, shares: Iterator[Share], begin: Callable[[Share], object]) -> None:
        self._shares, self._begin = shares, begin
        self._tasks: deque[EpisodeTask] = deque()

    def take(self) -> EpisodeTask | None:
        """The next episode; None when all have been taken."""
        while not self._tasks:
            share = next(self._shares, None)
            if share is None:
                return None
            self._begin(share)
            self._tasks.extend(share.tasks)
        return self._tasks.popleft()

    async def more(self) -> bool:
        """No: what there is can be had at once."""
        return False


class _Enough(Exception):
    """The run has what it needs."""


class Slots:
    """Plays episodes on the running loop.

    Args:
        plan: What they have in common.
        policy: Who plays.
        max_concurrency: How many slots.
    """

    def __init__(self, plan: Plan, policy: Policy, max_concurrency: int) -> None:
        self._plan, self._policy = plan, policy
        self._most = max_concurrency
        judge = plan.source.prototype.unwrapped
        compares = bool(getattr(judge, "compares_members", False))
        self.groups = Grouping(judge if compares else None, whole=plan.scheduling.extra_groups > 0)
        """The groups under way."""
        self._stops_early = plan.scheduling.extra_members > 0
        self._running: dict[int, set[asyncio.Task[Trajectory]]] = {}
        self._retried = 0
        self.under_way = 0
        """Episodes that are begun and not reported."""
        self._since_pause = 0
        self._stopped = False

    async def play(self, shares: Iterator[Share], deliver: Deliver) -> None:
        """Play all shares. Arguments and errors are those of ``Player.play``."""
        await self.play_queue(ShareQueue(shares, self.groups.begin), deliver, self._plan.num_begun)

    async def play_queue(self, queue: Queue, deliver: Deliver, episodes: int) -> None:
        """The same for a queue that may be filled while it is played.

        Args:
            queue: The episodes; their groups are begun by whoever fills it.
            deliver: Gets the reports.
            episodes: How many there are at most.
        """
        count = min(self._most, episodes)
        with self._own_threads(count), self._watch():
            slots = [asyncio.ensure_future(self._slot(queue, deliver)) for _ in range(count)]
            try:
                done, _ = await asyncio.wait(slots, return_when=asyncio.FIRST_EXCEPTION)
                for slot in done:
                    slot.result()
            except _Enough:
                deliver(Report(ANY_GROUP, cancelled=self.under_way))
            finally:
                for slot in slots:
                    slot.cancel()
                await asyncio.gather(*slots, return_exceptions=True)

    @contextlib.contextmanager
    def _own_threads(self, count: int) -> Iterator[None]:
        """Threads for environments that block, as many as episodes may run at a time."""
        if not is_blocking(self._plan.source.prototype):
            yield
            return
        with Threads(min(count, MOST_THREADS)):
            yield

    def _watch(self) -> LoopWatch:
        """Names what blocks the loop."""
        plan = self._plan
        sections = {
            run_episode.__code__: Section(f"environment {plan.source.name}", _BLOCKING_ENV),
            Grouping.add.__code__: Section(f"environment {plan.source.name}", _BLOCKING_ENV),
            Stepper.close.__code__: Section(f"environment {plan.source.name}", _BLOCKING_ENV),
            ASKS_POLICY: Section(f"policy {plan.policy}", _BLOCKING_POLICY),
        }
        return LoopWatch(sections, Section("a function beside the rollout", _BLOCKING_OTHER))

    async def _slot(self, queue: Queue, deliver: Deliver) -> None:
        stepper: Stepper | None = None
        try:
            while not self._stopped:
                task = queue.take()
                if task is None:
                    if not await queue.more():
                        return
                    continue
                if not self.groups.is_open(task.group_id):
                    continue
                self.under_way += 1
                held, stepper = stepper, None
                stepper = await self._play(held, task, deliver)
                self._since_pause += 1
                if self._since_pause >= PAUSE:  # a policy that never waits must not shut out everybody else
                    self._since_pause = 0
                    await asyncio.sleep(0)
        finally:
            if stepper is not None:
                await _close(stepper)

    async def _play(self, stepper: Stepper | None, task: EpisodeTask, deliver: Deliver) -> Stepper | None:
        """Play one episode to its report; returns the environment if it may be used again."""
        attempts = 1 + self._plan.scheduling.retry_failed
        try:
            for attempt in range(attempts):
                if attempt:
                    if not self.groups.is_open(task.group_id):
                        self._deliver(deliver, Report(task.group_id, cancelled=1))
                        return stepper
                    self._retried += 1
                    task = replace(task, sampling_seed=seeding.mix(task.sampling_seed, "retry", attempt))
                if stepper is None:
                    stepper = self._take()
                trajectory = await self._episode(stepper, task)
                if trajectory is None:  # cancelled, because its group has enough
                    used, stepper = stepper, None
                    await _close(used)
                    self._deliver(deliver, Report(task.group_id, cancelled=1))
                    return None
                last = trajectory.error is None or attempt == attempts - 1
                if last:
                    await self._finish(trajectory, stepper, deliver)
                if trajectory.error is not None and trajectory.error.boundary is not Boundary.POLICY:
                    used, stepper = stepper, None
                    await _close(used)  # whatever broke may have left it half-way: start over with a new one
                if last:
                    break
        except BaseException:
            if stepper is not None:
                await _close(stepper)
            raise
        return stepper

    def _episode(self, stepper: Stepper, task: EpisodeTask) -> Awaitable[Trajectory | None]:
        plan = self._plan
        episode = run_episode(stepper, self._policy, task, plan.sampling, plan.limits, plan.template)
        return self._cancellable(episode, task) if self._stops_early else episode

    async def _cancellable(
        self, episode: Coroutine[Any, Any, Trajectory], task: EpisodeTask
    ) -> Trajectory | None:
        """The episode's record; None if it was cancelled because its group has enough."""
        running = self._running.setdefault(task.group_id, set())
        own = asyncio.ensure_future(episode)
        running.add(own)
        try:
            return await own
        except asyncio.CancelledError:
            slot = asyncio.current_task()
            if slot is None or slot.cancelling():
                own.cancel()
                raise
            return None
        finally:
            running.discard(own)

    def _take(self) -> Stepper:
        try:
            env: Any = self._plan.source.take(bare=True)
        except Exception as error:
            self._stopped = True
            raise RunAborted(
                f"another {self._plan.source.name} could not be made: {type(error).__name__}: {error}"
            ) from error
        if hasattr(env.unwrapped, "in_group"):
            env.unwrapped.in_group = True
        return Stepper(env)

    async def _finish(self, trajectory: Trajectory, stepper: Stepper, deliver: Deliver) -> None:
        member = None
        if self.groups.compares and trajectory.error is None:
            member = stepper.env.unwrapped.group_member()  # type: ignore[attr-defined]
        report = await self.groups.add(trajectory, member)
        if report.closed:
            for other in self._running.pop(trajectory.group_id, ()):
                if not other.done():
                    other.cancel()
        self._deliver(deliver, report)

    def _deliver(self, deliver: Deliver, report: Report) -> None:
        report.retried, self._retried = self._retried, 0
        self.under_way -= len(report.trajectories) + report.cancelled
        try:
            enough = not deliver(report)
        except BaseException:
            self._stopped = True
            raise
        if enough:
            self._stopped = True
            raise _Enough


_BLOCKING_ENV = (
    'Make the hook a coroutine that awaits, or set metadata["blocking"] = True, so that the environment is '
    "stepped in threads."
)
_BLOCKING_POLICY = (
    "Make the policy a coroutine that awaits, for instance asyncio.to_thread(function, observation)."
)
_BLOCKING_OTHER = "Run it in a thread: await asyncio.to_thread(function)."


async def _close(stepper: Stepper) -> None:
    try:
        await stepper.close()
    except Exception:
        log.warning("closing %s failed", stepper.env, exc_info=True)
