"""OpenAIPolicy against a healthy server: what is sent, what comes back, and its manners.

Every test talks to a real ``MockModelServer``; what happens when servers misbehave is in
``tests/faults/test_provider_faults.py``.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import numpy as np
import openai
import pytest

from textgym.errors import (
    AuthenticationFailed,
    ConfigError,
    ContextOverflow,
    MalformedResponse,
    PolicyError,
    ProviderFailed,
    ProviderUnreachable,
)
from textgym.policies.openai import OpenAIPolicy
from textgym.policies.policy import Policy
from textgym.testing import toy_tokens
from textgym.testing.mock_server import MockModelServer
from textgym.types import Completion, CompletionRequest, FinishReason, Sampling, ToolCall, Usage

HI = [{"role": "user", "content": "hi"}]
SECRET = "sk-very-secret-0123456789"


def ask(policy: OpenAIPolicy, *requests: CompletionRequest) -> list[Completion]:
    """Complete the requests at once, in a fresh loop, and close."""

    async def main() -> list[Completion]:
        async with policy:
            return await asyncio.gather(*(policy.complete(request) for request in requests))

    return asyncio.run(main())


def turn(**fields: Any) -> CompletionRequest:
    return CompletionRequest(**{"messages": HI, **fields})


@pytest.fixture
def server():
    with MockModelServer(answer="hello") as running:
        yield running


# ---------------------------------------------------------------------- what is sent


def test_only_what_was_asked_for_is_sent(server):
    ask(OpenAIPolicy("m", base_url=server.base_url), turn())
    assert server.requests[-1] == {"model": "m", "messages": HI}


def test_sampling_seed_and_tools_are_sent(server):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    sampling = Sampling(
        temperature=0.0, top_p=0.5, max_tokens=9, stop=("x",), extra={"top_k": 3, "top_p": 1.0}
    )
    policy = OpenAIPolicy("m", base_url=server.base_url, extra_body={"min_p": 0.1, "temperature": 2.0})
    ask(policy, turn(sampling=sampling, seed=7, tools=tools))
    assert server.requests[-1] == {
        "model": "m",
        "messages": HI,
        "min_p": 0.1,
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 9,
        "stop": ["x"],
        "seed": 7,
        "tools": tools,
        "top_k": 3,
    }


def test_auto_mode_continues_prompts(server):
    policy = OpenAIPolicy("m", base_url=server.base_url)
    text, ids, both = (
        turn(prompt="ab"),
        turn(prompt_ids=np.array([5, 6], np.int32)),
        turn(prompt="ab", prompt_ids=(7,)),
    )
    assert [c.text for c in ask(policy, text, ids, both)] == ["hello"] * 3
    prompts = [body["prompt"] for body in server.requests if body.get("max_tokens") != 1]
    assert sorted(prompts, key=str) == sorted(["ab", [5, 6], [7]], key=str)
    assert all("messages" not in body for body in server.requests)
    assert server.counters["completions"] == 4  # one asks whether ids are continued and told


def test_modes_can_be_forced(server):
    chat = OpenAIPolicy("m", base_url=server.base_url, mode="chat")
    ask(chat, turn(messages=[], prompt="ab"))
    assert server.requests[-1]["messages"] == [{"role": "user", "content": "ab"}]
    with pytest.raises(ConfigError, match="needs a request with a prompt"):
        ask(OpenAIPolicy("m", base_url=server.base_url, mode="completions"), turn())


def test_headers(server):
    policy = OpenAIPolicy(
        "m", base_url=server.base_url, api_key=" k\n", headers={"accept": "x/y", "X-A": "b"}
    )
    ask(policy, turn())
    sent = server.headers[-1]
    assert sent["Authorization"] == "Bearer k"
    assert sent.getall("Accept") == ["x/y"]
    assert (sent["X-A"], sent["Content-Type"], sent["Accept-Encoding"]) == (
        "b",
        "application/json",
        "identity",
    )


def test_lone_surrogates_are_sent_as_replacement_characters(server):
    messages = [{"role": "user", "content": "a\ud800b\0 \N{PILE OF POO} \ud83d\ude00"}]
    ask(
        OpenAIPolicy("m", base_url=server.base_url),
        turn(messages=messages, sampling=Sampling(stop=("\udfff",))),
    )
    assert server.requests[-1]["messages"][0]["content"] == "a\N{REPLACEMENT CHARACTER}b\0 \N{PILE OF POO} 😀"
    assert server.requests[-1]["stop"] == ["\N{REPLACEMENT CHARACTER}"]
    assert messages[0]["content"] == "a\ud800b\0 \N{PILE OF POO} \ud83d\ude00"


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_long_prompts_pass(server, size):
    (completion,) = ask(
        OpenAIPolicy("m", base_url=server.base_url), turn(messages=[{"role": "user", "content": "é" * size}])
    )
    assert completion.text == "hello"
    assert server.headers[-1]["Content-Type"] == "application/json"


def test_a_body_that_is_no_json_is_a_config_error(server):
    with pytest.raises(ConfigError, match=r"sampling\.extra"):
        ask(OpenAIPolicy("m", base_url=server.base_url), turn(sampling=Sampling(extra={"f": object()})))
    assert not server.requests


# ---------------------------------------------------------------------- what comes back


def test_a_plain_answer(server):
    (completion,) = ask(OpenAIPolicy("m", base_url=server.base_url), turn())
    assert completion == Completion(text="hello", usage=Usage(prompt_tokens=5, completion_tokens=6))


@pytest.mark.parametrize("mode", ["chat", "completions"])
def test_token_fields_come_back_as_arrays(server, mode):
    prompt = toy_tokens.render(HI)
    policy = OpenAIPolicy("m", base_url=server.base_url, tokens=True)
    (completion,) = ask(policy, turn(prompt_ids=prompt if mode == "completions" else None, seed=4))
    ids = [*toy_tokens.encode("hello"), toy_tokens.END]
    assert completion.token_ids.tolist() == ids
    assert completion.prompt_token_ids.tolist() == prompt
    assert completion.logprobs.tolist() == np.float32(toy_tokens.toy_logprobs(prompt, ids, 4)).tolist()
    assert (completion.token_ids.dtype, completion.logprobs.dtype) == (np.int32, np.float32)
    assert completion.prompt_token_ids.dtype == np.int32


def reply_to(answer: Any, **options: Any) -> Completion:
    with MockModelServer(answer=lambda body: answer) as server:
        return ask(OpenAIPolicy("m", base_url=server.base_url, max_retries=0, **options), turn())[0]


def test_reasoning_stays_apart_unless_it_belongs_to_the_action():
    for name in ("reasoning_content", "reasoning"):
        answer = {"content": "4", name: "2+2"}
        completion = reply_to(answer)
        assert (completion.text, completion.reasoning) == ("4", "2+2")
        whole = reply_to(answer, include_reasoning=True)
        assert (whole.text, whole.reasoning) == ("<think>\n2+2\n</think>\n\n4", "2+2")
    assert reply_to("plain", include_reasoning=True).text == "plain"


def test_tool_calls():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": '}}
    completion = reply_to({"content": None, "tool_calls": [call, call]})
    assert completion.text == ""
    assert completion.tool_calls == (ToolCall(id="c1", name="f", arguments='{"x": '),) * 2
    assert completion.finish_reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("abort", FinishReason.ABORT),
        ("eos_token", FinishReason.STOP),
        (None, FinishReason.STOP),
        (3, FinishReason.STOP),
    ],
)
def test_finish_reasons(raw, reason):
    assert reply_to({"content": "x", "finish_reason": raw}).finish_reason is reason


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"]
    assert reply_to({"content": parts}).text == "abc"


@pytest.mark.parametrize("usage", [None, "much", {}, {"prompt_tokens": -1, "completion_tokens": 1.5}])
def test_unusable_usage_is_unknown(usage):
    assert reply_to({"content": "x", "usage": usage}).usage == Usage()


def test_a_logprob_just_above_zero_is_rounding_and_kept():
    rows = [{"logprob": 2.0**-20}, {"logprob": 0}, {"logprob": -0.5}]
    assert reply_to({"content": "x", "logprobs": {"content": rows}}).logprobs.tolist() == [2.0**-20, 0, -0.5]


def test_prompt_ids_per_choice_as_sglang_reports_them():
    with MockModelServer(
        answer=lambda body: {
            "content": "x",
            "choices": [{"message": {"content": "x"}, "prompt_token_ids": [1, 2]}],
        }
    ) as server:
        (completion,) = ask(OpenAIPolicy("m", base_url=server.base_url), turn())
    assert completion.prompt_token_ids.tolist() == [1, 2]


# ---------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": ""}, "model"),
        ({"mode": "chatty"}, "mode"),
        ({"base_url": "localhost:8000/v1"}, "must look like http"),
        ({"base_url": "http://"}, "must look like http"),
        ({"base_url": "http://x:99999/v1"}, "must look like http"),
        ({"base_url": None}, "base_url is None"),
        ({"base_url": []}, r"base_url is \[\]"),
        ({"base_url": [None]}, "must look like http"),
        ({"base_url": "http://user:pw@x/v1"}, "holds credentials"),
        ({"base_url": "http://x/v1/chat/completions"}, "root of the API, http://x/v1"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"attempt_timeout": -1}, "attempt_timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_connections": 0}, "max_connections"),
        ({"max_response_bytes": 1.5}, "max_response_bytes"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"api_key": 3}, "api_key is of type int"),
        ({"headers": {"X": "a\r\nb"}}, "headers"),
        ({"client": object(), "base_url": "http://x/v1"}, "both given"),
    ],
)
def test_wrong_values_are_named(options, match):
    with pytest.raises(ConfigError, match=match):
        OpenAIPolicy(**{"model": "m", "base_url": "http://localhost:1/v1", **options})


def test_the_api_key_comes_from_the_environment(monkeypatch, server):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        OpenAIPolicy("m")
    ask(OpenAIPolicy("m", base_url=server.base_url), turn())
    assert server.headers[-1]["Authorization"] == "Bearer EMPTY"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    assert OpenAIPolicy("m").base_urls == ("https://api.openai.com/v1",)
    ask(OpenAIPolicy("m", base_url=server.base_url), turn())
    assert server.headers[-1]["Authorization"] == "Bearer sk-env"


def test_base_urls_are_tidied():
    policy = OpenAIPolicy("m", base_url=["http://a/v1/", "http://a/v1", "http://b/v1?key=hidden"])
    assert policy.base_urls == ("http://a/v1", "http://b/v1")


def test_records_name_the_policy_and_hide_the_key():
    policy = OpenAIPolicy("m", base_url="http://b/v1?key=hidden", api_key=SECRET, extra_body={"top_k": 1})
    description = policy.describe()
    assert json.loads(json.dumps(description)) == description
    assert description["model"] == policy.name == "m"
    assert description["base_urls"] == ["http://b/v1"]
    for text in (repr(policy), str(policy), str(description)):
        assert SECRET not in text
        assert "hidden" not in text
    assert isinstance(policy, Policy)


# ---------------------------------------------------------------------- loops, threads, copies


def test_one_policy_serves_many_loops_and_threads(server):
    policy = OpenAIPolicy("m", base_url=server.base_url)
    texts: list[str] = []

    def work() -> None:
        for _ in range(3):
            texts.extend(c.text for c in ask(policy, *[turn()] * 5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["hello"] * 60
    assert not policy._deliveries


def test_it_can_be_used_again_after_aclose(server):
    async def main() -> None:
        policy = OpenAIPolicy("m", base_url=server.base_url)
        for _ in range(2):
            assert (await policy.complete(turn())).text == "hello"
            await policy.aclose()
            await policy.aclose()

    asyncio.run(main())


def test_nothing_is_left_unclosed(server):
    code = f"""
