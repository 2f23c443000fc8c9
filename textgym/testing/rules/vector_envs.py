"""Rules of vector environments: Gymnasium's contract for them, and what groups add to it.

Invariant: a rule plays instances of its own, and says which call showed what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, iterate
from gymnasium.wrappers.vector import RecordEpisodeStatistics

from textgym.testing.rules.play import difference
from textgym.testing.rules.rule import VECTOR_REGISTRY, Broken, Untested, rule, short
from textgym.testing.rules.vector_subject import VectorSubject

__all__ = ["VECTOR_RULES"]

TURNS = 16
F = TypeVar("F", bound=Callable[[VectorSubject], str | None])


def _rule(name: str, *needs: str) -> Callable[[F], F]:
    return rule(name, "6", needs=needs, registry=VECTOR_REGISTRY)  # type: ignore[return-value]


@_rule("spaces")
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


@_rule("autoreset-mode")
def autoreset_mode(subject: VectorSubject) -> str:
    """``metadata["autoreset_mode"]`` is an ``AutoresetMode``, and the metadata are its own."""
    mode = subject.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise Broken(f"metadata['autoreset_mode'] is {mode!r}; expected a gymnasium.vector.AutoresetMode")
    one, two = subject.make(), subject.make()
    if one.metadata is two.metadata or one.metadata is type(one.unwrapped).metadata:
        raise Broken("two instances share one metadata dict: what one changes, the other shows")
    return mode.value


@_rule("reset-needed")
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


@_rule("shapes", "spaces", "autoreset-mode")
def shapes(subject: VectorSubject) -> str:
    """Observations are in the space, rewards float64, flags bool, each of length ``num_envs``."""
    envs = subject.make()
    shown = subject.played(TURNS)
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


@_rule("info-masks", "shapes")
def info_masks(subject: VectorSubject) -> None:
    """Every entry of infos has one place a member, and a mask ``_key`` that says for whom it holds."""
    for call, returned in enumerate(subject.played(TURNS)):
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


@_rule("own-arrays", "shapes")
def own_arrays(subject: VectorSubject) -> None:
    """What a step returned is not overwritten by the next one."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    kept = envs.step(subject.actions(envs, 0))
    copies = [values.copy() for values in kept[1:4]]
    if subject.mode is AutoresetMode.DISABLED:
        envs.reset()
    envs.step(subject.actions(envs, 3))
    for name, before, now in zip(("rewards", "terminations", "truncations"), copies, kept[1:4], strict=True):
        if not np.array_equal(before, now):
            raise Broken(f"the {name} of one step became {short(now)} in the next; they were {short(before)}")


@_rule("same-seed", "shapes")
def same_seed(subject: VectorSubject) -> None:
    """The same seed, a list or one number, and the same actions give the same of everything."""
    for seed in (None, 5):
        one, two = (subject.played(TURNS, seed=seed) for _ in range(2))
        for call, (first, second) in enumerate(zip(one, two, strict=True)):
            if not data_equivalence(first, second):
                kind = "a list of seeds" if seed is None else f"seed={seed}"
                raise Broken(f"call {call} after reset with {kind}: {difference(first, second, 'it')}")


@_rule("options-kept", "shapes")
def options_kept(subject: VectorSubject) -> None:
    """``reset`` leaves the caller's options as they are."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    mask = np.arange(subject.count) == 0
    options = {"reset_mask": mask.copy()}
    envs.reset(options=options)
    if set(options) != {"reset_mask"} or not np.array_equal(options["reset_mask"], mask):
        raise Broken(
            f"reset(options={{'reset_mask': …}}) left {short(options)}; wrappers would take it for whole"
        )


@_rule("partial-reset", "shapes")
def partial_reset(subject: VectorSubject) -> None:
    """``reset_mask`` begins the named members anew; the others keep their observation and have no info."""
    if subject.mode is not AutoresetMode.DISABLED:
        raise Untested(f"its mode is {subject.mode.value}")
    envs = subject.make()
    begun = _listed(envs, envs.reset(seed=list(subject.seeds))[0])
    mask = np.arange(subject.count) % 2 == 0
    observations, infos = envs.reset(seed=list(subject.seeds), options={"reset_mask": mask})
    for index, (before, now) in enumerate(zip(begun, _listed(envs, observations), strict=True)):
        if not data_equivalence(before, now):
            what = "begun anew with the same seed" if mask[index] else "not named by the mask"
            raise Broken(f"member {index}, {what}, shows {short(now)}; expected {short(before)}")
    for key, value in infos.items():
        if key.startswith("_") and isinstance(value, np.ndarray) and value[~mask].any():
            raise Broken(f"infos[{key!r}] is {short(value)} after a reset of {short(mask)}")


@_rule("bad-mask", "shapes")
def bad_mask(subject: VectorSubject) -> None:
    """A mask that is no bool array of ``num_envs`` with a True is refused."""
    count = subject.count
    bad: list[Any] = [[True] * count, np.ones(count), np.ones(count + 1, np.bool_), np.zeros(count, np.bool_)]
    for mask in bad:
        envs = subject.make()
        envs.reset(seed=list(subject.seeds))
        try:
            envs.reset(options={"reset_mask": mask})
        except (TypeError, ValueError):
            continue
        raise Broken(f"reset_mask={short(mask)} was taken; expected TypeError or ValueError")


@_rule("number-of-actions", "shapes")
def number_of_actions(subject: VectorSubject) -> None:
    """Too few actions are refused."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    actions = subject.actions(envs, 0)[:-1]
    try:
        envs.step(actions)
    except (ValueError, TypeError, AssertionError, IndexError):
        return
    raise Broken(f"{len(actions)} actions for {subject.count} members were taken")


