"""Which task a member gets: seeds of any form, for all members or some, and after resets that failed."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from textgym import SingleTurnEnv
from textgym.errors import ConfigError
from textgym.vector import GroupVectorEnv

MATH = "textgym/Math-v0"
ROWS = [{"question": f"{n}?", "answer": str(n)} for n in range(12)]


def rows(**arguments: Any) -> GroupVectorEnv:
    return GroupVectorEnv(lambda: SingleTurnEnv(ROWS), num_envs=4, group_size=2, **arguments)


def only(*members: int) -> dict[str, Any]:
    return {"reset_mask": np.isin(np.arange(4), members)}


@pytest.mark.parametrize(
    "seed", [1.5, "1234", b"1234", -1, True, {1: 2}, [1, 2.0, 3, 4], ["1"] * 4, [-1, 2], [None, 3]]
)
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="it must be a whole number of at least 0"):
        rows().reset(seed=seed)


def test_a_seed_is_for_the_members_that_are_reset():
    ours = GroupVectorEnv(MATH, 4)
    theirs = SyncVectorEnv([lambda: gym.make(MATH)] * 4, autoreset_mode=AutoresetMode.DISABLED)
    for seed, options in (
        ([1, 2, 3, 4], None),
        ([5, 6, 7, 8], only(0)),
        (None, None),
        ([9, 9, 9, 9], only(1, 2)),
        (None, None),
    ):
        mine = ours.reset(seed=seed, options=options)
        assert data_equivalence(mine, theirs.reset(seed=seed, options=dict(options) if options else None))


def test_a_run_seed_for_some_leaves_the_others_on_their_course():
    envs, alone = rows(), rows()
    alone.reset(seed=1)
    envs.reset(seed=1)
    envs.reset(seed=2, options=only(0, 1))
    assert envs.reset()[0][2:] == alone.reset()[0][2:]
    assert envs.reset(seed=2, options=only(0, 1))[0][:2] == rows().reset(seed=2)[0][:2]


def test_groups_that_begin_member_by_member_share_their_task():
    envs = rows()
    observations = [envs.reset(options=only(member))[0][member] for member in range(4)]
    assert observations[0] == observations[1]
    assert observations[2] == observations[3]


@pytest.mark.parametrize("options", [{"index": [1, 2, 3]}, {"nonsense": 1}, {"index": 99}])
def test_a_reset_that_failed_does_not_count(options):
    envs, alone = rows(), rows()
    envs.reset(seed=1)
    alone.reset(seed=1)
    with pytest.raises(ConfigError):
        envs.reset(options=options)
    assert envs.reset()[0] == alone.reset()[0]
    with pytest.raises(ConfigError):
        envs.reset(seed=3, options=options)
    assert envs.reset()[0] == rows().reset(seed=3)[0]