import asyncio, gc
from textgym.policies.openai import OpenAIPolicy
from textgym.types import CompletionRequest
policy = OpenAIPolicy("m", base_url={server.base_url!r})
async def main():
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is none of its business
    async with policy:
        await asyncio.gather(*(policy.complete(CompletionRequest(messages=[])) for _ in range(20)))
for _ in range(2):
    asyncio.run(main())
del policy
gc.collect()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_loops_that_ended_without_aclose_do_not_pile_up(server):
    policy = OpenAIPolicy("m", base_url=server.base_url)

    async def main() -> None:
        await policy.complete(turn())
        (transport,) = [d.transport for loop, d in policy._deliveries.items() if not loop.is_closed()]
        # Close the sockets only, as a loop does that ends abruptly.
        await transport._session.connector.close()

    for _ in range(3):
        asyncio.run(main())
        assert len(policy._deliveries) == 1
    asyncio.run(policy.aclose())
    for delivery in policy._deliveries.values():
        delivery.transport.abandon()


@pytest.mark.parametrize("twin_of", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy, copy.copy])
def test_copies_and_pickles_work_and_share_nothing(server, twin_of):
    policy = OpenAIPolicy("m", base_url=server.base_url, api_key=SECRET, extra_body={"top_k": 1}, tokens=True)

    async def main() -> None:
        async with policy:
            await policy.complete(turn())
            twin = twin_of(policy)
            assert not twin._deliveries
            assert twin.describe() == policy.describe()
            assert twin.extra_body is not policy.extra_body
            async with twin:
                assert (await twin.complete(turn())).text == "hello"
            assert (await policy.complete(turn())).text == "hello"

    asyncio.run(main())
    assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"


