"""What every registered task promises: a perfect oracle, a floor for junk, disjoint splits."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env

from textgym.registration import registered_ids

IDS = registered_ids()
HOSTILE = ["", " \n", "\0", "\ud800\udfff", "x" * 10**6, "<answer>", "</answer><answer></answer>",
           "\\boxed{", "{}", "\u202e\u200b" * 100, "<guess></guess>", "\\boxed{}" * 1000,
           "<think></think><answer>1/0</answer>"]  # fmt: skip


def play(env: Any, seed: int, action: str | None) -> tuple[float, dict[str, Any]]:
    """One episode of the oracle (None), or of always the same action."""
    env.reset(seed=seed)
    total, done, info = 0.0, False, {}
    while not done:
        said = env.unwrapped.oracle() if action is None else action
        _, reward, terminated, truncated, info = env.step(said)
        assert sum(info["rewards"].values()) == pytest.approx(reward)
        total, done = total + reward, terminated or truncated
    return total, info


@pytest.mark.parametrize("env_id", IDS)
def test_the_oracle_is_perfect_and_nothing_earns_nothing(env_id: str) -> None:
    env = gym.make(env_id, disable_env_checker=True)
    low, high = env.unwrapped.reward_bounds
    for seed in range(200):
        assert play(env, seed, None)[0] == pytest.approx(env.unwrapped.max_return()) == high
        assert play(env, seed, "")[0] == low


@pytest.mark.parametrize("env_id", IDS)
def test_junk_earns_nothing(env_id: str) -> None:
    env = gym.make(env_id, disable_env_checker=True)
    for seed, action in enumerate(HOSTILE * 3):
        assert play(env, seed, action)[0] == env.unwrapped.reward_bounds[0], action[:60]


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasium_has_nothing_to_say(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, disable_env_checker=True).unwrapped)


@pytest.mark.parametrize("env_id", IDS)
def test_copies_in_the_middle_of_an_episode_go_on_alike(env_id: str) -> None:
    env = gym.make(env_id, disable_env_checker=True).unwrapped
    env.reset(seed=3)
    twins = [env, copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    assert len({repr(twin.step("7")) for twin in twins}) == 1


@pytest.mark.parametrize("env_id", IDS)
def test_splits_are_disjoint(env_id: str) -> None:
    seen = {}
    for split in ("train", "test"):
        env = gym.make(env_id, split=split, disable_env_checker=True)
        seen[split] = {env.reset(seed=seed)[1]["example_id"] for seed in range(300)}
    assert not seen["train"] & seen["test"]
