"""The mock model server: what it answers, how it breaks, and that it goes away."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from textgym.errors import ConfigError
from textgym.testing import toy_tokens
from textgym.testing.chaos import MODES, Chaos
from textgym.testing.mock_replies import chat_document, plain_chat_reply
from textgym.testing.mock_server import MockModelServer

HI = [{"role": "user", "content": "hi"}]


def post(
    server: Any, body: Mapping[str, Any], route: str = "chat/completions", timeout: float = 5.0
) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.base_url}/{route}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        document: dict[str, Any] = json.loads(reply.read())
    return document


def content(reply: Mapping[str, Any], choice: int = 0) -> Any:
    return reply["choices"][choice]["message"]["content"]


@pytest.fixture
def server():
    with MockModelServer(answer="hello") as running:
        yield running


def test_it_speaks_the_chat_protocol(server):
    reply = post(server, {"model": "m", "messages": HI, "seed": 5})
    assert content(reply) == "hello"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["model"] == "m"
    assert reply["seed"] == 5
    assert reply["usage"] == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    assert server.requests[-1]["messages"] == HI
    assert server.counters["chat"] == server.counters["status:200"] == 1


def test_the_fast_reply_equals_the_whole_document():
    messages = [*HI, {"role": "assistant", "content": "héllo"}, {"role": "user", "content": "…"}]
    for extra in ({}, {"seed": 3, "temperature": 0.5, "max_tokens": 99}):
        body = {"model": "m", "messages": messages, **extra}
        for answer in ("hello", 'q"uö\n', ""):
            fast = plain_chat_reply(body, answer, 7)
            assert fast is not None
            assert json.loads(fast) == chat_document(body, [answer], 7)


@pytest.mark.parametrize("extra", [{"n": 2}, {"stop": "l"}, {"max_tokens": 5}, {"return_token_ids": True}])
def test_the_fast_reply_refuses_what_it_cannot_do(extra):
    assert plain_chat_reply({"model": "m", "messages": HI, **extra}, "hello", 0) is None


def test_answers_by_turn_and_by_function():
    with MockModelServer(answer=["one", "two"]) as server:
        later = [*HI, {"role": "assistant", "content": "one"}, *HI]
        last = [*later, {"role": "assistant", "content": "two"}, *HI]
        answers = [content(post(server, {"model": "m", "messages": m})) for m in (HI, later, last)]
    assert answers == ["one", "two", "two"]

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        return {"content": None, "finish_reason": "odd", "tool_calls": [{"id": body["model"]}], "usage": None}

    with MockModelServer(answer=answer) as server:
        reply = post(server, {"model": "m", "messages": HI})
    assert reply["choices"][0]["finish_reason"] == "odd"
    assert reply["choices"][0]["message"]["tool_calls"] == [{"id": "m"}]
    assert reply["usage"] is None


def test_token_fields_agree_with_each_other(server):
    ask = {"model": "m", "messages": HI, "return_token_ids": True, "logprobs": True, "top_logprobs": 0}
    reply = post(server, ask)
    choice = reply["choices"][0]
    assert reply["prompt_token_ids"] == toy_tokens.render(HI)
    assert choice["token_ids"] == [*toy_tokens.encode("hello"), toy_tokens.END]
    rows = choice["logprobs"]["content"]
    assert [row["token"] for row in rows] == [*"hello", ""]
    assert [row["logprob"] for row in rows] == toy_tokens.toy_logprobs(
        reply["prompt_token_ids"], choice["token_ids"], 0
    )
    assert all(row["logprob"] < 0 for row in rows)
    assert post(server, ask) == {**reply, "id": "mock-1"}
    named = post(server, {**ask, "return_tokens_as_token_ids": True})
    assert named["choices"][0]["logprobs"]["content"][0]["token"] == "token_id:104"


def test_text_completions_take_text_and_ids(server):
    text = post(server, {"model": "m", "prompt": "abc"}, "completions")
    assert text["choices"][0]["text"] == "hello"
    assert text["usage"]["prompt_tokens"] == 3
    ids = toy_tokens.render(HI)
    reply = post(
        server, {"model": "m", "prompt": ids, "return_token_ids": True, "logprobs": 0}, "completions"
    )
    choice = reply["choices"][0]
    assert choice["prompt_token_ids"] == ids
    assert len(choice["logprobs"]["token_logprobs"]) == len(choice["token_ids"]) == 6


def test_length_stop_and_n(server):
    cut = post(server, {"model": "m", "messages": HI, "max_tokens": 3, "return_token_ids": True})
    assert (content(cut), cut["choices"][0]["finish_reason"]) == ("hel", "length")
    assert cut["usage"]["completion_tokens"] == len(cut["choices"][0]["token_ids"]) == 3
    whole = post(server, {"model": "m", "messages": HI, "max_tokens": 6})
    assert whole["choices"][0]["finish_reason"] == "stop"
    stopped = post(server, {"model": "m", "messages": HI, "stop": ["lo", "el"], "return_token_ids": True})
    assert (content(stopped), stopped["choices"][0]["finish_reason"]) == ("h", "stop")
    assert toy_tokens.decode(stopped["choices"][0]["token_ids"]) == "hel"
    many = post(server, {"model": "m", "messages": HI, "n": 3, "logprobs": True})
    assert [content(many, i) for i in range(3)] == ["hello"] * 3
    assert many["choices"][0]["logprobs"] != many["choices"][1]["logprobs"]
    assert many["usage"]["completion_tokens"] == 18


def test_other_routes_and_refusals(server):
    root = server.base_url.removesuffix("/v1")
    for path in ("/v1/models", "/health", "/stats"):
        assert urllib.request.urlopen(root + path, timeout=5).status == 200
    for body in ({"model": "m", "messages": 3}, {"model": "m", "messages": HI, "stream": True}):
        with pytest.raises(urllib.error.HTTPError, match="400") as caught:
            post(server, body)
        caught.value.close()
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        post(server, {}, "embeddings")
    caught.value.close()


def test_the_api_key_is_checked():
    with MockModelServer(api_key="sk-right") as server, pytest.raises(urllib.error.HTTPError) as caught:
        post(server, {"model": "m", "messages": HI})
    assert caught.value.code == 401
    caught.value.close()


def test_latency_and_load_are_seen():
    with MockModelServer(latency=lambda body: 0.1) as server:
        threads = [
            threading.Thread(target=post, args=(server, {"model": "m", "messages": HI})) for _ in range(5)
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.1 <= time.monotonic() - started < 0.5
    assert server.peak_in_flight == 5
    assert server.in_flight == 0


def test_the_log_is_bounded():
    with MockModelServer(log_size=2) as server:
        for seed in range(4):
            post(server, {"model": "m", "messages": HI, "seed": seed})
    assert [body["seed"] for body in server.requests] == [2, 3]


def test_a_server_can_be_started_again():
    server = MockModelServer()
    for _ in range(2):
        with server:
            assert content(post(server, {"model": "m", "messages": HI})) == "ok"
    server.stop()
    with pytest.raises(OSError, match=r"refused|reset"):
        post(server, {"model": "m", "messages": HI})


def test_hanging_requests_do_not_hinder_the_end():
    with MockModelServer(chaos="hang") as server:
        with pytest.raises(TimeoutError):
            post(server, {"model": "m", "messages": HI}, timeout=0.1)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_an_occupied_port_is_an_error():
    with MockModelServer() as server, pytest.raises(OSError, match="in use"):
        MockModelServer(port=server.port).start()


# ---------------------------------------------------------------------- another process


def test_spawn_runs_it_in_another_process():
    with MockModelServer.spawn(answer=["one", "two"], latency=0.01, api_key="k") as server:
        request = urllib.request.Request(
            server.base_url + "/chat/completions",
            json.dumps({"model": "m", "messages": HI}).encode(),
            {"Authorization": "Bearer k"},
        )
        with urllib.request.urlopen(request, timeout=5) as reply:
            assert content(json.loads(reply.read())) == "one"
        assert server.stats()["counters"]["chat"] == 1
        port = int(server.base_url.split(":")[2].split("/")[0])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with pytest.raises(ConnectionRefusedError):
        connection.connect()


def test_spawn_says_when_it_cannot_start(capfd):
    with pytest.raises(RuntimeError, match="did not start"), MockModelServer.spawn(chaos="nonsense"):
        pass
    assert "nonsense" in capfd.readouterr().err


def test_the_command_line_prints_the_url_first():
    command = [sys.executable, "-m", "textgym.testing.mock_server", "--port", "0", "--answer", "hé"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            served = type("Served", (), {"base_url": url})
            assert content(post(served, {"model": "m", "messages": HI})) == "hé"
        finally:
            process.kill()


# ---------------------------------------------------------------------- chaos plans


def test_chaos_plans():
    assert [Chaos("429", times=2).mode(i) for i in range(3)] == ["429", "429", None]
    assert [Chaos(["500", None]).mode(i) for i in range(3)] == ["500", None, None]
    drawn = [Chaos({"500": 0.3, "hang": 0.2}, seed=1).mode(i) for i in range(500)]
    assert drawn == [Chaos({"500": 0.3, "hang": 0.2}, seed=1).mode(i) for i in range(500)]
    assert drawn != [Chaos({"500": 0.3, "hang": 0.2}, seed=2).mode(i) for i in range(500)]
    assert 110 < drawn.count("500") < 190
    assert 60 < drawn.count("hang") < 140


@pytest.mark.parametrize("plan", ["teapot", ["500", "teapot"], {"500": 1.2}, {"500": -0.1}])
def test_wrong_chaos_plans_are_named(plan):
    with pytest.raises(ConfigError, match=r"chaos"):
        Chaos(plan)


WRONG_STATUS = {
    "429": 429,
    "429-date": 429,
    "500": 500,
    "503": 503,
    "529": 529,
    "400": 400,
    "401": 401,
    "403": 403,
    "404": 404,
    "context": 400,
    "422-unknown-field": 422,
}
BROKEN = {"reset", "truncated", "hang", "hang-after-headers"}


@pytest.mark.parametrize("mode", sorted(set(MODES) - {"slow-loris"}))
def test_every_mode_breaks_one_request_and_leaves_the_server_well(mode, caplog):
    body = {
        "model": "m",
        "messages": HI,
        "n": 2,
        "return_token_ids": True,
        "logprobs": True,
        "top_logprobs": 0,
    }
    with MockModelServer("hello", chaos=[mode], huge_mb=0.1, retry_after=1) as server:
        if mode in BROKEN:
            with pytest.raises((OSError, http.client.HTTPException)):
                post(server, body, timeout=0.2)
        elif mode in WRONG_STATUS:
            with pytest.raises(urllib.error.HTTPError) as caught:
                post(server, body)
            assert caught.value.code == WRONG_STATUS[mode]
            assert ("Retry-After" in caught.value.headers) == (mode in ("429", "429-date", "503"))
            caught.value.close()
        else:
            with urllib.request.urlopen(
                urllib.request.Request(server.base_url + "/chat/completions", json.dumps(body).encode()),
                timeout=5,
            ) as reply:
                broken = reply.read()
            assert json.dumps(chat_document(body, ["hello"] * 2, 0)).encode() != broken
        assert content(post(server, body)) == "hello"
        assert server.counters[f"chaos:{mode}"] == 1
    assert not caplog.records


def test_a_slow_loris_says_the_right_thing_slowly():
    with MockModelServer(chaos="slow-loris", slow_interval=0.001) as server:
        started = time.monotonic()
        assert content(post(server, {"model": "m", "messages": HI})) == "ok"
    assert time.monotonic() - started > 0.2


def test_a_strict_server_takes_the_fields_it_knows():
    with MockModelServer(chaos="422-unknown-field") as server:
        assert content(post(server, {"model": "m", "messages": HI, "seed": 1, "n": 1})) == "ok"