def test_connections_are_bounded_and_reused():
    with MockModelServer(latency=0.01) as server:
        ask(OpenAIPolicy("m", base_url=server.base_url, max_connections=4), *[turn()] * 40)
    assert server.peak_in_flight == 4
    with MockModelServer() as server:
        ask(OpenAIPolicy("m", base_url=server.base_url), *[turn()] * 300)
    assert server.counters["chat"] == 300


def test_connections_fit_into_the_limit_on_open_files():
    code = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
from textgym.policies.openai import OpenAIPolicy
from textgym.types import CompletionRequest
async def main():
    async with OpenAIPolicy("m", base_url=sys.argv[1], max_retries=0) as policy:
        await asyncio.gather(*(policy.complete(CompletionRequest(messages=[])) for _ in range(200)))
asyncio.run(main())
"""
    with MockModelServer(latency=0.01) as server:
        command = [sys.executable, "-c", code, server.base_url]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(command, check=True, timeout=20, env=environment)
    assert server.counters["chat"] == 200
    assert 32 < server.peak_in_flight <= 80


def test_a_cancelled_request_is_given_up_on_both_sides():
    async def main(server: MockModelServer) -> None:
        async with OpenAIPolicy("m", base_url=server.base_url) as policy:
            task = asyncio.create_task(policy.complete(turn()))
            while not server.in_flight:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (delivery,) = policy._deliveries.values()
            assert delivery.fleet.servers[0].in_flight == 0
            while server.in_flight:
                await asyncio.sleep(0.005)

    with MockModelServer(latency=5) as server:
        asyncio.run(asyncio.wait_for(main(server), 4))
    assert server.counters["cancelled"] == 1


def test_closing_during_a_request_ends_it():
    async def main(server: MockModelServer) -> None:
        policy = OpenAIPolicy("m", base_url=server.base_url, retry_wait=0.01)
        task = asyncio.create_task(policy.complete(turn()))
        while not server.in_flight:
            await asyncio.sleep(0.005)
        await policy.aclose()
        with pytest.raises(PolicyError, match="closed"):
            await task

    with MockModelServer(latency=5) as server:
        asyncio.run(main(server))


# ---------------------------------------------------------------------- several servers


def test_requests_go_to_the_least_loaded_server():
    with MockModelServer(latency=0.2) as slow, MockModelServer(latency=0.005) as quick:
        urls = [slow.base_url, quick.base_url]

        async def main() -> None:
            async with OpenAIPolicy("m", base_url=urls) as policy:
                left = iter(range(100))

                async def worker() -> None:
                    for _ in left:
                        await policy.complete(turn())

                await asyncio.gather(*(worker() for _ in range(8)))

        asyncio.run(main())
        assert slow.counters["chat"] >= 4
        assert quick.counters["chat"] > 3 * slow.counters["chat"]


def test_a_group_stays_on_one_server_and_groups_spread():
    with MockModelServer(latency=0.01) as one, MockModelServer(latency=0.01) as two:
        policy = OpenAIPolicy("m", base_url=[one.base_url, two.base_url])
        requests = [turn(group=f"g{i % 6}", seed=i % 6) for i in range(48)]
        ask(policy, *requests)
        homes = [{body["seed"] for body in server.requests} for server in (one, two)]
    assert homes[0].isdisjoint(homes[1])
    assert len(homes[0]) == len(homes[1]) == 3


# ---------------------------------------------------------------------- preflight


def preflight(policy: OpenAIPolicy) -> float:
    async def main() -> None:
        async with policy:
            await policy.preflight()

    started = time.monotonic()
    try:
        asyncio.run(main())
    finally:
        gc.collect()
    return time.monotonic() - started


def test_preflight_accepts_any_server_that_answers(server):
    preflight(OpenAIPolicy("m", base_url=server.base_url))
    assert server.counters["models"] == 1
    preflight(OpenAIPolicy("m", base_url=server.base_url.replace("/v1", "/v2")))  # 404


def test_preflight_finds_unreachable_servers(server):
    dead = "http://127.0.0.1:9/v1"
    policy = OpenAIPolicy("m", base_url=[server.base_url, dead, "http://no-such-host.invalid/v1"])
    with pytest.raises(ProviderUnreachable, match=r"2 of 3.*127\.0\.0\.1:9.*no-such-host\.invalid.*base_url"):
        preflight(policy)


def test_preflight_finds_refused_credentials():
    with MockModelServer(api_key=SECRET) as server:
        preflight(OpenAIPolicy("m", base_url=server.base_url, api_key=SECRET))
        with pytest.raises(AuthenticationFailed, match="OPENAI_API_KEY") as caught:
            preflight(OpenAIPolicy("m", base_url=server.base_url, api_key="sk-wrong-0123"))
    assert "sk-wrong" not in str(caught.value)


def test_preflight_does_not_wait_for_silent_servers(monkeypatch):
    import socket

    monkeypatch.setattr("textgym.policies.preflight._SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        started = time.monotonic()
        with pytest.raises(ProviderUnreachable, match="no answer within"):
            preflight(OpenAIPolicy("m", base_url=url))
        assert time.monotonic() - started < 2


# ---------------------------------------------------------------------- a client of the user's


@pytest.fixture(params=["async", "sync"])
def client_of(request):
    clients: list[Any] = []

    def make(server: Any, **options: Any) -> Any:
        kind = openai.AsyncOpenAI if request.param == "async" else openai.OpenAI
        client = kind(**{"api_key": SECRET, "base_url": server.base_url, **options})
        clients.append(client)
        return client

    yield make
    for client in clients:
        if request.param == "sync":
            client.close()


def ask_client(client: Any, *requests: CompletionRequest, **options: Any) -> list[Completion]:
    async def main() -> list[Completion]:
        policy = OpenAIPolicy("m", client=client, retry_wait=0.01, **options)
        try:
            await policy.preflight()
            return await asyncio.gather(*(policy.complete(request) for request in requests))
        finally:
            await policy.aclose()
            if isinstance(client, openai.AsyncOpenAI):
                await client.close()

    return asyncio.run(main())


def test_a_real_client_gives_the_same_completions(server, client_of):
    request = turn(sampling=Sampling(temperature=1.0, max_tokens=50, extra={"top_k": 3}), seed=4)
    policy = OpenAIPolicy("m", base_url=server.base_url, tokens=True)
    (mine,) = ask(policy, request)
    sent = server.requests[-1]
    theirs = ask_client(client_of(server), *[request] * 3, tokens=True)
    assert server.requests[-1] == sent
    assert server.headers[-1]["Authorization"] == f"Bearer {SECRET}"
    for completion in theirs:
        assert completion.text == mine.text
        assert completion.token_ids.tolist() == mine.token_ids.tolist()
        assert completion.logprobs.tolist() == mine.logprobs.tolist()
        assert completion.usage == mine.usage
    (ids,) = ask_client(client_of(server), turn(prompt_ids=[1, 2]))
    assert ids.text == "hello"


def test_a_real_client_is_named_in_records_without_its_key(server):
    policy = OpenAIPolicy("m", client=openai.OpenAI(api_key=SECRET, base_url=server.base_url))
    assert policy.base_urls == (server.base_url,)
    assert SECRET not in repr(policy) + str(policy.describe())
    assert copy.deepcopy(policy).describe() == policy.describe()
    with pytest.raises(TypeError, match="base_url and api_key"):
        pickle.dumps(policy)


def test_a_real_client_has_its_own_retries_switched_off(client_of):
    with MockModelServer(chaos="500") as server, pytest.raises(ProviderFailed, match=r"3 attempts.*HTTP 500"):
        ask_client(client_of(server, max_retries=5), turn(), max_retries=2)
    assert server.counters["chat"] == 3


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("context", ContextOverflow),
        ("401", AuthenticationFailed),
        ("choices-empty", MalformedResponse),
        ("html-200", ProviderFailed),
        ("json-string", ProviderFailed),
        ("bad-utf8", ProviderFailed),
        ("reset", ProviderFailed),
        ("hang", ProviderFailed),
        ("slow-loris", ProviderFailed),
        ("huge", MalformedResponse),
    ],
)
def test_a_real_client_gets_the_same_checks(mode, error, client_of):
    with MockModelServer(chaos=mode, huge_mb=0.1) as server, pytest.raises(error):
        ask_client(client_of(server), turn(), max_retries=1, timeout=0.5, max_response_bytes=50_000)


def test_a_real_client_without_a_server():
    client = openai.AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ProviderUnreachable, match=r"127\.0\.0\.1:9"):
        ask_client(client, turn())


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_fake_client_is_good_enough(asynchronous):
    reply = SimpleNamespace(
        choices=[
            SimpleNamespace(message=SimpleNamespace(content="fake", tool_calls=None), finish_reason="length")
        ],
        usage=SimpleNamespace(prompt_tokens=1, completion_tokens=2),
    )
    client = MagicMock()
    client.chat.completions.create = (AsyncMock if asynchronous else MagicMock)(return_value=reply)
    (completion,) = ask_client(client, turn(sampling=Sampling(max_tokens=3, extra={"top_k": 1})))
    assert completion == Completion(
        text="fake",
        finish_reason=FinishReason.LENGTH,
        usage=Usage(prompt_tokens=1, completion_tokens=2),
    )
    assert client.chat.completions.create.call_args.kwargs == {
        "model": "m",
        "messages": HI,
        "max_tokens": 3,
        "extra_body": {"top_k": 1},
    }


def test_a_mock_reply_and_a_raising_client():
    client = MagicMock()
    client.chat.completions.create.return_value = MagicMock(
        choices=[MagicMock(message=MagicMock(content="mock"))]
    )
    assert ask_client(client, turn())[0].text == "mock"
    client.chat.completions.create.side_effect = ValueError("boom")
    with pytest.raises(PolicyError, match="ValueError: boom"):
        ask_client(client, turn())
