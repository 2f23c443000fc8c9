"""Mixtures, chains, retries, and the convenience calls of the verifiers seed."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import gymnasium as gym
import openai
import pytest

import textgym
from textgym import MultiTurnEnv, SingleTurnEnv, StopReason, XMLParser
from textgym.envs import ChainEnv, MixtureEnv
from textgym.errors import ConfigError, PolicyError
from textgym.rewards import Rubric
from textgym.testing import MockModelServer

SUMS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(1, 5)]
CITIES = [{"prompt": "Capital of Peru?", "answer": "Lima"}, {"prompt": "Of Chad?", "answer": "N'Djamena"}]


def mixture(**kwargs: Any) -> MixtureEnv:
    return MixtureEnv({"sums": SingleTurnEnv(SUMS), "cities": SingleTurnEnv(CITIES)}, **kwargs)


def test_a_mixture_of_finite_datasets_is_visited_row_after_row() -> None:
    env = mixture()
    assert env.num_examples == 6
    env.reset(seed=2)
    ids = {env.reset()[1]["example_id"] for _ in range(5)} | {env.reset(seed=2)[1]["example_id"]}
    assert len(ids) == 6
    assert {example_id.split("/")[0] for example_id in ids} == {"sums", "cities"}
    assert env.reset(options={"index": 4})[0] == "Capital of Peru?"
    with pytest.raises(ConfigError, match=r"0\.\.5"):
        env.reset(options={"index": 6})
    run = textgym.rollout(mixture, textgym.OraclePolicy())
    assert (len(run), run.summary().reward) == (6, 1.0)


def test_weights_are_met() -> None:
    env = MixtureEnv(
        {"echo": gym.make("textgym/Echo-v0"), "guess": gym.make("textgym/GuessNumber-v0")}, weights=[3, 1]
    )
    assert env.num_examples is None
    names = [env.reset(seed=seed)[1]["example_id"].split("/")[0] for seed in range(400)]
    assert 0.68 < names.count("echo") / 400 < 0.82
    assert env.reset(seed=5, options={"env": "guess"})[0].startswith("I am thinking")


def test_a_mixture_is_deterministic_and_copies() -> None:
    env = MixtureEnv([gym.make("textgym/GuessNumber-v0"), gym.make("textgym/Math-v0")], weights=[1, 1])
    record = [env.reset(seed=1), env.step("1"), env.oracle()]
    twin = pickle.loads(pickle.dumps(copy.deepcopy(env)))
    assert twin.oracle() == record[2]
    assert [env.reset(seed=1), env.step("1"), env.oracle()] == record


def test_bad_mixtures() -> None:
    for envs, weights, message in (
        ({}, None, "at least one"),
        ({"a": SingleTurnEnv(SUMS)}, [1, 2], "give one positive number each"),
        ([SingleTurnEnv(SUMS), SingleTurnEnv(SUMS)], None, "two environments are called"),
        ({"a": gym.Env()}, None, "must be a TextEnv"),
    ):
        with pytest.raises(ConfigError, match=message):
            MixtureEnv(envs, weights)  # type: ignore[arg-type]


def chain(**kwargs: Any) -> ChainEnv:
    verify = SingleTurnEnv(
        [{"prompt": "-", "answer": "-"}],
        Rubric([lambda completion: completion == "yes"]),
        system_prompt="Right?",
    )
    return ChainEnv({"solve": SingleTurnEnv(SUMS), "verify": verify}, **kwargs)


def test_a_chain_hands_the_answer_on() -> None:
    env = chain(weights=[1.0, 0.5])
    env.reset(seed=0, options={"index": 1})
    obs, reward, terminated, _, info = env.step("4")
    assert (obs, reward, terminated) == ("Right?\n\n4", 1.0, False)
    assert info["rewards"] == {"solve.exact_match": 1.0}
    obs, reward, terminated, _, info = env.step("yes")
    assert (reward, terminated, info["answer"]) == (0.5, True, "4")
    assert info["rewards"] == {"verify.<lambda>": 0.5}
    assert env.reward_bounds == (0.0, 1.5)
    assert [m["role"] for m in env.messages] == ["user", "assistant", "user", "assistant"]


def test_a_chain_links_as_it_is_told_and_is_truncated_in_any_phase() -> None:
    env = chain(link=lambda example, answer: {"prompt": f"{example.text} = {answer}?", "answer": "yes"})
    env.reset(options={"index": 0})
    assert env.step("3")[0] == "Right?\n\n1+1? = 3?"
    obs, reward, terminated, truncated, info = env.truncate(StopReason.SECONDS)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["rewards"] == {"verify.<lambda>": 0.0}
    with pytest.raises(gym.error.ResetNeeded):
        env.step("x")
    twin = copy.deepcopy(env)
    twin.reset(options={"index": 0})
    assert twin.step("2")[1] == 0.5


def test_an_unreadable_answer_is_asked_for_again() -> None:
    env = SingleTurnEnv(SUMS, parser=XMLParser(["answer"]), max_retries=2)
    env.reset(options={"index": 0})
    obs, reward, terminated, *_ = env.step("2")
    assert "Your answer could not be read" in obs
    assert "<answer>" in obs
    assert not terminated
    assert env.step("<answer>2</answer>")[1:3] == (1.0, True)
    env.reset(options={"index": 0})
    last = [env.step("2") for _ in range(3)][-1]
    assert (last[1], last[2], last[4]["stop_reason"]) == (0.0, True, "format")
    with pytest.raises(ConfigError, match="max_retries is -1"):
        SingleTurnEnv(SUMS, max_retries=-1)


def oracle(observation: str) -> str:
    return str(2 * int(observation.split("+")[0]))


def test_rollout_plays_one_prompt() -> None:
    env = SingleTurnEnv(SUMS)
    completion, state = env.rollout(oracle, prompt="21+21?", answer="42", task="sum")
    assert (completion, state["reward"], state["answer"]) == ("42", 1.0, "42")
    assert state["messages"][-1] == {"role": "assistant", "content": "42"}
    with pytest.raises(ConfigError, match="no model is named"):
        env.rollout(prompt="1+1?")
    with pytest.raises(ConfigError, match="needs a prompt"):
        env.rollout(oracle)

    def gone(observation: str) -> str:
        raise PolicyError("down")

    with pytest.raises(PolicyError, match="down"):
        env.rollout(gone, prompt="1+1?", answer="2")


def test_generate_in_both_ways() -> None:
    env = SingleTurnEnv(SUMS, client=oracle)
    prompts, completions, rewards = env.generate(n_samples=8)
    assert sorted(set(prompts)) == [row["prompt"] for row in SUMS]
    assert [oracle(prompt) for prompt in prompts] == completions
    assert rewards == [1.0] * 8
    again = asyncio.run(env.generate_async(n_samples=8, batch_size=3, max_concurrent=5))
    assert sorted(zip(*again, strict=True)) == sorted(zip(prompts, completions, rewards, strict=True))
    assert len(env.generate()[0]) == 4
    echoed = env.generate(n_samples=1, client=lambda obs: obs, system_prompt="Be brief.")[1][0]
    assert echoed.startswith("Be brief.\n\n")
    assert env.system_prompt is None
    with pytest.raises(ConfigError, match="multiple of group_size=4"):
        env.generate(n_samples=6, group_size=4)


def test_openai_clients_of_both_kinds() -> None:
    with MockModelServer(answer="4") as server:
        env = SingleTurnEnv(SUMS, timeout=20)
        sync = openai.OpenAI(base_url=server.base_url, api_key="x")
        completion, state = env.rollout(sync, "mock", "2+2?", "4", temperature=0.5)
        assert (completion, state["reward"]) == ("4", 1.0)
        assert server.requests[-1]["temperature"] == 0.5
        assert env.generate(model="mock", n_samples=4, client=sync)[2].count(1.0) == 1

        async def main() -> Any:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x") as client:
                return await env.generate_async(model="mock", n_samples=4, client=client)

        assert asyncio.run(main())[1] == ["4"] * 4


def test_composition_by_overriding_rollout() -> None:
    class Verified(SingleTurnEnv):
        def __init__(self, dataset: Any) -> None:
            self.solver_env = SingleTurnEnv(dataset)
            self.verifier_env = SingleTurnEnv(dataset, system_prompt="Check.")
            super().__init__(dataset=dataset)

        def rollout(self, client: Any, model: Any, prompt: Any, answer: Any, **kwargs: Any) -> Any:
            solution, _ = self.solver_env.rollout(client, model, prompt, answer)
            verification, state = self.verifier_env.rollout(client, model, solution, answer)
            return f"{solution}/{verification}", state

    def policy(observation: str) -> str:
        return "7" if observation.startswith("Check.") else "4"

    env = Verified(SUMS)
    assert env.rollout(policy, None, "2+2?", "7")[0] == "4/7"
    prompts, completions, rewards = env.generate(client=policy, n_samples=3)
    assert (completions, rewards) == (["4/7"] * 3, [0.0] * 3)
    assert asyncio.run(env.generate_async(client=policy, n_samples=2))[1] == ["4/7"] * 2


def test_a_conversation_by_convenience() -> None:
    class Twice(MultiTurnEnv):
        def env_response(self, messages: Any, state: Any) -> Any:
            return "Again.", {"asked": True}

        def is_completed(self, messages: Any, state: Any) -> bool:
            return self.turns == 2

    completion, state = Twice(SUMS).rollout(
        lambda obs: "2" if obs == "Again." else "?", prompt="1+1?", answer="2"
    )
    assert (completion, state["asked"], state["turn"], state["reward"]) == ("2", True, 2, 1.0)
