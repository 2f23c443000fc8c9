"""Policies without a model."""

from __future__ import annotations

import asyncio
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import Completion, CompletionRequest, HumanPolicy, Limits, RandomPolicy, ScriptedPolicy
from textgym.errors import ConfigError, PolicyError
from textgym.policies import as_policy, policy_name


def ask(policy: Any, **fields: Any) -> Completion:
    return asyncio.run(as_policy(policy).complete(CompletionRequest(messages=[], **fields)))


def test_a_list_answers_by_turn_in_every_episode() -> None:
    run = textgym.rollout(
        "textgym/Echo-v0", ScriptedPolicy(["a", "b"]), num_examples=3, env_kwargs={"turns": 2}
    )
    assert [[step.action for step in t.steps] for t in run] == [["a", "b"]] * 3
    with pytest.raises(PolicyError, match="2 answers and the episode asks for number 3"):
        ask(ScriptedPolicy(["a", "b"]), turn=2)


def test_an_iterator_is_used_up_in_the_order_of_the_calls() -> None:
    policy = ScriptedPolicy(str(n) for n in range(2))
    assert [ask(policy).text, ask(policy).text] == ["0", "1"]
    with pytest.raises(PolicyError, match="no more answers"):
        ask(policy)


def test_functions_of_the_request_and_of_the_observation() -> None:
    async def later(request: CompletionRequest) -> Completion:
        return Completion(text=f"{request.turn}:{request.observation}")

    assert ask(ScriptedPolicy(later), turn=1, observation="x").text == "1:x"
    assert ask(str.upper, observation="x").text == "X"
    assert policy_name(as_policy(str.upper)) == "upper"


@pytest.mark.parametrize("script", ["text", [], 7])
def test_bad_scripts(script: Any) -> None:
    with pytest.raises(ConfigError, match="script is"):
        ScriptedPolicy(script)


def test_what_is_no_policy_or_no_answer() -> None:
    with pytest.raises(ConfigError, match="async def complete"):
        as_policy(7)
    with pytest.raises(PolicyError, match=r"returned NoneType"):
        ask(lambda observation: None)


def test_random_actions_are_legal_and_repeatable() -> None:
    env = gym.make("textgym/Math-v0")
    texts = [ask(RandomPolicy(), env=env, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(text in env.action_space for text in texts)
    with pytest.raises(ConfigError, match="action space"):
        ask(RandomPolicy())


def test_a_person_answers_one_or_several_lines() -> None:
    shown: list[str] = []
    lines = iter(["50", '"""', "first", "<guess>25</guess>", '"""'])

    def read(prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    run = textgym.rollout(
        "textgym/GuessNumber-v0", HumanPolicy(read, shown.append), num_examples=1, limits=Limits(turns=2)
    )
    assert [step.action for step in run[0].steps] == ["50", "first\n<guess>25</guess>"]
    assert "I am thinking of a whole number" in shown[1]
    run = textgym.rollout("textgym/GuessNumber-v0", HumanPolicy(read, shown.append), num_examples=1)
    assert run[0].error is not None
    assert "input ended" in run[0].error.message
