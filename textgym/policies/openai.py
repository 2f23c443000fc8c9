"""A policy behind any server that speaks OpenAI's protocol: vLLM, SGLang, llama.cpp, hosted ones.

    policy = OpenAIPolicy("my-model", base_url="http://localhost:8000/v1")
    completion = await policy.complete(request)
    await policy.aclose()

It speaks HTTP through aiohttp, at a small part of the CPU of the ``openai`` package, and owns what
that leaves open: a deadline over everything, retries, a back-off shared by all requests to one
server, byte caps and checked shapes. Invariant: ``complete`` ends within ``timeout`` seconds with a
``Completion`` or a ``PolicyError``, and no message, repr or record shows the API key. It renders no
prompt, counts no tokens, and does not stream.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Self

from textgym.errors import (
    AuthenticationFailed,
    ConfigError,
    ContextOverflow,
    ProviderFailed,
    ProviderRejected,
)
from textgym.policies.bodies import encode_body, form_of, request_body
from textgym.policies.capture import (
    PLAIN,
    Capture,
    CaptureLevel,
    Dialect,
    Form,
    probe_request,
    without_lengths,
)
from textgym.policies.delivery import Delivery, Terms
from textgym.policies.endpoints import OPENAI, api_key_of, base_urls_of, shown_url
from textgym.policies.fleet import Fleet
from textgym.policies.preflight import check_servers
from textgym.policies.sdk import SdkTransport, is_asynchronous
from textgym.policies.transport import HttpLimits, HttpTransport, Transport, affordable_connections
from textgym.types import Completion, CompletionRequest

__all__ = ["OpenAIPolicy"]

_MODES = ("auto", "chat", "completions")
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "textgym",
}


class OpenAIPolicy:
    """Asks a model server for each completion.

    One instance serves many episodes, loops and threads at once; it keeps its connections per event
    loop, so ``aclose`` inside the loop that used it. Copies and pickles start without connections.

    Args:
        model: Name of the model, as the server knows it.
        base_url: Root of the API, usually ending in ``/v1``, or several: then each request goes to
            the least loaded server, the members of a group stay on one, and servers that cannot be
            reached are avoided for a while.
        api_key: The key; None takes the environment variable OPENAI_API_KEY, and without that
            "EMPTY" for servers other than OpenAI's.
        client: An ``openai.AsyncOpenAI`` or ``openai.OpenAI`` to send with, instead of ``base_url``
            and ``api_key``. Its own retries are switched off; byte caps apply after it has read.
        mode: ``chat``, ``completions``, or ``auto``: completions where the request has a prompt.
        timeout: Seconds for one completion, all attempts and waits included.
        attempt_timeout: Seconds for one attempt, after which another is made; None for no limit
            but ``timeout``.
        connect_timeout: Seconds for one connection to be made.
        max_retries: Most further attempts after 408, 409, 429, 5xx, broken connections and replies
            that are no JSON.
        retry_wait: First wait before another attempt, in seconds. Waits double up to 16 times this
            (64 times where the server said that it is busy) and are jittered.
        max_response_bytes: Longest reply that is read.
        max_connections: Most connections of one loop, if the limit on open files allows as many;
            further requests wait for one.
        headers: Further HTTP headers.
        tokens: Ask for token ids and log-probabilities, in whichever dialect the server speaks; it is asked for
            one token first, once. Where it tells none, a warning says so and completions have None there.
            Requests with ``prompt_ids`` ask for them in any case, and fall back to text where the server
            does not continue token ids.
        include_reasoning: Whether reasoning that the server reports apart belongs to the action;
            then it stands in ``<think>`` tags before the text. Tags inside the text stay there.
        extra_body: Further fields of every request body; a request's own sampling wins over them.
        trust_env: Whether to use the proxies that the environment names.

    Raises:
        ConfigError: A value is out of its range, or OpenAI's own server is meant and no key given.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | Sequence[str] = OPENAI,
        api_key: str | None = None,
        client: Any = None,
        mode: Literal["auto", "chat", "completions"] = "auto",
        timeout: float = 600.0,
        attempt_timeout: float | None = None,
        connect_timeout: float = 5.0,
        max_retries: int = 8,
        retry_wait: float = 0.5,
        max_response_bytes: int = 16 * 2**20,
        max_connections: int = 1024,
        headers: Mapping[str, str] | None = None,
        tokens: bool = False,
        include_reasoning: bool = False,
        extra_body: Mapping[str, Any] | None = None,
        trust_env: bool = False,
    ) -> None:
        _check_choices(model, mode, client, base_url)
        _check_seconds(
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            connect_timeout=connect_timeout,
            retry_wait=retry_wait,
        )
        _check_counts(1, max_response_bytes=max_response_bytes, max_connections=max_connections)
        _check_counts(0, max_retries=max_retries)
        self.model = model
        self.name = model
        """The text that names this policy in records."""
        self.mode = mode
        self.tokens = tokens
        self.extra_body = dict(extra_body or {})
        self._client = client
        if client is None:
            self._base_urls = base_urls_of(base_url)
            self._api_key = api_key_of(api_key, self._base_urls)
        else:
            self._base_urls = (str(getattr(client, "base_url", type(client).__name__)).rstrip("/"),)
            self._api_key = str(getattr(client, "api_key", ""))
        self._headers = _merged_headers(self._api_key, headers or {})
        self._retry_wait = retry_wait
        self._limits = HttpLimits(
            connect_timeout=connect_timeout,
            max_connections=max_connections,
            max_response_bytes=max_response_bytes,
            trust_env=trust_env,
        )
        self._terms = Terms(
            model=model,
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            max_retries=max_retries,
            include_reasoning=include_reasoning,
            secret=self._api_key,
        )
        self._known: dict[Form, tuple[Dialect | None, CaptureLevel]] = {}
        self._deliveries: dict[asyncio.AbstractEventLoop, Delivery] = {}
        self._lock = threading.Lock()

    @property
    def base_urls(self) -> tuple[str, ...]:
        """The servers, as they may stand in records: without query strings."""
        return tuple(shown_url(url) for url in self._base_urls)

    @property
    def one_loop(self) -> bool:
        """Whether it has to be used in one event loop for good: an asynchronous client's connections do."""
        return self._client is not None and is_asynchronous(self._client)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask a server.

        Args:
            request: The turn.

        Returns:
            The completion. Fields that the server did not report are None.

        Raises:
            AuthenticationFailed: The credentials are refused.
            ContextOverflow: The prompt does not fit the model's context.
            ProviderRejected: The request is refused for another reason that will not pass.
            ProviderUnreachable: No connection could be made, at any attempt.
            ProviderFailed: Patience ran out; the message holds the last trouble.
            MalformedResponse: The reply has a wrong field, or is longer than the cap.
            ConfigError: The request cannot be written as JSON or has no prompt where one is needed.
        """
        delivery = self._deliveries.get(asyncio.get_running_loop()) or self._open()
        form = form_of(request, self.mode)
        if not self.tokens and form is not Form.IDS:
            return await self._ask(delivery, form, PLAIN[form], request)
        try:
            if form in self._known:
                form, dialect = await self._captured(delivery, form, request)
                completion = await self._ask(delivery, form, dialect, request)
            else:
                completion, form = await self._first(delivery, form, request)
        except ProviderRejected as error:
            if not isinstance(error, AuthenticationFailed | ContextOverflow):
                delivery.capture.forget(form)
            raise
        if form is Form.IDS and completion.prompt_token_ids is None:
            return replace(completion, prompt_token_ids=request.prompt_ids)  # it continued what it was sent
        return completion

    async def _first(
        self, delivery: Delivery, form: Form, request: CompletionRequest
    ) -> tuple[Completion, Form]:
        """Find out how to ask and ask, both before the deadline of one completion."""
        seconds = self._terms.timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                form, dialect = await self._captured(delivery, form, request)
                return await self._ask(delivery, form, dialect, request), form
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ProviderFailed(
                f"model {self.model!r} at {self.base_urls[0]}: no complete reply within timeout={seconds:g} s, "
                "the question how the server tells tokens included"
            ) from error

    async def _captured(
        self, delivery: Delivery, form: Form, request: CompletionRequest
    ) -> tuple[Form, Dialect]:
        """In which form and dialect to send a request whose tokens are wanted."""
        found = self._known.get(form)
        if found is None:
            probe, extra = probe_request(request), without_lengths(self.extra_body)
            dialect = await delivery.capture.dialect(
                form, lambda dialect: self._ask(delivery, form, dialect, probe, extra)
            )
        else:
            dialect = found[0]
        if dialect is not None:
            return form, dialect
        other = Form.CHAT if request.messages or request.prompt is None else Form.PROMPT
        chosen = await self._captured(delivery, other, request)
        delivery.capture.leave_ids()
        return chosen

    def _ask(
        self,
        delivery: Delivery,
        form: Form,
        dialect: Dialect,
        request: CompletionRequest,
        extra: Mapping[str, Any] | None = None,
    ) -> Coroutine[Any, Any, Completion]:
        extra = self.extra_body if extra is None else extra
        return delivery.deliver(
            dialect.route,
            partial(self._body, form, dialect, request, extra),
            group=request.group,
            max_tokens=request.sampling.max_tokens,
        )

    def _body(
        self, form: Form, dialect: Dialect, request: CompletionRequest, extra: Mapping[str, Any]
    ) -> bytes:
        return encode_body(request_body(request, model=self.model, form=form, dialect=dialect, extra=extra))

    @property
    def capture_level(self) -> CaptureLevel | None:
        """How much the servers tell about tokens, or None while they have not been asked."""
        levels = [level for dialect, level in self._known.values() if dialect is not None]
        return min(levels, key=list(CaptureLevel).index) if levels else None

    async def preflight(self) -> None:
        """Ask every server for its models, within 5 seconds in all.

        Any HTTP answer will do except 401 and 403.

        Raises:
            ProviderUnreachable: A server does not answer; names all that do not.
            AuthenticationFailed: A server refuses the credentials.
        """
        delivery = self._deliveries.get(asyncio.get_running_loop()) or self._open()
        await check_servers(delivery.transport, self._base_urls)

    async def aclose(self) -> None:
        """Close the connections of the running loop; a later request opens new ones."""
        delivery = self._deliveries.pop(asyncio.get_running_loop(), None)
        if delivery is not None:
            await delivery.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def describe(self) -> dict[str, Any]:
        """What a record of a run says about this policy: JSON types, and never a key."""
        return {
            "policy": type(self).__name__,
            "model": self.model,
            "base_urls": list(self.base_urls),
            "mode": self.mode,
            "tokens": self.tokens,
            "include_reasoning": self._terms.include_reasoning,
            "extra_body": self.extra_body,
        }

    def __repr__(self) -> str:
        urls = self.base_urls[0] if len(self.base_urls) == 1 else list(self.base_urls)
        return f"{type(self).__name__}({self.model!r}, base_url={urls!r}, mode={self.mode!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self._client is not None:
            raise TypeError(
                "an OpenAIPolicy with client=… cannot be pickled, because the client cannot: give "
                "base_url and api_key instead"
            )
        return self._state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._deliveries = {}
        self._lock = threading.Lock()

    def __copy__(self) -> Self:
        twin = object.__new__(type(self))
        twin.__setstate__(self._state())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def _state(self) -> dict[str, Any]:
        state = self.__dict__ | {"extra_body": dict(self.extra_body), "_known": dict(self._known)}
        del state["_deliveries"], state["_lock"]
        return state

    def _open(self) -> Delivery:
        """Connections for the running loop."""
        transport: Transport
        if self._client is None:
            transport = HttpTransport(self._headers, self._limits)
        else:
            transport = SdkTransport(self._client, self._terms.timeout, self._limits)
        slots = affordable_connections(self._limits.max_connections)
        fleet = Fleet(self._base_urls, self._retry_wait, slots)
        source = f"model {self.model!r} at {', '.join(self.base_urls)}"
        delivery = Delivery(fleet, transport, self._terms, Capture(self._known, source))
        with self._lock:
            for loop in [loop for loop in self._deliveries if loop.is_closed()]:
                self._deliveries.pop(loop).transport.abandon()
            self._deliveries[asyncio.get_running_loop()] = delivery
        return delivery


def _merged_headers(api_key: str, given: Mapping[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if not (isinstance(name, str) and isinstance(value, str) and (name + value).isprintable()):
            raise ConfigError(f"headers[{name!r}] must be one line of text")
    replaced = {name.lower() for name in given}
    ours = {"Authorization": f"Bearer {api_key}", **_HEADERS}
    return {name: value for name, value in ours.items() if name.lower() not in replaced} | dict(given)


def _check_choices(model: Any, mode: Any, client: Any, base_url: Any) -> None:
    if not isinstance(model, str) or not model:
        raise ConfigError(f"model is {model!r:.80}: it must be the name of a model, a str")
    if mode not in _MODES:
        raise ConfigError(f"mode is {mode!r}: it must be one of {', '.join(_MODES)}")
    if client is not None and base_url != OPENAI:
        raise ConfigError("client and base_url are both given: the client has its own base_url")


def _check_seconds(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} is {value!r}: it must be a positive number of seconds")


def _check_counts(least: int, **values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or value < least:
            raise ConfigError(f"{name} is {value!r}: it must be an int of at least {least}")
