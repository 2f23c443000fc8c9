"""Rows 11 to 27 of the fault matrix: model servers that fail, lie, stall or throttle.

Each test drives ``OpenAIPolicy`` against a ``MockModelServer`` with chaos, and checks the error's
class, what its message tells, and how many requests the server saw.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from textgym.errors import (
    AuthenticationFailed,
    ContextOverflow,
    MalformedResponse,
    PolicyError,
    ProviderFailed,
    ProviderRejected,
    ProviderUnreachable,
)
from textgym.policies.capture import DIALECTS, CaptureLevel
from textgym.policies.fleet import Fleet
from textgym.policies.openai import OpenAIPolicy
from textgym.policies.refusals import excerpt, refusal, retry_after
from textgym.testing.chaos import MODES
from textgym.testing.mock_server import MockModelServer
from textgym.types import Completion, CompletionRequest, FinishReason, Sampling, Usage

HI = [{"role": "user", "content": "hi"}]
SECRET = "sk-very-secret-0123456789"


def turn(**fields: Any) -> CompletionRequest:
    return CompletionRequest(**{"messages": HI, **fields})


def ask(server: Any, *requests: CompletionRequest, **options: Any) -> list[Any]:
    """Complete the requests at once; errors are returned in their places."""
    servers = server if isinstance(server, list) else [server]
    urls = [getattr(one, "base_url", one) for one in servers]
    policy = OpenAIPolicy(
        **{"model": "m", "base_url": urls, "api_key": SECRET, "retry_wait": 0.01, "timeout": 5, **options}
    )
    for (
        form,
        dialects,
    ) in DIALECTS.items():  # as after a good reply: how servers are asked is not the matter here
        policy._known[form] = (dialects[0], CaptureLevel.TOKENS)

    async def main() -> list[Any]:
        async with policy:
            turns = requests or (turn(),)
            return await asyncio.gather(*map(policy.complete, turns), return_exceptions=True)

    return asyncio.run(main())


def failure(server: Any, *requests: CompletionRequest, **options: Any) -> PolicyError:
    (outcome,) = ask(server, *requests, **options)
    assert isinstance(outcome, PolicyError), outcome
    assert SECRET not in str(outcome)
    assert str(outcome).isprintable()
    assert len(str(outcome)) < 900
    twin = pickle.loads(pickle.dumps(outcome))
    assert (type(twin), str(twin), twin.status) == (type(outcome), str(outcome), outcome.status)
    return outcome


# ---------------------------------------------------------------------- the matrix

TRANSIENT = [
    "429",
    "429-date",
    "500",
    "503",
    "529",
    "reset",
    "truncated",
    "html-200",
    "bad-utf8",
    "garbage-json",
    "json-string",
    "error-200",
]
"""Another attempt may help; if none does, ProviderFailed."""
STALLS = ["hang", "hang-after-headers", "slow-loris"]
"""Only time ends these."""
FINAL = {
    "400": ProviderRejected,
    "404": ProviderRejected,
    "422-unknown-field": ProviderRejected,
    "401": AuthenticationFailed,
    "403": AuthenticationFailed,
    "context": ContextOverflow,
    "choices-empty": MalformedResponse,
    "choices-none": MalformedResponse,
    "choices-str": MalformedResponse,
    "nan-logprobs": MalformedResponse,
    "short-logprobs": MalformedResponse,
    "huge": MalformedResponse,
    "huge-chunked": MalformedResponse,
    "fewer-choices": MalformedResponse,
}
"""No other attempt would do better."""
ANSWERS = {
    "bom": {},
    "null-content": {"text": ""},
    "missing-usage": {"usage": Usage()},
    "no-token-ids": {"token_ids": None, "prompt_token_ids": None},
    "surrogate": {"text": "a\N{REPLACEMENT CHARACTER}b\0c"},
    "length": {"finish_reason": FinishReason.LENGTH},
    "content_filter": {"finish_reason": FinishReason.CONTENT_FILTER},
    "tool-calls-empty": {"finish_reason": FinishReason.TOOL_CALLS, "text": "", "tool_calls": ()},
}
"""Odd, but a completion."""
NAMED = {
    "choices-empty": r"choices of the reply is \[\]",
    "choices-none": "choices of the reply is None",
    "choices-str": "choices of the reply is 'oops'",
    "nan-logprobs": r"choices\[0\]\.logprobs\.content\[0\] of the reply is nan",
    "short-logprobs": r"choices\[0\]\.logprobs of the reply has 2 entries for 3 .*token_ids",
    "huge": "max_response_bytes=100000",
    "huge-chunked": "max_response_bytes=100000",
    "404": r"model 'm' at http://127\.0\.0\.1:\d+/v1: not found",
    "401": "OPENAI_API_KEY",
}


def test_the_matrix_is_complete():
    assert sorted([*TRANSIENT, *STALLS, *FINAL, *ANSWERS]) == sorted(MODES)


@pytest.mark.parametrize("mode", TRANSIENT)
def test_transient_faults_leave_no_trace(mode):
    with MockModelServer(chaos=mode, chaos_times=2) as server:
        started = time.monotonic()
        (completion,) = ask(server, timeout=20)
        spent = time.monotonic() - started
    assert completion == Completion(text="ok", usage=Usage(prompt_tokens=5, completion_tokens=3))
    assert server.counters["chat"] == 3
    assert spent < (4 if mode == "429-date" else 1)


@pytest.mark.parametrize("mode", sorted(set(TRANSIENT) - {"429-date"}))
def test_transient_faults_that_stay_end_in_provider_failed(mode):
    with MockModelServer(chaos=mode) as server:
        error = failure(server, max_retries=2)
        assert type(error) is ProviderFailed
        assert f"model 'm' at {server.base_url}: gave up after 3 attempts" in str(error)
        assert "max_retries=2" in str(error)
    assert server.counters["chat"] == 3
    status = {"reset": None, "truncated": None, "error-200": 200}.get(mode)
    if mode in ("429", "500", "503", "529", "error-200"):
        status = status or int(mode)
        assert f"HTTP {status}" in str(error)
        assert error.status == status


def test_the_body_of_the_last_failure_is_shown():
    for mode, said in (
        ("html-200", "Welcome to nginx!"),
        ("500", "Internal Server Error"),
        ("error-200", "Worker died"),
    ):
        with MockModelServer(chaos=mode) as server:
            assert said in str(failure(server, max_retries=0))


@pytest.mark.parametrize("mode", STALLS)
def test_stalls_end_at_the_deadline(mode):
    with MockModelServer(chaos=mode, slow_interval=0.05) as server:
        started = time.monotonic()
        error = failure(server, timeout=0.3)
        assert 0.29 < time.monotonic() - started < 1.0
        assert type(error) is ProviderFailed
        assert "no complete reply within timeout=0.3 s (1 attempt)" in str(error)


def test_the_deadline_leaves_no_cancellation_behind():
    async def main(server: MockModelServer) -> None:
        options: dict[str, Any] = {"base_url": server.base_url, "api_key": "k"}
        async with OpenAIPolicy("m", timeout=0.1, **options) as policy:
            for _ in range(2):
                with pytest.raises(ProviderFailed):
                    await policy.complete(turn())
                task = asyncio.current_task()
                assert task is not None
                assert task.cancelling() == 0
            # A deadline of the caller's stays the caller's, and so does a cancellation.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await policy.complete(turn())
            inner = asyncio.create_task(policy.complete(turn()))
            await asyncio.sleep(0.02)
            inner.cancel()
            with pytest.raises(asyncio.CancelledError):
                await inner

    with MockModelServer(chaos="hang") as server:
        asyncio.run(main(server))


@pytest.mark.parametrize("mode", STALLS)
def test_stalls_are_retried_where_attempts_have_a_limit(mode):
    with MockModelServer(chaos=mode, chaos_times=1, slow_interval=0.05) as server:
        (completion,) = ask(server, attempt_timeout=0.2)
    assert completion.text == "ok"
    with MockModelServer(chaos=mode, slow_interval=0.05) as server:
        error = failure(server, attempt_timeout=0.1, max_retries=1)
        assert "2 attempts" in str(error)
        assert "attempt_timeout=0.1" in str(error)


@pytest.mark.parametrize("mode", sorted(FINAL))
def test_final_faults_are_not_repeated(mode):
    with MockModelServer(chaos=mode, huge_mb=1) as server:
        started = time.monotonic()
        error = failure(server, tokens=True, max_response_bytes=100_000)
        assert type(error) is FINAL[mode]
        assert server.base_url.removesuffix("/v1") in str(error)
        if mode in NAMED:
            assert re.search(NAMED[mode], str(error)), str(error)
    assert time.monotonic() - started < 1
    assert server.counters["chat"] == 1


@pytest.mark.parametrize("mode", sorted(ANSWERS))
def test_odd_replies_are_completions(mode):
    with MockModelServer(chaos=mode) as server:
        (completion,) = ask(server, tokens=True)
    assert isinstance(completion, Completion), completion
    for name, value in ANSWERS[mode].items():
        assert getattr(completion, name) == value
    assert server.counters["chat"] == 1


def test_a_text_completion_is_checked_as_a_chat():
    for mode, kind in FINAL.items():
        with MockModelServer(chaos=mode, huge_mb=1) as server:
            error = failure(server, turn(prompt_ids=[1, 2]), tokens=True, max_response_bytes=100_000)
            assert type(error) is kind


# ---------------------------------------------------------------------- fields of a reply

WRONG_FIELDS = [
    ({"choices": ["x"]}, r"choices\[0\] of"),
    ({"choices": [{}]}, r"choices\[0\]\.message of the reply is None"),
    ({"choices": [{"message": "x"}]}, r"choices\[0\]\.message of"),
    ({"choices": [{"text": 3}]}, r"choices\[0\]\.text of the reply is 3"),
    ({"content": 3}, r"choices\[0\]\.message\.content of the reply is 3"),
    ({"content": [{"type": "image"}]}, r"message\.content of .* not a text part"),
    ({"content": {}}, r"message\.content"),
    ({"content": "x", "reasoning": 3}, r"message\.reasoning of"),
    ({"tool_calls": {"id": 1}}, r"tool_calls of"),
    ({"tool_calls": ["x"]}, r"tool_calls\[0\] of"),
    ({"tool_calls": [{"id": "a"}]}, r"tool_calls\[0\] of"),
    (
        {"tool_calls": [{"id": 1, "function": {"name": "f", "arguments": ""}}]},
        r"tool_calls\[0\]\.id of the reply is 1",
    ),
    ({"tool_calls": [{"id": "a", "function": {"arguments": ""}}]}, r"tool_calls\[0\]\.function\.name"),
    (
        {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]},
        r"function\.arguments of the reply is {}",
    ),
    ({"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}] * 1025}, "at most 1024"),
    ({"token_ids": "abc"}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [1.5]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": ["1"]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [1, None]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [[1], [2]]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [[1], 2]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [True]}, r"choices\[0\]\.token_ids"),
    ({"token_ids": [-1]}, r"choices\[0\]\.token_ids of .* ids in"),
    ({"token_ids": [2**31]}, r"choices\[0\]\.token_ids of .* ids in"),
    ({"token_ids": [2**70]}, r"choices\[0\]\.token_ids"),
    ({"prompt_token_ids": {"a": 1}}, "prompt_token_ids"),
    ({"logprobs": [1]}, r"choices\[0\]\.logprobs of"),
    ({"logprobs": {"content": "x"}}, r"logprobs\.content"),
    ({"logprobs": {"content": [1]}}, r"logprobs\.content"),
    ({"logprobs": {"content": [{}]}}, r"logprobs\.content"),
    ({"logprobs": {"content": [{"logprob": None}]}}, r"logprobs\.content"),
    ({"logprobs": {"content": [{"logprob": "-1"}]}}, r"logprobs\.content"),
    (
        {"logprobs": {"content": [{"logprob": -1}, {"logprob": 0.1}]}},
        r"logprobs\.content\[1\] of the reply is 0.1",
    ),
    ({"logprobs": {"token_logprobs": [-1, -9999.0]}}, r"token_logprobs\[1\] of the reply is -9999"),
    ({"logprobs": {"token_logprobs": [float("-inf")]}}, r"token_logprobs\[0\] of the reply is -inf"),
    ({"logprobs": {"token_logprobs": []}, "token_ids": [1]}, "0 entries for 1 entries"),
]


@pytest.mark.parametrize(("answer", "match"), WRONG_FIELDS, ids=[str(row[0])[:50] for row in WRONG_FIELDS])
def test_wrong_fields_are_named(answer, match):
    with MockModelServer(answer=lambda body: answer) as server:
        (outcome,) = ask(server)
    assert type(outcome) is MalformedResponse, outcome
    assert outcome.status == 200
    with pytest.raises(MalformedResponse, match=match):
        raise outcome
    assert server.counters["chat"] == 1


def test_deeply_nested_json_is_a_failure_of_the_server():
    replies = [
        b"[" * 100_000,
        b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"",
        b"\0" * 9,
        b"1" * 9000,
    ]
    for body in replies:
        with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as url:
            (outcome,) = ask(url, max_retries=0)
            assert isinstance(outcome, ProviderFailed | MalformedResponse), outcome


# ---------------------------------------------------------------------- raw sockets


@contextmanager
def raw_server(reply: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server that sends the same bytes to everybody and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.settimeout(1)
                        connection.recv(65536)
                        connection.sendall(reply)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\n\r\n{",
    ],
    ids=["close", "ssh", "length", "gzip", "header", "chunk", "cut-chunk", "no-length"],
)
def test_broken_http_is_a_failure_of_the_server(reply):
    with raw_server(reply) as url:
        error = failure(url, max_retries=1)
    assert type(error) is ProviderFailed
    assert "2 attempts" in str(error)


def test_a_zip_bomb_stops_at_the_cap():
    import zlib

    packer = zlib.compressobj(wbits=31)
    body = packer.compress(b" " * 20_000_000) + packer.flush()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with raw_server(head + body) as url:
        error = failure(url, max_response_bytes=100_000)
    assert type(error) is MalformedResponse
    assert len(body) < 100_000


def test_redirects_are_not_followed():
    with raw_server(
        b"HTTP/1.1 308 Moved\r\nLocation: http://elsewhere/v1\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        error = failure(url)
    assert type(error) is ProviderRejected
    assert "redirects to http://elsewhere/v1" in str(error)


# ---------------------------------------------------------------------- no connection


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_closed_port_is_unreachable():
    url = f"http://127.0.0.1:{closed_port()}/v1"
    error = failure(url, max_retries=2)
    assert type(error) is ProviderUnreachable
    assert f"model 'm' at {url}: gave up after 3 attempts" in str(error)
    assert "Is the server running" in str(error)
    late = failure(url, max_retries=1000, retry_wait=0.05, timeout=0.4)
    assert type(late) is ProviderUnreachable


def test_an_unknown_host_is_unreachable():
    error = failure("http://no-such-host.invalid/v1", max_retries=1)
    assert type(error) is ProviderUnreachable
    assert "no-such-host.invalid" in str(error)


def test_failing_tls_is_not_tried_again():
    with MockModelServer() as server:
        started = time.monotonic()
        error = failure(server.base_url.replace("http:", "https:"), retry_wait=5)
    assert type(error) is ProviderUnreachable
    assert "TLS failed" in str(error)
    assert time.monotonic() - started < 2


def test_failing_tls_of_one_server_leaves_the_others():
    with MockModelServer() as server:
        (completion,) = ask([server.base_url.replace("http:", "https:"), server.base_url])
    assert completion.text == "ok"


def test_a_connection_that_does_not_come_about_is_unreachable():
    with socket.socket() as listener:  # a full backlog that nobody accepts from
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            error = failure(f"http://127.0.0.1:{address[1]}/v1", connect_timeout=0.2, max_retries=0)
        finally:
            for filler in fillers:
                filler.close()
    assert type(error) is ProviderUnreachable
    assert "connecting took too long" in str(error)


def test_a_server_that_comes_back_is_used():
    port = closed_port()
    server = MockModelServer(port=port)
    timer = threading.Timer(0.3, server.start)
    timer.start()
    try:
        (completion,) = ask(f"http://127.0.0.1:{port}/v1", retry_wait=0.05)
        assert completion.text == "ok"
    finally:
        timer.join()
        server.stop()


def test_a_dead_server_among_several_is_avoided():
    dead = f"http://127.0.0.1:{closed_port()}/v1"
    with MockModelServer(latency=0.005) as server:
        started = time.monotonic()
        requests = [turn(group=f"g{i % 10}") for i in range(60)]
        policy = OpenAIPolicy("m", base_url=[dead, server.base_url], retry_wait=1.0)

        async def main() -> list[Completion]:
            async with policy:
                done = await asyncio.gather(*map(policy.complete, requests))
                (delivery,) = policy._deliveries.values()
                assert [s.in_flight for s in delivery.fleet.servers] == [0, 0]
                assert delivery.fleet.servers[0].down_until > asyncio.get_running_loop().time()
                return done

        assert len(asyncio.run(main())) == 60
    assert server.counters["chat"] == 60
    assert time.monotonic() - started < 0.9  # nobody waited retry_wait


def test_a_failing_server_is_left_for_another():
    with MockModelServer(chaos="500") as bad, MockModelServer() as good:
        outcomes = ask([bad, good], *[turn() for _ in range(20)])
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert good.counters["chat"] == 20


# ---------------------------------------------------------------------- throttling


@pytest.mark.parametrize("mode", ["429", "503"])
def test_retry_after_in_seconds_is_obeyed(mode):
    with MockModelServer(chaos=mode, chaos_times=1, retry_after=0.4) as server:
        started = time.monotonic()
        (completion,) = ask(server)
    assert completion.text == "ok"
    assert 0.4 <= time.monotonic() - started < 0.9


def test_retry_after_as_a_date_is_obeyed():
    with MockModelServer(chaos="429-date", chaos_times=1, retry_after=2) as server:
        started = time.monotonic()
        (completion,) = ask(server)
    assert completion.text == "ok"
    assert 0.9 <= time.monotonic() - started < 2.5


def test_retry_after_is_capped_and_read_in_every_form():
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"Retry-After": "9999"}) == 60
    assert retry_after({"Retry-After": "-5"}) == 0
    assert retry_after({"Retry-After-Ms": "250", "Retry-After": "7"}) == 0.25
    date = "Thu, 01 Jan 2026 00:00:10 GMT"
    assert retry_after({"Retry-After": date, "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}) == 10
    assert retry_after({"Retry-After": date}) == 0
    for nonsense in ("", "soon", "nan", "inf", "Thu, 99 Foo 2026 00:00:10 GMT"):
        assert retry_after({"Retry-After": nonsense}) is None
    assert retry_after({}) is None


class Clock:
    """A latency that notes when the server got each request."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, body: dict[str, Any]) -> float:
        self.times.append(time.monotonic())
        return 0.02


