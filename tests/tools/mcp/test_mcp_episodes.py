"""Whole episodes over an MCP server: stepped, rolled out, shared, broken off."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest

import textgym
from textgym.envs import ToolEnv
from textgym.errors import NotForkable
from textgym.policies import ScriptedPolicy
from textgym.testing import MockModelServer, RuleStatus, check_text_env
from textgym.tools import MCPToolProvider
from textgym.types import CompletionRequest

pytest.importorskip("mcp")

EPISODES = 16
ROWS = [
    {
        "prompt": f"What is {n} plus {n}?",
        "answer": str(2 * n),
        "calls": [{"name": "add", "arguments": {"a": n, "b": n}}],
    }
    for n in range(10, 10 + EPISODES)
]
TOOLS = ["add", "count", "pid", "crash", "slow"]


def text_call(name: str, **arguments: Any) -> str:
    return f"<tool>{json.dumps({'name': name, 'args': arguments})}</tool>"


def result_of(observation: str) -> str:
    return observation.removeprefix("<result>\n").removesuffix("\n</result>")


@pytest.fixture
def make(command: Any) -> Any:
    """Makes environments over one provider."""

    def make(protocol: str = "text", **options: Any) -> ToolEnv:
        provider = MCPToolProvider(command(), include=TOOLS, **options)
        return ToolEnv(ROWS, [provider], protocol=protocol, max_turns=6)

    return make


def test_stepping_without_and_within_a_loop(make: Any, gone: Any) -> None:
    env = make()
    assert env.metadata["deterministic"] is False
    assert env.metadata["forkable"] is False
    first, _ = env.reset(seed=0)
    assert '"b"' in first or "b (" in first or "b:" in first
    pid = int(result_of(env.step(text_call("pid"))[0]))
    assert result_of(env.step(text_call("count"))[0]) == "1"
    with pytest.raises(NotForkable, match="MCPToolProvider"):
        copy.deepcopy(env)

    async def further() -> str:
        return result_of((await env.astep(text_call("count")))[0])

    assert [asyncio.run(further()), asyncio.run(further())] == ["2", "3"], "each time in another loop"
    env.reset()
    assert gone(pid), "a new episode ends the session of the unfinished one"
    assert result_of(env.step(text_call("count"))[0]) == "1"
    assert env.step("<answer>1</answer>")[2]
    env.reset()
    last = int(result_of(env.step(text_call("pid"))[0]))
    env.close()
    assert gone(last)


def test_several_calls_in_one_turn(make: Any) -> None:
    env = make()
    env.reset(seed=0)
    observation = env.step(text_call("count") + text_call("add", a=1) + text_call("count"))[0]
    assert observation == "<result>\n1\n</result>\n<result>\n2\n</result>\n<result>\n2\n</result>"
    env.close()


def test_a_crash_in_an_episode_is_an_observation(make: Any) -> None:
    env = make()
    env.reset(seed=0)
    for call in (text_call("crash"), text_call("add", a=1)):
        observation, _, terminated, truncated, _ = env.step(call)
        assert result_of(observation) == "Error: the tool server has broken down"
        assert not terminated | truncated
    metrics = env.step("<answer>1</answer>")[4]["metrics"]
    assert metrics["tool/raised"] == 2.0
    env.reset()
    assert result_of(env.step(text_call("add", a=1))[0]) == "2", "the next episode has a server again"
    env.close()


class Played:
    """Counts, tells its server's process, adds as the prompt asks, and answers what came back."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.playing = self.most = 0

    def turn(self, messages: list[Mapping[str, Any]]) -> tuple[str, dict[str, Any]] | str:
        if len(messages) <= 2:
            return "count", {}
        said = result_of(messages[-1]["content"])
        if len(messages) <= 4:
            assert said == "1", "every episode has a session of its own"
            return "pid", {}
        if len(messages) <= 6:
            self.pids.append(int(said))
            number = int(next(m for m in messages if m["role"] == "user")["content"].split()[2])
            return "add", {"a": number, "b": number}
        return said

    def scripted(self, request: CompletionRequest) -> str:
        turn = self.turn(list(request.messages))
        return f"<answer>{turn}</answer>" if isinstance(turn, str) else text_call(turn[0], **turn[1])

    def served(self, body: dict[str, Any]) -> Any:
        assert [tool["function"]["name"] for tool in body["tools"]] == [
            "add",
            "slow",
            "count",
            "crash",
            "pid",
        ]
        # Native conversations have no system prompt.
        turn = self.turn([{"role": "system"}, *body["messages"]])
        if isinstance(turn, str):
            return turn
        function = {"name": turn[0], "arguments": json.dumps(turn[1])}
        return {"content": "", "tool_calls": [{"id": "x", "type": "function", "function": function}]}


