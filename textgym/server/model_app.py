"""The HTTP face of a local model: routes, keys, body sizes, streams and error bodies.

``POST /v1/chat/completions``, ``POST /v1/completions``, ``POST /tokenize``, ``GET /v1/models``,
``GET /health``. Invariant: every reply but a stream is one JSON document; every refusal has OpenAI's error
body with the field that is to blame; texts become tokens outside the event loop, so that a long one holds up
nobody else; a client that leaves takes its completions out of the batch. The model itself is
``TransformersPolicy``'s affair.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

from textgym.errors import ConfigError, ContextOverflow, MissingExtra, PolicyError
from textgym.jsontext import dumps, loads
from textgym.policies.decoding import Sampled, Token
from textgym.server.completion_replies import Replies
from textgym.server.completion_requests import Asked, BadRequest, chat_request, text_request

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from textgym.policies.transformers import TransformersPolicy

__all__ = ["model_app"]

log = logging.getLogger(__name__)

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    413: "RequestTooLargeError",
    500: "InternalServerError",
}
_Handler: TypeAlias = "Callable[[Request], Awaitable[Response]]"


def model_app(
    policy: TransformersPolicy,
    *,
    model: str | None = None,
    api_key: str | None = None,
    max_body_bytes: int = 16 * 2**20,
) -> Starlette:
    """An ASGI application that answers with a policy.

    Args:
        policy: The model. It stays the caller's to close.
        model: Name that requests have to give (or leave out); None takes the policy's.
        api_key: What clients have to send as a bearer token; None lets everybody in.
        max_body_bytes: Longest request body that is read.

    Returns:
        The application.

    Raises:
        MissingExtra: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.routing import Route
    except ImportError as error:
        raise MissingExtra("the model server needs starlette and uvicorn", extra="serve") from error
    face = _Face(policy, model or policy.name, api_key, max_body_bytes)
    routes = [
        Route("/v1/chat/completions", face.guarded(face.chat), methods=["POST"]),
        Route("/v1/completions", face.guarded(face.text), methods=["POST"]),
        Route("/v1/models", face.guarded(face.models), methods=["GET"]),
        Route("/tokenize", face.guarded(face.tokenize), methods=["POST"]),
        Route("/health", face.health, methods=["GET"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _unrouted})


async def _unrouted(request: Request, error: Any) -> Response:
    said = f"{error.detail}: {request.method} {request.url.path}"
    return _refusal(BadRequest(said, status=error.status_code))


class _Face:
    """The handlers, with what they need to know."""

    def __init__(
        self, policy: TransformersPolicy, model: str, api_key: str | None, max_body_bytes: int
    ) -> None:
        self.policy = policy
        self.model = model
        self.max_body_bytes = max_body_bytes
        self._key = None if api_key is None else f"Bearer {api_key}".encode()

    def guarded(self, handler: _Handler) -> _Handler:
        """The handler behind the key, with every error as a reply."""

        async def guard(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode("latin-1", "replace")
            if self._key is not None and not hmac.compare_digest(given, self._key):
                return _refusal(BadRequest("the API key is missing or wrong", status=401))
            try:
                return await handler(request)
            except ContextOverflow as error:
                return _refusal(BadRequest(str(error), "messages"), code="context_length_exceeded")
            except BadRequest as error:
                return _refusal(error)
            except ConfigError as error:
                return _refusal(BadRequest(str(error)))
            except PolicyError as error:
                return _refusal(BadRequest(str(error), status=500))
            except Exception as error:
                log.exception("a request failed")
                return _refusal(BadRequest(f"{type(error).__name__}: {error}", status=500))

        return guard

    # ------------------------------------------------------------------ routes

    async def health(self, request: Request) -> Response:
        return _json({})

    async def models(self, request: Request) -> Response:
        row = {
            "id": self.model,
            "object": "model",
            "created": 0,
            "owned_by": "textgym",
            "max_model_len": self.policy.context_length,
        }
        return _json({"object": "list", "data": [row]})

    async def tokenize(self, request: Request) -> Response:
        body = await self._body(request)
        if isinstance(body, dict) and "messages" in body:
            asked = chat_request(body)
            ids = await asyncio.to_thread(self.policy.render, asked.messages, asked.tools)
        elif isinstance(body, dict) and isinstance(body.get("prompt"), str):
            ids = await asyncio.to_thread(self.policy.encode, body["prompt"])
        else:
            raise BadRequest("give prompt (a text) or messages", "prompt")
        return _json({"tokens": ids, "count": len(ids), "max_model_len": self.policy.context_length})

    async def chat(self, request: Request) -> Response:
        asked = chat_request(await self._body(request))
        self._check_model(asked)
        prompt = await asyncio.to_thread(self.policy.render, asked.messages, asked.tools)
        self._check_room(asked, [prompt])
        replies = self._replies(asked)
        if asked.stream:
            documents = self._stream(asked, prompt, replies)
            return _events(await anext(documents), documents)  # what is refused at once is no stream
        return _json(replies.whole([prompt], await self._sampled(request, asked, [prompt])))

    async def text(self, request: Request) -> Response:
        asked = text_request(await self._body(request))
        self._check_model(asked)
        prompts = [
            one if isinstance(one, list) else await asyncio.to_thread(self.policy.encode, one)
            for one in asked.prompts
        ]
        self._check_room(asked, prompts)
        return _json(self._replies(asked).whole(prompts, await self._sampled(request, asked, prompts)))

    # ------------------------------------------------------------------ parts of them

    async def _body(self, request: Request) -> Any:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > self.max_body_bytes:
                raise BadRequest(f"the body is longer than {self.max_body_bytes} bytes", status=413)
        try:
            return loads(bytes(body))
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is no JSON: {error}") from error

    def _check_model(self, asked: Asked) -> None:
        if asked.model is not None and asked.model != self.model:
            raise BadRequest(
                f"The model `{asked.model}` does not exist: this server has `{self.model}`",
                "model",
                status=404,
            )

    def _check_room(self, asked: Asked, prompts: Sequence[list[int]]) -> None:
        """What was asked for has to fit whole: this protocol's servers cut nothing silently."""
        size, wanted = self.policy.context_length, asked.sampling.max_tokens or 1
        longest = max(map(len, prompts))
        if size is not None and longest + wanted > size:
            raise ContextOverflow(
                f"This model's maximum context length is {size} tokens. However, you requested "
                f"{longest + wanted} tokens ({longest} in the prompt, {wanted} for the completion). Please "
                "reduce the length of the messages or completion."
            )

    def _replies(self, asked: Asked) -> Replies:
        kind = "chatcmpl" if asked.chat else "cmpl"
        return Replies(
            asked, identifier=f"{kind}-{uuid.uuid4().hex}", model=self.model, decode=self.policy.decode
        )

    def _submit(self, asked: Asked, prompt: list[int], choice: int, watch: Any = None) -> Any:
        return self.policy.submit(
            prompt,
            asked.sampling,
            seed=asked.seed_of(choice),
            top_logprobs=asked.top_logprobs,
            on_token=watch,
        )

    async def _sampled(
        self, request: Request, asked: Asked, prompts: Sequence[list[int]]
    ) -> Sequence[Sampled]:
        futures: list[Any] = []
        gone: asyncio.Future[None] = asyncio.ensure_future(_departure(request))
        try:
            futures.extend(
                self._submit(asked, prompt, choice) for prompt in prompts for choice in range(asked.choices)
            )
            whole: asyncio.Future[list[Sampled]] = asyncio.gather(*map(asyncio.wrap_future, futures))
            whole.add_done_callback(_looked_at)  # nobody else does so once the client has left
            either: tuple[asyncio.Future[Any], ...] = (whole, gone)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not whole.done():
                whole.cancel()
                raise BadRequest("the client left", status=499)
            return whole.result()
        finally:
            gone.cancel()
            for future in futures:
                future.cancel()

    async def _stream(
        self, asked: Asked, prompt: list[int], replies: Replies
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The documents of a stream. Whatever is wrong with the request raises before the first of them."""
        loop, pieces = asyncio.get_running_loop(), asyncio.Queue[tuple[int, Any]]()

        def tell(choice: int, piece: Any) -> None:
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, (choice, piece))
            except RuntimeError:  # the loop has ended; so has the client
                pass

        def watch(choice: int) -> Callable[[Token], None]:
            return lambda token: tell(choice, token)

        futures: list[Any] = []
        results: list[Sampled] = []
        try:
            for choice in range(asked.choices):
                future = self._submit(asked, prompt, choice, watch(choice))
                futures.append(future)
                future.add_done_callback(lambda done, choice=choice: tell(choice, done))
            for choice in range(asked.choices):
                yield replies.opening(choice, prompt)
            try:
                while len(results) < asked.choices:
                    choice, piece = await pieces.get()
                    if isinstance(piece, Token):
                        yield replies.token(choice, piece)
                    else:
                        results.append(piece.result())
                        yield replies.closing(choice, results[-1])
            except (PolicyError, ConfigError) as error:
                yield _error(BadRequest(str(error), status=500))
                return
            if asked.stream_usage:
                yield replies.usage([prompt], results)
        finally:
            for future in futures:
                future.cancel()


def _looked_at(done: asyncio.Future[Any]) -> None:
    if not done.cancelled():
        done.exception()


async def _departure(request: Request) -> None:
    """Returns when the client has left; its body is read by now."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(document: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    return Response(dumps(document), status, media_type="application/json")


def _events(first: dict[str, Any], others: AsyncGenerator[dict[str, Any], None]) -> Response:
    from starlette.responses import StreamingResponse

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(others):
            yield b"data: " + dumps(first) + b"\n\n"
            async for document in others:
                yield b"data: " + dumps(document) + b"\n\n"
        yield b"data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _error(error: BadRequest, code: str | None = None) -> dict[str, Any]:
    kind = _TYPES.get(error.status, "BadRequestError")
    return {
        "error": {"message": str(error), "type": kind, "param": error.field, "code": code or error.status}
    }


def _refusal(error: BadRequest, code: str | None = None) -> Response:
    return _json(_error(error, code), error.status)