def test_one_refusal_holds_back_the_whole_fleet():
    clock = Clock()
    with MockModelServer(latency=clock, chaos=["429"] * 8, retry_after=0.5) as server:
        outcomes = ask(server, *[turn(seed=i) for i in range(32)], max_connections=8)
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    first, later = clock.times[:8], clock.times[8:]
    assert len(clock.times) == 40
    # Those already on the wire were refused together; nothing else was sent during the pause.
    assert first[-1] - first[0] < 0.2
    assert later[0] - first[-1] >= 0.45
    # And then it begins with a few: a quarter of what was in flight, one more per success.
    assert sum(t < later[0] + 0.015 for t in later) <= 8


def test_the_fleet_resumes_gradually():
    clock = Clock()
    with MockModelServer(latency=clock, chaos=["429"] * 64) as server:
        outcomes = ask(server, *[turn(seed=i) for i in range(64)], retry_wait=0.2)
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    later = clock.times[64:]
    assert len(later) == 64
    burst = [sum(start <= t < start + 0.015 for t in later) for start in later[:1]]
    assert 1 <= burst[0] <= 20
    assert later[0] - clock.times[63] > 0.05


def test_requests_that_wait_for_their_turn_can_be_cancelled():
    async def main(server: MockModelServer) -> None:
        async with OpenAIPolicy("m", base_url=server.base_url) as policy:
            tasks = [asyncio.create_task(policy.complete(turn())) for _ in range(12)]
            await asyncio.sleep(0.15)
            (delivery,) = policy._deliveries.values()
            (only,) = delivery.fleet.servers
            assert only.throttle is not None
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [isinstance(o, asyncio.CancelledError) for o in outcomes] == [True, False] * 6
            assert [o.text for o in outcomes[1::2]] == ["ok"] * 6
            assert only.in_flight == 0

    with MockModelServer(chaos=["429"] * 12, retry_after=0.4) as server:
        asyncio.run(main(server))


