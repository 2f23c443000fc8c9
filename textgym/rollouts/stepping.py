"""The awaitable twins of any environment: ``areset``, ``astep``, ``atruncate``, and all of them as a ``Stepper``.

Invariant: the loop of the caller is never blocked. An environment or wrapper that has coroutine methods is
awaited; anything else is run, whole, in a thread. Gymnasium's PassiveEnvChecker and OrderEnforcing, which
``gym.make`` puts around every environment, are seen through: they only watch.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from textgym.rollouts.threads import close_in_thread, in_thread
from textgym.types import StopReason, Transition

__all__ = [
    "Stepper",
    "areset",
    "astep",
    "atruncate",
    "is_blocking",
    "past_watchers",
    "truncatable",
]

_WATCHERS = (PassiveEnvChecker, OrderEnforcing)


def past_watchers(env: Any) -> Any:
    """The environment within the wrappers of ``gym.make`` that only watch."""
    while isinstance(env, _WATCHERS):
        env = env.env
    return env


async def areset(
    env: gym.Env[Any, Any], *, seed: int | None = None, options: dict[str, Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """Await ``env.reset``; arguments and errors are those of ``reset``."""
    inner = past_watchers(env)
    method = getattr(inner, "areset", None)
    if method is None or inner.metadata.get("blocking"):
        begun: tuple[Any, dict[str, Any]] = await in_thread(
            lambda: env.reset(seed=seed, options=options), env
        )
        return begun
    result: tuple[Any, dict[str, Any]] = await method(seed=seed, options=options)
    while env is not inner:
        if isinstance(env, OrderEnforcing):
            env._has_reset = True  # so that the sync side may go on from here
        env = env.env  # type: ignore[attr-defined]
    return result


async def astep(env: gym.Env[Any, Any], action: Any) -> Transition:
    """Await ``env.step``; arguments, result and errors are those of ``step``."""
    inner = past_watchers(env)
    method = getattr(inner, "astep", None)
    if method is None or inner.metadata.get("blocking"):
        transition: Any = await in_thread(lambda: env.step(action), env)
        return transition  # type: ignore[no-any-return]
    return await method(action)  # type: ignore[no-any-return]


async def atruncate(env: gym.Env[Any, Any], reason: StopReason) -> Transition | None:
    """Await ``truncate`` of the outermost layer that has it.

    Returns:
        The terminal 5-tuple, or None if no layer can truncate (an environment that is not textgym's).
    """
    layer = truncatable(env)
    if layer is None:
        return None
    method = None if is_blocking(layer) else getattr(layer, "atruncate", None)
    if method is None:
        return await in_thread(lambda: layer.truncate(reason), env)  # type: ignore[no-any-return]
    return await method(reason)  # type: ignore[no-any-return]


class Stepper:
    """An environment with what an episode asks of it, looked up once and not at every turn.

    Args:
        env: The environment.
    """

    __slots__ = ("blocking", "env", "reset", "step", "success")

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        inner: Any = past_watchers(env)
        self.env = env
        """The environment itself."""
        self.blocking = is_blocking(env)
        """Whether it is stepped in threads."""
        direct = not self.blocking
        bare = direct and inner is env
        self.reset: Any = inner.areset if bare else partial(areset, env)
        """``await reset(seed=…, options=…)``."""
        self.step: Any = inner.astep if direct else partial(astep, env)
        """``await step(action)``."""
        judge = getattr(env.unwrapped, "success", None)
        self.success = judge if callable(judge) else None
        """Says of a trajectory whether it is solved; None where nobody can tell."""

    async def close(self) -> None:
        """Close the environment without holding up the loop; raises what closing raises."""
        if self.blocking:
            await close_in_thread(self.env)
            return
        aclose = getattr(self.env.unwrapped, "aclose", None)
        try:
            if aclose is not None:
                await aclose()
        finally:
            self.env.close()


def truncatable(env: Any) -> Any:
    """The outermost layer of an environment that can truncate and score, or None."""
    while not hasattr(env, "truncate"):
        if not hasattr(env, "env"):
            return None
        env = env.env
    return env


def is_blocking(env: Any) -> bool:
    """Whether stepping this environment may block its thread.

    True for what has no ``astep`` (whatever is not textgym's) and where ``metadata["blocking"]`` says so.
    """
    inner = past_watchers(env)
    return not hasattr(inner, "astep") or bool(inner.metadata.get("blocking"))
