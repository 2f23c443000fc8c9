"""Rules of vector environments: their members, one by one, through ends and autoresets, and in groups.

Invariant: a rule plays instances of its own, and says which call showed what.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from textgym.testing.rules.play import difference
from textgym.testing.rules.rule import Broken, Untested, short, vector_rule
from textgym.testing.rules.vector_subject import TURNS, VectorSubject

__all__: list[str] = []


@vector_rule("autoreset", "info-masks")
def autoreset(subject: VectorSubject) -> str:
    """An end is followed by what the mode says: ``final_obs`` and ``final_info``, or a step that earns nothing."""
    same = subject.mode is AutoresetMode.SAME_STEP
    over, ends = np.zeros(subject.count, dtype=np.bool_), 0
    for call, returned in enumerate(subject.played()):
        if len(returned) == 2:
            continue
        _, rewards, terminated, truncated, infos = returned
        before, over = over, np.logical_or(terminated, truncated)
        ends += int(over.sum())
        for key in ("_final_obs", "_final_info"):
            mask = infos.get(key, np.zeros(subject.count, dtype=np.bool_))
            if not np.array_equal(mask, over & same):
                raise Broken(
                    f"call {call}: infos[{key!r}] is {short(mask)}, where {short(over)} ended; expected "
                    f"{short(over & same)} in mode {subject.mode.value}"
                )
        begins = before & (subject.mode is AutoresetMode.NEXT_STEP)
        if rewards[begins].any() or over[begins].any():
            raise Broken(
                f"call {call}: members that begin again earn {short(rewards[begins])} or end "
                f"{short(over[begins])}; expected nothing of either in mode {subject.mode.value}"
            )
    if not ends:
        raise Untested("no member came to an end")
    return f"{ends} ends"


@vector_rule("members", "info-masks", "same-seed")
def members(subject: VectorSubject) -> str:
    """Every member shows what its environment shows alone, with all infos and through autoresets."""
    shown = subject.played()
    envs, seeds = subject.make(), subject.seeds
    for index in range(subject.count):
        alone, over, turn = subject.member(), False, 0
        for call, returned in enumerate(shown):
            if len(returned) == 2:
                begins = call == 0 or over
                expected = alone.reset(seed=seeds[index] if call == 0 else None) if begins else None
                over = False
            else:
                action = subject.listed(envs, subject.actions(envs, turn), actions=True)[index]
                expected, over = _alone_step(alone, action, over, subject.mode)
                turn += 1
            _compare_member(subject, envs, index, call, returned, expected)
        alone.close()
    ends = sum(int(np.logical_or(returned[2], returned[3]).sum()) for returned in shown if len(returned) > 2)
    return f"{subject.count} members, {len(shown)} calls, {ends} ends"


def _alone_step(env: Any, action: Any, over: bool, mode: AutoresetMode) -> tuple[tuple[Any, ...], bool]:
    if over and mode is AutoresetMode.NEXT_STEP:
        observation, info = env.reset()
        return (observation, 0.0, False, False, info), False
    observation, reward, terminated, truncated, info = env.step(action)
    ended = bool(terminated or truncated)
    if ended and mode is AutoresetMode.SAME_STEP:
        final = {"final_obs": observation, "final_info": info}
        observation, info = env.reset()
        info = {**final, **info}
    return (observation, reward, terminated, truncated, info), ended


def _compare_member(
    subject: VectorSubject, envs: Any, index: int, call: int, returned: Any, expected: Any
) -> None:
    where = f"member {index}, call {call}:"
    infos = _of_member(returned[-1], index)
    if expected is None:  # others were reset
        if infos:
            raise Broken(f"{where} it was not reset and has infos {short(infos)}")
        return
    values = (subject.listed(envs, returned[0])[index], *(column[index] for column in returned[1:-1]))
    names = ("observation", "reward", "terminated", "truncated")
    for name, wanted, observed in zip(names, expected, values, strict=False):
        if found := difference(_plain(wanted), _plain(observed), f"{where} {name}"):
            raise Broken(found)
    vector: Any = VectorEnv()
    vector.num_envs = 1
    wanted = _of_member(vector._add_info({}, expected[-1], 0), 0)
    if found := difference(_plain(wanted), _plain(infos), f"{where} infos"):
        raise Broken(found)


def _of_member(infos: Mapping[str, Any], index: int) -> dict[str, Any]:
    """What vector infos say of one member."""
    shown = {}
    for key, values in infos.items():
        mask = infos.get(f"_{key}")
        if mask is not None and mask[index]:
            shown[key] = _of_member(values, index) if isinstance(values, Mapping) else values[index]
    return shown


def _plain(value: Any) -> Any:
    """Numbers without their types, which batches do not keep."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, bool | int) and abs(value) < 2**53 else value


