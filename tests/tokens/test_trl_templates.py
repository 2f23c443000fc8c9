"""ChatTemplate over every chat template that trl ships, read from the installed package.

The dummy conversation of a bridge stands against the template's own rendering of the whole one: equal text
wherever the template lets a conversation grow at its end, and no message lost or doubled anywhere else.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from textgym.errors import TemplateError
from textgym.tokens import ChatTemplate, TokenStream


def _files() -> list[Path]:
    found = importlib.util.find_spec("trl")
    roots = [] if found is None else found.submodule_search_locations or []
    return sorted(path for root in roots for path in Path(root, "chat_templates").glob("*.jinja"))


FILES = _files()
pytestmark = pytest.mark.skipif(not FILES, reason="trl is not installed")
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string", "description": "What."}},
                "required": ["query"],
            },
        },
    }
]
CALL = {"id": "call_0_0", "type": "function", "function": {"name": "search", "arguments": {"query": "ZEBRA"}}}
NO_TOOL_TURNS = {
    "cohere": "alternate",
    "cohere2": "leaves out",
    "gemma": "alternate",
    "gemma3": "alternate",
    "llava_next": "Only user and assistant",
    "phi3": "leaves out",
    "phi3_5": "leaves out",
}
"""Templates in which no tool message can follow an answer, and why."""


class Talk:
    """A conversation played through the bridge and rendered whole, side by side."""

    def __init__(self, tokenizer: Any, tools: Any = None) -> None:
        self.tokenizer, self.tools = tokenizer, tools
        self.template = ChatTemplate(tokenizer)
        self.stream = TokenStream()
        self.messages: list[dict[str, Any]] = []
        self.grows = True
        self.stops = [tokenizer.decode([i]) for i in self.template.stop_ids]

    @property
    def text(self) -> str:
        return str(self.tokenizer.decode(self.stream.ids.tolist()))

    def whole(self, messages: list[dict[str, Any]]) -> str:
        return str(self.tokenizer.decode(self.template.initial(messages, self.tools).tolist()))

    def hear(self, *messages: dict[str, Any]) -> None:
        self.messages += messages
        if not len(self.stream):
            self.stream.append_context(self.template.initial(self.messages, self.tools))
            return
        before = self.stream.ids.tolist()
        sampled = self.stream.steps[-1].completion_end - self.stream.steps[-1].prompt_end
        more = self.template.bridge(before, messages, tools=self.tools, sampled=sampled)
        assert more is not None
        self.stream.append_context(more)
        assert self.stream.ids[: len(before)].tolist() == before

    def say(self, message: dict[str, Any], then: dict[str, Any], *, stop: bool) -> None:
        """Sample what the template itself would write for the message, if it lets the conversation grow."""
        prompt = self.whole(self.messages)
        after = self.whole([*self.messages, message, then])
        self.messages.append(message)
        key = "ZEBRA" if "tool_calls" in message else message["content"]
        written = key
        end = ""
        place = after.find(key, len(prompt))
        if after.startswith(prompt) and place >= 0:
            rest = place + len(key)
            found = [(after.find(s, rest), s) for s in self.stops if after.find(s, rest) >= 0]
            if found:
                at, end = min(found)
                written = after[len(prompt) : at]
        self.grows = self.grows and after.startswith(prompt + written)
        ids = self.tokenizer.encode(written, add_special_tokens=False)
        if stop and end:
            ids += self.tokenizer.encode(end, add_special_tokens=False)
        self.stream.append_sampled(ids)


def said(role: str, content: str, **fields: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **fields}


WORDS = [
    "FIRST question?",
    "second answer.",
    "  THIRD\n\n question\n",
    "fourth",
    "FIFTH ",
    "sixth one",
    "seventh?",
]


def play_user_turns(tokenizer: Any, *, stop: bool) -> Talk:
    talk = Talk(tokenizer)
    talk.hear(said("user", WORDS[0]))
    for answer, question in zip(WORDS[1::2], WORDS[2::2], strict=True):
        then = said("user", question)
        talk.say(said("assistant", answer), then, stop=stop)
        talk.hear(then)
        if not stop:  # the dummy conversation stands for the real one: what follows an answer is the same
            following = talk.whole(talk.messages).rpartition(answer)[2]
            appended = talk.stream.ids[talk.stream.steps[-1].completion_end :].tolist()
            assert tokenizer.decode(appended) == following
    return talk


@each
@pytest.mark.parametrize("stop", [True, False], ids=["stopped", "cut"])
def test_user_turns(path: Path, stop: bool, make_tokenizer: Any) -> None:
    talk = play_user_turns(make_tokenizer(path.read_text("utf-8")), stop=stop)
    assert talk.template.bridges.user == ""
    if talk.grows:
        assert talk.text == talk.whole(talk.messages)
    for word in WORDS:
        assert talk.text.count(word.strip()) == 1
    assert talk.stream.mask.sum() == sum(s.completion_end - s.prompt_end for s in talk.stream.steps)


def play_tool_turn(tokenizer: Any, *, stop: bool) -> Talk:
    """A question, a tool call, its answer; talk in words where the template shows no calls."""
    talk = Talk(tokenizer, TOOLS)
    talk.hear(said("user", "What is the weather?"))
    result = said("tool", "SUNNY and 20 degrees", name="search", tool_call_id="call_0_0")
    asked = said("assistant", "", tool_calls=[CALL])
    if "ZEBRA" not in _try(talk, asked, result):
        asked = said("assistant", "Let me see.")
    talk.say(asked, result, stop=stop)
    talk.hear(result)
    return talk


def _try(talk: Talk, *messages: dict[str, Any]) -> str:
    try:
        return talk.whole([*talk.messages, *messages])
    except TemplateError:
        return ""


@each
@pytest.mark.parametrize("stop", [True, False], ids=["stopped", "cut"])
def test_tool_turns(path: Path, stop: bool, make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(path.read_text("utf-8"))
    refusal = ChatTemplate(tokenizer).bridges.tool
    reason = NO_TOOL_TURNS.get(path.stem.removesuffix("_training"))
    assert bool(refusal) == (reason is not None), refusal
    if reason is not None:
        assert reason in refusal
        with pytest.raises(TemplateError, match=reason):
            ChatTemplate(tokenizer).bridge([1], [said("tool", "x", name="search", tool_call_id="call_0_0")])
        return
    talk = play_tool_turn(tokenizer, stop=stop)
    if talk.grows:
        assert talk.text == talk.whole(talk.messages)
    thanks = said("user", "THANKS, and tomorrow?")
    talk.say(said("assistant", "It is sunny."), thanks, stop=stop)
    talk.hear(thanks)
    if talk.grows:
        assert talk.text == talk.whole(talk.messages)
    for word in ("What is the weather?", "SUNNY and 20 degrees", "It is sunny.", "THANKS, and tomorrow?"):
        assert talk.text.count(word) == 1


def test_the_equality_is_no_empty_claim(make_tokenizer: Any) -> None:
    tokenizers = [make_tokenizer(path.read_text("utf-8")) for path in FILES]
    templates = [ChatTemplate(tokenizer) for tokenizer in tokenizers]
    assert len(FILES) >= 72
    assert sum(not t.bridges.user for t in templates) == len(FILES)
    assert sum(not t.bridges.tool for t in templates) >= 58
    assert sum(play_user_turns(t, stop=True).grows for t in tokenizers) >= 55
    with_tools = [t for t, known in zip(tokenizers, templates, strict=True) if not known.bridges.tool]
    assert sum(play_tool_turn(t, stop=True).grows for t in with_tools) >= 46


@each
def test_several_tool_answers_at_once(path: Path, make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(path.read_text("utf-8"))
    template = ChatTemplate(tokenizer)
    if template.bridges.tool:
        return
    answers = [said("tool", f"RESULT {n} here", tool_call_id=f"call_3_{n}") for n in range(3)]
    calls = [{"id": f"call_3_{n}", "function": {"name": "search", "arguments": "{}"}} for n in range(3)]
    text = tokenizer.decode(template.bridge([1], answers, tools=TOOLS, tool_calls=calls).tolist())
    places = [text.find(f"RESULT {n} here") for n in range(3)]
    assert places == sorted(places)
    assert [text.count(f"RESULT {n} here") for n in range(3)] == [1, 1, 1]


def test_a_close_of_two_tokens_and_what_comes_behind_a_close(make_tokenizer: Any) -> None:
    (path,) = (path for path in FILES if path.stem == "cohere2")
    tokenizer = make_tokenizer(path.read_text("utf-8"))
    template, new = ChatTemplate(tokenizer), [said("user", "b")]
    whole = template.bridge([1], new).tolist()
    response, turn = tokenizer.convert_tokens_to_ids(["<|END_RESPONSE|>", "<|END_OF_TURN_TOKEN|>"])
    assert whole[:2] == [response, turn]
    assert template.bridge([1, response], new).tolist() == whole[1:]
    assert template.bridge([1, response, turn], new).tolist() == whole[2:]
    assert template.bridge([1, turn], new).tolist() == whole  # half a close is no close
    (path,) = (path for path in FILES if path.stem == "qwen2_5")
    tokenizer = make_tokenizer(path.read_text("utf-8"))
    template = ChatTemplate(tokenizer)
    whole = template.bridge([1], new).tolist()
    end, line = whole[:2]
    assert template.bridge([1, end], new).tolist() == whole[1:]
    assert template.bridge([1, end, line], new).tolist() == whole[2:]  # the model went on for a token
    assert template.bridge([1, line], new).tolist() == whole
