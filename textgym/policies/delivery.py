"""Getting one request answered: attempts, waits and the deadline over all of them.

Invariant: ``deliver`` ends by its deadline, whatever the servers do, with a completion or a
``PolicyError`` that names the model, the URL, the attempts and the last trouble. It chooses no
shapes and opens no sockets: those are ``replies.py`` and ``transport.py``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from textgym.errors import PolicyError, ProviderFailed, ProviderUnreachable
from textgym.policies.capture import Capture
from textgym.policies.deadlines import Deadline, Deadlines
from textgym.policies.endpoints import shown_url
from textgym.policies.fleet import Fleet, Server
from textgym.policies.refusals import BUSY, refusal, retry_after
from textgym.policies.replies import parse_reply
from textgym.policies.transport import Reply, Transport, Unfixable
from textgym.types import Completion

__all__ = ["Delivery", "Terms"]

_log = logging.getLogger("textgym.policies.openai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How patient a policy is, and how it reads replies."""

    model: str
    """Name of the model, for messages."""
    timeout: float
    """Seconds for one completion, all attempts and waits included."""
    attempt_timeout: float | None
    """Seconds for one attempt; None lets it take what is left."""
    max_retries: int
    """Most attempts after the first."""
    include_reasoning: bool
    """Whether reasoning belongs to the action."""
    secret: str
    """The API key, to be kept out of messages."""


class Delivery:
    """Delivers requests to a fleet, in one event loop.

    Args:
        fleet: The servers.
        transport: What carries a request to them.
        terms: Patience.
        capture: Finds out what the servers tell about tokens.
    """

    def __init__(self, fleet: Fleet, transport: Transport, terms: Terms, capture: Capture) -> None:
        self.fleet = fleet
        self.transport = transport
        self.capture = capture
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(terms.timeout)
        self._sources = {
            server.base_url: f"model {terms.model!r} at {shown_url(server.base_url)}"
            for server in fleet.servers
        }

    async def aclose(self) -> None:
        """Close the connections."""
        self.capture.close()
        self._deadlines.close()
        await self.transport.aclose()

    async def deliver(
        self, route: str, body: Callable[[], bytes], *, group: str = "", max_tokens: int | None = None
    ) -> Completion:
        """Send one request until it is answered, refused for good, or patience has run out.

        Args:
            route: Path below the base URL.
            body: Writes the JSON document, once the request has its turn: while thousands wait for theirs, the
                documents would be most of what they hold.
            group: Key of the group whose requests stay on one server, or "".
            max_tokens: What the request asks for; tells a wrong setting from a long prompt.

        Returns:
            The completion.

        Raises:
            ProviderUnreachable: No connection could be made at any attempt.
            ProviderFailed: Patience ran out.
            ProviderRejected: The request is refused for good.
            MalformedResponse: The reply has the wrong shape.
        """
        history, data = _History(self._loop.time()), None
        try:
            with Deadline(self._deadlines) as deadline:
                while True:
                    server = await self.fleet.enter(group, history.last_server)
                    history.begin(server)
                    try:
                        if data is None:
                            data = body()
                        return await self._attempt(server, route, data, max_tokens)
                    except (ProviderFailed, ProviderUnreachable) as error:
                        history.last = error
                        if history.attempts > self._terms.max_retries or (
                            isinstance(error, Unfixable) and not self.fleet.another_is_up(server)
                        ):
                            self._give_up(history, "max_retries")
                    finally:
                        self.fleet.leave(server)
                    await self._pause(server, history.last, history.attempts)
        except TimeoutError:
            if not deadline.expired:
                raise
            self._give_up(history, "timeout")

    async def _attempt(self, server: Server, route: str, body: bytes, max_tokens: int | None) -> Completion:
        sent_in = server.round
        try:
            if self._terms.attempt_timeout is None:
                reply = await self.transport.send(server.base_url, route, body)
            else:
                reply = await self._send_within(server, route, body)
            if reply.status >= 300:
                self._refused(reply, server, sent_in, max_tokens)
            completion = parse_reply(
                reply.body,
                self._sources[server.base_url],
                include_reasoning=self._terms.include_reasoning,
                secret=self._terms.secret,
            )
            server.answered(sent_in)
            return completion
        except ProviderUnreachable:
            server.unreachable(self._loop.time())
            raise

    async def _send_within(self, server: Server, route: str, body: bytes) -> Reply:
        seconds = self._terms.attempt_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self.transport.send(server.base_url, route, body)
        except TimeoutError as error:
            if not limit.expired():
                raise
            message = f"no complete reply within attempt_timeout={seconds:g} s"
            raise ProviderFailed(message) from error

    def _refused(self, reply: Reply, server: Server, sent_in: int, max_tokens: int | None) -> NoReturn:
        error = refusal(
            reply.status,
            reply.body,
            reply.headers,
            source=self._sources[server.base_url],
            secret=self._terms.secret,
            max_tokens=max_tokens,
        )
        if isinstance(error, ProviderFailed) and reply.status in BUSY:
            server.refused(sent_in, retry_after(reply.headers))
        else:
            server.answered(sent_in)
        raise error

    async def _pause(self, server: Server, error: PolicyError, attempts: int) -> None:
        """Wait as long as this failure calls for, alone; a throttled server makes all wait."""
        if server.throttle is not None and error.status in BUSY:
            return
        if isinstance(error, ProviderUnreachable) and self.fleet.another_is_up(server):
            return
        seconds = self.fleet.backoff.seconds(attempts)
        _log.debug("%s; attempt %d follows in %.2f s", error, attempts + 1, seconds)
        await asyncio.sleep(seconds)

    def _give_up(self, history: _History, limit: str) -> NoReturn:
        terms, last = self._terms, history.last
        url = (history.last_server or self.fleet.servers[0]).base_url
        source = self._sources[url]
        if isinstance(last, Unfixable):
            raise ProviderUnreachable(f"{source}: {last}") from last
        spent = self._loop.time() - history.started
        attempts = "1 attempt" if history.attempts == 1 else f"{history.attempts} attempts"
        reason = f"{limit}={getattr(terms, limit):g}"
        if last is None:
            waited = "no complete reply" if history.attempts else "no turn behind max_connections others"
            raise ProviderFailed(f"{source}: {waited} within {reason} s ({attempts})")
        kind = ProviderUnreachable if isinstance(last, ProviderUnreachable) else ProviderFailed
        hint = ""
        if kind is ProviderUnreachable:
            hint = ". Is the server running, and is base_url right?"
        raise kind(
            f"{source}: gave up after {attempts} in {spent:.1f} s ({reason}); last: {last}{hint}",
            status=last.status,
        ) from last


class _History:
    """What has happened to one request so far."""

    __slots__ = ("attempts", "last", "last_server", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.attempts = 0
        self.last: PolicyError | None = None
        self.last_server: Server | None = None

    def begin(self, server: Server) -> None:
        self.attempts += 1
        self.last_server = server
