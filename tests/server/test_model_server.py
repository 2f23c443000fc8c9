"""The model server over HTTP, asked by the real openai client, by OpenAIPolicy and by hand."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import textgym
from textgym.errors import AuthenticationFailed, ConfigError, ContextOverflow
from textgym.policies import TransformersPolicy
from textgym.types import CompletionRequest, Sampling

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from textgym.server import ModelServer  # noqa: E402

MODEL = "tiny"
CONTEXT = 2048
HELLO = [{"role": "user", "content": "Say: 1234"}]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersPolicy]:
    import tiny_llama

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tiny_llama.build(tmp_path_factory.mktemp("model") / "tiny_llama")
    with TransformersPolicy(folder, name=MODEL) as policy:
        yield policy
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def server(policy: TransformersPolicy) -> Iterator[ModelServer]:
    with ModelServer(policy, max_body_bytes=100_000) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: ModelServer) -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client:
        yield client


def ask(server: ModelServer, body: Any, route: str = "/v1/chat/completions") -> tuple[int, Any]:
    """Status and document of one request."""
    data = body if isinstance(body, bytes) else json.dumps({"model": MODEL, **body}).encode()
    url = server.base_url.removesuffix("/v1") + route
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def locally(policy: TransformersPolicy, seed: int = 0, **sampling: Any) -> Any:
    return policy.submit(policy.render(HELLO), Sampling(**sampling), seed=seed).result(30)


# ---------------------------------------------------------------------- chat


def test_chat_gives_the_ids_and_logprobs_of_the_policy(policy: TransformersPolicy, client: Any) -> None:
    reply = client.chat.completions.create(
        model=MODEL,
        messages=HELLO,
        max_tokens=12,
        n=3,
        seed=5,
        temperature=0.9,
        logprobs=True,
        top_logprobs=2,
        extra_body={"return_token_ids": True},
    )
    assert reply.prompt_token_ids == policy.render(HELLO)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    for choice in reply.choices:
        wanted = locally(policy, 5 + choice.index, max_tokens=12, temperature=0.9)
        assert tuple(choice.token_ids) == wanted.ids
        assert choice.message.content == policy.decode(wanted.ids)
        assert choice.finish_reason == wanted.finish_reason
        rows = choice.logprobs.content
        assert np.allclose([row.logprob for row in rows], wanted.logprobs, atol=1e-4)
        assert all(len(row.top_logprobs) == 2 for row in rows)
        assert all(row.top_logprobs[0].logprob >= row.logprob - 1e-4 for row in rows)
    assert reply.usage.prompt_tokens == len(policy.render(HELLO))
    assert reply.usage.completion_tokens == sum(len(choice.token_ids) for choice in reply.choices)


def test_a_stream_says_what_the_whole_reply_says(client: Any) -> None:
    how: dict[str, Any] = {
        "model": MODEL,
        "messages": HELLO,
        "max_tokens": 20,
        "n": 2,
        "seed": 3,
        "logprobs": True,
    }
    whole = client.chat.completions.create(**how, extra_body={"return_token_ids": True})
    stop = whole.choices[0].message.content[7:9]
    how["stop"] = [stop]
    whole = client.chat.completions.create(**how, extra_body={"return_token_ids": True})
    stream = client.chat.completions.create(
        **how, stream=True, stream_options={"include_usage": True}, extra_body={"return_token_ids": True}
    )
    texts, ids, logprobs, reasons = ["", ""], [[], []], [[], []], [[], []]
    usage = prompt = None
    for chunk in stream:
        usage = chunk.usage or usage
        prompt = getattr(chunk, "prompt_token_ids", None) or prompt
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            ids[choice.index] += getattr(choice, "token_ids", None) or []
            logprobs[choice.index] += (
                [row.logprob for row in choice.logprobs.content] if choice.logprobs else []
            )
            reasons[choice.index] += [choice.finish_reason] if choice.finish_reason else []
    for choice in whole.choices:
        assert texts[choice.index] == choice.message.content
        assert stop not in texts[choice.index]
        assert ids[choice.index] == choice.token_ids
        wanted = [row.logprob for row in choice.logprobs.content]
        assert np.allclose(logprobs[choice.index], wanted, atol=1e-4)
        assert reasons[choice.index] == [choice.finish_reason]
    assert whole.choices[0].finish_reason == "stop"
    assert len(whole.choices[0].message.content) == 7
    assert prompt == whole.prompt_token_ids
    assert usage.completion_tokens == whole.usage.completion_tokens


def test_tools_reach_the_chat_template(policy: TransformersPolicy, server: ModelServer) -> None:
    tools = [
        {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    ]
    body = {"messages": HELLO, "tools": tools, "max_tokens": 2, "return_token_ids": True}
    assert ask(server, body)[1]["prompt_token_ids"] == policy.render(HELLO, tools)
    status, reply = ask(server, {**body, "tool_choice": "none"})
    assert reply["prompt_token_ids"] == policy.render(HELLO)


def test_content_in_parts_is_text(policy: TransformersPolicy, server: ModelServer) -> None:
    parts = [{"type": "text", "text": "Say: "}, {"type": "text", "text": "1234"}]
    body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 1, "return_token_ids": True}
    assert ask(server, body)[1]["prompt_token_ids"] == policy.render(HELLO)


# ---------------------------------------------------------------------- completions


def test_completions_continue_texts_and_ids(policy: TransformersPolicy, client: Any) -> None:
    texts = ["abc", "hello"]
    ids = [policy.encode(text) for text in texts]
    for prompt in (texts, ids):
        reply = client.completions.create(
            model=MODEL,
            prompt=prompt,
            max_tokens=6,
            n=2,
            seed=1,
            logprobs=3,
            extra_body={"return_token_ids": True},
        )
        assert [choice.prompt_token_ids for choice in reply.choices] == [ids[0], ids[0], ids[1], ids[1]]
        for choice in reply.choices:
            wanted = policy.submit(choice.prompt_token_ids, Sampling(max_tokens=6), seed=1 + choice.index % 2)
            assert tuple(choice.token_ids) == wanted.result(30).ids
            assert choice.text == policy.decode(choice.token_ids)
            table = choice.logprobs
            assert len(table.token_logprobs) == len(table.tokens) == len(choice.token_ids)
            assert all(len(row) == 3 for row in table.top_logprobs)
    one = client.completions.create(model=MODEL, prompt=ids[0], max_tokens=6, seed=1)
    assert (
        one.choices[0].text
        == client.completions.create(model=MODEL, prompt="abc", max_tokens=6, seed=1).choices[0].text
    )


def test_tokens_can_be_named_by_their_ids(server: ModelServer) -> None:
    body = {
        "prompt": [5, 6],
        "max_tokens": 3,
        "logprobs": 0,
        "return_tokens_as_token_ids": True,
        "return_token_ids": True,
    }
    choice = ask(server, body, "/v1/completions")[1]["choices"][0]
    assert choice["logprobs"]["tokens"] == [f"token_id:{token}" for token in choice["token_ids"]]


def test_other_routes(policy: TransformersPolicy, server: ModelServer, client: Any) -> None:
    (listed,) = client.models.list().data
    assert (listed.id, listed.max_model_len) == (MODEL, CONTEXT)
    status, counted = ask(server, {"messages": HELLO}, "/tokenize")
    assert counted["tokens"] == policy.render(HELLO)
    assert ask(server, {"prompt": "abc"}, "/tokenize")[1]["count"] == 3
    assert ask(server, {}, "/nowhere")[0] == 404
    assert ask(server, {}, "/v1/models")[0] == 405


# ---------------------------------------------------------------------- OpenAIPolicy


@pytest.mark.parametrize("token_in", [False, True])
def test_a_rollout_over_http_is_the_rollout_in_process(
    policy: TransformersPolicy, server: ModelServer, token_in: bool
) -> None:
    how: dict[str, Any] = {
        "num_examples": 6,
        "group_size": 4,
        "env_kwargs": {"turns": 3},
        "sampling": Sampling(max_tokens=10, temperature=0.8),
        "seed": 7,
        "tokenizer": policy.template if token_in else None,
    }
    remote = textgym.OpenAIPolicy(MODEL, base_url=server.base_url, tokens=True)
    over_http = textgym.rollout("textgym/Echo-v0", remote, **how)
    rendering: Any = SimpleNamespace(complete=policy.complete, name=policy.name)  # it hides its template
    in_process = textgym.rollout("textgym/Echo-v0", policy if token_in else rendering, **how)
    assert not over_http.errors
    for there, here in zip(over_http, in_process, strict=True):
        assert there.tokens.forks == 0 or not token_in
        assert there.tokens.ids.tolist() == here.tokens.ids.tolist()
        assert there.tokens.mask.tolist() == here.tokens.mask.tolist()
        assert np.allclose(there.tokens.logprobs, here.tokens.logprobs, atol=1e-4)
        assert there.messages == here.messages


def test_what_is_too_long_is_an_overflow_for_the_policy(server: ModelServer) -> None:
    remote = textgym.OpenAIPolicy(MODEL, base_url=server.base_url, max_retries=0)

    async def complete(**request: Any) -> None:
        async with remote:
            await remote.complete(CompletionRequest(**request))

    long = [{"role": "user", "content": "x" * 3000}]
    for request in (
        {"messages": long},
        {"messages": long, "sampling": Sampling(max_tokens=5)},
        {"messages": [], "prompt_ids": [5] * CONTEXT},
    ):
        with pytest.raises(ContextOverflow, match="maximum context length"):
            asyncio.run(complete(**request))


def test_a_key_is_wanted_where_one_is_set(policy: TransformersPolicy) -> None:
    with ModelServer(policy, api_key="sesame-1234") as server:
        assert ask(server, {"messages": HELLO})[0] == 401

        async def complete(key: str) -> str:
            async with textgym.OpenAIPolicy(MODEL, base_url=server.base_url, api_key=key) as remote:
                await remote.preflight()
                request = CompletionRequest(messages=HELLO, sampling=Sampling(max_tokens=2))
                return (await remote.complete(request)).text

        with pytest.raises(AuthenticationFailed):
            asyncio.run(complete("wrong"))
        asyncio.run(complete("sesame-1234"))


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": HELLO, "temperature": -1}, "temperature"),
        ({"messages": HELLO, "temperature": "hot"}, "temperature"),
        ({"messages": HELLO, "top_p": 0}, "top_p"),
        ({"messages": HELLO, "max_tokens": 0}, "max_tokens"),
        ({"messages": HELLO, "max_tokens": True}, "max_tokens"),
        ({"messages": HELLO, "n": 1000}, "n"),
        ({"messages": HELLO, "seed": 2**70}, "seed"),
        ({"messages": HELLO, "stop": [1]}, "stop"),
        ({"messages": HELLO, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"messages": HELLO, "frequency_penalty": 0.5}, "frequency_penalty"),
        ({"messages": HELLO, "tool_choice": "required"}, "tool_choice"),
        ({"messages": HELLO, "response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_a_wrong_field_is_named(server: ModelServer, body: dict[str, Any], field: str) -> None:
    status, reply = ask(server, body)
    assert status == 400
    assert reply["error"]["param"] == field
    assert field in reply["error"]["message"]


@pytest.mark.parametrize("prompt", [None, [], [[]], ["a", 3], [[1.5]], {"a": 1}])
def test_a_wrong_prompt_is_refused(server: ModelServer, prompt: Any) -> None:
    status, reply = ask(server, {"prompt": prompt}, "/v1/completions")
    assert (status, reply["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "no JSON"),
        (b"[1]", 400, "JSON object"),
        (b'{"messages": "' + b"x" * 200_000 + b'"}', 413, "100000 bytes"),
        ({"model": "other", "messages": HELLO}, 404, "`other` does not exist"),
        ({"messages": HELLO, "top_k": 0.5}, 400, "top_k"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, 400, "unknown role"),
    ],
)
def test_other_wrong_requests(server: ModelServer, body: Any, status: int, said: str) -> None:
    code, reply = ask(server, body)
    assert code == status
    assert said in reply["error"]["message"]


@pytest.mark.parametrize(
    ("field", "value"), [("top_k", "abc"), ("top_k", 0.5), ("stop_token_ids", ["a"]), ("min_p", 7)]
)
def test_a_stream_that_cannot_begin_is_refused_as_a_whole_reply_is(
    server: ModelServer, field: str, value: Any
) -> None:
    whole = ask(server, {"messages": HELLO, "max_tokens": 3, field: value})
    streamed = ask(server, {"messages": HELLO, "max_tokens": 3, field: value, "stream": True})
    assert whole[0] == 400
    assert field in whole[1]["error"]["message"]
    assert streamed == whole


def test_a_stream_that_breaks_says_so_and_ends(
    policy: TransformersPolicy, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> str:
        raise ConfigError("no such piece")

    monkeypatch.setattr(policy, "decode", broken)
    data = json.dumps({"model": MODEL, "messages": HELLO, "max_tokens": 3, "stream": True}).encode()
    request = urllib.request.Request(
        server.base_url + "/chat/completions", data=data, headers={"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        lines = answer.read().decode().split("\n\n")
    assert "no such piece" in json.loads(lines[-3].removeprefix("data: "))["error"]["message"]
    assert lines[-2:] == ["data: [DONE]", ""]


def test_lone_surrogates_in_a_prompt_become_a_replacement_character(server: ModelServer) -> None:
    body = b'{"model": "tiny", "prompt": "a\\ud800b", "max_tokens": 2, "seed": 0}'
    status, reply = ask(server, body, "/v1/completions")
    assert status == 200
    replaced = ask(server, {"prompt": "a\ufffdb", "max_tokens": 2, "seed": 0}, "/v1/completions")[1]
    assert reply["choices"] == replaced["choices"]


@pytest.mark.parametrize(
    "calls",
    [
        "zzz",
        [5],
        [{}],
        [{"function": 3}],
        [{"function": {"name": 3}}],
        [{"function": {"name": "f", "arguments": 1}}],
    ],
)
def test_malformed_tool_calls_are_refused(server: ModelServer, calls: Any) -> None:
    messages = [*HELLO, {"role": "assistant", "content": None, "tool_calls": calls}, *HELLO]
    status, reply = ask(server, {"messages": messages, "max_tokens": 2})
    assert (status, reply["error"]["param"]) == (400, "messages")
    assert "messages[1].tool_calls" in reply["error"]["message"]


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/chat/completions", {"messages": HELLO, "max_tokens": 1}),
        ("/v1/completions", {"prompt": "a", "max_tokens": 1}),
        ("/tokenize", {"messages": HELLO}),
        ("/tokenize", {"prompt": "a"}),
    ],
)
def test_a_long_text_does_not_hold_up_the_others(
    policy: TransformersPolicy,
    server: ModelServer,
    monkeypatch: pytest.MonkeyPatch,
    route: str,
    body: dict[str, Any],
) -> None:
    busy, go_on = threading.Event(), threading.Event()

    def slow(*texts: Any) -> list[int]:
        busy.set()
        assert go_on.wait(30)
        return [1]

    monkeypatch.setattr(policy, "render", slow)
    monkeypatch.setattr(policy, "encode", slow)
    replies: list[Any] = []
    asking = threading.Thread(target=lambda: replies.append(ask(server, body, route)))
    asking.start()
    assert busy.wait(30)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(server.base_url.removesuffix("/v1") + "/health", timeout=10) as answer:
            assert answer.status == 200
    finally:
        go_on.set()
        asking.join(30)
    assert replies[0][0] == 200


def test_unknown_fields_change_nothing(server: ModelServer) -> None:
    body = {"messages": HELLO, "max_tokens": 5, "seed": 1}
    plain = ask(server, body)[1]["choices"]
    assert ask(server, {**body, "user": "me", "some_new_thing": {"a": 1}})[1]["choices"] == plain


def test_ids_of_another_vocabulary_are_refused(server: ModelServer) -> None:
    status, reply = ask(server, {"prompt": [10**6]}, "/v1/completions")
    assert status == 400
    assert "1000000" in reply["error"]["message"]


def test_a_client_that_leaves_frees_its_place(
    policy: TransformersPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    with TransformersPolicy(policy.model, policy.tokenizer, max_batch=1, name=MODEL) as narrow:
        with ModelServer(narrow) as server:

            async def leave() -> None:
                async with textgym.OpenAIPolicy(MODEL, base_url=server.base_url) as remote:
                    sampling = Sampling(max_tokens=2000, extra={"ignore_eos": True})
                    request = CompletionRequest(messages=HELLO, sampling=sampling)
                    async with asyncio.timeout(0.3):
                        await remote.complete(request)

            with pytest.raises(TimeoutError):
                asyncio.run(leave())
            assert ask(server, {"messages": HELLO, "max_tokens": 1})[0] == 200
    gc.collect()
    assert not [record for record in caplog.records if "never retrieved" in record.getMessage()]


def test_a_taken_port_is_an_error(policy: TransformersPolicy, server: ModelServer) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        ModelServer(policy, port=server.port)


def test_stopping_ends_the_listening(policy: TransformersPolicy) -> None:
    server = ModelServer(policy).start()
    assert ask(server, {"messages": HELLO, "max_tokens": 1})[0] == 200
    server.stop()
    server.stop()
    with pytest.raises(urllib.error.URLError):
        ask(server, {"messages": HELLO})