@pytest.mark.timeout(300)  # sixteen servers start, on machines of two processors too
@pytest.mark.parametrize("protocol", ["text", "native"])
def test_sixteen_episodes_at_a_time(make: Any, gone: Any, protocol: str) -> None:
    played = Played()
    if protocol == "text":
        run = textgym.rollout(make(), ScriptedPolicy(played.scripted), max_concurrency=EPISODES)
    else:
        with MockModelServer(answer=played.served) as server:
            policy = textgym.OpenAIPolicy("mock", base_url=server.base_url)
            run = textgym.rollout(
                lambda: make("native"), policy, num_examples=EPISODES, max_concurrency=EPISODES
            )
    assert [(t.reward, t.error) for t in run] == [(1.0, None)] * EPISODES
    assert {t.metrics["tool_errors"] for t in run} == {0.0}
    assert len(set(played.pids)) == EPISODES
    assert gone(*played.pids)


def test_a_shared_session_serves_all_episodes(make: Any, gone: Any) -> None:
    env = make(shared=True)
    pids: set[int] = set()

    def answer(request: CompletionRequest) -> str:
        if request.turn == 0:
            return text_call("pid")
        pids.add(int(result_of(request.messages[-1]["content"])))
        return "<answer>?</answer>"

    run = textgym.rollout(env, ScriptedPolicy(answer), max_concurrency=EPISODES)
    assert [t.error for t in run] == [None] * EPISODES
    assert len(pids) == 1
    env.close()
    assert gone(*pids)


def test_a_cancelled_rollout_ends_its_servers(make: Any, gone: Any) -> None:
    pids: list[int] = []

    def answer(request: CompletionRequest) -> str:
        if request.turn == 0:
            return text_call("pid")
        pids.append(int(result_of(request.messages[-1]["content"])))
        return text_call("slow", seconds=60)

    async def main() -> None:
        async def play() -> None:
            async for _ in textgym.arollout(make, ScriptedPolicy(answer), num_examples=3):
                pass

        playing = asyncio.ensure_future(play())
        while len(pids) < 3:
            assert not playing.done()
            await asyncio.sleep(0.05)
        playing.cancel()
        await asyncio.wait([playing])

    asyncio.run(main())
    assert gone(*pids)


def test_a_server_that_cannot_start_is_an_error_of_the_episode(command: Any) -> None:
    env = ToolEnv(ROWS, [MCPToolProvider(command("dead"))])
    run = textgym.rollout(env, ScriptedPolicy(["<answer>1</answer>"]), num_examples=2)
    assert [t.reward for t in run] == [None, None]
    assert "API_KEY is not set" in str(run[0].error)


class OverMCP(ToolEnv):
    """Sums, with the tools of an MCP server. Rewards: 1 for the sum."""

    def __init__(self, provider: MCPToolProvider, **kwargs: Any) -> None:
        super().__init__(ROWS, [provider], max_turns=4, **kwargs)


def test_the_contract(command: Any) -> None:
    provider = MCPToolProvider(command(), shared=True, include=["add"])
    asyncio.run(provider.open())  # so that it does not start and end with each environment of the check
    report = check_text_env(OverMCP, env_kwargs={"provider": provider}, seeds=2, quick=True)
    asyncio.run(provider.close())
    waived = {result.rule for result in report.having(RuleStatus.WAIVED)}
    assert "copy-continues" in waived
    assert report["not-forkable"].status is RuleStatus.PASSED
