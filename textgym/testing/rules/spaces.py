"""Rules of the instance and its spaces.

Invariant: these rules play no episode.
"""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym

from textgym.spaces import Unicode
from textgym.testing.rules.rule import Broken, rule, short
from textgym.testing.rules.subject import Subject

__all__: list[str] = []

LONGEST_REPR = 100
LARGEST_PICKLE = 1000


@rule("gymnasium-env", "3")
def gymnasium_env(subject: Subject) -> None:
    """Every call makes a new ``gymnasium.Env`` with an observation and an action space."""
    one, other = subject.make(), subject.make()
    if not isinstance(one, gym.Env):
        raise Broken(f"making it gave {short(one)} ({type(one).__name__}); expected a gymnasium.Env")
    if one is other:
        raise Broken("two calls of the factory gave the same instance; expected a new one each")
    for name in ("observation_space", "action_space"):
        space = getattr(one, name, None)
        if not isinstance(space, gym.Space):
            raise Broken(f"{name} is {short(space)}; expected a gymnasium.Space")


@rule("observation-space", "3.1", needs=("gymnasium-env",))
def observation_space(subject: Subject) -> None:
    """``observation_space`` is a ``textgym.spaces.Unicode``."""
    _check_unicode("observation_space", subject.make().observation_space)


@rule("action-space", "3.1", needs=("gymnasium-env",))
def action_space(subject: Subject) -> None:
    """``action_space`` is a ``textgym.spaces.Unicode``."""
    _check_unicode("action_space", subject.make().action_space)


def _check_unicode(name: str, space: Any) -> None:
    if not isinstance(space, Unicode):
        raise Broken(
            f"{name} is {short(space)} ({type(space).__name__}); expected textgym.spaces.Unicode, "
            "which holds every text and works in Gymnasium's AsyncVectorEnv"
        )


@rule("compact-spaces", "3.1", needs=("gymnasium-env",))
def compact_spaces(subject: Subject) -> None:
    """Spaces have a short ``repr`` and a small pickle, and come back equal from it."""
    env = subject.make()
    for name in ("observation_space", "action_space"):
        space = getattr(env, name)
        if len(repr(space)) > LONGEST_REPR:
            raise Broken(f"repr({name}) has {len(repr(space))} characters; expected {LONGEST_REPR} at most")
        pickled = pickle.dumps(space)
        if len(pickled) > LARGEST_PICKLE:
            raise Broken(f"{name} pickles to {len(pickled)} bytes; expected {LARGEST_PICKLE} at most")
        if pickle.loads(pickled) != space:
            raise Broken(f"{name} comes back from its pickle unequal: {short(space)}")
