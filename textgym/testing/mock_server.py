"""A loopback model server that speaks OpenAI's protocol: scripted, deterministic and breakable.

    with MockModelServer(answer="42") as server:
        policy = textgym.OpenAIPolicy("any", base_url=server.base_url)

It answers ``POST /v1/chat/completions``, ``POST /v1/completions``, ``GET /v1/models``,
``GET /health`` and ``GET /stats``, and as SGLang also ``POST /generate``. Token ids and log-probabilities
(vLLM's fields, where a request asks for them) come from ``textgym.testing.toy_tokens``. From a shell,
``python -m textgym.testing.mock_server --answer "…"`` prints the base URL and serves until killed.

Invariant: the same request bodies in the same order get the same replies, latency and chaos apart
from real time. It runs no model, does not stream, and listens on loopback unless told otherwise.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeAlias

from textgym.errors import ConfigError
from textgym.jsontext import dumps, loads
from textgym.testing.chaos import STATUSES, Chaos, ChaosPlan
from textgym.testing.misconduct import misbehave
from textgym.testing.mock_dialects import MOCK_DIALECTS, heard, said
from textgym.testing.mock_replies import chat_document, plain_chat_reply, turn_of

if TYPE_CHECKING:
    from aiohttp import web

    from textgym.testing.server_process import ServerProcess

__all__ = ["Answer", "MockModelServer"]

Answer: TypeAlias = str | Sequence[str] | Callable[[dict[str, Any]], str | Mapping[str, Any]]
"""A text; texts by turn (the last one repeats); or a function of the request body, whose result is
a text or the fields of the assistant message with overrides such as ``finish_reason``."""

_READY_SECONDS = 10.0
_ROUTES = {"/v1/chat/completions": "chat", "/v1/completions": "completions", "/generate": "generate"}


class MockModelServer:
    """An OpenAI-compatible server in a thread of this process, for tests and benchmarks.

    Use it as a context manager, or call ``start`` and ``stop``. ``MockModelServer.spawn`` runs one
    in another process.

    Args:
        answer: What to answer; see ``Answer``.
        latency: Seconds to wait before each completion, or a function of the request body.
        api_key: The key that clients have to send; None accepts everything.
        chaos: Faults to inject; see ``textgym.testing.chaos.Chaos``.
        chaos_times: Only the first so many completions are affected; None for no such limit.
        seed: Fixes the draws of a chaos plan with probabilities.
        retry_after: Value of the Retry-After header of 429 and 503, in seconds; ``429-date``
            writes it as a date. None sends none (``429-date``: 1 second).
        huge_mb: Size of the ``huge`` replies, in MiB.
        slow_interval: Seconds between two bytes of ``slow-loris``.
        dialect: How much the server tells about tokens: one of ``textgym.testing.mock_dialects.MOCK_DIALECTS``.
        model: Name listed by ``GET /v1/models``.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        log_size: How many request bodies ``requests`` keeps.

    Raises:
        ConfigError: A chaos mode or the dialect is unknown.
    """

    requests: deque[dict[str, Any]]
    """The newest completion bodies, oldest first."""
    headers: deque[Mapping[str, str]]
    """The headers of those requests."""
    counters: Counter[str]
    """Requests by route (``chat``, ``completions``, ``generate``, ``models``), ``requests`` in total,
    ``cancelled`` (the client left first), ``status:<n>`` and ``chaos:<mode>``."""
    peak_in_flight: int
    """Most completions that were open at the same time."""

    def __init__(
        self,
        answer: Answer = "ok",
        *,
        latency: float | Callable[[dict[str, Any]], float] = 0.0,
        api_key: str | None = None,
        chaos: ChaosPlan = None,
        chaos_times: int | None = None,
        seed: int = 0,
        retry_after: float | None = None,
        huge_mb: float = 32.0,
        slow_interval: float = 0.3,
        dialect: str = "vllm",
        model: str = "mock",
        host: str = "127.0.0.1",
        port: int = 0,
        log_size: int = 1000,
    ) -> None:
        if dialect not in MOCK_DIALECTS:
            raise ConfigError(f"dialect is {dialect!r}: it must be one of {', '.join(MOCK_DIALECTS)}")
        self.answer = answer
        self.dialect = dialect
        self.latency = latency
        self.api_key = api_key
        self.chaos = Chaos(chaos, times=chaos_times, seed=seed)
        self.retry_after = retry_after
        self.huge_mb = huge_mb
        self.slow_interval = slow_interval
        self.model = model
        self.host = host
        self.port = port
        self.requests = deque(maxlen=log_size)
        self.headers = deque(maxlen=log_size)
        self.counters = Counter()
        self.in_flight = self.peak_in_flight = 0
        self._serial = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._halt: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    # ------------------------------------------------------------------ running

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL, ending in ``/v1``."""
        return f"http://{self.host}:{self.port}/v1"

    @staticmethod
    def spawn(**options: Any) -> AbstractContextManager[ServerProcess]:
        """Run a server in another process until the ``with`` block ends.

        Args:
            **options: JSON-like arguments of ``MockModelServer`` (no functions).

        Returns:
            A context manager that yields the process, with its ``base_url``, ``pid`` and
            ``stats()``.
        """
        from textgym.testing.server_process import ServerProcess

        return ServerProcess(options)

    def start(self) -> MockModelServer:
        """Listen, in a background thread; returns when requests can be answered."""
        self._thread = threading.Thread(target=self._run, name="mock-model-server", daemon=True)
        self._thread.start()
        if not self._ready.wait(_READY_SECONDS):
            raise TimeoutError(f"the mock server did not listen within {_READY_SECONDS:.0f} s")
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; harmless when it is not running."""
        loop, halt, thread = self._loop, self._halt, self._thread
        if loop is None or halt is None or thread is None:
            return
        loop.call_soon_threadsafe(halt.set)
        thread.join(_READY_SECONDS)
        self._loop = self._halt = self._thread = None
        self._ready.clear()

    def __enter__(self) -> MockModelServer:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self.serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()

    async def listening(self) -> None:
        """Wait until ``serve``, running as a task of this loop, accepts requests."""
        while not self._ready.is_set():  # noqa: ASYNC110 - the event is a thread's
            await asyncio.sleep(0.001)

    async def serve(self) -> None:
        """Listen on the running loop until ``stop`` is called or the task is cancelled."""
        from aiohttp import web

        self._response = web.Response
        self._loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        site = web.Server(self._handle, access_log=None, handler_cancellation=True)
        listener = await self._loop.create_server(site, self.host, self.port, backlog=4096)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            await self._halt.wait()
        finally:
            listener.close()
            await site.shutdown(0.01)

    # ------------------------------------------------------------------ answering

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, counters = request.path, self.counters
        if self.api_key is not None and request.headers.get("Authorization") != (f"Bearer {self.api_key}"):
            await request.content.read()
            return self.reply(*STATUSES["401"])
        if request.method == "POST" and path in _ROUTES and (path != "/generate" or self.dialect == "sglang"):
            counters[_ROUTES[path]] += 1
            self.in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
            try:
                return await self._complete(request)
            except asyncio.CancelledError:
                counters["cancelled"] += 1
                raise
            finally:
                self.in_flight -= 1
        if path == "/v1/models":
            counters["models"] += 1
            listed = {"object": "list", "data": [{"id": self.model, "object": "model"}]}
            return self.reply(200, dumps(listed))
        if path == "/health":
            return self.reply(200, b"{}")
        if path == "/stats":
            return self.reply(200, dumps(self.stats()))
        return self._refusal(404, f"no route {request.method} {path}")

    def stats(self) -> dict[str, Any]:
        """Counters of the server, and the CPU seconds of its process."""
        return {
            "counters": dict(self.counters),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "cpu_seconds": time.process_time(),
        }

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        index, self._serial = self._serial, self._serial + 1
        try:
            body = loads(await request.content.read())
        except ValueError as error:
            return self._refusal(400, f"the body is no JSON: {error}")
        self.counters["requests"] += 1
        self.requests.append(body)
        self.headers.append(request.headers)
        latency = self.latency(body) if callable(self.latency) else self.latency
        if latency:
            await asyncio.sleep(latency)
        mode = self.chaos.mode(index)
        if mode is not None:
            self.counters[f"chaos:{mode}"] += 1
            return await misbehave(self, request, body, index, mode)
        try:
            if self.dialect == "vllm":
                return self.reply(200, self._payload(body, index))
            document = self.document(heard(self.dialect, request.path, body), index)
            return self.reply(200, dumps(said(self.dialect, request.path, body, document)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return self._refusal(400, f"the request is malformed: {error!r}")

    def _payload(self, body: dict[str, Any], index: int) -> bytes:
        answer = self._answer(body)
        if isinstance(answer, str) and "messages" in body:
            plain = plain_chat_reply(body, answer, index)
            if plain is not None:
                return plain
        document = self.document(body, index, answer)
        if isinstance(answer, Mapping):  # it may hold NaN, which only this codec writes as it is
            return json.dumps(document).encode("ascii")
        return dumps(document)

    def document(
        self, body: dict[str, Any], index: int, answer: str | Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The healthy reply to a completion request, before it becomes bytes.

        Args:
            body: The request.
            index: Its serial number.
            answer: The first choice's answer, where it is known already.

        Raises:
            ValueError: The request asks for a stream.
        """
        if body.get("stream"):
            raise ValueError("the mock server does not stream")
        answers = [] if answer is None else [answer]
        while len(answers) < (body.get("n") or 1):
            answers.append(self._answer(body))
        return chat_document(body, answers, index)

    def _answer(self, body: dict[str, Any]) -> str | Mapping[str, Any]:
        answer = self.answer
        if isinstance(answer, str):
            return answer
        if callable(answer):
            return answer(body)
        return answer[min(turn_of(body), len(answer) - 1)]

    def reply(
        self,
        status: int,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> web.Response:
        """An HTTP reply, counted by its status."""
        self.counters[f"status:{status}"] += 1
        return self._response(status=status, body=body, headers=headers, content_type=content_type)

    def _refusal(self, status: int, message: str) -> web.Response:
        return self.reply(status, dumps({"error": {"message": message, "type": "bad_request"}}))


if __name__ == "__main__":
    from textgym.testing.server_process import main

    main()
