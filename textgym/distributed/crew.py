"""The crew: the workers of one rollout on a Ray cluster, and the handing out of work to them.

Invariant: the ledger decides who holds what, and only the reports of living workers count. Workers come for work
when they have room, so a slow one holds up nobody; one that has nothing takes over what another has not begun.
A worker that dies, alone or with its node, is replaced, and what it held is handed out again. However the
rollout ends, no actor outlives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from textgym.distributed.parcels import Answer, PackedReport, pack_shares
from textgym.distributed.worker import Worker
from textgym.errors import ConfigError, RunAborted
from textgym.rollouts.ledger import MAX_LOSSES, Ledger
from textgym.rollouts.packing import lost_episode
from textgym.rollouts.shares import Deliver, Report

__all__ = ["Crew", "check_resources", "fitting"]

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""How long workers may take to close their environments before they are killed."""
WATCH_SECONDS = 15.0
"""How often it is looked whether any worker is up."""
RETRY_SECONDS = 1.0
"""Pause before a worker that died while it started is replaced, times the deaths in a row."""
MAX_FAILED_STARTS = 3
"""Workers that may die in a row while one place is filled, before it stays empty."""

_OWN = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""What Ray takes by a name of its own, and what nodes call it."""


def check_resources(resources: Mapping[str, float] | None) -> dict[str, float]:
    """What one worker needs, checked.

    Raises:
        ConfigError: A value is no positive number.
    """
    wanted = {"num_cpus": 1.0, **(resources or {})}
    for name, amount in wanted.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
            raise ConfigError(f"resources[{name!r}] is {amount!r}: it must be a number of at least 0")
    return wanted


def fitting(nodes: Sequence[Mapping[str, Any]], resources: Mapping[str, float], most: int) -> int:
    """How many workers the nodes of a cluster can hold, were they idle.

    Args:
        nodes: As ``ray.nodes()`` tells them.
        resources: What one worker needs.
        most: No more than this are counted.
    """
    needs = {_OWN.get(name, name): amount for name, amount in resources.items() if amount > 0}
    total = 0
    for node in nodes:
        if node["Alive"]:
            has = node["Resources"]
            total += min((int(has.get(name, 0) / amount) for name, amount in needs.items()), default=most)
    return min(total, most)


class Crew:
    """The workers of one rollout.

    Args:
        job: The packed job.
        ledger: The work.
        size: How many workers.
        max_concurrency: Most episodes at a time, of all workers together.
        resources: What one worker needs, as ``check_resources`` gives it.
        deliver: Gets a report of every group, and each trajectory once.
    """

    def __init__(
        self,
        job: bytes,
        ledger: Ledger,
        *,
        size: int,
        max_concurrency: int,
        resources: Mapping[str, float],
        deliver: Deliver,
    ) -> None:
        import ray

        self._ray = ray
        self._job = ray.put(job)
        self._ledger = ledger
        self._size = size
        self._max_concurrency = max_concurrency
        self._resources = resources
        self._actor_class = _actor_class(resources)
        self._deliver = deliver
        self._present = size
        self._actors: dict[str, Any] = {}
        self._up: set[str] = set()
        self._hired = 0
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def play(self) -> None:
        """Play everything that the ledger owes.

        Raises:
            RunAborted: No worker can be had, or one could not go on.
            TextgymError: What ``deliver`` raised, or a worker that met what no other episode could escape.
        """
        places = [asyncio.ensure_future(self._fill(number)) for number in range(self._size)]
        over, watch = (asyncio.ensure_future(self._until_done()), asyncio.ensure_future(self._watch()))
        pending: set[asyncio.Future[Any]] = {over, watch, *places}
        failure: BaseException | None = None
        try:
            while not over.done():
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for future in done - {over}:
                    if future is watch:
                        future.result()
                    failure = future.result() or failure  # raises what must end everything
                if failure is not None and all(place.done() for place in places) and not over.done():
                    raise failure
        except _Enough:
            pass
        finally:
            futures = [over, watch, *places]
            for future in futures:
                future.cancel()
            await asyncio.gather(*futures, return_exceptions=True)
            await self._dismiss()

    async def _until_done(self) -> None:
        while self._ledger.known:
            await self._after(self._turn)

    async def _watch(self) -> None:
        """Say so while no worker is up, and give up when no node is left that could hold one."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._up:
                continue
            if not fitting(self._ray.nodes(), self._resources, 1):
                raise RunAborted(f"no node is left that could hold a worker ({_told(self._resources)})")
            log.warning("no worker is up yet: waiting for %s", _told(self._resources))

    async def _fill(self, number: int) -> BaseException | None:
        """Keep one place of the crew filled. Returns why it stays empty."""
        capacity = self._max_concurrency // self._size + (number < self._max_concurrency % self._size)
        failed, present = 0, True
        while True:
            worker = self._hire()
            try:
                answer: Answer = await self._call(worker, "start", self._job, capacity)
                answer.raise_error()
                failed = 0
                self._up.add(worker)
                self._present += not present
                present = True
                await self._serve(worker, capacity)
            except _Lost as lost:
                failed += worker not in self._up
                trouble: Exception = lost
            except Exception as error:
                if worker in self._up:
                    raise
                failed, trouble = MAX_FAILED_STARTS, error
            self._present -= present
            present = False
            self._drop(worker, trouble)
            if failed >= MAX_FAILED_STARTS:
                if isinstance(trouble, _Lost):
                    return RunAborted(f"{failed} workers died while they started: {trouble}")
                return trouble
            await asyncio.sleep(RETRY_SECONDS * failed)  # Ray takes a while to see that a node is dead

    async def _serve(self, worker: str, capacity: int) -> None:
        """Hand out work to one worker and take in what it has finished, until it is lost."""
        ledger, quick = self._ledger, 0
        while True:
            turn = self._turn
            # A worker that is quick may hold as much again as it has just finished, so as not to run dry.
            room = capacity + min(quick, capacity) - ledger.held(worker)
            shares = ledger.take(worker, room, self._present)
            if shares or ledger.held(worker):
                answer: Answer = await self._call(worker, "exchange", pack_shares(shares))
                answer.raise_error()
                quick = sum(len(packed.trajectories) for packed in answer.reports)
                for packed in answer.reports:
                    self._note(worker, packed)
            elif not await self._relieve_somebody():
                await self._after(turn)

    def _note(self, worker: str, packed: PackedReport) -> None:
        """Note what a worker reports, and pass it on."""
        tasks = self._ledger.tasks(worker, packed.group_id)
        report = packed.unpacked(tasks)
        if tasks is not None:
            self._ledger.note(worker, report)
        self._pass_on(report)

    def _pass_on(self, report: Report) -> None:
        if not self._deliver(report):
            raise _Enough
        if not self._ledger.known:
            self._change()

    async def _relieve_somebody(self) -> bool:
        """Take back what some worker holds and has not begun."""
        for holder in self._ledger.holders():
            try:
                groups = await self._call(holder, "give_back")
            except _Lost:
                # It may have let go of groups that nobody knows of: whoever serves it finds it dead.
                if holder in self._actors:
                    self._ray.kill(self._actors[holder])
                continue
            if self._ledger.give_back(holder, groups):
                self._change()
                return True
        return False

    def _change(self) -> None:
        """Wake up everybody who waits for work or for the end."""
        turn, self._turn = self._turn, asyncio.get_running_loop().create_future()
        turn.set_result(None)

    async def _after(self, turn: asyncio.Future[None]) -> None:
        await asyncio.wait([turn])

    def _drop(self, worker: str, trouble: Exception) -> None:
        """Take a worker from the books, and fail what has killed too many of them."""
        self._up.discard(worker)
        actor = self._actors.pop(worker)
        self._ray.kill(actor)  # one that is only cut off must not go on playing
        before = self._ledger.repeated
        given_up = self._ledger.lose(worker)
        again = self._ledger.repeated - before
        log.warning("worker %s is lost, %d episodes are played again: %s", worker, again, trouble)
        self._change()
        if given_up is not None:
            message = f"the worker that played it died, {MAX_LOSSES} times: {trouble}"
            tasks = list(given_up.owed.values())[: given_up.missing]
            failed = tuple(lost_episode(task, "WorkerDied", message) for task in tasks)
            self._pass_on(Report(given_up.id, failed, closed=True))

    # Ray.

    def _hire(self) -> str:
        self._hired += 1
        name = str(self._hired)
        self._actors[name] = self._actor_class.remote()
        return name

    async def _call(self, worker: str, method: str, *arguments: Any) -> Any:
        """Call a worker's method.

        Raises:
            _Lost: The worker died, or what it answered is gone with its node.
        """
        if worker not in self._actors:
            raise _Lost("it is gone")
        try:
            return await getattr(self._actors[worker], method).remote(*arguments)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            raise _Lost(" ".join(str(error).split())[:300]) from error

    async def _dismiss(self) -> None:
        """Let the workers close what they hold, for a while, and end them."""
        actors, self._actors = self._actors, {}
        try:
            closing = [
                asyncio.ensure_future(_result(actor.close.remote(CLOSE_SECONDS)))
                for name, actor in actors.items()
                if name in self._up
            ]
            if closing:
                await asyncio.wait(closing, timeout=CLOSE_SECONDS + 1)
        finally:
            for actor in actors.values():
                self._ray.kill(actor)


class _Lost(Exception):
    """A worker is gone."""


class _Enough(Exception):
    """The run has what it needs."""


async def _result(reference: Any) -> None:
    try:
        await reference
    except Exception as error:
        log.debug("a worker was not closed: %s", error)


def _actor_class(resources: Mapping[str, float]) -> Any:
    import ray

    return ray.remote(Worker).options(
        **{name: amount for name, amount in resources.items() if name in _OWN},
        resources={name: amount for name, amount in resources.items() if name not in _OWN},
        scheduling_strategy="SPREAD",
        max_restarts=0,  # a new one has to be told the job anyway
        max_task_retries=0,  # a report that is lost with its worker is owed again by the ledger
    )


def _told(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={amount:g}" for name, amount in resources.items())
