"""Wrappers: the same from step and astep, scored limits, explained rewards."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import XMLParser
from textgym.envs.wrappers import BudgetWrapper, FormatWrapper, HistoryWrapper, TextWrapper
from textgym.errors import ConfigError


def guess(**kwargs: Any) -> gym.Env[str, str]:
    return gym.make("textgym/GuessNumber-v0", **kwargs)


def both_ways(env: gym.Env[str, str], *actions: str) -> list[Any]:
    sync = [env.reset(seed=3), *(env.step(action) for action in actions)]

    async def main() -> list[Any]:
        first = await textgym.areset(env, seed=3)
        return [first, *[await textgym.astep(env, action) for action in actions]]

    assert asyncio.run(main()) == sync
    for transition in sync[1:]:
        assert transition[1] == pytest.approx(sum(transition[4]["rewards"].values()))
    return sync


def test_history() -> None:
    record = both_ways(HistoryWrapper(guess()), "<guess>1</guess>", "<guess>2</guess>")
    assert record[0][0].startswith("[user]\nI am thinking")
    assert record[2][0].startswith(record[1][0])
    assert record[1][0].startswith(record[0][0] + "\n\n[assistant]\n<guess>1</guess>\n\n[user]\n")
    short = HistoryWrapper(guess(), max_characters=80)
    assert len(both_ways(short, "x")[1][0]) == 80
    assert short.reset(seed=0)[0].startswith("[… earlier")
    with pytest.raises(ConfigError, match=r"1\.\.65536"):
        HistoryWrapper(guess(), max_characters=0)


def test_a_budget_truncates_scores_and_tells() -> None:
    record = both_ways(BudgetWrapper(guess(), turns=2), "<guess>1</guess>", "<guess>2</guess>")
    assert record[0][0].endswith("[2 turns left]")
    assert record[0][1]["messages"][-1]["content"].endswith("[2 turns left]")
    assert record[1][0].endswith("[1 turns left]")
    assert record[2][1:4] == (0.0, False, True)
    assert record[2][4]["stop_reason"] == "max_turns"
    assert record[2][4]["metrics"] == {"guesses": 2.0}
    silent = BudgetWrapper(guess(), characters=20, announce=False)
    record = both_ways(silent, "<guess>1</guess>", "<guess>2</guess>")
    assert (record[1][3], record[2][3]) == (False, True)
    assert record[2][4]["stop_reason"] == "completion_tokens"
    for arguments in ({}, {"turns": 0}, {"characters": True}):
        with pytest.raises(ConfigError):
            BudgetWrapper(guess(), **arguments)


def test_a_win_within_the_budget_is_a_win() -> None:
    env = BudgetWrapper(guess(), turns=1)
    env.reset(options={"example": {"prompt": "Guess.", "answer": "7"}})
    assert env.step("7")[1:4] == (1.0, True, False)


def test_format_hands_on_what_is_inside() -> None:
    env = FormatWrapper(
        gym.make("textgym/Echo-v0", turns=2), XMLParser(["say"], answer_field="say"), weight=0.5
    )
    env.reset(seed=0)
    word = env.unwrapped.oracle()
    assert env.step(f"<say>\n{word}\n</say>")[1] == 0.5
    word = env.unwrapped.oracle()
    _, reward, terminated, _, info = env.step(word)
    assert terminated
    assert info["rewards"]["echo"] == 0.5
    assert 0.0 < info["rewards"]["format"] < 0.5
    assert reward == pytest.approx(sum(info["rewards"].values()))
    with pytest.raises(gym.error.ResetNeeded):
        env.step("x")
    both_ways(env, "<say>1</say>", "2")


def test_wrapped_environments_roll_out_stay_native_and_copy() -> None:
    def make() -> gym.Env[str, str]:
        return BudgetWrapper(HistoryWrapper(guess()), turns=3)

    run = textgym.rollout(make, lambda obs: "<guess>1</guess>", num_examples=5, env_kwargs={})
    assert [len(t.steps) for t in run] == [3] * 5
    assert {t.stop_reason for t in run} == {"max_turns"}
    assert run.summary().metrics == {"guesses": 3.0}
    env = make()
    assert not textgym.rollouts.is_blocking(env)
    env.reset(seed=1)
    twin = copy.deepcopy(env)
    assert twin.step("5") == env.step("5")
    limited = textgym.rollout(make, lambda obs: "1", num_examples=2, limits=textgym.Limits(turns=1))
    assert {t.metrics["guesses"] for t in limited} == {1.0}


def test_specs_make_wrapped_environments_again() -> None:
    env = BudgetWrapper(guess(), turns=3)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, BudgetWrapper)
    assert again.reset(seed=0) == env.reset(seed=0)


def test_only_text_environments_are_wrapped() -> None:
    with pytest.raises(ConfigError, match="wraps text environments"):
        TextWrapper(gym.make("CartPole-v1"))
