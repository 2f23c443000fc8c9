"""VectorSubject: the vector environment under test, as a source of any number of fresh instances.

Invariant: no two rules share an instance. This module judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate

from textgym.errors import ConfigError
from textgym.testing.rules.play import PLAUSIBLE
from textgym.testing.rules.rule import Untested

__all__ = ["TURNS", "VectorSubject"]

TURNS = 16
"""How long is played at least."""
MOST_TURNS = 200
"""How long is waited for an end."""


class VectorSubject:
    """What is under test.

    Args:
        make: Makes an instance.
        member: Makes what a member has to equal, or None.

    Raises:
        ConfigError: ``make`` is no function, or makes no vector environment, or one of a single member.
    """

    quick = False
    waivers: Mapping[str, str] = {}
    env_kwargs: Mapping[str, Any] = {}

    def __init__(self, make: Callable[[], Any], member: Callable[[], Any] | None) -> None:
        if not callable(make) or not (member is None or callable(member)):
            raise ConfigError(
                f"make is {make!r:.60} and member {member!r:.60}: make must be an id or a function, and member a "
                "function or None, that make a new environment at every call"
            )
        self._maker, self._member = make, member
        self._made: list[Any] = []
        envs = self.make()
        if not isinstance(envs, VectorEnv) or not getattr(envs, "num_envs", 0) >= 2:
            raise ConfigError(
                f"make() made {type(envs).__name__}: it must make a new gymnasium.vector.VectorEnv of two or more "
                "members at every call"
            )
        self.name = str(envs)
        self.count: int = envs.num_envs
        self.metadata = dict(envs.metadata)

    def make(self) -> Any:
        """A fresh instance; ``release`` closes it."""
        envs = self._maker()
        self._made.append(envs)
        return envs

    def member(self) -> Any:
        """A fresh environment that a member has to equal."""
        if self._member is None:
            raise Untested("no member=… was given to compare with")
        return self._member()

    def release(self) -> None:
        """Close the instances that were made since the last call."""
        made, self._made = self._made, []
        for envs in made:
            envs.close()

    @cached_property
    def mode(self) -> AutoresetMode:
        """The autoreset mode that its metadata names."""
        mode = self.metadata.get("autoreset_mode")
        if not isinstance(mode, AutoresetMode):
            raise Untested("metadata['autoreset_mode'] names no mode")
        return mode

    @property
    def seeds(self) -> list[int]:
        """One seed a member, those of a group equal."""
        size = getattr(self.make().unwrapped, "group_size", 1)
        return [11 + member // size for member in range(self.count)]

    def actions(self, envs: Any, turn: int, count: int | None = None) -> Any:
        """What is played in a turn, in the form of the action space; ``count`` actions, if given."""
        single = envs.single_action_space
        if isinstance(single, gym.spaces.Text):
            return tuple(PLAUSIBLE[(turn + member) % len(PLAUSIBLE)] for member in range(count or self.count))
        space = envs.action_space if count is None else batch_space(single, count)
        space.seed(turn)
        return space.sample()

    def listed(self, envs: Any, batch: Any, *, actions: bool = False) -> list[Any]:
        """Observations (or actions) of all members, one by one."""
        single = envs.single_action_space if actions else envs.single_observation_space
        space = envs.action_space if actions else envs.observation_space
        return list(batch) if isinstance(single, gym.spaces.Text) else list(iterate(space, batch))

    def played(self, *, seed: Any = None) -> list[tuple[Any, ...]]:
        """Everything that a reset and some turns return; without autoreset the ended are reset in between.

        Play goes on for a while until somebody has come to an end and has begun again.
        """
        envs = self.make()
        shown: list[tuple[Any, ...]] = [envs.reset(seed=list(self.seeds) if seed is None else seed)]
        over, last = np.zeros(self.count, dtype=np.bool_), MOST_TURNS
        for turn in range(MOST_TURNS):
            if turn >= last:
                break
            if over.any():
                last = min(last, max(turn + 2, TURNS))
            if self.mode is AutoresetMode.DISABLED and over.any():
                shown.append(envs.reset(options={"reset_mask": over.copy()}))
            transition = envs.step(self.actions(envs, turn))
            over = np.logical_or(transition[2], transition[3])
            shown.append(transition)
        return shown