def test_endless_throttling_gives_up_within_the_deadline():
    with MockModelServer(chaos="429") as server:
        started = time.monotonic()
        outcomes = ask(server, *[turn() for _ in range(50)], timeout=1.0, max_retries=100, retry_wait=0.05)
        assert time.monotonic() - started < 2
    assert {type(outcome) for outcome in outcomes} == {ProviderFailed}
    assert "timeout=1" in str(outcomes[0])
    assert "429" in str(outcomes[0])
    assert server.counters["chat"] < 150  # not 50 requests in every round


def test_the_throttle_goes_away_when_the_server_keeps_up():
    async def main(server: MockModelServer) -> None:
        async with OpenAIPolicy("m", base_url=server.base_url, retry_wait=0.01) as policy:
            for _ in range(3):
                await asyncio.gather(*(policy.complete(turn()) for _ in range(16)))
            (delivery,) = policy._deliveries.values()
            assert delivery.fleet.servers[0].throttle is None
            assert delivery.fleet.servers[0].in_flight == 0

    with MockModelServer(chaos=["429"] * 4 + [None] * 20 + ["503"] * 2) as server:
        asyncio.run(main(server))


def test_a_throttled_server_is_left_for_a_free_one():
    with MockModelServer(chaos="429", retry_after=30) as busy, MockModelServer() as free:
        started = time.monotonic()
        outcomes = ask([busy, free], *[turn() for _ in range(20)])
    assert all(isinstance(outcome, Completion) for outcome in outcomes)
    assert time.monotonic() - started < 2


