"""Stable-Baselines3's PPO, which knows no text, learns a text game through the wrappers with numbers."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from textgym.envs.classic import ChoiceAction, HashedObservation, TokenActions
from textgym.envs.wrappers import HistoryWrapper

sb3 = pytest.importorskip("stable_baselines3")

NUMBERS = [str(number) for number in range(1, 9)]
CHANCE = 1 - (7 / 8) ** 3
"""Share of games won by three guesses at random out of eight."""


def guess_number() -> Any:
    env = HistoryWrapper(gym.make("textgym/GuessNumber-v0", high=8, max_turns=3))
    return HashedObservation(ChoiceAction(env, NUMBERS), size=128)


def won(model: Any, episodes: int = 200) -> float:
    env, wins = guess_number(), 0.0
    for seed in range(10_000, 10_000 + episodes):  # numbers of games that training did not see
        observation, _ = env.reset(seed=seed)
        over = False
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            over, wins = terminated or truncated, wins + reward
    return wins / episodes


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
def test_ppo_learns_to_guess_far_above_chance():
    import torch
    from stable_baselines3.common.vec_env import DummyVecEnv

    torch.set_num_threads(1)
    model = sb3.PPO(
        "MlpPolicy",
        DummyVecEnv([guess_number] * 8),
        n_steps=64,
        batch_size=128,
        ent_coef=0.01,
        learning_rate=1e-3,
        seed=0,
    )
    model.learn(24_000)
    share = won(model)
    print(f"PPO wins {share:.2f} of the games; chance is {CHANCE:.2f}")
    assert share > CHANCE + 0.2


@pytest.mark.filterwarnings("default")
def test_one_token_a_step_passes_its_checker_and_trains():
    from stable_baselines3.common.env_checker import check_env

    env = TokenActions(gym.make("textgym/Echo-v0"), context=32, max_tokens=8)
    check_env(env)
    sb3.PPO("MlpPolicy", env, n_steps=64, batch_size=64, seed=0).learn(128)
