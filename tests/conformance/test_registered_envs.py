"""Every registered environment keeps the contract, in each of its main variants."""

from __future__ import annotations

import os
import warnings
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from textgym.registration import registered_ids
from textgym.testing import RuleStatus, check_text_env
from textgym.testing.rules.play import play, scripts_for

VARIANTS: dict[str, list[dict[str, Any]]] = {
    "textgym/Code-v0": [{"attempts": 3, "partial": True, "split": "test"}],
    "textgym/CodeMath-v0": [{"persistent": True, "difficulty": 3, "split": "test"}],
    "textgym/DoubleCheck-v0": [{"rounds": 2, "difficulty": 5}],
    "textgym/Echo-v0": [{"turns": 2}, {"length": 12}, {"split": "test"}],
    "textgym/GuessNumber-v0": [{"high": 10**9}, {"low": -5, "high": 5, "split": None}],
    "textgym/Math-v0": [{"difficulty": 5}, {"split": "test", "kinds": ["journey"]}],
    "textgym/QA-v0": [
        {"scoring": "choice", "parser": "xml"},
        {"scoring": "math"},
        {"scoring": "f1", "split": "test", "message_type": "completion"},
    ],
    "textgym/SQL-v0": [{"difficulty": 5, "split": "test"}, {"difficulty": 4, "protocol": "native"}],
    "textgym/Search-v0": [{"difficulty": 4, "protocol": "native"}],
    "textgym/ToolMath-v0": [
        {"difficulty": 5, "split": "test"},
        {"kinds": ["triangle", "growth"], "protocol": "native"},
    ],
    "textgym/Tutor-v0": [{"difficulty": 4}],
    "textgym/Wordle-v0": [{"hard": True}],
}
"""Id -> arguments worth checking besides the defaults; an id that is not here is checked with those."""

CASES = [(env_id, kwargs) for env_id in registered_ids() for kwargs in ({}, *VARIANTS.get(env_id, ()))]
NAMES = [f"{env_id.split('/')[1]}-{kwargs or 'default'}" for env_id, kwargs in CASES]

UNTESTED = {
    "completion-prompt": "message_type is 'chat'",
    "tool-schemas": "offers no tools",
    "not-forkable": "is forkable",
    "epoch-without-replacement": "without end",
    "groups-share-the-split": "without end",
    "neighbour-seeds": "the space is small",
    "unseeded-instances-differ": "too few instances",
    "first-step-terminates": "no episode ended with its first action",
    "truncate-midway": "every episode ends with its first action",
    "disjoint-splits": "split 'test' is empty",
}
"""Rules that may be left untested, and the reason that has to be given."""


def test_variants_name_registered_ids() -> None:
    assert set(VARIANTS) <= set(registered_ids())


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=NAMES)
def test_the_contract(env_id: str, kwargs: dict[str, Any]) -> None:
    began = _cpu_seconds()
    report = check_text_env(env_id, env_kwargs=kwargs)
    assert not report.having(RuleStatus.WAIVED), str(report)
    for result in report.having(RuleStatus.UNTESTED):
        assert UNTESTED.get(result.rule, "?") in result.detail, str(report)
    assert _cpu_seconds() - began < 20


def _cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=NAMES)
def test_gymnasium_has_nothing_to_say(env_id: str, kwargs: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, **kwargs).unwrapped)
        for mode in (None, "ansi", "human"):
            check_env(gym.make(env_id, render_mode=mode, **kwargs).unwrapped)


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=NAMES)
def test_perfect_and_empty_play_on_200_seeds(env_id: str, kwargs: dict[str, Any]) -> None:
    env: Any = gym.make(env_id, disable_env_checker=True, **kwargs)
    scripts = scripts_for(env)
    low, high = env.unwrapped.reward_bounds
    for seed in range(200):
        empty = play(env, seed, scripts["empty"])
        best = play(env, seed, scripts["oracle"])
        assert (empty.total, empty.error) == (pytest.approx(low), "")
        assert (best.total, best.script_error) == (pytest.approx(env.unwrapped.max_return()), "")
        assert env.unwrapped.max_return() == high
        assert best.turns[-1].terminated
        assert empty.turns[-1].terminated


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=NAMES)
def test_async_vector_env_with_shared_memory_shows_the_right_texts(
    env_id: str, kwargs: dict[str, Any]
) -> None:
    def make() -> gym.Env[Any, Any]:
        return gym.make(env_id, **kwargs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork beside threads
        envs: Any = AsyncVectorEnv([make] * 2, shared_memory=True)
    reference = SyncVectorEnv([make] * 2)
    try:
        for vector in (envs, reference):
            observations, _ = vector.reset(seed=[3, 4])
            assert observations == (make().reset(seed=3)[0], make().reset(seed=4)[0])
        for action in ("0", "<guess>3</guess>", "", "\ud800 naïve 🙂"):
            mine, theirs = envs.step((action, action)), reference.step((action, action))
            assert mine[0] == theirs[0]
            assert [list(part) for part in mine[1:4]] == [list(part) for part in theirs[1:4]]
            assert list(mine[4]["messages"]) == list(theirs[4]["messages"])
    finally:
        envs.close(terminate=True)
        reference.close()


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=NAMES)
def test_interleaved_equals_solo(env_id: str, kwargs: dict[str, Any]) -> None:
    actions = ["0", "<guess>7</guess>", "\\boxed{3}", ""] * 3

    def record(env: Any, result: Any) -> Any:
        return (*result, list(env.unwrapped.messages))

    def alone(seed: int) -> list[Any]:
        env = gym.make(env_id, **kwargs)
        steps = [record(env, env.reset(seed=seed))]
        for action in actions[seed:]:
            steps.append(record(env, env.step(action)))
            if steps[-1][2] or steps[-1][3]:
                break
        return steps

    solo = [alone(seed) for seed in range(3)]
    envs = [gym.make(env_id, **kwargs) for _ in solo]
    together: list[list[Any]] = [[] for _ in solo]
    for moment in range(len(actions) + 4):
        for seed, env in enumerate(envs):
            turn = moment - seed  # each is a step behind the one before
            if not 0 <= turn < len(solo[seed]):
                continue
            result = env.step(actions[seed + turn - 1]) if turn else env.reset(seed=seed)
            together[seed].append(record(env, result))
    assert together == solo
