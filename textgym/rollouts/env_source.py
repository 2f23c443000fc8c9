"""Where the environments of a rollout come from: an id, a spec, a finished environment or a function.

Invariant: whoever takes an environment has it to himself, and the prototype that answers questions about all of
them is played at most once. What is played, and with which seeds, is the plan's business.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from textgym.errors import ConfigError
from textgym.rollouts.stepping import is_blocking, past_watchers

__all__ = ["EnvLike", "EnvSource"]

EnvLike: TypeAlias = str | EnvSpec | gym.Env[Any, Any] | Callable[..., gym.Env[Any, Any]]
"""An id, a spec, an environment (copied for each worker), or a function that makes one."""


class EnvSource:
    """Makes the environments of a rollout.

    Args:
        env: What to make them from.
        kwargs: Arguments for an id, a spec or a function.

    Raises:
        ConfigError: It is none of these, or arguments were given for a finished environment.
        gymnasium.error.Error: The id is unknown; the message says what was meant perhaps.
    """

    def __init__(self, env: EnvLike, kwargs: Mapping[str, Any] | None = None) -> None:
        self.kwargs = dict(kwargs or {})
        self._env = env
        if isinstance(env, gym.Env):
            if self.kwargs:
                raise ConfigError(
                    "env_kwargs were given for an environment that is made already: give its id, or make "
                    "it with them"
                )
        elif not isinstance(env, str | EnvSpec) and not callable(env):
            raise ConfigError(
                f"env is {env!r:.60} ({type(env).__name__}): it must be an id, an EnvSpec, a gymnasium "
                "environment or a function that makes one"
            )
        self.prototype: gym.Env[Any, Any] = self._fresh()
        self.name = self._name()
        self._prototype_free = True

    @cached_property
    def fingerprint(self) -> str | None:
        """What the environment says of its data, so that a run is not resumed on other data."""
        tell = getattr(self.prototype.unwrapped, "fingerprint", None)
        return tell() if callable(tell) else None

    def _name(self) -> str:
        if isinstance(self._env, str):
            return self._env
        spec = self._env if isinstance(self._env, EnvSpec) else self.prototype.spec
        return spec.id if spec is not None else type(self.prototype.unwrapped).__name__

    def _fresh(self) -> gym.Env[Any, Any]:
        env = self._env
        if isinstance(env, gym.Env):
            return copy.deepcopy(env)
        if isinstance(env, str | EnvSpec):
            return gym.make(env, **self.kwargs)
        made = env(**self.kwargs)
        if not isinstance(made, gym.Env):
            raise ConfigError(
                f"the function {getattr(env, '__name__', env)!r} made {type(made).__name__}: it must make "
                "a gymnasium.Env"
            )
        return made

    def take(self, *, bare: bool = False) -> gym.Env[Any, Any]:
        """An environment of its own for one worker: a copy of the prototype, itself, or a new one.

        Args:
            bare: Without the wrappers of ``gym.make`` that only watch, where it is stepped without them anyway.
        """
        prototype = (
            past_watchers(self.prototype) if bare and not is_blocking(self.prototype) else self.prototype
        )
        if self._prototype_free and not self._copied_by_name:
            self._prototype_free = False
            return prototype
        if self._copied_by_name or self._copied_for_rows:
            inner = prototype.unwrapped
            shared = (inner.spec, getattr(inner, "parser", None), getattr(inner, "dataset", None))
            return copy.deepcopy(prototype, {id(part): part for part in shared})
        env = self._fresh()
        return past_watchers(env) if prototype is not self.prototype else env

    @cached_property
    def _copied_by_name(self) -> bool:
        """Whether each environment is a copy of the prototype, which is never played: cheaper than making one."""
        inner = self.prototype.unwrapped
        return isinstance(self._env, str | EnvSpec) and hasattr(inner, "astep") and _forkable(inner)

    @cached_property
    def _copied_for_rows(self) -> bool:
        """Whether further environments are copies although a function makes them: it may load many rows."""
        inner = self.prototype.unwrapped
        return getattr(inner, "num_examples", None) is not None and _forkable(inner)


def _forkable(env: Any) -> bool:
    return bool((env.metadata or {}).get("forkable"))