@vector_rule("idle-members", "shapes")
def idle_members(subject: VectorSubject) -> str:
    """Where there is ``active``: a member ends once, then shows no info, earns nothing and ends no more."""
    envs = subject.make()
    if subject.mode is not AutoresetMode.DISABLED or not hasattr(envs.unwrapped, "active"):
        raise Untested("members do not idle here")
    envs.reset(seed=list(subject.seeds))
    ends = np.zeros(subject.count, dtype=int)
    for turn in range(5 * TURNS):
        active = envs.unwrapped.active
        _, rewards, terminated, truncated, infos = envs.step(subject.actions(envs, turn))
        over = terminated | truncated
        if rewards[~active].any() or over[~active].any():
            raise Broken(
                f"turn {turn}: idle members earn {short(rewards[~active])} or end {short(over[~active])}"
            )
        ghosts = [index for index in np.flatnonzero(~active).tolist() if _of_member(infos, index)]
        if ghosts:
            raise Broken(f"turn {turn}: idle member {ghosts[0]} shows {short(_of_member(infos, ghosts[0]))}")
        ends += over
        if not np.array_equal(envs.unwrapped.active, active & ~over):
            raise Broken(f"turn {turn}: active is {short(envs.unwrapped.active)}, where {short(over)} ended")
    if not ends.any():
        raise Untested("no member came to an end")
    return f"{int(ends.sum())} ends"


@vector_rule("groups", "shapes")
def groups(subject: VectorSubject) -> str:
    """Where there are ``group_ids``: members of a group begin alike, also in their next episode."""
    envs = subject.make()
    ids = getattr(envs.unwrapped, "group_ids", None)
    if ids is None:
        raise Untested("it has no groups")
    size = getattr(envs.unwrapped, "group_size", None)
    if np.shape(ids) != (subject.count,) or (size and set(np.unique(ids, return_counts=True)[1]) != {size}):
        raise Broken(
            f"group_ids is {short(ids)}; expected the groups of {subject.count} members, {size or 'some'} in each"
        )
    for seed in (7, None):
        observations = subject.listed(envs, envs.reset(seed=seed)[0])
        for group in np.unique(ids):
            shown = [observations[member] for member in np.flatnonzero(ids == group)]
            if any(not data_equivalence(shown[0], other) for other in shown[1:]):
                raise Broken(
                    f"the members of group {group} begin with {short(shown)} after reset(seed={seed})"
                )
    return f"{len(np.unique(ids))} groups"


@vector_rule("episode-statistics", "shapes", "options-kept")
def episode_statistics(subject: VectorSubject) -> str:
    """Gymnasium's ``RecordEpisodeStatistics`` counts every end once, and the steps before it."""
    envs: Any = RecordEpisodeStatistics(subject.make())
    envs.reset(seed=list(subject.seeds))
    lengths, over = np.zeros(subject.count, dtype=int), np.zeros(subject.count, dtype=np.bool_)
    ends = 0
    for turn in range(TURNS):
        if subject.mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over.copy()})
        if subject.mode is AutoresetMode.DISABLED:
            begins = np.zeros(subject.count, dtype=np.bool_)
        else:
            begins = over & (subject.mode is AutoresetMode.NEXT_STEP)
        _, _, terminated, truncated, infos = envs.step(subject.actions(envs, turn))
        lengths[over], over = 0, terminated | truncated
        lengths += ~begins
        if over.any():
            ends += int(over.sum())
            counted = infos["episode"]["l"]
            if not np.array_equal(counted[over], lengths[over]):
                raise Broken(f"turn {turn}: lengths {short(counted[over])}; expected {short(lengths[over])}")
    if not ends:
        raise Untested("no member came to an end")
    if envs.episode_count != ends:
        raise Broken(f"it counts {envs.episode_count} episodes; {ends} ended")
    return f"{ends} episodes"
