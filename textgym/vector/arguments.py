"""What callers give to a group vector environment, checked before anything is played.

Invariant: a value that does not fit raises with what would; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from textgym.errors import ConfigError

__all__ = [
    "check_distinct",
    "check_texts",
    "checked_indices",
    "checked_mode",
    "checked_sizes",
    "listed_actions",
    "members_of_mask",
]


def checked_sizes(num_envs: Any, group_size: Any) -> tuple[int, int]:
    """Members in all and of a group, of which one is a multiple of the other."""
    for name, value in (("num_envs", num_envs), ("group_size", group_size)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least 1")
    if num_envs % group_size:
        raise ConfigError(
            f"num_envs is {num_envs} and group_size {group_size}: num_envs counts members, so it must be a "
            f"multiple of group_size, such as {num_envs // group_size * group_size or group_size}"
        )
    return int(num_envs), int(group_size)


def checked_mode(name: Any) -> AutoresetMode:
    """An autoreset mode, by itself or its value."""
    try:
        return AutoresetMode(name)
    except ValueError:
        allowed = ", ".join(repr(one.value) for one in AutoresetMode)
        raise ConfigError(
            f"autoreset_mode is {name!r}: it must be an AutoresetMode or one of {allowed}"
        ) from None


def check_distinct(envs: Sequence[gym.Env[Any, Any]]) -> None:
    """Refuse one environment as two members."""
    if len({id(env.unwrapped) for env in envs}) < len(envs):
        raise ConfigError(
            "the function made one environment twice: it must make a new one at every call (or give the "
            "environment itself, which is copied)"
        )


def members_of_mask(mask: Any, num_envs: int) -> list[int]:
    """The members that a reset mask names; all without one."""
    if mask is None:
        return list(range(num_envs))
    if (
        not isinstance(mask, np.ndarray)
        or mask.dtype != np.bool_
        or mask.shape != (num_envs,)
        or not mask.any()
    ):
        raise ConfigError(
            f"reset option reset_mask is {mask!r:.80}: it must be a bool array of shape ({num_envs},) with at "
            "least one True"
        )
    named: list[int] = np.flatnonzero(mask).tolist()
    return named


def checked_indices(given: Sequence[int], num_envs: int) -> list[int]:
    """Some members, each once."""
    members = [int(index) for index in given]
    if len(set(members)) != len(members) or any(not 0 <= m < num_envs for m in members):
        raise ConfigError(f"indices are {members!r:.80}: each must be in 0..{num_envs - 1}, and named once")
    return members


def listed_actions(actions: Any, count: int, space: gym.Space[Any], single: gym.Space[Any]) -> Sequence[Any]:
    """One action a member.

    Args:
        actions: What the caller gave.
        count: Of how many members.
        space: The batched action space.
        single: That of one member.
    """
    if not isinstance(single, gym.spaces.Text):
        actions = list(iterate(space, actions))
    if isinstance(actions, str) or len(actions) != count:
        raise ConfigError(f"there are {len(actions)} actions: give one for each of the {count} members")
    return actions  # type: ignore[no-any-return]


def check_texts(members: Sequence[int], actions: Sequence[Any]) -> None:
    """Refuse an action that is no text."""
    if set(map(type, actions)) <= {str}:
        return
    for member, action in zip(members, actions, strict=True):
        if not isinstance(action, str):
            raise TypeError(
                f"the action of member {member} is {type(action).__name__} {action!r:.60}: it must be a str"
            )
