"""What OpenAIPolicy learns of tokens from servers of every dialect, and what it never makes up.

The servers are dialects of ``MockModelServer``; real model servers are asked in ``tests/interop``.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
from typing import Any

import numpy as np
import pytest

import textgym
from textgym.errors import (
    AuthenticationFailed,
    ConfigError,
    ContextOverflow,
    MalformedResponse,
    PolicyError,
    ProviderFailed,
    ProviderRejected,
)
from textgym.policies.capture import CaptureLevel
from textgym.policies.openai import OpenAIPolicy
from textgym.policies.replies import parse_reply
from textgym.testing import toy_tokens
from textgym.testing.mock_server import MockModelServer
from textgym.types import Completion, CompletionRequest, FinishReason, Sampling

HI = [{"role": "user", "content": "hi"}]
PROMPT = toy_tokens.render(HI)
HELLO = [*toy_tokens.encode("hello"), toy_tokens.END]
CHAT, PROMPTED, IDS = (
    {"messages": HI},
    {"messages": [], "prompt": "ab"},
    {"messages": HI, "prompt_ids": PROMPT},
)


def policy_of(server: MockModelServer, **options: Any) -> OpenAIPolicy:
    return OpenAIPolicy("m", **{"base_url": server.base_url, "tokens": True, "retry_wait": 0.01, **options})


def ask(policy: OpenAIPolicy, *requests: dict[str, Any]) -> list[Completion]:
    async def main() -> list[Completion]:
        async with policy:
            turns = [CompletionRequest(**request) for request in requests]
            return await asyncio.gather(*map(policy.complete, turns))

    return asyncio.run(main())


def probes(server: MockModelServer) -> list[dict[str, Any]]:
    return [
        body
        for body in server.requests
        if 1 in (body.get("max_tokens"), body.get("sampling_params", {}).get("max_new_tokens"))
    ]


@pytest.mark.parametrize("request_of", [CHAT, PROMPTED, IDS], ids=["chat", "prompt", "ids"])
@pytest.mark.parametrize("dialect", ["vllm", "sglang", "openai", "text"])
def test_every_dialect_tells_what_it_knows_and_no_more(dialect, request_of):
    with MockModelServer(answer="hello", dialect=dialect) as server:
        policy = policy_of(server)
        (completion,) = ask(policy, {**request_of, "seed": 4})
    assert completion.text == "hello"
    prompt = request_of.get("prompt_ids") or (PROMPT if request_of is CHAT else toy_tokens.encode("ab"))
    expected = np.float32(toy_tokens.toy_logprobs(prompt, HELLO, 4)).tolist()
    level = {"vllm": CaptureLevel.TOKENS, "sglang": CaptureLevel.TOKENS, "openai": CaptureLevel.LOGPROBS}.get(
        dialect, CaptureLevel.TEXT
    )
    if dialect == "sglang" and request_of is PROMPTED:
        level = CaptureLevel.LOGPROBS  # its route for prompts tells no ids
    assert policy.capture_level is level
    assert (completion.token_ids is not None) == (level is CaptureLevel.TOKENS)
    assert (completion.logprobs is not None) == (level is not CaptureLevel.TEXT)
    if level is CaptureLevel.TOKENS:
        assert list(completion.token_ids) == HELLO
        assert list(completion.prompt_token_ids) == prompt
    else:
        assert completion.token_ids is None
        assert completion.prompt_token_ids is None
    if completion.logprobs is not None:
        assert completion.logprobs.tolist() == expected


@pytest.mark.parametrize("dialect", ["vllm", "sglang"])
def test_ids_are_continued_over_the_route_that_the_server_has(dialect):
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=3, stop=("z",), extra={"top_k": 5})
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with MockModelServer(answer="hello", dialect=dialect) as server:
        (completion,) = ask(policy_of(server), {**IDS, "sampling": sampling, "seed": 7, "tools": tools})
        body = server.requests[-1]
    assert list(completion.token_ids) == HELLO[:3]
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.usage.prompt_tokens == len(PROMPT)
    assert completion.usage.completion_tokens == 3
    if dialect == "vllm":
        assert body == {
            "model": "m",
            "prompt": PROMPT,
            "return_token_ids": True,
            "logprobs": 0,
            "temperature": 0.5,
            "top_p": 0.9,
            "max_tokens": 3,
            "stop": ["z"],
            "top_k": 5,
            "seed": 7,
        }
    else:
        assert server.counters["completions"] == 1  # asked once, and then never again
        assert body == {
            "input_ids": PROMPT,
            "sampling_params": {
                "temperature": 0.5,
                "top_p": 0.9,
                "max_new_tokens": 3,
                "stop": ["z"],
                "top_k": 5,
                "sampling_seed": 7,
            },
            "return_logprob": True,
        }


@pytest.mark.parametrize("dialect", ["openai", "text"])
def test_where_ids_are_not_continued_the_messages_are_sent(dialect):
    with MockModelServer(answer="hello", dialect=dialect) as server:
        (completion,) = ask(policy_of(server), IDS)
        assert server.requests[-1]["messages"] == HI
    assert completion.prompt_token_ids is None


def test_where_ids_are_not_continued_a_prompt_stays_a_prompt():
    with MockModelServer(answer="hello", dialect="text") as server:
        ask(policy_of(server), {"messages": [], "prompt": "ab", "prompt_ids": [97, 98]})
        assert server.requests[-1]["prompt"] == "ab"


def test_a_server_is_asked_once_by_all_and_by_copies_never_again():
    with MockModelServer(answer="hello", latency=0.05) as server:
        policy = policy_of(server)
        assert len(ask(policy, *[CHAT] * 20)) == 20
        assert len(probes(server)) == 1
        for twin in (policy, copy.copy(policy), pickle.loads(pickle.dumps(policy))):
            ask(twin, CHAT)  # in a loop of its own
        assert len(probes(server)) == 1


def test_nothing_is_asked_where_no_tokens_are_wanted():
    with MockModelServer(answer="hello") as server:
        policy = policy_of(server, tokens=False)
        ask(policy, CHAT, PROMPTED)
        assert probes(server) == []
        assert policy.capture_level is None


def test_a_strict_server_degrades_with_a_notice(caplog):
    with MockModelServer(answer="hello", chaos="422-unknown-field") as server:
        policy = policy_of(server)
        with caplog.at_level(logging.WARNING):
            completions = ask(policy, *[CHAT] * 5)
        body = server.requests[-1]
    assert [c.text for c in completions] == ["hello"] * 5
    assert all(c.token_ids is None and c.logprobs is not None for c in completions)
    assert policy.capture_level is CaptureLevel.LOGPROBS
    assert body == {"model": "m", "messages": HI, "logprobs": True, "top_logprobs": 0}
    (notice,) = [record.getMessage() for record in caplog.records]
    assert "cannot be trained on" in notice
    assert "Unexpected fields: ['return_" in notice
    assert f"model 'm' at {server.base_url}" in notice


def test_what_is_asked_first_holds_the_fields_that_every_request_holds():
    with MockModelServer(answer="hello") as server:
        policy = policy_of(server, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
        ask(policy, {**CHAT, "sampling": Sampling(temperature=0.1, extra={"top_k": 1})})
        (probe,) = probes(server)
    assert probe == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 1,
        "return_token_ids": True,
        "logprobs": True,
        "top_logprobs": 0,
        "chat_template_kwargs": {"enable_thinking": False},
        "top_k": 1,
    }


@pytest.mark.parametrize(
    ("chaos", "error"),
    [
        ("400", ProviderRejected),
        ("404", ProviderRejected),
        ("401", AuthenticationFailed),
        ("context", ContextOverflow),
        ("503", ProviderFailed),
        ("nan-logprobs", MalformedResponse),
        ("short-logprobs", MalformedResponse),
        ("choices-empty", MalformedResponse),
    ],
)
def test_a_server_with_another_trouble_is_no_server_without_tokens(chaos, error, caplog):
    with MockModelServer(answer="hello", chaos=chaos) as server:
        policy = policy_of(server, max_retries=1)
        with pytest.raises(error):
            ask(policy, CHAT)
        assert policy.capture_level is None
        assert not caplog.records
        server.chaos.plan = None
        assert ask(policy, CHAT)[0].token_ids is not None
        assert policy.capture_level is CaptureLevel.TOKENS


def test_a_server_that_breaks_over_ids_is_one_that_does_not_continue_them(caplog):
    plan = ["500", "500", None]
    with MockModelServer(answer="hello", chaos=plan) as server:
        (completion,) = ask(policy_of(server, max_retries=1), IDS)
    assert completion.text == "hello"
    assert "does not continue token ids" in caplog.text


@pytest.mark.parametrize("extra", [{"min_tokens": 5}, {"max_completion_tokens": 64}, {"max_tokens": 64}])
def test_the_question_for_one_token_contradicts_no_length(extra):
    with MockModelServer(answer="hello") as server:
        policy = policy_of(server, extra_body=extra)
        ask(policy, {**CHAT, "sampling": Sampling(extra={**extra, "top_k": 2})})
        (probe,) = probes(server)
    assert {name for name in probe if "tokens" in name} == {"max_tokens"}
    assert probe["top_k"] == 2


def test_a_server_that_is_not_ready_is_asked_for_ids_again():
    with MockModelServer(answer="hello", chaos="404") as server:
        policy = policy_of(server)
        with pytest.raises(ProviderRejected):
            ask(policy, IDS)
        server.chaos.plan = None
        (completion,) = ask(policy, IDS)
        assert "messages" not in server.requests[-1]
    assert list(completion.prompt_token_ids) == PROMPT


def test_a_server_that_became_another_is_asked_again():
    with MockModelServer(answer="hello") as server:
        policy = policy_of(server)
        ask(policy, CHAT)
        server.chaos.plan = "422-unknown-field"
        with pytest.raises(ProviderRejected):
            ask(policy, CHAT)
        (completion,) = ask(policy, CHAT)
    assert completion.token_ids is None
    assert policy.capture_level is CaptureLevel.LOGPROBS


def test_closing_while_it_is_asked_is_an_error_and_no_cancellation():
    with MockModelServer(answer="hello", latency=5.0) as server:

        async def main() -> None:
            policy = policy_of(server)
            waiting = [asyncio.create_task(policy.complete(CompletionRequest(**CHAT))) for _ in range(3)]
            await asyncio.sleep(0.1)
            await policy.aclose()
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [PolicyError] * 3

        asyncio.run(main())


def test_ids_that_are_missing_from_an_answer_are_no_answer_without_tokens():
    with MockModelServer(
        answer=lambda body: {"content": "hello", "token_ids": [], "logprobs": None}
    ) as server:
        with pytest.raises(MalformedResponse, match="token_ids of the reply is"):
            ask(policy_of(server), CHAT)


def test_the_deadline_holds_for_the_first_request_too():
    with MockModelServer(answer="hello", chaos="hang") as server:
        policy = policy_of(server, timeout=0.3)
        with pytest.raises(ProviderFailed, match="timeout=0.3 s"):
            ask(policy, CHAT)


def test_one_who_leaves_does_not_stop_the_asking_for_the_others():
    with MockModelServer(answer="hello", latency=0.1) as server:
        policy = policy_of(server)

        async def main() -> Completion:
            async with policy:
                first = asyncio.create_task(policy.complete(CompletionRequest(**CHAT)))
                second = asyncio.create_task(policy.complete(CompletionRequest(**CHAT)))
                await asyncio.sleep(0.03)
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
                return await second

        assert asyncio.run(main()).token_ids is not None
        assert len(probes(server)) == 1


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("x", "meta_info.output_token_logprobs"),
        ([[1]], "meta_info.output_token_logprobs"),
        ([3], "meta_info.output_token_logprobs"),
        ([[-0.1, "a", None]], r"token_ids"),
        ([[float("nan"), 5, None]], r"token_logprobs\[0\] of the reply is nan"),
        ([[-9999.0, 5, None]], r"token_logprobs\[0\] of the reply is -9999"),
        ([[-0.1, -3, None]], r"token_ids"),
    ],
)
def test_the_rows_of_sglang_are_checked(rows, match):
    body = json.dumps({"text": "a", "meta_info": {"output_token_logprobs": rows}}).encode()
    with pytest.raises(MalformedResponse, match=match):
        parse_reply(body, "source")


def test_a_run_against_each_dialect_records_exactly_what_was_told():
    for dialect, known in (("vllm", True), ("sglang", True), ("openai", False), ("text", False)):
        with MockModelServer(answer=lambda body: "no", dialect=dialect) as server:
            run = textgym.rollout(
                "textgym/GuessNumber-v0", policy_of(server), num_examples=2, group_size=2, seed=1
            )
        assert not run.errors
        assert all((trajectory.tokens is not None) == known for trajectory in run), dialect


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ConfigError, match="vllm, sglang, openai, text"):
        MockModelServer(dialect="bard")
