"""The model servers behind one policy: which one gets a request, and how hard they are pushed.

A ``Fleet`` belongs to one event loop. It sends a request to the least loaded server, keeps the
members of a group on one server (whose prefix cache they share), and goes around a server that
cannot be reached. When a server says that it has too much to do (429, 503, 529), its ``Throttle``
holds back *all* requests to it: they wait together, then resume a few at a time.

Invariant: every request that ``enter`` lets in is counted in ``Server.in_flight`` until ``leave``,
also when it is cancelled, and there are never more of them than slots. Nothing here does I/O or
knows HTTP.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence

__all__ = ["Backoff", "Fleet", "Server", "Throttle"]

_GROUPS_KEPT = 8192
_LONGEST_COOL_DOWN = 60.0
_FIRST_COOL_DOWN = 2.0


class Backoff:
    """Jittered exponential waiting times.

    Args:
        first: The first wait, in seconds; each next one is twice as long.
        longest: No wait is longer, in seconds.
    """

    __slots__ = ("_rng", "first", "longest")

    def __init__(self, first: float, longest: float) -> None:
        self.first = first
        self.longest = longest
        self._rng = random.Random()

    def seconds(self, failures: int) -> float:
        """How long to wait after so many failures in a row (at least 1): half fixed, half drawn."""
        whole = min(self.first * 2.0 ** min(failures - 1, 32), self.longest)
        return whole * (0.5 + 0.5 * self._rng.random())


class Throttle:
    """The shared back-off of one server, from the first refusal until it keeps up again.

    After the pause a quarter of the requests that were in flight may run; each success admits one
    more, so the number doubles per round. Another refusal quarters it and doubles the pause.

    Args:
        server: Whose requests to hold back.
        backoff: The pauses, where the server names none.
    """

    def __init__(self, server: Server, backoff: Backoff) -> None:
        self._server = server
        self._backoff = backoff
        self._loop = asyncio.get_running_loop()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._strikes = 0
        self._goal = max(1, server.in_flight)
        self._window = float(self._goal)
        self._resume_at = 0.0

    def strike(self, sent_in: int, retry_after: float | None) -> None:
        """Note that the server refused a request.

        Args:
            sent_in: The server's ``round`` when the request was sent. Requests that were under way
                together are refused together; only the first of them counts.
            retry_after: How long the server asks to wait, in seconds, or None.
        """
        pause = 0.0
        if sent_in == self._server.round:
            self._server.round += 1
            self._strikes += 1
            self._window = max(1.0, min(self._window, self._server.in_flight) / 4)
            pause = self._backoff.seconds(self._strikes if retry_after is None else 1)
        if retry_after is not None:
            pause = max(pause, retry_after)
        self._resume_at = max(self._resume_at, self._loop.time() + pause)
        self.wake()

    def succeed(self, sent_in: int) -> None:
        """Note that the server answered a request that was sent in the given round."""
        if sent_in != self._server.round:
            return
        self._strikes = 0
        self._window += 1.0
        if self._window >= self._goal and not self._waiters:
            self._server.throttle = None
            self.close()

    def admit_at_once(self) -> bool:
        """Count the request as in flight if it need not wait."""
        if self._waiters or not self._open():
            return False
        self._server.in_flight += 1
        return True

    async def admit(self) -> None:
        """Wait for a turn, first come first served, and count the request as in flight."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        self.wake()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._server.release()  # it was admitted in the moment of being cancelled
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def wake(self) -> None:
        """Admit as many waiting requests as may run now; come back when the pause is over."""
        while self._waiters and self._open():
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._server.in_flight += 1
                waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiters and self._resume_at > self._loop.time():
            self._timer = self._loop.call_at(self._resume_at, self.wake)

    def close(self) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self) -> bool:
        return self._server.in_flight < self._window and self._loop.time() >= self._resume_at