def test_a_used_up_quota_is_not_waited_for():
    body = b'{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}'
    with raw_server(b"HTTP/1.1 429 X\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as url:
        error = failure(url)
    assert type(error) is ProviderRejected
    assert "quota" in str(error)


def test_the_home_of_a_group_is_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr("textgym.policies.fleet._GROUPS_KEPT", 3)

    async def main() -> None:
        fleet = Fleet(["http://a", "http://b"], 0.1, 99)
        home = await fleet.enter("g0")
        for i in range(1, 4):
            await fleet.enter(f"g{i}")
            assert await fleet.enter("g0") is home
        assert list(fleet._homes) == ["g2", "g3", "g0"]

    asyncio.run(main())


# ---------------------------------------------------------------------- chaos


def test_a_run_in_chaos_loses_nothing():
    chaos = {"429": 0.05, "500": 0.05, "503": 0.05, "reset": 0.05, "truncated": 0.05, "garbage-json": 0.05}
    with MockModelServer(answer=lambda body: f"answer {body['seed']}", chaos=chaos, seed=3) as server:
        outcomes = ask(server, *[turn(seed=i) for i in range(200)], max_retries=20, timeout=20)
    assert [getattr(o, "text", o) for o in outcomes] == [f"answer {i}" for i in range(200)]
    assert server.counters["chat"] > 230


# ---------------------------------------------------------------------- context length

OURS = "This model's maximum context length is 4096 tokens"
OVERFLOWS = [
    (400, {"error": {"message": "x", "code": "context_length_exceeded"}}),
    (400, {"error": {"message": f"{OURS}. However, you requested 5000 tokens"}}),
    (400, {"object": "error", "message": f"{OURS}.", "code": 400}),
    (
        400,
        {
            "error": {
                "message": "The decoder prompt (length 88049) is longer than the maximum model length of 3."
            }
        },
    ),
    (
        400,
        {
            "error": {
                "message": "The input (50 tokens) is longer than the model's context length (40 tokens)."
            }
        },
    ),
    (400, {"message": "Requested token count exceeds the model's maximum context length of 131072 tokens."}),
    (400, {"error": {"message": "request (4390 tokens) exceeds the available context size (4096 tokens)"}}),
    (400, {"error": {"message": "x", "type": "exceed_context_size_error"}}),
    (500, {"error": {"code": 500, "message": "Context size has been exceeded.", "type": "server_error"}}),
    (400, {"error": {"message": "Your input exceeds the context window of this model"}}),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens"}),
    (400, {"error": {"message": "prompt is too long: 213462 tokens > 200000 maximum"}}),
    (
        413,
        {"detail": "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)"},
    ),
]


def classify(status: int, body: Any, **options: Any) -> PolicyError:
    return refusal(status, json.dumps(body).encode(), {}, source="model 'm' at http://x", **options)


@pytest.mark.parametrize(("status", "body"), OVERFLOWS)
def test_every_servers_words_for_a_prompt_that_is_too_long(status, body):
    assert type(classify(status, body)) is ContextOverflow
    assert type(classify(status, body, max_tokens=100)) is ContextOverflow


def test_what_is_not_an_overflow():
    too_large = {"error": {"message": f"max_tokens is too large. {OURS}"}}
    assert type(classify(400, too_large, max_tokens=4096)) is ProviderRejected
    assert type(classify(400, too_large, max_tokens=4095)) is ContextOverflow
    assert type(classify(429, {"error": {"message": OURS}})) is ProviderFailed
    # A validation error that echoes the conversation says nothing about its length.
    assert type(classify(422, {"detail": [{"type": "extra_forbidden", "input": OURS}]})) is ProviderRejected
    assert type(classify(400, {"error": {"message": "no"}, "messages": OURS})) is ProviderRejected


def test_an_overflow_with_status_200_is_one():
    body = b'{"error":{"code":400,"message":"the request exceeds the available context size"}}'
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as url:
        assert type(failure(url)) is ContextOverflow


def test_max_tokens_beyond_the_context_is_a_rejection():
    with MockModelServer(chaos="context") as server:
        assert type(failure(server, turn(sampling=Sampling(max_tokens=5000)))) is ProviderRejected


# ---------------------------------------------------------------------- excerpts


def test_excerpts_are_short_printable_and_keep_secrets():
    assert excerpt(b"") == "(nothing)"
    assert excerpt("a\x1b[31m\u202e\0\r\nb \ud800") == "a [31m b"
    assert len(excerpt(b"\xff" * 100_000)) == 300
    assert excerpt(f"key {SECRET}!", SECRET) == "key ***!"
    assert excerpt("EMPTY set", "EMPTY") == "EMPTY set"


def test_a_server_that_echoes_the_key_does_not_betray_it():
    body = f'{{"error":{{"message":"Incorrect API key provided: {SECRET}"}}}}'.encode()
    for status in (b"401 X", b"400 X", b"500 X"):
        with raw_server(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)) as url:
            assert "***" in str(failure(url, max_retries=0))
