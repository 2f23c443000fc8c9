"""Group rewards: delivered once, with the last member, and only among members that played the same task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from textgym import MultiTurnEnv, Rubric, SingleTurnEnv
from textgym.errors import ConfigError
from textgym.rewards import group_reward
from textgym.vector import GroupVectorEnv


@group_reward
def longest(completions: list[str]) -> list[float]:
    most = max(map(len, completions))
    return [float(len(text) == most) for text in completions]


def comparing() -> SingleTurnEnv:
    return SingleTurnEnv([{"question": "?", "answer": "x"}], rubric=Rubric([longest]))


class Chat(MultiTurnEnv):
    """Goes on until its turns are used up."""

    def env_response(self, messages: Any, state: Any) -> str:
        return "go on"


def only(count: int, *members: int) -> dict[str, Any]:
    return {"reset_mask": np.isin(np.arange(count), members)}


def scores(infos: Any) -> dict[int, float]:
    if "group_rewards" not in infos:
        return {}
    found = infos["group_rewards"]["longest"]
    return {int(member): float(found[member]) for member in np.flatnonzero(infos["_group_rewards"])}


def test_they_come_with_the_last_member():
    envs = GroupVectorEnv(comparing, num_envs=4, group_size=2)
    envs.reset(seed=0)
    *_, infos = envs.step_some([0, 2, 3], ["a", "bb", "c"])
    assert scores(infos) == {2: 1.0, 3: 0.0}
    _, rewards, *_, infos = envs.step_some([1], ["aaa"])
    assert scores(infos) == {0: 0.0, 1: 1.0}
    assert not rewards.any()


def test_they_come_where_turns_run_out():
    chat = Chat([{"question": "?"}], max_turns=2, rubric=Rubric([longest]))
    envs = GroupVectorEnv(chat, num_envs=2, group_size=2)
    envs.reset(seed=0)
    assert scores(envs.step(["a", "b"])[-1]) == {}
    assert scores(envs.step(["aa", "b"])[-1]) == {0: 1.0, 1: 0.0}


def test_a_reset_forgets_who_had_ended_before():
    envs = GroupVectorEnv(comparing, num_envs=2, group_size=2)
    for seed in (0, 0, None):
        envs.reset(seed=seed)
        assert scores(envs.step_some([0], ["aaaaaa"])[-1]) == {}
    envs.reset(seed=0)
    assert scores(envs.step_some([1], ["b"])[-1]) == {}, "member 0 has not played this episode"
    assert scores(envs.step_some([0], ["a"])[-1]) == {0: 1.0, 1: 1.0}


def test_a_member_may_run_ahead():
    envs = GroupVectorEnv(comparing, num_envs=2, group_size=2)
    envs.reset(seed=0)
    for answer in ("a", "bbb", "cc"):
        assert scores(envs.step_some([0], [answer])[-1]) == {}
        envs.reset(options=only(2, 0))
    delivered = []
    for answer in ("aa", "bb", "cc"):
        delivered.append(scores(envs.step_some([1], [answer])[-1]))
        envs.reset(options=only(2, 1))
    assert delivered == [{0: 0.0, 1: 1.0}, {0: 1.0, 1: 0.0}, {0: 1.0, 1: 1.0}]


def test_a_group_that_lost_a_member_is_not_compared():
    envs = GroupVectorEnv(comparing, num_envs=4, group_size=2)
    envs.reset(seed=0)
    envs.reset(options=only(4, 0))  # before its end
    assert scores(envs.step_some([1, 2, 3], ["a", "b", "cc"])[-1]) == {2: 0.0, 3: 1.0}
    envs.reset(options=only(4, 1))
    assert scores(envs.step_some([0, 1], ["a", "bb"])[-1]) == {0: 0.0, 1: 1.0}


def test_members_that_begin_one_by_one_are_compared():
    envs = GroupVectorEnv(comparing, num_envs=2, group_size=2)
    envs.reset(options=only(2, 0))
    envs.step_some([0], ["a"])
    envs.reset(options=only(2, 1))
    assert scores(envs.step_some([1], ["bb"])[-1]) == {0: 0.0, 1: 1.0}


def test_members_seeded_apart_are_not_compared_until_they_are_together_again():
    envs = GroupVectorEnv(comparing, num_envs=2, group_size=2)
    envs.reset(seed=0)
    envs.reset(seed=1, options=only(2, 0))
    assert scores(envs.step(["a", "b"])[-1]) == {}
    envs.reset()
    assert scores(envs.step(["a", "b"])[-1]) == {}
    envs.reset(seed=2)
    assert scores(envs.step(["a", "bb"])[-1]) == {0: 0.0, 1: 1.0}


def test_what_is_left_behind_does_not_grow():
    envs = GroupVectorEnv(comparing, num_envs=4, group_size=2)
    for turn in range(60):
        envs.reset(seed=turn if turn % 3 == 0 else None, options=only(4, 0) if turn % 7 == 1 else None)
        envs.step_some([turn % 4], ["a"])
    assert sum(map(len, envs._comparison._left)) <= 4


@pytest.mark.parametrize(
    "arguments",
    [{"num_envs": 2}, {"num_envs": 2, "group_size": 2, "autoreset_mode": AutoresetMode.SAME_STEP}],
)
def test_comparison_needs_groups_without_autoreset(arguments):
    with pytest.raises(ConfigError, match="compares the members"):
        GroupVectorEnv(comparing, **arguments)
