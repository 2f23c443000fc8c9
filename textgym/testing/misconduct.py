"""How the mock model server acts out a chaos mode on one request.

Invariant: whatever happens to the connection, the handler returns a response object or is
cancelled, so that the server itself logs nothing and goes on. What a mode means is in ``chaos.py``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from textgym.jsontext import dumps
from textgym.testing.chaos import PAYLOADS, STATUSES, WIRE, spoil
from textgym.testing.mock_replies import OPENAI_FIELDS

if TYPE_CHECKING:
    from aiohttp import web

    from textgym.testing.mock_server import MockModelServer

__all__ = ["misbehave"]

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_MEBIBYTE = 2**20


async def misbehave(
    server: MockModelServer, request: web.BaseRequest, body: dict[str, Any], index: int, mode: str
) -> web.StreamResponse:
    """Answer one completion request wrongly.

    Args:
        server: The server, with its knobs.
        request: The HTTP request; its body is read already.
        body: The parsed body.
        index: Serial number of the request.
        mode: One of ``textgym.testing.chaos.MODES``.

    Returns:
        What is left to send; on a closed connection it goes nowhere.
    """
    if mode in STATUSES:
        status, payload = STATUSES[mode]
        return server.reply(status, payload, headers=_retry_after(server, mode))
    if mode in PAYLOADS:
        content_type, payload = PAYLOADS[mode]
        return server.reply(200, payload, content_type=content_type)
    if mode == "422-unknown-field":
        unknown = sorted(body.keys() - OPENAI_FIELDS)
        if unknown:
            return server.reply(422, dumps({"detail": f"Unexpected fields: {unknown}"}))
    if mode.startswith("huge"):
        return await _flood(server, request, index, chunked=mode == "huge-chunked")
    # The standard library's codec writes NaN as it is.
    payload = json.dumps(spoil(server.document(body, index), mode)).encode("ascii")
    if mode in WIRE:
        await _break(request, mode, payload, server.slow_interval)
    return server.reply(200, b"\xef\xbb\xbf" + payload if mode == "bom" else payload)


def _retry_after(server: MockModelServer, mode: str) -> dict[str, str] | None:
    seconds = server.retry_after
    if mode == "429-date":
        return {"Retry-After": formatdate(time.time() + (seconds or 1.0), usegmt=True)}
    if mode in ("429", "503") and seconds is not None:
        return {"Retry-After": f"{seconds:g}"}
    return None


async def _break(request: web.BaseRequest, mode: str, payload: bytes, slow_interval: float) -> None:
    transport = request.transport
    if transport is None:
        return
    if mode == "reset":
        # Lingering for 0 seconds makes the close a RST instead of an orderly FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        return
    if mode == "truncated":
        transport.write(_HEAD % (len(payload) + 1000) + payload)
        transport.close()
        return
    if mode in ("hang-after-headers", "slow-loris"):
        transport.write(_HEAD % len(payload))
    if mode == "slow-loris":
        for byte in payload:
            await asyncio.sleep(slow_interval)
            transport.write(bytes([byte]))
        transport.close()
        return
    await asyncio.Event().wait()


async def _flood(
    server: MockModelServer, request: web.BaseRequest, index: int, *, chunked: bool
) -> web.StreamResponse:
    size = int(server.huge_mb * _MEBIBYTE)
    head = b'{"id":"mock-%d","choices":[{"index":0,"message":{"role":"assistant","content":"' % index
    tail = b'"},"finish_reason":"stop"}]}'
    if not chunked:
        return server.reply(200, head + b"x" * size + tail)
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        await response.write(head)
        for start in range(0, size, _MEBIBYTE):
            await response.write(b"x" * min(_MEBIBYTE, size - start))
        await response.write(tail)
    except ConnectionError:
        pass  # the client hung up, as it should
    return response
