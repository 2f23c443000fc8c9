"""Inference engines with continuous batching, event by event.

A replica has slots; all that run in it advance at the same rate, which falls with their number. So the work
that each gets is one running total of the replica, and a request ends when the total reaches its goal: an
event costs the logarithm of the number of slots.

Invariant: ``work_done`` equals the work of all requests that ended plus what the others have got, and a slot
is empty only while nothing waits at its replica. Who gets which request is the caller's business.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Clock", "Cluster", "Request", "falling_rates"]


def falling_rates(slots: int, single: float, share_when_full: float) -> list[float]:
    """Tokens a second that each of n running requests gets, for n = 0 to ``slots``.

    The time of a decoding step grows linearly with the batch: ``rate(n) = single / (1 + c (n - 1))``.

    Args:
        slots: Slots of a replica.
        single: Rate of one request alone.
        share_when_full: ``rate(slots) / single``; ``1 / slots`` is a shared processor, 1 independent servers.
    """
    slope = (1.0 / share_when_full - 1.0) / (slots - 1) if slots > 1 else 0.0
    return [0.0, *(single / (1.0 + slope * n) for n in range(slots))]


class Clock:
    """Calls things in the order of their times; ties in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._serial = 0

    def at(self, time: float, call: Callable[..., None], argument: Any) -> None:
        """Call ``call(argument)`` at a time that is not past."""
        self._serial += 1
        heapq.heappush(self._events, (time, self._serial, call, argument))

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Go on until nothing is left to happen, or ``until()`` says stop."""
        events = self._events
        while events and not until():
            self.now, _, call, argument = heapq.heappop(events)
            call(argument)


class Request:
    """One generation."""

    __slots__ = ("arrived", "began", "ended", "goal", "owner", "replica", "work")

    def __init__(self, owner: Any, work: float) -> None:
        self.owner, self.work = owner, work
        self.arrived = self.began = self.ended = -1.0
        self.goal = 0.0
        self.replica: _Replica | None = None

    @property
    def wait(self) -> float:
        """Seconds between asking and getting a slot."""
        return self.began - self.arrived


class _Replica:
    __slots__ = ("at", "running", "served", "version", "waiting")

    def __init__(self) -> None:
        self.running: list[tuple[float, int, Request]] = []
        self.waiting: deque[Request] = deque()
        self.served = self.at = 0.0
        self.version = 0


class Cluster:
    """Replicas with slots and a first-come queue each.

    Args:
        clock: Time.
        replicas: How many.
        rates: Tokens a second of each of n running requests, index n; the last index is the number of slots.
        on_end: Called with each request that ends.
    """

    def __init__(
        self, clock: Clock, replicas: int, rates: Sequence[float], on_end: Callable[[Request], None]
    ) -> None:
        self.clock, self.rates, self.slots = clock, list(rates), len(rates) - 1
        self._on_end = on_end
        self._replicas = [_Replica() for _ in range(replicas)]
        self._serial = 0
        self.work_done = 0.0
        """Tokens generated so far (as of the last ``settle``)."""
        self.busy_area = 0.0
        """Slot-seconds used so far."""
        self.queue_area = 0.0
        """Request-seconds waited at replicas so far."""

    @property
    def capacity(self) -> float:
        """Tokens a second when every slot is taken."""
        return len(self._replicas) * self.slots * self.rates[-1]

    def submit(self, request: Request, replica: int) -> None:
        """Hand a request to a replica."""
        home = request.replica = self._replicas[replica]
        request.arrived = self.clock.now
        self._advance(home)
        if len(home.running) < self.slots:
            self._begin(home, request)
            self._reschedule(home)
        else:
            home.waiting.append(request)

    def abort(self, request: Request) -> float:
        """Stop a request that waits or runs.

        Returns:
            The tokens that it had got.
        """
        home = request.replica
        assert home is not None
        self._advance(home)
        if request.began < 0.0:
            home.waiting.remove(request)
            return 0.0
        home.running = [entry for entry in home.running if entry[2] is not request]
        heapq.heapify(home.running)
        self._refill(home)
        return request.work - (request.goal - home.served)

    def settle(self) -> None:
        """Bring the totals up to now."""
        for home in self._replicas:
            self._advance(home)

    def _advance(self, home: _Replica) -> None:
        now = self.clock.now
        spent, count = now - home.at, len(home.running)
        home.at = now
        if not count:  # then nothing waits either
            return
        each = self.rates[count] * spent
        home.served += each
        self.work_done += each * count
        self.busy_area += spent * count
        self.queue_area += spent * len(home.waiting)

    def _begin(self, home: _Replica, request: Request) -> None:
        request.began = self.clock.now
        request.goal = home.served + request.work
        self._serial += 1
        heapq.heappush(home.running, (request.goal, self._serial, request))

    def _refill(self, home: _Replica) -> None:
        if home.waiting:
            self._begin(home, home.waiting.popleft())
        self._reschedule(home)

    def _reschedule(self, home: _Replica) -> None:
        home.version += 1
        if home.running:
            missing = max(home.running[0][0] - home.served, 0.0)
            self.clock.at(
                self.clock.now + missing / self.rates[len(home.running)], self._end, (home, home.version)
            )

    def _end(self, which: tuple[_Replica, int]) -> None:
        home, version = which
        if home.version != version:  # somebody came or went since; a later event stands for this one
            return
        self._advance(home)
        request = heapq.heappop(home.running)[2]
        request.ended = self.clock.now
        self._refill(home)
        self._on_end(request)
