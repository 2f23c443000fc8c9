"""MixtureEnv: several environments as one, an episode from one of them at a time.

Invariant: which environment an episode belongs to follows from the seed (or the row index) alone, and an
episode is exactly what that environment would have made of it; only ``example_id`` also names the
environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym import seeding
from textgym.envs.text_env import TextEnv
from textgym.errors import ConfigError
from textgym.types import Message, StopReason, Transition

__all__ = ["MixtureEnv"]


class MixtureEnv(TextEnv):
    """Several text environments, drawn by weight for every episode.

    Without weights, environments with finite datasets are joined row after row: ``num_examples`` is the
    sum, and ``options={"index": …}`` counts through all of them. With weights, or where one has no end,
    each episode draws its environment.

    ## Rewards
    Those of the environment that the episode belongs to.

    Args:
        envs: ``{name: env}``, or a list (named by their class or id). Each is a ``TextEnv``, wrapped or not.
        weights: One positive number an environment; None as said above.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: There are no environments, one is no ``TextEnv``, names are double or the weights do
            not fit.

    Example:
        >>> from textgym.envs import SingleTurnEnv
        >>> env = MixtureEnv({"sum": SingleTurnEnv([{"prompt": "1+1?", "answer": "2"}]),
        ...                   "city": SingleTurnEnv([{"prompt": "Capital of Peru?", "answer": "Lima"}])})
        >>> env.reset(options={"index": 1})[0]
        'Capital of Peru?'
        >>> env.step("Lima")[1]
        1.0
    """

    def __init__(
        self,
        envs: Mapping[str, Any] | Sequence[Any],
        weights: Sequence[float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(render_mode=render_mode)
        named = list(envs.items()) if isinstance(envs, Mapping) else [(_name(env), env) for env in envs]
        self.envs: dict[str, TextEnv] = {}
        for name, env in named:
            inner = getattr(env, "unwrapped", env)
            if not isinstance(inner, TextEnv):
                raise ConfigError(f"environment {name!r} is {type(inner).__name__}: it must be a TextEnv")
            if name in self.envs:
                raise ConfigError(f"two environments are called {name!r}: name them with a dict")
            self.envs[name] = inner
        if not self.envs:
            raise ConfigError("a mixture needs at least one environment")
        if weights is not None and (len(weights) != len(self.envs) or min(weights) <= 0):
            raise ConfigError(
                f"weights are {list(weights)} for {len(self.envs)} environments: give one positive number each"
            )
        self.weights = None if weights is None else [weight / sum(weights) for weight in weights]
        limits = [env.observation_space.max_length for env in self.envs.values()]
        actions = [env.action_space.max_length for env in self.envs.values()]
        self.observation_space = type(self.observation_space)(max(limits))
        self.action_space = type(self.action_space)(max(actions))
        self._active: TextEnv | None = None

    @property
    def reset_options(self) -> frozenset[str]:  # type: ignore[override]
        """``env`` names the environment, ``example`` gives a row; ``index`` counts through all rows."""
        return frozenset({"env", "example"} if self.num_examples is None else {"env", "example", "index"})

    @property
    def reward_bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """Bounds of the present episode's environment; before the first, of all together."""
        if self._active is not None:
            return self._active.reward_bounds
        bounds = [env.reward_bounds for env in self.envs.values()]
        return min(low for low, _ in bounds), max(high for _, high in bounds)

    @property
    def num_examples(self) -> int | None:
        """Rows of all environments together, or None where they are drawn by weight or without end."""
        sizes = [env.num_examples for env in self.envs.values()]
        if self.weights is not None or any(size is None for size in sizes):
            return None
        return sum(size for size in sizes if size is not None)

    def example_index(self, run_seed: int, group: int) -> int | None:
        """Row of a group: a seeded permutation of all rows; None where environments are drawn."""
        return None if self.num_examples is None else seeding.ordered(run_seed, group, self.num_examples)

    async def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        options = dict(options or {})
        setting = self._setting(seed, options)
        self._active = None
        index = options.pop("index", None)
        name = options.pop("env", None)
        if index is None and name is None and "example" not in options and self.num_examples is not None:
            index = seeding.ordered(setting.order_seed, setting.position, self.num_examples)
        if index is not None and name is None:
            name, index = self._locate(index)
        if name is None:
            draw = setting.rng("mixture").choice(len(self.envs), p=self.weights)
            name = list(self.envs)[int(draw)]
        if name not in self.envs:
            raise ConfigError(f"reset option env is {name!r}: it must be one of {', '.join(self.envs)}")
        if index is not None:
            options["index"] = index
        inner = self.envs[name]
        inner.in_group = self.in_group
        observation, info = await inner._reset(setting.seed, options)
        self._active = inner
        info["example_id"] = f"{name}/{info['example_id']}"
        self._label = name
        if self.render_mode == "human":
            self._show()
        return observation, info

    def _locate(self, index: Any) -> tuple[str, int]:
        total = self.num_examples
        assert total is not None
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index.__index__() < total:
            raise ConfigError(f"reset option index is {index!r}: it must be in 0..{total - 1}")
        index = index.__index__()
        for name, env in self.envs.items():
            size = env.num_examples or 0
            if index < size:
                return name, index
            index -= size
        raise AssertionError("unreachable: the sizes sum to the total")

    async def _step(self, action: str) -> Transition:
        return self._labelled(await self._playing()._step(action))

    async def _truncate(self, reason: StopReason | str) -> Transition:
        return self._labelled(await self._playing()._truncate(reason))

    def _labelled(self, transition: Transition) -> Transition:
        info = transition[4]
        info["example_id"] = f"{self._label}/{info['example_id']}"
        if self.render_mode == "human":
            self._show()
        return transition

    def _playing(self) -> TextEnv:
        if self._active is None:
            self._running()  # raises ResetNeeded with the usual words
        assert self._active is not None
        return self._active

    @property
    def messages(self) -> list[Message]:
        """The conversation of the present or last episode."""
        return [] if self._active is None else self._active.messages

    @property
    def answers(self) -> list[str]:
        """The actions of the present or last episode."""
        return [] if self._active is None else self._active.answers

    def oracle(self) -> str | None:
        """The active environment's."""
        return self._playing().oracle()

    def max_return(self) -> float | None:
        """The active environment's."""
        return self._playing().max_return()

    def success(self, trajectory: Any) -> bool | None:
        """The active environment's."""
        return self._playing().success(trajectory)

    def _show(self) -> None:
        if self._active is not None:
            self._active._show()

    async def aclose(self) -> None:
        """Wait for the sessions of all of them to end."""
        for env in self.envs.values():
            if hasattr(env.unwrapped, "aclose"):
                await env.unwrapped.aclose()

    def close(self) -> None:
        """Close all environments."""
        for env in self.envs.values():
            env.close()


def _name(env: Any) -> str:
    spec = getattr(env, "spec", None)
    return spec.id if spec is not None else type(getattr(env, "unwrapped", env)).__name__
