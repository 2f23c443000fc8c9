"""GroupVectorEnv: groups of text environments behind Gymnasium's vector interface, in one process.

Invariant: every member shows exactly what its environment shows alone, and one that has ended shows nothing
more until it is reset. Members that wait (for a sandbox, a judge) wait at the same time. It asks no policy and
keeps no record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
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
from textgym.rollouts.stepping import areset, astep, is_blocking, past_watchers
from textgym.vector.infos import collate
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
        self._members = [env if is_blocking(env) else past_watchers(env) for env in self.envs]
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
        self._returns = [0.0] * num_envs
        self._playing = [False] * num_envs
        self._over = [False] * num_envs
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
        return np.array(self._playing, dtype=np.bool_)

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
        return tuple(env.render() for env in self._members)

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
        for env in getattr(self, "envs", ()):  # older Gymnasiums close what could not be made
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
        infos = await self._begin(np.flatnonzero(mask).tolist(), chosen, wait)
        return self._batched(self._shown), collate(self.num_envs, infos)

    async def _begin(
        self, members: Sequence[int], options: Mapping[str, Any], wait: bool
    ) -> list[tuple[int, dict[str, Any]]]:
        """Reset some members, and return their infos."""
        begun: list[Any] = []
        envs = self._members
        plans = [self._schedule.begin(member, options) for member in members]
        if not (wait or self._waits):
            before = hooks.waits()
            for member, (seed, own) in zip(members, plans, strict=True):
                begun.append(envs[member].reset(seed=seed, options=own or None))
                if hooks.waits() != before:
                    self._waits = True
                    break
        if len(begun) < len(members):
            rest = zip(members[len(begun) :], plans[len(begun) :], strict=True)
            calls = [areset(envs[member], seed=seed, options=own or None) for member, (seed, own) in rest]
            begun += await settle(_together(calls))
        for member, (observation, _) in zip(members, begun, strict=True):
            self._playing[member], self._over[member] = True, False
            self._shown[member], self._returns[member] = observation, 0.0
        return [(member, info) for member, (_, info) in zip(members, begun, strict=True)]

    def _batched(self, observations: Sequence[Any]) -> Any:
        space = self.single_observation_space
        if isinstance(space, gym.spaces.Text):
            return tuple(observations)
        blank: Any = create_empty_array(space, n=self.num_envs)
        return concatenate(space, observations, blank)

    async def _step(self, members: Sequence[int], actions: Any, wait: bool = False) -> VectorTransition:
        actions = self._actions(members, actions)
        again = [m for m in members if self._over[m]] if any(self._over) else []  # of NEXT_STEP alone
        playing = self._playing
        if not all(playing):
            actions = [a for m, a in zip(members, actions, strict=True) if playing[m]]
            members = [m for m in members if playing[m]]
        transitions = await self._stepped(members, actions, wait)
        columns = zip(*transitions, strict=True) if transitions else [()] * 5
        seen, earned, terminated, truncated, infos = columns
        observations = self._spread(members, seen, self._blank)
        rewards = np.array(self._spread(members, earned, 0.0), dtype=np.float64)
        flags = np.array([self._spread(members, flag, False) for flag in (terminated, truncated)], np.bool_)
        for member, observation in zip(members, seen, strict=True):
            self._shown[member] = observation
        rows = [(member, info) for member, info in zip(members, infos, strict=True) if info]
        if self._compares:
            self._returns = [
                before + new for before, new in zip(self._returns, rewards.tolist(), strict=True)
            ]
        if any(terminated) or any(truncated):
            ended = np.flatnonzero(flags.any(axis=0)).tolist()
            again += self._end(ended, observations, rows)
            if self._compares:
                rows += await self._compared(ended)
        if again:
            rows += await self._begin(again, {}, wait)
            for member in again:
                observations[member] = self._shown[member]
        return self._batched(observations), rewards, flags[0], flags[1], collate(self.num_envs, rows)

    def _spread(self, members: Sequence[int], values: Sequence[Any], blank: Any) -> list[Any]:
        """The values of some members at their places among all."""
        if len(members) == self.num_envs and members == range(self.num_envs):
            return list(values)
        spread = [blank] * self.num_envs
        for member, value in zip(members, values, strict=True):
            spread[member] = value
        return spread

    def _end(
        self, ended: list[int], observations: Sequence[Any], rows: list[tuple[int, dict[str, Any]]]
    ) -> list[int]:
        """Close the episodes of some members, and name those whose next one begins at once."""
        for member in ended:
            self._playing[member] = False
            self._over[member] = self.autoreset_mode is AutoresetMode.NEXT_STEP
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            return []
        infos = dict(rows)
        rows[:] = [(member, info) for member, info in rows if self._playing[member]]
        rows += [
            (member, {"final_obs": observations[member], "final_info": infos.get(member, {})})
            for member in ended
        ]
        return ended

    async def _stepped(self, members: Sequence[int], actions: Sequence[Any], wait: bool) -> list[Any]:
        """Step members that play: plainly while none waits, else all at once."""
        results: list[Any] = []
        envs = self._members
        if not (wait or self._waits):
            before = hooks.waits()
            for member, action in zip(members, actions, strict=True):
                results.append(envs[member].step(action))
                if hooks.waits() != before:
                    self._waits = True
                    break
        if len(results) < len(members):
            done = len(results)
            rest = zip(members[done:], actions[done:], strict=True)
            results += await settle(_together([astep(envs[member], action) for member, action in rest]))
        return results

    def _actions(self, members: Sequence[int], actions: Any) -> Sequence[Any]:
        if not self._schedule.is_seeded:
            raise ResetNeeded("no episode has begun: call reset() before step()")
        if not isinstance(self.single_action_space, gym.spaces.Text):
            actions = list(iterate(batch_space(self.single_action_space, len(members)), actions))
        if isinstance(actions, str) or len(actions) != len(members):
            raise ConfigError(
                f"there are {len(actions)} actions: give one for each of the {len(members)} members"
            )
        return actions  # type: ignore[no-any-return]

    async def _compared(self, ended: Sequence[int]) -> list[tuple[int, dict[str, Any]]]:
        """The group rewards of the groups whose last member has just ended."""
        rows: list[tuple[int, dict[str, Any]]] = []
        for member in ended:
            key = (member // self.group_size, self._schedule.episode(member))
            env: Any = self.envs[member].unwrapped
            group = self._ended.setdefault(key, {})
            group[member] = {**env.group_member(), "reward": self._returns[member]}
            if len(group) == self.group_size:
                members = sorted(self._ended.pop(key))
                scores = await settle(env.score_group([group[one] for one in members]))
                rewards = [{"group_rewards": dict(score.rewards)} for score in scores]
                rows += zip(members, rewards, strict=True)
        return rows

    def _checked(self, indices: Sequence[int]) -> list[int]:
        members = [int(index) for index in indices]
        if len(set(members)) != len(members) or any(not 0 <= m < self.num_envs for m in members):
            raise ConfigError(
                f"indices are {members!r:.80}: each must be in 0..{self.num_envs - 1}, and named once"
            )
        return members


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
