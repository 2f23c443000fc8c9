"""The worker: the Ray actor that plays the groups it is handed, in slots, and reports what has become of them.

Invariant: it keeps nothing that matters. Whatever it has not reported is still owed by the driver's ledger, so
it may be killed at any moment. It is made an actor by ``crew.py``; this module does not import Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque

from textgym.distributed.hand import Hand
from textgym.distributed.parcels import Answer, Job, unpack_job, unpack_shares
from textgym.rollouts.packing import PackedReport
from textgym.rollouts.shares import Report
from textgym.rollouts.slots import Slots

__all__ = ["ANSWER_BYTES", "PATIENCE", "Worker"]

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds after which a worker answers even if nothing has finished, so that it can be handed more."""
ANSWER_BYTES = 4 * 2**20
"""An answer ends with the report that makes it longer than this."""


class Worker:
    """One worker of a crew. Its methods run on one event loop, in one process."""

    def __init__(self) -> None:
        self._reports: deque[Report] = deque()
        self._news = asyncio.Event()

    async def start(self, job: bytes, capacity: int) -> Answer:
        """Make ready to play.

        Args:
            job: The packed job.
            capacity: Most episodes at a time.

        Returns:
            An empty answer, or the error that keeps this worker from playing.
        """
        try:
            self._job: Job = unpack_job(job)
            preflight = getattr(self._job.policy, "preflight", None)
            if preflight is not None:
                await preflight()  # the driver could reach the model server; that says nothing of this node
            slots = Slots(self._job.plan, self._job.policy, capacity)
        except Exception as error:
            return Answer.of(error)
        self._hand = Hand(slots.groups.begin)
        self._playing = asyncio.create_task(slots.play_queue(self._hand, self._keep, capacity))
        self._playing.add_done_callback(lambda _: self._news.set())
        return Answer()

    async def exchange(self, shares: bytes) -> Answer:
        """Take over groups, and report what has finished: at once, or as soon as something has.

        Args:
            shares: Packed shares, perhaps none.
        """
        self._hand.add(unpack_shares(shares, self._job))
        if not self._reports and not self._playing.done():
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._news.wait()
        batch: list[PackedReport] = []
        size = 0
        while self._reports and size < ANSWER_BYTES:
            batch.append(PackedReport.of(self._reports.popleft()))
            size += batch[-1].size
        if not batch and self._playing.done() and (error := self._playing.exception()) is not None:
            return Answer.of(error)
        return Answer(reports=batch)

    async def give_back(self) -> list[int]:
        """Let go of half of the groups that are not begun, and name them."""
        return self._hand.give_back()

    async def close(self, patience: float) -> None:
        """Close environments and policy as far as that takes no longer than ``patience`` seconds."""
        try:
            async with asyncio.timeout(patience):
                self._playing.cancel()
                await asyncio.gather(self._playing, return_exceptions=True)
                close = getattr(self._job.policy, "aclose", None)
                if close is not None:
                    await close()
        except Exception:
            log.warning("worker %d was not closed cleanly", os.getpid(), exc_info=True)

    def _keep(self, report: Report) -> bool:
        self._reports.append(report)
        self._news.set()
        return True
