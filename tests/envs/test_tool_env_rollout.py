"""Native tool calls through the engine: what the server is sent, what is recorded, what the environment keeps."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

import textgym
from textgym.envs import ToolEnv
from textgym.parsers import ToolCallParser
from textgym.policies.bodies import encode_body
from textgym.rollouts.episode import action_text
from textgym.testing.mock_server import MockModelServer
from textgym.types import Completion, ToolCall

ROWS = [{"prompt": "What is 17 + 25?", "answer": "42"}]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Kept(ToolEnv):
    """Keeps the conversation of its last episode where a test finds it."""

    conversations: list[Any] = []  # noqa: RUF012 - of all instances, on purpose

    def finish(self, reason: Any) -> Any:
        self.conversations.append(self.messages)
        return super().finish(reason)


def make() -> Kept:
    return Kept(ROWS, [add], protocol="native")


def asks(content: str | None, *calls: tuple[str, str]) -> dict[str, Any]:
    """A model's message with native calls and ids of the server's own."""
    made = [
        {"id": f"server-{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(calls)
    ]
    return {"content": content, "tool_calls": made}


def play(answers: list[Any], **kwargs: Any) -> tuple[list[dict[str, Any]], textgym.Trajectory]:
    """The bodies that the server got, and the trajectory."""

    def answer(body: Mapping[str, Any]) -> Any:
        return answers[sum(message["role"] == "assistant" for message in body["messages"])]

    Kept.conversations.clear()
    with MockModelServer(answer=answer) as server:
        policy = textgym.OpenAIPolicy("mock", base_url=server.base_url)
        run = textgym.rollout(make, policy, num_examples=1, **kwargs)
        return [copy.deepcopy(body) for body in server.requests], run[0]


def unsampled(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in message.items() if name != "sampled"} for message in messages]


def test_the_next_request_holds_the_calls_and_their_answers() -> None:
    bodies, trajectory = play(
        [
            asks("I add.", ("add", '{"a": 17, "b": 25}'), ("add", '{"a":1,"b":2}')),
            asks(None, ("sub", "{}")),
            "42",
        ]
    )
    assert [tool["function"]["name"] for tool in bodies[0]["tools"]] == ["add"]
    assert len(bodies) == 3
    assert bodies[1]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "I add.",
            "tool_calls": [
                {
                    "id": "call_0_0",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 17, "b": 25}'},
                },
                {
                    "id": "call_0_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a":1,"b":2}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_0_0", "name": "add", "content": "42"},
        {"role": "tool", "tool_call_id": "call_0_1", "name": "add", "content": "3"},
    ]
    said, answer = bodies[2]["messages"][4:]
    assert (said["content"], said["tool_calls"][0]["id"]) == ("", "call_1_0")
    assert answer["tool_call_id"] == "call_1_0"
    assert answer["content"].startswith("Error: there is no tool 'sub'")
    assert trajectory.reward == 1.0
    assert unsampled(trajectory.messages) == [*bodies[2]["messages"], {"role": "assistant", "content": "42"}]
    assert unsampled(trajectory.messages) == Kept.conversations[0]
    assert [m["role"] for m in trajectory.messages if m["sampled"]] == ["assistant"] * 3
    assert trajectory.metrics["tool/unknown_tool"] == 1.0
    assert ToolCallParser().parse(trajectory.steps[0].action).calls[1].arguments == '{"a":1,"b":2}'
    again = textgym.Trajectory.from_dict(json.loads(json.dumps(trajectory.to_dict())))
    assert again.messages == trajectory.messages


def test_text_calls_are_sent_back_as_native_ones() -> None:
    block = '<tool>{"name": "add", "args": {"a": 17, "b": 25}}</tool>'
    bodies, trajectory = play([f"I add. {block}", "42"])
    assert bodies[1]["messages"][1]["content"] == "I add."
    assert bodies[1]["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a": 17, "b": 25}'
    assert trajectory.reward == 1.0


def test_unreadable_arguments_are_never_sent_as_arguments() -> None:
    bodies, trajectory = play([asks("", ("add", '{"a": 17, ')), "42"])
    said, told = bodies[1]["messages"][1:]
    assert said == {
        "role": "assistant",
        "content": '<tool_call>{"name": "add", "arguments": {"a": 17, }</tool_call>',
    }
    assert told["role"] == "user"
    assert told["content"].startswith("Error: the tool call is no valid JSON")
    assert trajectory.metrics["tool/malformed"] == 1.0


def test_a_limit_after_a_call_leaves_a_whole_record() -> None:
    _, trajectory = play([asks("", ("add", '{"a": 1, "b": 2}'))] * 3, limits=textgym.Limits(turns=1))
    assert trajectory.stop_reason == "max_turns"
    assert [message["role"] for message in trajectory.messages] == ["user", "assistant", "tool"]
    assert trajectory.messages[1]["tool_calls"][0]["id"] == trajectory.messages[2]["tool_call_id"]
    encode_body({"messages": trajectory.messages})


@pytest.mark.parametrize(
    "arguments", ['{"text": "</tool_call>"}', '{"text": "<tool_call>{}"}', "", "  ", '{"a":\n1}', "null"]
)
def test_whatever_the_arguments_hold_the_call_is_one(arguments: str) -> None:
    calls = (ToolCall(id="a", name="say", arguments=arguments), ToolCall(id="b", name="x", arguments="{}"))
    found = ToolCallParser().parse(action_text(Completion(text="So.", tool_calls=calls)))
    assert [(call.name, call.fault) for call in found.calls] == [("say", ""), ("x", "")]
    assert found.content == "So."
    if arguments.startswith("{"):
        assert found.calls[0].arguments == arguments
