"""The first number of a seed is numpy's, and knowing it changes no episode."""

from __future__ import annotations

import copy

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textgym
from textgym import first_draws
from textgym.rollouts.plan import group_seed


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
def test_the_first_draws_are_numpys(seeds: list[int]) -> None:
    expected = [np.random.PCG64(np.random.SeedSequence(seed)).random_raw() for seed in seeds]
    assert first_draws.first_draws(seeds) == expected


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_draws, "_MOST", 100)
    monkeypatch.setattr(first_draws, "_known", {})
    for start in range(0, 1000, 50):
        first_draws.foresee(range(start, start + 50))
    assert len(first_draws._known) <= 100
    assert first_draws.foreseen(999) is not None
    assert first_draws.foreseen(0) is None


def test_the_generator_of_an_environment_is_the_seeded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def numbers(env: gym.Env[str, str]) -> tuple[object, ...]:
        observation, info = env.reset(seed=7)
        inner = env.unwrapped
        twin = copy.deepcopy(inner)
        after = twin.np_random.integers(1 << 30, size=3).tolist()
        again = env.reset()[1]["example_id"]
        return (
            observation,
            info["example_id"],
            inner.np_random_seed,
            after,
            again,
            inner.np_random.bit_generator.state,
        )

    plain = numbers(gym.make("textgym/GuessNumber-v0"))
    monkeypatch.setattr(first_draws, "_known", {})
    first_draws.foresee(range(30))
    assert first_draws.foreseen(7) is not None
    assert numbers(gym.make("textgym/GuessNumber-v0")) == plain


def test_a_long_run_has_the_tasks_of_its_seeds() -> None:
    run = textgym.rollout("textgym/GuessNumber-v0", textgym.OraclePolicy(), num_examples=300, seed=5)
    env = gym.make("textgym/GuessNumber-v0")
    first_draws._known.clear()
    for number in (0, 1, 255, 256, 299):
        assert env.reset(seed=group_seed(5, number))[1]["example_id"] == run[number].example_id