@_rule("members", "shapes", "same-seed")
def members(subject: VectorSubject) -> str:
    """Every member shows what its environment shows alone, autoresets included."""
    shown = subject.played(TURNS)
    envs, seeds = subject.make(), subject.seeds
    for index in range(subject.count):
        alone, over = subject.member(), False
        turn = 0
        for call, returned in enumerate(shown):
            if len(returned) == 2:
                if call and not over:
                    continue  # a partial reset of others
                expected = (*alone.reset(seed=seeds[index] if call == 0 else None), None)
                over = False
            else:
                action = _listed(envs, subject.actions(envs, turn), actions=True)[index]
                expected, over = _alone_step(alone, action, over, subject.mode)
                turn += 1
            _compare_member(envs, index, call, returned, expected)
        alone.close()
    return f"{subject.count} members, {len(shown)} calls"


def _alone_step(env: Any, action: Any, over: bool, mode: AutoresetMode) -> tuple[tuple[Any, ...], bool]:
    if over and mode is AutoresetMode.NEXT_STEP:
        observation, info = env.reset()
        return (observation, 0.0, False, False, info, None), False
    observation, reward, terminated, truncated, info = env.step(action)
    ended, final = bool(terminated or truncated), None
    if ended and mode is AutoresetMode.SAME_STEP:
        final = observation
        observation, info = env.reset()
    return (observation, reward, terminated, truncated, info, final), ended


def _compare_member(envs: Any, index: int, call: int, returned: Any, expected: Any) -> None:
    infos = returned[-1]
    observed = (_listed(envs, returned[0])[index], *(values[index] for values in returned[1:-1]))
    for name, one, other in zip(
        ("observation", "reward", "terminated", "truncated"), expected, observed, strict=False
    ):
        if name == "observation" or len(returned) > 2:
            plain = one if name == "observation" else type(one)(other)
            if not data_equivalence(one, other if name == "observation" else plain):
                raise Broken(f"member {index}, call {call}: {name} is {short(other)}; expected {short(one)}")
    final = infos["final_obs"][index] if "final_obs" in infos and infos["_final_obs"][index] else None
    if expected[-1] is not None and not data_equivalence(final, expected[-1]):
        raise Broken(
            f"member {index}, call {call}: final_obs is {short(final)}; expected {short(expected[-1])}"
        )
    for key in expected[-2]:
        if key not in infos or not infos[f"_{key}"][index]:
            raise Broken(f"member {index}, call {call}: infos lack {key!r}, which the environment shows")


@_rule("idle-members", "shapes")
def idle_members(subject: VectorSubject) -> str:
    """Where there is ``active``: a member that ended reports it once, then earns nothing and ends no more."""
    envs = subject.make()
    if subject.mode is not AutoresetMode.DISABLED or not hasattr(envs.unwrapped, "active"):
        raise Untested("members do not idle here")
    envs.reset(seed=list(subject.seeds))
    ends = np.zeros(subject.count, dtype=int)
    for turn in range(5 * TURNS):
        active = envs.unwrapped.active
        _, rewards, terminated, truncated, _ = envs.step(subject.actions(envs, turn))
        over = terminated | truncated
        if rewards[~active].any() or over[~active].any():
            raise Broken(
                f"turn {turn}: idle members earn {short(rewards[~active])} or end {short(over[~active])}"
            )
        ends += over
        if not np.array_equal(envs.unwrapped.active, active & ~over):
            raise Broken(f"turn {turn}: active is {short(envs.unwrapped.active)}, where {short(over)} ended")
    if not ends.any():
        raise Untested("no member came to an end")
    return f"{int(ends.sum())} ends"


@_rule("groups", "shapes")
def groups(subject: VectorSubject) -> str:
    """Where there are ``group_ids``: members of a group begin alike, also in their next episode."""
    envs = subject.make()
    ids = getattr(envs.unwrapped, "group_ids", None)
    if ids is None:
        raise Untested("it has no groups")
    for seed in (7, None):
        observations = _listed(envs, envs.reset(seed=seed)[0])
        for group in np.unique(ids):
            shown = [observations[member] for member in np.flatnonzero(ids == group)]
            if any(not data_equivalence(shown[0], other) for other in shown[1:]):
                raise Broken(
                    f"the members of group {group} begin with {short(shown)} after reset(seed={seed})"
                )
    return f"{len(np.unique(ids))} groups"


@_rule("episode-statistics", "shapes", "options-kept")
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


@_rule("close")
def close(subject: VectorSubject) -> None:
    """``close`` may be called twice, and ``closed`` says so."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    envs.close()
    envs.close()
    if envs.unwrapped.closed is not True:
        raise Broken(f"closed is {envs.unwrapped.closed!r} after close()")


def _listed(envs: Any, batch: Any, *, actions: bool = False) -> list[Any]:
    single = envs.single_action_space if actions else envs.single_observation_space
    space = envs.action_space if actions else envs.observation_space
    return list(batch) if isinstance(single, gym.spaces.Text) else list(iterate(space, batch))


VECTOR_RULES = VECTOR_REGISTRY
"""All rules of vector environments, in the order in which they run."""
