"""SmolToolEnv: the text protocol over tools of smolagents."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textgym
from textgym.envs import SmolToolEnv
from textgym.errors import ConfigError
from textgym.policies import ScriptedPolicy
from textgym.testing import RuleStatus, check_text_env
from textgym.tools import Toolset


class Double:
    """An object of the shape of a smolagents tool."""

    name = "double"
    description = "Double a number."
    inputs = {"n": {"type": "integer", "description": "The number"}}  # noqa: RUF012 - as smolagents has it
    output_type = "integer"

    def __call__(self, n: int) -> int:
        if n < 0:
            raise ValueError("only positive numbers")
        return 2 * n


def half(n: int) -> float:
    """Halve a number."""
    return n / 2


ROWS = [
    {
        "prompt": f"Twice {n}?",
        "answer": str(2 * n),
        "calls": [{"name": "double", "arguments": {"n": n}}],
    }
    for n in range(10, 40)
]


def call(name: str, **arguments: Any) -> str:
    block = json.dumps({"name": name, "args": arguments})
    return f"<reasoning>\nI use a tool.\n</reasoning>\n<tool>\n{block}\n</tool>"


def test_an_episode() -> None:
    env = SmolToolEnv(ROWS, [Double(), half])
    prompt, info = env.reset(seed=0, options={"index": 0})
    system = info["messages"][0]["content"]
    assert "double" in system
    assert "Double a number." in system
    assert "half" in system
    assert "<reasoning>" in system
    assert "<think>" not in system
    assert prompt.endswith("Twice 10?")
    assert env.step(call("double", n=10))[0] == "<result>\n20\n</result>"
    assert env.step(call("double", n=-1))[0] == (
        "<result>\nError: ValueError: only positive numbers\n</result>"
    )
    _, reward, terminated, _, info = env.step("<reasoning>Read.</reasoning>\n<answer>20</answer>")
    assert (reward, terminated) == (1.0, True)
    assert info["metrics"]["tool_success/double"] == 0.5
    assert info["metrics"]["tool_success/half"] == 0.0
    assert info["rewards"] == {"exact_match": 1.0}, "how tools went is a metric and no reward"


def test_few_shot_messages_are_no_steps() -> None:
    shots = [
        {"role": "user", "content": "Twice 1?"},
        {"role": "assistant", "content": "<reasoning>Easy.</reasoning><answer>2</answer>"},
    ]
    env = SmolToolEnv(ROWS, [Double()], few_shot_examples=shots, max_steps=2)
    env.reset(seed=0)
    assert not env.step(call("double", n=1))[3]
    assert env.step(call("double", n=1))[3]
    assert SmolToolEnv(ROWS, [Double()]).max_turns == 10
    with pytest.raises(ConfigError, match="two names of one thing"):
        SmolToolEnv(ROWS, [Double()], max_steps=2, max_turns=2)


def test_a_call_whose_closing_tag_a_stop_string_took_away_is_run() -> None:
    env = SmolToolEnv(ROWS, [Double()])
    env.reset(seed=0)
    cut_off = call("double", n=4).removesuffix(env.stop[0])
    assert env.step(cut_off)[0] == "<result>\n8\n</result>"


def test_native_protocol_and_ready_toolsets() -> None:
    env = SmolToolEnv(ROWS, Toolset([half]), protocol="native")
    _, info = env.reset(seed=0)
    assert [tool["function"]["name"] for tool in info["tools"]] == ["half"]
    assert "reasoning" not in info["messages"][0]["content"]


def test_a_tool_that_is_none() -> None:
    with pytest.raises(ConfigError, match="must be a function, a Tool"):
        SmolToolEnv(ROWS, [3])
    with pytest.raises(ConfigError, match="tools is 'calculator'"):
        SmolToolEnv(ROWS, "calculator")


class Kind(SmolToolEnv):
    """Sums, with tools of smolagents. Rewards: 1 for the sum."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ROWS, [Double()], **kwargs)


def test_the_contract() -> None:
    report = check_text_env(Kind, seeds=3, quick=True)
    assert not report.having(RuleStatus.WAIVED)


def test_a_rollout_over_real_tools() -> None:
    smolagents = pytest.importorskip("smolagents")

    def answer(request: Any) -> str:
        said = request.messages[-1]["content"]
        if request.turn == 0:
            return call("python_interpreter", code=said.split()[1].rstrip("?") + " * 2")
        return f"<answer>{said.split()[-2]}</answer>"

    env = SmolToolEnv(ROWS, [smolagents.PythonInterpreterTool()])
    run = textgym.rollout(env, ScriptedPolicy(answer))
    assert [t.reward for t in run] == [1.0] * len(ROWS)
    assert run[0].metrics["tool_success/python_interpreter"] == 1.0