class Server:
    """One model server and its load.

    Args:
        base_url: Its base URL, as it stands in messages and records.
        backoff: The pauses of its throttle.
    """

    __slots__ = (
        "_backoff",
        "_failures",
        "base_url",
        "down_until",
        "in_flight",
        "round",
        "served",
        "throttle",
    )

    def __init__(self, base_url: str, backoff: Backoff) -> None:
        self.base_url = base_url
        self.in_flight = 0
        """Requests that are under way."""
        self.served = 0
        """Requests that were ever chosen for it; breaks ties of load."""
        self.down_until = 0.0
        """Time of the loop until which it is taken to be unreachable."""
        self.round = 0
        """Counts the refusals that mattered; a request remembers the one it was sent in, for
        ``refused`` and ``answered``."""
        self.throttle: Throttle | None = None
        """The shared back-off while the server cannot keep up, else None."""
        self._backoff = backoff
        self._failures = 0

    def release(self) -> None:
        """Count the request as done."""
        self.in_flight -= 1
        if self.throttle is not None:
            self.throttle.wake()

    def refused(self, sent_in: int, retry_after: float | None) -> None:
        """The server has too much to do: hold back everything that is sent to it."""
        if self.throttle is None:
            self.throttle = Throttle(self, self._backoff)
        self.throttle.strike(sent_in, retry_after)

    def answered(self, sent_in: int) -> None:
        """The server did its work."""
        self._failures = 0
        self.down_until = 0.0
        if self.throttle is not None:
            self.throttle.succeed(sent_in)

    def unreachable(self, now: float) -> None:
        """No connection could be made: avoid the server for a while, longer each time."""
        if now < self.down_until:
            return  # requests that were under way together fail together
        self._failures += 1
        pause = min(_FIRST_COOL_DOWN * 2.0 ** min(self._failures - 1, 32), _LONGEST_COOL_DOWN)
        self.down_until = now + pause


class Fleet:
    """The servers of one policy, as one event loop sees them. Make it inside that loop.

    Args:
        base_urls: Their base URLs, at least one.
        first_wait: First wait after a failure, in seconds; doubles with each further one.
        slots: Most requests under way at once.
    """

    def __init__(self, base_urls: Sequence[str], first_wait: float, slots: int) -> None:
        self.backoff = Backoff(first_wait, 16 * first_wait)
        pauses = Backoff(first_wait, 64 * first_wait)
        self.servers = tuple(Server(url, pauses) for url in base_urls)
        self._homes: dict[str, Server] = {}
        self._loop = asyncio.get_running_loop()
        # The slots are counted here and not by the connection pool, so that requests which wait
        # for one are held back too when a server throttles, and choose a server late.
        self._slots = asyncio.Semaphore(slots)

    async def enter(self, group: str, avoid: Server | None = None) -> Server:
        """Wait for a slot and a server, and count the request as under way there.

        Args:
            group: Key of the group that stays together, or "".
            avoid: The server that just failed this request; taken only if nothing else is left.

        Returns:
            The server; hand it to ``leave`` afterwards.
        """
        while True:
            await self._slots.acquire()
            server = self._choose(group, avoid)
            throttle = server.throttle
            if throttle is None:
                server.in_flight += 1
                return server
            if throttle.admit_at_once():
                return server
            self._slots.release()  # who waits for one server must not keep others from another
            await throttle.admit()
            admitted_in = server.round
            try:
                await self._slots.acquire()
            except BaseException:
                server.release()
                raise
            if server.round == admitted_in:
                return server
            self.leave(server)

    def leave(self, server: Server) -> None:
        """The request is no longer under way."""
        server.release()
        self._slots.release()

    def another_is_up(self, server: Server) -> bool:
        """Whether a different server could be asked without waiting."""
        now = self._loop.time()
        return any(s is not server and s.down_until <= now for s in self.servers)

    def _choose(self, group: str, avoid: Server | None) -> Server:
        """The group's server while that can be reached, else the least loaded one."""
        servers = self.servers
        if len(servers) == 1:
            return servers[0]
        now = self._loop.time()
        home = self._homes.pop(group, None) if group else None
        if home is None or home is avoid or home.down_until > now:
            home = min(
                servers,
                key=lambda s: (
                    s.down_until > now,
                    s is avoid,
                    s.throttle is not None,
                    s.in_flight,
                    s.served,
                ),
            )
        home.served += 1
        if group:
            self._homes[group] = home
            if len(self._homes) > _GROUPS_KEPT:
                del self._homes[next(iter(self._homes))]
        return home
