"""GroupVectorEnv: groups of text environments behind Gymnasium's vector interface, in one process.

Invariant: every member shows exactly what its environment shows alone, and one that has ended shows nothing
more until it is reset. Members that wait (for a sandbox, a judge) wait at the same time. It asks no policy and
keeps no record. Its parts: ``Schedule`` says who plays what, ``Members`` asks the environments, ``Comparison``
brings the group rewards, ``collate`` puts infos side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from textgym.errors import ConfigError
from textgym.hooks import adrive, drive
from textgym.rollouts.env_source import EnvLike, EnvSource
from textgym.vector.arguments import (
    check_distinct,
    check_texts,
    checked_indices,
    checked_mode,
    checked_sizes,
    listed_actions,
    members_of_mask,
)
from textgym.vector.comparison import Comparison
from textgym.vector.infos import collate
from textgym.vector.members import Members
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

    Where the rubric compares the members of a group, ``infos["group_rewards"]`` comes with the step that ends the
    last of them; a group of which a member was reset before its end is not compared.

    What a member raises is raised with a note that names the member. All members of that call then idle until
    they are reset, for what they showed is lost; a reset that fails is not counted, so the next one gives the same
    tasks.

    Args:
        env: An id, a spec, an environment to copy, or a function that makes one.
        num_envs: Members in all, a multiple of ``group_size``.
        group_size: Members of a group.
        autoreset_mode: ``AutoresetMode`` or its value (``"NextStep"``, ``"SameStep"``, ``"Disabled"``); as
            Gymnasium defines them.
        **kwargs: Arguments of the environment.

    Raises:
        ConfigError: A number or the mode does not fit, a function makes one environment twice, or the environment
            compares the members of a group and the group or the mode does not allow it.
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
        self.num_envs, self.group_size = checked_sizes(num_envs, group_size)
        self.num_groups = self.num_envs // self.group_size
        self.autoreset_mode = checked_mode(autoreset_mode)
        source = EnvSource(env, kwargs)
        self.envs = [source.take(bare=True) for _ in range(self.num_envs)]
        check_distinct(self.envs)
        first = self.envs[0]
        self.metadata = {**first.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = first.render_mode
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        self.observation_space = batch_space(first.observation_space, self.num_envs)
        self.action_space = batch_space(first.action_space, self.num_envs)
        locate = getattr(first.unwrapped, "example_index", None)
        self._schedule = Schedule(self.num_groups, self.group_size, locate)
        self._members = Members(self.envs)
        self._comparison = self._compare()
        self._blank = _blank(first.observation_space)
        self._shown: list[Any] = [self._blank] * self.num_envs
        self._playing = [False] * self.num_envs
        self._over = [False] * self.num_envs
        """Who has ended and begins again in the next step: of NEXT_STEP alone."""
        self._begun = False

    def _compare(self) -> Comparison | None:
        if not getattr(self.envs[0].unwrapped, "compares_members", False):
            return None
        if self.group_size < 2 or self.autoreset_mode is not AutoresetMode.DISABLED:
            raise ConfigError(
                f"the rubric of {self.envs[0].unwrapped!r:.60} compares the members of a group: give group_size=2 "
                f"or more (it is {self.group_size}) and no autoreset (it is {self.autoreset_mode.value})"
            )
        for env in self.envs:
            env.unwrapped.in_group = True  # type: ignore[attr-defined]
        return Comparison(self.envs, self.group_size)

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
                member begins its group's next task. It is for the members that are reset.
            options: Reset options of the environments; ``index`` and ``example`` may be lists with one entry a
                group. ``reset_mask`` (bool array) names the members to reset; the dict is not changed.

        Returns:
            Observations, where members that were not reset keep theirs, and infos.

        Raises:
            ConfigError: A list has the wrong length, the seed or the mask is none, or a member is still awaited.
            ClosedEnvironmentError: ``close`` was called.
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
            ConfigError: There are more or fewer actions than members, or a member is still awaited.
            ResetNeeded: No member ever began an episode.
            TypeError: The action of an active member is no text; nobody was stepped.
            ClosedEnvironmentError: ``close`` was called.
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
            ResetNeeded, TypeError, ClosedEnvironmentError: As ``step``.
        """
        return drive(self._step(checked_indices(indices, self.num_envs), actions))

    async def astep_some(self, indices: Sequence[int], actions: Sequence[Any]) -> VectorTransition:
        """``step_some`` for coroutines; several calls for different members may be under way at once."""
        return await adrive(self._step(checked_indices(indices, self.num_envs), actions, wait=True))

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
        """Close every member, also where closing one fails; that one's error is raised then."""
        self.closed = True  # or older Gymnasiums try again while collecting garbage
        members = getattr(self, "_members", None)  # and close what could not be made
        if members is not None:
            members.close()

    # The flows.

    async def _reset(
        self, seed: Any, options: Mapping[str, Any] | None, wait: bool = False
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        self._check_open()
        chosen = dict(options or {})
        members = members_of_mask(chosen.pop("reset_mask", None), self.num_envs)
        self._members.check_idle(members)
        if seed is not None:
            self._schedule.seed(seed, members)
        elif unseeded := self._schedule.unseeded:
            self._schedule.seed(int(self.np_random.integers(2**63)), unseeded)
        if isinstance(seed, int | np.integer):
            VectorEnv.reset(self, seed=int(seed))
        infos = await self._begin(members, chosen, wait)
        return self._batched(self._shown), collate(self.num_envs, infos)

    async def _begin(
        self, members: Sequence[int], options: Mapping[str, Any], wait: bool
    ) -> list[tuple[int, dict[str, Any]]]:
        """Reset some members, and return their infos."""
        tasks = [self._schedule.task(member, options) for member in members]
        self._idle(members)
        begun = await self._members.reset(members, tasks, wait)
        self._begun = True
        for member, (observation, _) in zip(members, begun, strict=True):
            self._playing[member], self._shown[member] = True, observation
            episode = self._schedule.begun(member)
            if self._comparison is not None:
                self._comparison.begin(member, episode)
        return [(member, info) for member, (_, info) in zip(members, begun, strict=True)]

    def _idle(self, members: Sequence[int]) -> None:
        for member in members:
            self._playing[member] = self._over[member] = False

    def _batched(self, observations: Sequence[Any]) -> Any:
        space = self.single_observation_space
        if isinstance(space, gym.spaces.Text):
            return tuple(observations)
        blank: Any = create_empty_array(space, n=self.num_envs)
        return concatenate(space, observations, blank)

    async def _step(self, members: Sequence[int], actions: Any, wait: bool = False) -> VectorTransition:
        self._check_open()
        if not self._begun:
            raise ResetNeeded("no episode has begun: call reset() before step()")
        actions = listed_actions(actions, len(members), self.action_space, self.single_action_space)
        self._members.check_idle(members)
        again = [m for m in members if self._over[m]] if any(self._over) else []
        playing = self._playing
        if not all(playing):
            actions = [a for m, a in zip(members, actions, strict=True) if playing[m]]
            members = [m for m in members if playing[m]]
        if isinstance(self.single_action_space, gym.spaces.Text):
            check_texts(members, actions)
        try:
            return await self._turn(members, actions, again, wait)
        except BaseException:
            self._idle([*members, *again])
            raise

    async def _turn(
        self, members: Sequence[int], actions: Sequence[Any], again: list[int], wait: bool
    ) -> VectorTransition:
        """Step members that play, and begin again with others."""
        transitions = await self._members.step(members, actions, wait)
        if len(members) < self.num_envs or members != range(self.num_envs):
            transitions = self._spread(members, transitions)
        seen, earned, terminated, truncated, infos = zip(*transitions, strict=True)
        observations, rewards = list(seen), np.array(earned, dtype=np.float64)
        flags = np.array([terminated, truncated], dtype=np.bool_)
        rows = [(member, info) for member, info in enumerate(infos) if info]
        for member in members:
            self._shown[member] = seen[member]
            if self._comparison is not None:
                self._comparison.earn(member, float(earned[member]))
        if any(terminated) or any(truncated):
            again += await self._end(np.flatnonzero(flags.any(axis=0)).tolist(), observations, rows)
        if again:
            rows += await self._begin(again, {}, wait)
            for member in again:
                observations[member] = self._shown[member]
            rows.sort(key=itemgetter(0))  # the first member's value decides the type of a column
        return self._batched(observations), rewards, flags[0], flags[1], collate(self.num_envs, rows)

    def _spread(self, members: Sequence[int], transitions: Sequence[Any]) -> list[Any]:
        """The transitions of some members at their places; the others idle."""
        spread: list[Any] = [(self._blank, 0.0, False, False, {})] * self.num_envs
        for member, transition in zip(members, transitions, strict=True):
            spread[member] = transition
        return spread

    async def _end(
        self, ended: list[int], observations: Sequence[Any], rows: list[tuple[int, dict[str, Any]]]
    ) -> list[int]:
        """Close the episodes of some members, and name those whose next one begins at once."""
        begins_later = self.autoreset_mode is AutoresetMode.NEXT_STEP
        for member in ended:
            self._playing[member], self._over[member] = False, begins_later
            if self._comparison is not None:
                rows += await self._comparison.end(member)
        if self.autoreset_mode is not AutoresetMode.SAME_STEP:
            return []
        infos = dict(rows)
        rows[:] = [(member, info) for member, info in rows if self._playing[member]]
        rows += [
            (member, {"final_obs": observations[member], "final_info": infos.get(member, {})})
            for member in ended
        ]
        return ended

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError("this vector environment was closed: make another one")


def _blank(space: gym.Space[Any]) -> Any:
    """What an idle member shows."""
    if isinstance(space, gym.spaces.Text):
        return ""
    return next(iter(iterate(batch_space(space, 1), create_empty_array(space, n=1))))
