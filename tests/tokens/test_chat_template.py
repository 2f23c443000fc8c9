"""ChatTemplate over the toy tokenizer and toy renderers: what is appended, what is refused."""

from __future__ import annotations

import concurrent.futures
import copy
import pickle
from typing import Any

import numpy as np
import pytest

from textgym.errors import ConfigError, TemplateError
from textgym.testing import ToyTokenizer, toy_tokens
from textgym.testing.toy_tokens import END, ROLES
from textgym.tokens import ChatTemplate, History
from textgym.types import ToolCall

USER, ASSISTANT, TOOL = ROLES["user"], ROLES["assistant"], ROLES["tool"]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {}}}]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def text(value: str) -> list[int]:
    return toy_tokens.encode(value)


@pytest.fixture
def template() -> ChatTemplate:
    return ChatTemplate(ToyTokenizer())


def test_the_prompt_is_what_a_server_renders(template: ChatTemplate) -> None:
    messages = [
        {"role": "system", "content": "s"},
        user("ü"),
        {"role": "assistant", "content": "a"},
        user("b"),
    ]
    ids = template.initial(messages, TOOLS)
    assert ids.dtype == np.int32
    assert ids.tolist() == toy_tokens.render(messages, TOOLS)


@pytest.mark.parametrize(
    ("sampled", "close"),
    [
        ([*text("yes"), END], []),  # ended by itself
        (text("yes"), [END]),  # cut by length
        ([], [END]),  # said nothing
        ([END], []),
        ([*text("yes"), ROLES["system"]], [END]),  # another stop token: it stays, and the close follows
        ([*text("yes"), END, END], []),
    ],
)
def test_a_missing_close_is_added_and_a_sampled_one_is_not_repeated(
    template: ChatTemplate, sampled: list[int], close: list[int]
) -> None:
    prompt = template.initial([user("a")]).tolist()
    for known in (None, len(sampled)):
        more = template.bridge([*prompt, *sampled], [user("b")], sampled=known)
        assert more is not None
        assert more.dtype == np.int32
        assert more.tolist() == [*close, USER, *text("b"), END, ASSISTANT]


def test_the_prompt_before_an_empty_answer_is_no_part_of_the_answer(template: ChatTemplate) -> None:
    # An odd prompt that ends in the close itself: with `sampled` it is not taken for the answer's.
    more = template.bridge([USER, END], [user("b")], sampled=0)
    assert more is not None
    assert more.tolist()[:2] == [END, USER]


def test_tool_turns(template: ChatTemplate) -> None:
    prompt = template.initial([user("a")], TOOLS).tolist()
    sampled = [*text('<tool_call>{"name": "f"}</tool_call>'), END]
    answers = [{"role": "tool", "content": c, "tool_call_id": f"call_0_{i}"} for i, c in enumerate("xy")]
    expected = [TOOL, *text("x"), END, TOOL, *text("y"), END, ASSISTANT]
    calls = [ToolCall(id="call_0_0", name="f", arguments="{}"), {"id": "c", "function": {"name": "g"}}]
    for given in ((), calls[:1], calls):
        more = template.bridge([*prompt, *sampled], answers, tools=TOOLS, tool_calls=given)
        assert more is not None
        assert more.tolist() == expected
        assert template.bridge([*prompt, *sampled[:-1]], answers, tools=TOOLS).tolist() == [END, *expected]


def test_nothing_new_still_opens_the_next_answer(template: ChatTemplate) -> None:
    assert template.bridge([USER, 1, END, ASSISTANT, 2, END], []).tolist() == [ASSISTANT]


def test_content_in_parts_and_lone_surrogates(template: ChatTemplate) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert template.initial([{"role": "user", "content": parts}]).tolist() == toy_tokens.render([user("ab")])
    assert template.initial([{"role": "user", "content": None}]).tolist() == toy_tokens.render([user("")])
    lone = template.bridge([1], [user("x\ud800y")])
    assert lone.tolist() == template.bridge([1], [user("x\ufffdy")]).tolist()
    with pytest.raises(TemplateError, match="only text"):
        template.initial([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])


def test_bare_text(template: ChatTemplate) -> None:
    assert template.encode("Once").tolist() == text("Once")
    assert template.encode(" upon", after=True).tolist() == text(" upon")
    assert template.encode("", after=True).tolist() == []


def test_what_it_found_out(template: ChatTemplate) -> None:
    assert (template.bridges.user, template.bridges.tool) == ("", "")
    assert template.stop_ids == (END,)
    assert template.describe()["tokenizer"] == "toy"
    assert ChatTemplate.of(template) is template
    assert ChatTemplate.of(ToyTokenizer()).stop_ids == (END,)


def test_history_by_the_template_asks_for_a_new_rendering_at_user_messages_only() -> None:
    template = ChatTemplate(ToyTokenizer(), history="template")
    assert template.history is History.TEMPLATE
    assert template.bridge([1, END], [user("b")]) is None
    assert template.bridge([1, END], [{"role": "tool", "content": "x"}]).tolist()[0] == TOOL


class Alternating(ToyTokenizer):
    """Strict about roles, as several real templates are."""

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        for index, message in enumerate(messages):
            if message["role"] != ("user", "assistant")[index % 2]:
                raise ValueError("roles must alternate")
        return super().apply_chat_template(messages, **kwargs)


class Forgetful(ToyTokenizer):
    """Shows the last message only."""

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        return super().apply_chat_template(messages[-1:], **kwargs)


class Hoisting(ToyTokenizer):
    """Puts system messages first, wherever they stand."""

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        return super().apply_chat_template(sorted(messages, key=lambda m: m["role"] != "system"), **kwargs)


