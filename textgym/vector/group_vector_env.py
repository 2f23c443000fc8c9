"""GroupVectorEnv: groups of text environments behind Gymnasium's vector interface, in one process.

Invariant: every member shows exactly what its environment shows alone, and one that has ended shows nothing
more until it is reset. Members that wait (for a sandbox, a judge) wait at the same time. It asks no policy and
keeps no record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from textgym import hooks
from textgym.errors import ConfigError
from textgym.hooks import adrive, drive, settle
from textgym.rollouts.plan import EnvLike, EnvSource
from textgym.rollouts.stepping import areset, astep
from textgym.vector.schedule import Schedule

__all__ = ["GroupVectorEnv"]

VectorTransition: TypeAlias = tuple[tuple[Any, ...], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class GroupVectorEnv(VectorEnv[Any, Any, Any]):
    """``num_envs / group_size`` tasks, each played by ``group_size`` members.

    Observations and actions are tuples of texts (other spaces are batched as Gymnasium does), rewards float64,
    terminations and truncations bool, all of length ``num_envs``; member ``i`` belongs to group
    ``group_ids[i] = i // group_size``. Infos follow Gymnasium's vector form: ``infos[key][i]`` holds where
    ``infos["_" + key][i]`` is True.

    Without autoreset, the default, a member reports its end once and then idles: observation ``""``, reward 0,
    both flags False, ``active[i]`` False, its action ignored. A loop runs ``while envs.active.any()``.

    Args:
        env: An id, a spec, an environment to copy, or a function that makes one.
        num_envs: Members in all, a multiple of ``group_size``.
        group_size: Members of a group.
        autoreset_mode: ``AutoresetMode`` or its value; as Gymnasium defines them.
        **kwargs: Arguments of the environment.

    Raises:
        ConfigError: A number does not fit, or the environment compares the members of a group and the group or the
            mode does not allow it.
    """

    def __init__(
        self,
        env: EnvLike,
        num_envs: int = 1,
        group_size: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.DISABLED,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        _check_size(num_envs, group_size)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        source = EnvSource(env, kwargs)
        self.envs = [source.take() for _ in range(num_envs)]
        first = self.envs[0]
        self.num_envs, self.group_size = num_envs, group_size
        self.num_groups = num_envs // group_size
        self.metadata = {**first.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = first.render_mode
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(first.observation_space, num_envs)
        self.action_space = batch_space(first.action_space, num_envs)
        self._compares = bool(getattr(first.unwrapped, "compares_members", False))
        self._check_comparison()
        locate = getattr(first.unwrapped, "example_index", None)
        self._schedule = Schedule(self.num_groups, group_size, locate)
        self._blank = _blank(first.observation_space)
        self._shown: list[Any] = [self._blank] * num_envs
        self._returns = np.zeros(num_envs, dtype=np.float64)
        self._playing = np.zeros(num_envs, dtype=np.bool_)
        self._over = np.zeros(num_envs, dtype=np.bool_)
        self._waits = False
        self._ended: dict[tuple[int, int], dict[int, Mapping[str, Any]]] = {}

    def _check_comparison(self) -> None:
        if not self._compares:
            return
        if self.group_size < 2 or self.autoreset_mode is not AutoresetMode.DISABLED:
            raise ConfigError(
                f"the rubric of {self.envs[0].unwrapped!r:.60} compares the members of a group: give group_size=2 "
                f"or more (it is {self.group_size}) and no autoreset (it is {self.autoreset_mode.value})"
            )
        for env in self.envs:
            env.unwrapped.in_group = True  # type: ignore[attr-defined]

    @property
    def group_ids(self) -> np.ndarray:
        """Group of every member: int64, shape ``(num_envs,)``."""
        return np.arange(self.num_envs) // self.group_size

    @property
    def active(self) -> np.ndarray:
        """Which members are in an episode: bool, shape ``(num_envs,)``, a copy."""
        return self._playing.copy()

    # What everybody calls.

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: A run seed: group ``g`` gets the task of group ``g`` of a rollout with this seed. Or a list of
                seeds, one a member or one a group, which the environments get as they are. None goes on: every
                member begins its group's next task.
            options: Reset options of the environments; ``index`` and ``example`` may be lists with one entry a
                group. ``reset_mask`` (bool array) names the members to reset; the dict is not changed.

        Returns:
            Observations, where members that were not reset keep theirs, and infos.

        Raises:
            ConfigError: A list has the wrong length, or the mask is none.
        """
        return drive(self._reset(seed, options))

    async def areset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``reset`` for coroutines."""
        return await adrive(self._reset(seed, options, wait=True))

    def step(self, actions: Any) -> VectorTransition:
        """Take one turn with every active member.

        Args:
            actions: One text a member; those of idle members are ignored and may be None.

        Returns:
            ``(observations, rewards, terminations, truncations, infos)``.

        Raises:
            ConfigError: There are more or fewer actions than members.
            ResetNeeded: ``reset`` was never called.
        """
        return drive(self._step(range(self.num_envs), actions))

    async def astep(self, actions: Any) -> VectorTransition:
        """``step`` for coroutines."""
        return await adrive(self._step(range(self.num_envs), actions, wait=True))

    def step_some(self, indices: Sequence[int], actions: Sequence[Any]) -> VectorTransition:
        """Take one turn with some members; the others idle in what is returned, and are not touched.

        Args:
            indices: Which members, each once.
            actions: One text for each of them.

        Returns:
            As ``step``, of full length.

        Raises:
            ConfigError: An index is out of range or named twice, or the lengths differ.
            ResetNeeded: ``reset`` was never called.
        """
        return drive(self._step(self._checked(indices), actions))

    async def astep_some(self, indices: Sequence[int], actions: Sequence[Any]) -> VectorTransition:
        """``step_some`` for coroutines; several calls for different members may be under way at once."""
        return await adrive(self._step(self._checked(indices), actions, wait=True))

    def render(self) -> tuple[Any, ...] | None:
        """What every member renders."""
        return tuple(env.render() for env in self.envs)

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every member, or read an attribute.

        Args:
            name: Its name.
            *args: Arguments of the method.
            **kwargs: Likewise.

        Returns:
            One result a member.
        """
        found = [env.get_wrapper_attr(name) for env in self.envs]
        return tuple(one(*args, **kwargs) if callable(one) else one for one in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of every member."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every member: a list gives each its own.

        Raises:
            ConfigError: A list has the wrong length.
        """
        several = list(values) if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(several) != self.num_envs:
            raise ConfigError(
                f"{name} has {len(several)} values: give one for each of the {self.num_envs} members"
            )
        for env, value in zip(self.envs, several, strict=True):
            env.set_wrapper_attr(name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Close every member."""
        for env in self.envs:
            env.close()

    # The flows.

    async def _reset(
        self, seed: Any, options: Mapping[str, Any] | None, wait: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        chosen = dict(options or {})
        mask = _mask(chosen.pop("reset_mask", None), self.num_envs)
        if seed is not None:
            self._schedule.seed(seed)
        elif not self._schedule.is_seeded:
            self._schedule.seed(int(self.np_random.integers(2**63)))
        if isinstance(seed, int | np.integer):
            VectorEnv.reset(self, seed=int(seed))
        members = [int(member) for member in np.flatnonzero(mask)]
        calls = [(member, *self._schedule.begin(member, chosen)) for member in members]
        begun = await self._all(
            [_Call(self.envs[m], areset, (), {"seed": s, "options": o or None}) for m, s, o in calls], wait
        )
        infos: dict[str, Any] = {}
        for member, (observation, info) in zip(members, begun, strict=True):
            self._begun(member, observation)
            infos = self._add_info(infos, info, member)
        return self._batched(self._shown), infos

    def _begun(self, member: int, observation: Any) -> None:
        self._playing[member], self._over[member] = True, False
        self._shown[member], self._returns[member] = observation, 0.0

    def _batched(self, observations: Sequence[Any]) -> Any:
        space = self.single_observation_space
        if isinstance(space, gym.spaces.Text):
            return tuple(observations)
        return concatenate(space, observations, create_empty_array(space, n=self.num_envs))

    async def _step(self, members: Sequence[int], actions: Any, wait: bool = False) -> VectorTransition:
        if not self._schedule.is_seeded:
            raise ResetNeeded("no episode has begun: call reset() before step()")
        if not isinstance(self.single_action_space, gym.spaces.Text):
            actions = list(iterate(batch_space(self.single_action_space, len(members)), actions))
        if isinstance(actions, str) or len(actions) != len(members):
            raise ConfigError(
                f"there are {len(actions)} actions: give one for each of the {len(members)} members"
            )
        moves = [(m, a) for m, a in zip(members, actions, strict=True) if self._playing[m]]
        again = [m for m in members if self._over[m] and self.autoreset_mode is AutoresetMode.NEXT_STEP]
        results = await self._all([_Call(self.envs[m], astep, (a,), {}) for m, a in moves], wait)
        turn = _Turn(self.num_envs, self._blank)
        for (member, _), (observation, reward, terminated, truncated, info) in zip(
            moves, results, strict=True
        ):
            turn.show(member, observation, float(reward), bool(terminated), bool(truncated))
            self._shown[member], self._returns[member] = observation, self._returns[member] + float(reward)
            if terminated or truncated:
                again += await self._end(member, turn, observation, info)
                if self.autoreset_mode is AutoresetMode.SAME_STEP:
                    continue
            turn.infos = self._add_info(turn.infos, info, member)
        await self._begin_again(again, turn, wait)
        observations = self._batched(turn.observations)
        return observations, turn.rewards, turn.terminations, turn.truncations, turn.infos

    async def _end(self, member: int, turn: _Turn, observation: Any, info: dict[str, Any]) -> list[int]:
        """A member has ended: who is to begin again in this very step."""
        self._playing[member] = False
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            turn.infos = self._add_info(turn.infos, {"final_obs": observation, "final_info": info}, member)
            return [member]
        self._over[member] = self.autoreset_mode is AutoresetMode.NEXT_STEP
        if self._compares:
            await self._compare(member, turn)
        return []

    async def _begin_again(self, members: Sequence[int], turn: _Turn, wait: bool) -> None:
        calls = [(member, *self._schedule.begin(member, {})) for member in members]
        begun = await self._all(
            [_Call(self.envs[m], areset, (), {"seed": s, "options": o or None}) for m, s, o in calls], wait
        )
        for member, (observation, info) in zip(members, begun, strict=True):
            self._begun(member, observation)
            turn.observations[member] = observation
            turn.infos = self._add_info(turn.infos, info, member)

    async def _compare(self, member: int, turn: _Turn) -> None:
        """Score a group whose last member has ended."""
        group = member // self.group_size
        env: Any = self.envs[member].unwrapped
        ended = self._ended.setdefault((group, self._schedule.episode(member)), {})
        ended[member] = {**env.group_member(), "reward": float(self._returns[member])}
        if len(ended) < self.group_size:
            return
        del self._ended[group, self._schedule.episode(member)]
        members = sorted(ended)
        scores = await settle(env.score_group([ended[m] for m in members]))
        for one, score in zip(members, scores, strict=True):
            turn.infos = self._add_info(turn.infos, {"group_rewards": dict(score.rewards)}, one)

    async def _all(self, calls: Sequence[_Call], wait: bool) -> list[Any]:
        """Make calls of different members: one after the other while none waits, else all at once."""
        results: list[Any] = []
        if not wait:
            for call in calls:
                if self._waits:
                    break
                before = hooks.waits()
                results.append(call.now())
                self._waits = hooks.waits() != before
        rest = calls[len(results) :]
        if rest:
            results += await settle(_together([call.awaitable() for call in rest]))
        return results

    def _checked(self, indices: Sequence[int]) -> list[int]:
        members = [int(index) for index in indices]
        if len(set(members)) != len(members) or any(not 0 <= m < self.num_envs for m in members):
            raise ConfigError(
                f"indices are {members!r:.80}: each must be in 0..{self.num_envs - 1}, and named once"
            )
        return members


class _Call:
    """A reset or step of one member, to be made now or awaited."""

    __slots__ = ("args", "env", "kwargs", "twin")

    def __init__(
        self, env: gym.Env[Any, Any], twin: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: Any
    ) -> None:
        self.env, self.twin, self.args, self.kwargs = env, twin, args, kwargs

    def now(self) -> Any:
        method = self.env.step if self.twin is astep else self.env.reset
        return method(*self.args, **self.kwargs)

    def awaitable(self) -> Awaitable[Any]:
        return self.twin(self.env, *self.args, **self.kwargs)


class _Turn:
    """What one step is going to return; members that are not shown idle."""

    __slots__ = ("infos", "observations", "rewards", "terminations", "truncations")

    def __init__(self, num_envs: int, blank: Any) -> None:
        self.observations: list[Any] = [blank] * num_envs
        self.rewards = np.zeros(num_envs, dtype=np.float64)
        self.terminations = np.zeros(num_envs, dtype=np.bool_)
        self.truncations = np.zeros(num_envs, dtype=np.bool_)
        self.infos: dict[str, Any] = {}

    def show(self, member: int, observation: Any, reward: float, terminated: bool, truncated: bool) -> None:
        self.observations[member], self.rewards[member] = observation, reward
        self.terminations[member], self.truncations[member] = terminated, truncated


def _blank(space: gym.Space[Any]) -> Any:
    """What an idle member shows."""
    if isinstance(space, gym.spaces.Text):
        return ""
    return next(iter(iterate(batch_space(space, 1), create_empty_array(space, n=1))))


async def _together(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    """All results; where one fails, all others are waited for before its error is raised."""
    results = await asyncio.gather(*awaitables, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)


def _mask(mask: Any, num_envs: int) -> np.ndarray:
    if mask is None:
        return np.ones(num_envs, dtype=np.bool_)
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
    return mask


def _check_size(num_envs: int, group_size: int) -> None:
    for name, value in (("num_envs", num_envs), ("group_size", group_size)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least 1")
    if num_envs % group_size:
        raise ConfigError(
            f"num_envs is {num_envs} and group_size {group_size}: num_envs counts members, so it must be a "
            f"multiple of group_size, such as {num_envs // group_size * group_size or group_size}"
        )
