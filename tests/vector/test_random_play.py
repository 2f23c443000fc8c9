"""Long random play equals Gymnasium's SyncVectorEnv: seeds, masks, ends at any time, infos of some members."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, OneOf, Sequence, Tuple
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space, iterate

from textgym.spaces import Unicode
from textgym.vector import GroupVectorEnv

MEMBERS = 5
SPACES: dict[str, Any] = {
    "text": Unicode(50),
    "box": Box(-5, 5, (3,), np.float32),
    "discrete": Discrete(5, start=2),
    "dict": Dict(a=Box(0, 1, (2,)), t=Unicode(20)),
    "tuple": Tuple((Discrete(3), Unicode(9))),
    "sequence": Sequence(Discrete(4)),
    "bits": MultiBinary(3),
    "one-of": OneOf((Discrete(2), Box(0, 1, (1,)))),
}


class UntidyEnv(gym.Env):
    """Random observations, rewards of several types, ends at any time, and infos of every kind, some nested."""

    def __init__(self, space: str, actions: Any = None) -> None:
        self.observation_space = copy.deepcopy(SPACES[space])
        self.action_space = copy.deepcopy(actions) if actions is not None else Discrete(4)

    def _observation(self) -> Any:
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample()

    def _info(self, begins: bool) -> dict[str, Any]:
        rng = self.np_random
        every = {
            "float": float(rng.random()),
            "int": int(rng.integers(100)),
            "bool": bool(rng.random() < 0.5),
            "text": "x" * int(rng.integers(4)),
            "list": [1] * int(rng.integers(4)),
            "array": rng.integers(9, size=3),
            "none": None,
            "numpy": np.float32(rng.random()),
            "either": 1 if begins else 1.5,  # the first member's type decides
            "empty": {},
            "inner": {"x": float(rng.random()), **({"y": {"z": 1.5}} if rng.random() < 0.5 else {})},
        }
        return {key: value for key, value in every.items() if rng.random() < 0.5}

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self._observation(), self._info(True)

    def step(self, action: Any) -> Any:
        rng = self.np_random
        reward = (float(rng.random()), int(rng.integers(3)), np.float32(rng.random()))[int(rng.integers(3))]
        ends = bool(rng.random() < 0.2), bool(rng.random() < 0.1)
        return self._observation(), reward, *ends, {**self._info(False), "action": copy.deepcopy(action)}


def play(envs: Any, mode: AutoresetMode, seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    shown = [envs.reset(seed=rng.integers(100, size=MEMBERS).tolist())]
    kept = [copy.deepcopy(shown[0])]
    for _ in range(40):
        shown.append(envs.step(rng.integers(4, size=MEMBERS)))
        kept.append(copy.deepcopy(shown[-1]))
        over, lot = shown[-1][2] | shown[-1][3], rng.random(MEMBERS) < 0.1
        if mode is AutoresetMode.DISABLED:
            lot |= over
        if lot.any():
            seeds = rng.integers(100, size=MEMBERS).tolist() if rng.random() < 0.5 else None
            shown.append(envs.reset(seed=seeds, options={"reset_mask": lot}))
            kept.append(copy.deepcopy(shown[-1]))
    assert data_equivalence(shown, kept), "what was returned is not overwritten"
    return shown


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("space", SPACES)
def test_it_shows_what_gymnasiums_shows(space, mode):
    for seed in range(3):
        ours = GroupVectorEnv(lambda: UntidyEnv(space), MEMBERS, autoreset_mode=mode)
        theirs = SyncVectorEnv([lambda: UntidyEnv(space)] * MEMBERS, autoreset_mode=mode)
        calls = zip(play(ours, mode, seed), play(theirs, mode, seed), strict=True)
        for call, (mine, reference) in enumerate(calls):
            assert data_equivalence(mine, reference), f"seed {seed}, call {call}:\n{mine}\n{reference}"


@pytest.mark.parametrize(
    "actions",
    [
        Discrete(3),
        Box(0, 1, (2,)),
        MultiDiscrete([2, 3]),
        Dict(a=Discrete(2), b=Box(0, 1)),
        Tuple([Discrete(2)] * 2),
    ],
    ids=lambda space: type(space).__name__,
)
def test_actions_of_every_space_reach_their_members(actions):
    envs = GroupVectorEnv(lambda: UntidyEnv("box", actions), MEMBERS)
    envs.reset(seed=1)
    envs.action_space.seed(0)
    every = envs.action_space.sample()
    two = batch_space(actions, 2)
    two.seed(1)
    some = two.sample()
    taken: list[Any] = [None] * MEMBERS
    for member, env in enumerate(envs.envs):
        env.step = lambda action, member=member: (
            taken.__setitem__(member, action) or ("", 0.0, False, False, {})
        )
    envs._batched = lambda observations: observations
    envs.step(every)
    assert data_equivalence(taken, list(iterate(envs.action_space, every)))
    envs.step_some([3, 1], some)
    assert data_equivalence([taken[3], taken[1]], list(iterate(two, some)))
