"""The crew: the workers of one rollout on a Ray cluster, and the handing out of work to them.

Invariant: the ledger decides who holds what, and only the reports of living workers count. Workers come for work
when they have room, so a slow one holds up nobody; one that has nothing takes over what another has not begun.
A worker that dies, alone or with its node, is replaced, and what it held is handed out again. However the
rollout ends, no actor outlives it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from textgym.distributed.actors import Actors, Lost
from textgym.distributed.parcels import Answer, pack_shares
from textgym.distributed.resources import fitting, told
from textgym.errors import RunAborted
from textgym.rollouts.ledger import MAX_LOSSES, Ledger
from textgym.rollouts.shares import Deliver, Report

__all__ = ["Crew"]

log = logging.getLogger(__name__)

WATCH_SECONDS = 15.0
"""How often it is looked whether the cluster is there and any worker is up."""
RETRY_SECONDS = 1.0
"""Pause before a worker that died while it started is replaced, times the deaths in a row."""
MAX_FAILED_STARTS = 5
"""Workers that may die in a row while one place is filled, before it stays empty."""


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

        self._nodes = ray.nodes
        self._actors = Actors(resources)
        self._job = ray.put(job)
        self._ledger = ledger
        self._size = size
        self._max_concurrency = max_concurrency
        self._resources = resources
        self._deliver = deliver
        self._vacant: set[int] = set()
        self._up: set[str] = set()
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
                    failure = future.result() or failure  # raises what must end everything
                if failure is not None and all(place.done() for place in places) and not over.done():
                    raise failure
        except _Enough:
            pass
        finally:
            futures = [over, watch, *places]
            for future in futures:
                future.cancel()
            try:
                await asyncio.gather(*futures, return_exceptions=True)
            finally:
                await self._actors.dismiss(self._up)

    async def _until_done(self) -> None:
        while self._ledger.known:
            await self._after(self._turn)

    async def _watch(self) -> None:
        """Say so while no worker is up, and give up when none can come any more."""
        nodeless = 0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._actors.check_connected()
            if self._up:
                nodeless = 0
                continue
            wanted = told(self._resources)
            nodeless = 0 if fitting(self._nodes(), self._resources, 1) else nodeless + 1
            if nodeless > 1:  # the first time, another node may be on its way
                raise RunAborted(f"no node is left that could hold a worker ({wanted})")
            log.warning("no worker is up: waiting for %s", wanted)

    async def _fill(self, number: int) -> BaseException | None:
        """Keep one place of the crew filled. Returns why it stays empty."""
        capacity = self._max_concurrency // self._size + (number < self._max_concurrency % self._size)
        deaths = 0
        while True:
            worker = self._actors.hire()
            try:
                answer: Answer = await self._actors.call(worker, "start", self._job, capacity)
                answer.raise_error()
                deaths = 0
                self._up.add(worker)
                self._vacant.discard(number)
                await self._serve(worker, capacity)
            except Lost as lost:
                deaths += worker not in self._up
                trouble: Exception = lost
            except Exception as error:
                if worker in self._up:
                    raise
                deaths, trouble = MAX_FAILED_STARTS, error
            self._vacant.add(number)
            self._drop(worker, trouble)
            if deaths >= MAX_FAILED_STARTS:
                if isinstance(trouble, Lost):
                    return RunAborted(f"{deaths} workers died while they started: {trouble}")
                return trouble
            await asyncio.sleep(RETRY_SECONDS * deaths)  # Ray takes a while to see that a node is dead

    async def _serve(self, worker: str, capacity: int) -> None:
        """Hand out work to one worker and take in what it has finished, until it is lost."""
        ledger, quick = self._ledger, 0
        while True:
            turn = self._turn
            # A worker that is quick may hold as much again as it has just finished, so as not to run dry.
            room = capacity + min(quick, capacity) - ledger.held(worker)
            shares = ledger.take(worker, room, self._size - len(self._vacant))
            if shares or ledger.held(worker):
                answer: Answer = await self._actors.call(worker, "exchange", pack_shares(shares))
                answer.raise_error()
                quick = sum(len(packed.trajectories) for packed in answer.reports)
                for packed in answer.reports:
                    self._pass_on(ledger.receive(worker, packed))
            elif not await self._relieve_somebody():
                await self._after(turn)

    def _pass_on(self, report: Report) -> None:
        if not self._deliver(report):
            raise _Enough
        if not self._ledger.known:
            self._change()

    async def _relieve_somebody(self) -> bool:
        """Take back what some worker holds and has not begun."""
        for holder in self._ledger.holders():
            try:
                groups = await self._actors.call(holder, "give_back")
            except Lost:
                # It may have let go of groups that nobody knows of: whoever serves it finds it dead.
                self._actors.kill(holder)
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
        self._actors.kill(worker)
        before = self._ledger.repeated
        lost = self._ledger.lose(worker)
        again = self._ledger.repeated - before
        log.warning("worker %s is lost, %d episodes are played again: %s", worker, again, trouble)
        self._change()
        if lost is not None:
            self._pass_on(lost.given_up(f"the worker that played it died, {MAX_LOSSES} times: {trouble}"))


class _Enough(Exception):
    """The run has what it needs."""
