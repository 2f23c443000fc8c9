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

from textgym.errors import ConfigError
from textgym.testing.rules.play import PLAUSIBLE
from textgym.testing.rules.rule import Untested

__all__ = ["VectorSubject"]


class VectorSubject:
    """What is under test.

    Args:
        make: Makes an instance.
        member: Makes what a member has to equal, or None.

    Raises:
        ConfigError: ``make`` makes no vector environment, or one of a single member.
    """

    quick = False
    waivers: Mapping[str, str] = {}
    env_kwargs: Mapping[str, Any] = {}

    def __init__(self, make: Callable[[], Any], member: Callable[[], Any] | None) -> None:
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

    def actions(self, envs: Any, turn: int) -> Any:
        """What is played in a turn, in the form of the action space."""
        if isinstance(envs.single_action_space, gym.spaces.Text):
            return tuple(PLAUSIBLE[(turn + member) % len(PLAUSIBLE)] for member in range(self.count))
        envs.action_space.seed(turn)
        return envs.action_space.sample()

    def played(self, turns: int, *, seed: Any = None) -> list[tuple[Any, ...]]:
        """Everything that a reset and some turns return; without autoreset the ended are reset in between."""
        envs = self.make()
        shown: list[tuple[Any, ...]] = [envs.reset(seed=list(self.seeds) if seed is None else seed)]
        over = np.zeros(self.count, dtype=np.bool_)
        for turn in range(turns):
            if self.mode is AutoresetMode.DISABLED and over.any():
                shown.append(envs.reset(options={"reset_mask": over.copy()}))
            transition = envs.step(self.actions(envs, turn))
            over = np.logical_or(transition[2], transition[3])
            shown.append(transition)
        return shown
