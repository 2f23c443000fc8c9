"""Rules of vector environments: the form of what they take and return.

Invariant: a rule plays instances of its own, and says which call showed what.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from textgym.testing.rules.rule import Broken, short, vector_rule
from textgym.testing.rules.vector_subject import VectorSubject

__all__: list[str] = []

RETURNED = ("observations", "rewards", "terminations", "truncations", "infos")


@vector_rule("spaces")
def spaces(subject: VectorSubject) -> None:
    """Its spaces are batches of the single ones, and its length is ``num_envs``."""
    envs = subject.make()
    for name in ("observation_space", "action_space"):
        single = getattr(envs, f"single_{name}")
        if not isinstance(single, gym.Space):
            raise Broken(f"single_{name} is {short(single)}; expected a gymnasium.Space")
        expected, observed = batch_space(single, subject.count), getattr(envs, name)
        if observed != expected:
            raise Broken(f"{name} is {short(observed)}; expected batch_space(single_{name}, {subject.count})")


@vector_rule("autoreset-mode")
def autoreset_mode(subject: VectorSubject) -> str:
    """``metadata["autoreset_mode"]`` is an ``AutoresetMode``, and the metadata are its own."""
    mode = subject.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise Broken(f"metadata['autoreset_mode'] is {mode!r}; expected a gymnasium.vector.AutoresetMode")
    one, two = subject.make(), subject.make()
    if one.metadata is two.metadata or one.metadata is type(one.unwrapped).metadata:
        raise Broken("two instances share one metadata dict: what one changes, the other shows")
    return mode.value


@vector_rule("reset-needed")
def reset_needed(subject: VectorSubject) -> None:
    """``step`` before ``reset`` raises ``ResetNeeded``."""
    envs = subject.make()
    try:
        envs.step(subject.actions(envs, 0))
    except ResetNeeded:
        return
    except Exception as error:
        raise Broken(f"step() before reset() raised {type(error).__name__}: {error}") from error
    raise Broken("step() before reset() raised nothing; expected gymnasium.error.ResetNeeded")


@vector_rule("shapes", "spaces", "autoreset-mode")
def shapes(subject: VectorSubject) -> str:
    """Observations are in the space, rewards float64, flags bool, each of length ``num_envs``."""
    envs = subject.make()
    shown = subject.played()
    for call, returned in enumerate(shown):
        if returned[0] not in envs.observation_space:
            raise Broken(
                f"the observations of call {call} are not in the observation space: {short(returned[0])}"
            )
        if not isinstance(returned[-1], dict):
            raise Broken(f"the infos of call {call} are {type(returned[-1]).__name__}; expected a dict")
        kinds = zip(("rewards", "terminations", "truncations"), (np.float64, np.bool_, np.bool_), strict=True)
        for (name, kind), values in zip(kinds, returned[1:-1], strict=len(returned) > 2):
            if not isinstance(values, np.ndarray) or values.dtype != kind or values.shape != (subject.count,):
                raise Broken(
                    f"the {name} of call {call} are {short(values)}; expected an array of {kind.__name__} of "
                    f"shape ({subject.count},)"
                )
    return f"{len(shown)} calls"


@vector_rule("info-masks", "shapes")
def info_masks(subject: VectorSubject) -> None:
    """Every entry of infos has one place a member, and a mask ``_key`` that says for whom it holds."""
    for call, returned in enumerate(subject.played()):
        _masks(returned[-1], subject.count, f"the infos of call {call}")


def _masks(infos: Mapping[str, Any], count: int, where: str) -> None:
    for key, value in infos.items():
        if key.startswith("_") and key[1:] in infos:
            continue
        mask = infos.get(f"_{key}")
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (count,):
            raise Broken(
                f"{where} have {key!r} and as its mask {short(mask)}; expected bool, shape ({count},)"
            )
        if isinstance(value, Mapping):
            _masks(value, count, f"{where}[{key!r}]")
        elif len(value) != count:
            raise Broken(f"{where}[{key!r}] has {len(value)} entries; expected {count}")


@vector_rule("own-arrays", "shapes")
def own_arrays(subject: VectorSubject) -> None:
    """What a step returned, infos included, is not overwritten by the next one."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    kept = envs.step(subject.actions(envs, 0))
    before = copy.deepcopy(kept)
    if subject.mode is AutoresetMode.DISABLED:
        envs.reset()
    envs.step(subject.actions(envs, 3))
    for name, then, now in zip(RETURNED, before, kept, strict=True):
        if not data_equivalence(then, now):
            raise Broken(f"the {name} of one step became {short(now)} in the next; they were {short(then)}")


@vector_rule("number-of-actions", "shapes")
def number_of_actions(subject: VectorSubject) -> None:
    """Too few actions are refused, and so are too many."""
    for count in (subject.count - 1, subject.count + 1):
        envs = subject.make()
        envs.reset(seed=list(subject.seeds))
        try:
            envs.step(subject.actions(envs, 0, count))
        except (ValueError, TypeError, AssertionError, IndexError):
            continue
        raise Broken(f"{count} actions for {subject.count} members were taken")


@vector_rule("close")
def close(subject: VectorSubject) -> None:
    """``close`` may be called twice, and ``closed`` says so."""
    envs = subject.make()
    envs.reset(seed=5)
    envs.close()
    envs.close()
    if envs.unwrapped.closed is not True:
        raise Broken(f"closed is {envs.unwrapped.closed!r} after close()")
