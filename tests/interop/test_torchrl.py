"""TorchRL's checks of environment specs, over wrapped environments and over groups of them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from textgym.envs.classic import ChoiceAction, HashedObservation, TokenActions
from textgym.envs.wrappers import HistoryWrapper
from textgym.vector import GroupVectorEnv

pytest.importorskip("torchrl")
pytestmark = pytest.mark.filterwarnings("default")


def guess_number() -> Any:
    env = HistoryWrapper(gym.make("textgym/GuessNumber-v0", high=8, max_turns=3))
    return HashedObservation(ChoiceAction(env, [str(number) for number in range(1, 9)]), size=64)


def tokens() -> Any:
    return TokenActions(gym.make("textgym/Echo-v0"), context=32, max_tokens=8)


@pytest.mark.parametrize("make", [guess_number, tokens])
def test_the_specs_hold(make):
    from torchrl.envs.libs.gym import GymWrapper
    from torchrl.envs.utils import check_env_specs

    check_env_specs(GymWrapper(make()))


def test_groups_are_reset_in_part():
    from torchrl.envs.libs.gym import GymWrapper
    from torchrl.envs.utils import check_env_specs

    env = GymWrapper(GroupVectorEnv(guess_number, num_envs=4, group_size=2))
    check_env_specs(env)
    played = env.rollout(12, break_when_any_done=False)
    ends = played["next", "done"].sum(1).squeeze(-1)
    assert (ends >= 4).all(), "each member goes on with another episode after at most three turns"
    lengths = played["next", "reward"].shape
    assert lengths[:2] == (4, 12)