def test_what_a_template_refuses_is_known_before_anything_runs() -> None:
    template = ChatTemplate(Alternating())
    assert template.bridges.user == ""
    assert "roles must alternate" in template.bridges.tool
    with pytest.raises(TemplateError, match="roles must alternate"):
        template.bridge([1, END], [{"role": "tool", "content": "x"}])
    with pytest.raises(TemplateError, match="user, user cannot follow an answer.*alternate"):
        template.bridge([1, END], [user("a"), user("b")])
    with pytest.raises(TemplateError, match="alternate"):
        template.initial([{"role": "system", "content": "x"}])


def test_a_template_that_loses_messages_is_refused() -> None:
    forgetful = ChatTemplate(Forgetful())
    assert "leaves out what an assistant message says" in forgetful.bridges.user
    with pytest.raises(TemplateError, match="leaves out"):
        forgetful.bridge([1, END], [user("a")])
    hoisting = ChatTemplate(Hoisting())
    assert (hoisting.bridges.user, hoisting.bridges.tool) == ("", "")
    with pytest.raises(TemplateError, match="system message"):
        hoisting.bridge([1, END], [{"role": "system", "content": "Be brief."}, user("a")])


def test_a_template_that_renders_nothing_at_all() -> None:
    class Broken(ToyTokenizer):
        def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
            raise KeyError("content")

    with pytest.raises(TemplateError, match="KeyError: 'content'"):
        ChatTemplate(Broken())


@pytest.mark.parametrize(
    ("value", "arguments", "message"),
    [
        ("Qwen/Qwen3-8B", {}, "tokenizer is 'Qwen/Qwen3-8B'"),
        (object(), {}, "must be a Hugging Face tokenizer"),
        (ToyTokenizer(), {"history": "forget"}, "append, template"),
    ],
)
def test_what_is_no_tokenizer_is_refused(value: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChatTemplate(value, **arguments)


def test_a_tokenizer_without_a_template_is_refused() -> None:
    class Bare(ToyTokenizer):
        chat_template = None

    with pytest.raises(ConfigError, match="no chat template"):
        ChatTemplate(Bare())


class Renderer:
    """What the engine needs of the renderers package's protocol."""

    def __init__(self, answer: Any = "bridge") -> None:
        self.answer = answer

    def render_ids(
        self, messages: Any, *, tools: Any = None, add_generation_prompt: bool = False
    ) -> list[int]:
        assert add_generation_prompt
        return toy_tokens.render(messages, tools)

    def get_stop_token_ids(self) -> list[int]:
        return [END]

    def bridge_to_next_turn(self, prompt: Any, completion: Any, messages: Any, *, tools: Any = None) -> Any:
        if self.answer != "bridge":
            return self.answer
        assert isinstance(prompt, list)
        close = [] if completion[-1:] == [END] else [END]
        return [*prompt, *completion, *close, *toy_tokens.render(messages)]


def test_a_renderer() -> None:
    template = ChatTemplate(Renderer())
    assert template.stop_ids == (END,)
    ids = template.initial([user("a")])
    assert ids.tolist() == toy_tokens.render([user("a")])
    more = template.bridge([*ids, 7], [user("b")], sampled=1)
    assert more.tolist() == [END, USER, *text("b"), END, ASSISTANT]
    with pytest.raises(ConfigError, match="bare text"):
        template.encode("x")
    with pytest.raises(ConfigError, match="configure the renderer"):
        ChatTemplate(Renderer(), history="template")


@pytest.mark.parametrize("answer", [None, [9, 9, 9, 9, 9, 9, 9, 9], [ROLES["user"]]])
def test_a_renderer_that_does_not_continue_the_very_ids_counts_as_refusing(answer: Any) -> None:
    template = ChatTemplate(Renderer(answer))
    ids = template.initial([user("a")])
    assert template.bridge([*ids, 7, END], [user("b")], sampled=2) is None


def test_a_failing_renderer_says_so() -> None:
    class Failing(Renderer):
        def render_ids(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("no such role")

        bridge_to_next_turn = render_ids

    template = ChatTemplate(Failing())
    with pytest.raises(TemplateError, match="no such role"):
        template.initial([user("a")])
    with pytest.raises(TemplateError, match="no such role"):
        template.bridge([1], [user("a")])


def test_copies_and_threads(template: ChatTemplate) -> None:
    expected = template.bridge([1, END], [user("b")]).tolist()
    for twin in (copy.deepcopy(template), pickle.loads(pickle.dumps(template))):
        assert twin.bridge([1, END], [user("b")]).tolist() == expected
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(template.bridge, [1, END], [user(str(n))] * (n % 5 + 1)) for n in range(64)]
    for n, job in enumerate(jobs):
        once = [USER, *text(str(n)), END]
        assert job.result().tolist() == [*once * (n % 5 + 1), ASSISTANT]


class Counting(ToyTokenizer):
    """Counts what it is given to render and to encode."""

    rendered = encoded = 0

    def apply_chat_template(self, messages: Any, **kwargs: Any) -> Any:
        self.rendered += len(messages)
        return super().apply_chat_template(messages, **kwargs)

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        self.encoded += len(text)
        return super().encode(text, add_special_tokens)


def test_the_work_of_a_turn_does_not_grow_with_the_conversation() -> None:
    tokenizer = Counting()
    template = ChatTemplate(tokenizer)
    ids = template.initial([user("question")]).tolist()
    work = []
    for _ in range(20):
        before = tokenizer.rendered, tokenizer.encoded
        ids += [*text("some answer"), END]
        ids += template.bridge(ids, [user("question")]).tolist()
        work.append((tokenizer.rendered - before[0], tokenizer.encoded - before[1]))
    assert len(set(work[1:])) == 1  # the first turn of a shape also checks that shape
