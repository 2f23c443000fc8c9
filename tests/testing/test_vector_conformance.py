"""check_vector_env can be trusted: sound vector environments pass, and every rule has a mutant that it catches."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from textgym.errors import CheckFailed, ConfigError
from textgym.registration import registered_ids
from textgym.testing import RuleStatus, check_vector_env
from textgym.testing.rules.catalogue import VECTOR_RULES
from textgym.vector import GroupVectorEnv

GUESS = "textgym/GuessNumber-v0"
MODES = list(AutoresetMode)


def guess() -> Any:
    return gym.make(GUESS)


def cart() -> Any:
    return gym.make("CartPole-v1")


def blackjack() -> Any:
    return gym.make("Blackjack-v1")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("env_id", registered_ids())
def test_every_id_passes_in_every_mode(env_id, mode):
    report = check_vector_env(
        lambda: gym.make_vec(env_id, num_envs=4, group_size=2, autoreset_mode=mode),
        member=lambda: gym.make(env_id),
    )
    untested = {result.rule for result in report.having(RuleStatus.UNTESTED)}
    assert untested <= {"partial-reset", "idle-members", "episode-statistics"}, report


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("member", [guess, cart])
def test_gymnasiums_own_passes_but_for_the_options_that_it_eats(member, mode):
    report = check_vector_env(
        lambda: SyncVectorEnv([member] * 3, autoreset_mode=mode), member=member, raise_on_failure=False
    )
    assert [result.rule for result in report.failed] == ["options-kept"], report


def test_processes_are_checked_too():
    report = check_vector_env(
        lambda: AsyncVectorEnv([cart] * 2, autoreset_mode=AutoresetMode.NEXT_STEP),
        member=cart,
        raise_on_failure=False,
        only=["members", "own-arrays"],
    )
    assert report.ok, report


# ---------------------------------------------------------------------- mutants


class Sound(GroupVectorEnv):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(GUESS, **{"num_envs": 4, "group_size": 2, "max_turns": 3, **kwargs})


class WrongSpace(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = self.single_observation_space


class NoMode(Sound):
    def __init__(self) -> None:
        super().__init__()
        del self.metadata["autoreset_mode"]


class SharedMetadata(Sound):
    SHARED: ClassVar = {"autoreset_mode": AutoresetMode.DISABLED}

    def __init__(self) -> None:
        super().__init__()
        self.metadata = self.SHARED


class StepsUnasked(Sound):
    def step(self, actions: Any) -> Any:
        if not self._schedule.is_seeded:
            self.reset(seed=0)
        return super().step(actions)


class SingleRewards(Sound):
    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(actions)
        return observations, rewards.astype(np.float32), *rest


class NoMasks(Sound):
    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        return *shown, {key: value for key, value in infos.items() if key != "_messages"}


class OneArray(Sound):
    kept: Any = None

    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(actions)
        if self.kept is None:
            self.kept = rewards
        self.kept[:] = rewards + self.np_random.random()
        return observations, self.kept, *rest


class Unseeded(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=None, options=options)


class EatsOptions(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        begun = super().reset(seed=seed, options=options)
        if options:
            options.clear()
        return begun


class ResetsAll(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        return super().reset(seed=None)


class TakesAnyMask(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        mask = (options or {}).get("reset_mask")
        if mask is not None and not (isinstance(mask, np.ndarray) and mask.dtype == bool and mask.any()):
            options = None
        return super().reset(seed=seed, options=options)


class TakesFewActions(Sound):
    def step(self, actions: Any) -> Any:
        return super().step([*actions, *["0"] * (self.num_envs - len(actions))])


class SwapsMembers(Sound):
    def step(self, actions: Any) -> Any:
        observations, *rest = super().step(actions)
        return observations[::-1], *rest


class PaysTheIdle(Sound):
    def step(self, actions: Any) -> Any:
        active = self.active
        observations, rewards, *rest = super().step(actions)
        rewards[~active] = 1.0
        return observations, rewards, *rest


class Staggered(Sound):
    """Sound, with members that end one after the other."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for turns, env in enumerate(self.envs, start=2):
            env.unwrapped.max_turns = turns


class EatsSomeOptions(Staggered):
    """A partial reset that looks whole to Gymnasium's wrapper, once an episode has been played."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        played = any(env.unwrapped.turns for env in self.envs)
        begun = super().reset(seed=seed, options=options)
        if options and played:
            options.pop("reset_mask")
        return begun


class PhantomEnds(Sound):
    def step(self, actions: Any) -> Any:
        ended = ~self.active
        *shown, infos = super().step(actions)
        shown[2] = shown[2] | ended
        return *shown, infos


class NeverClosed(Sound):
    def close(self, **kwargs: Any) -> None:
        self.close_extras()
        self.closed = False


class SwapsInfos(Sound):
    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        return *shown, {**infos, "example_id": infos["example_id"][::-1]}


class ForgetsTheSeed(Sound):
    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=3, options=options)


class OneInfos(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Any] = {}

    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        self.kept.clear()
        self.kept.update(infos)
        return *shown, self.kept


class TakesManyActions(Sound):
    def step(self, actions: Any) -> Any:
        return super().step(list(actions)[: self.num_envs])


class ResetsAllUnseen(Sound):
    """Everybody begins anew, and the unnamed are shown what they showed before."""

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        if not options:
            return super().reset(seed=seed)
        mask, kept = options["reset_mask"], list(self._shown)
        observations, infos = super().reset(seed=seed)
        infos = {key: value & mask if key.startswith("_") else value for key, value in infos.items()}
        return tuple(np.where(mask, observations, kept).tolist()), infos


class SameStep(Staggered):
    def __init__(self) -> None:
        super().__init__(autoreset_mode=AutoresetMode.SAME_STEP)


class LosesFinalInfo(SameStep):
    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        return *shown, {
            key: value for key, value in infos.items() if key not in ("final_info", "_final_info")
        }


class FinalForAll(SameStep):
    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        if "_final_obs" in infos:
            infos["_final_obs"][:] = True
        return *shown, infos


class SaysNextStep(SameStep):
    def __init__(self) -> None:
        super().__init__()
        self.metadata["autoreset_mode"] = AutoresetMode.NEXT_STEP


class HauntedInfos(Staggered):
    def step(self, actions: Any) -> Any:
        *shown, infos = super().step(actions)
        return *shown, {key: value | True if key == "_messages" else value for key, value in infos.items()}


class GroupsOfOne(Sound):
    @property
    def group_ids(self) -> Any:
        return np.arange(self.num_envs)


class SameMath(GroupVectorEnv):
    """Groups that part after the first episode."""

    def __init__(self) -> None:
        super().__init__("textgym/Math-v0", num_envs=4, group_size=2)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        if seed is None and options is None:
            seed = [3, 4, 5, 6]
        return super().reset(seed=seed, options=options)


CAUGHT = {
    WrongSpace: "spaces",
    NoMode: "autoreset-mode",
    SharedMetadata: "autoreset-mode",
    StepsUnasked: "reset-needed",
    SingleRewards: "shapes",
    NoMasks: "info-masks",
    OneArray: "own-arrays",
    OneInfos: "own-arrays",
    Unseeded: "same-seed",
    EatsOptions: "options-kept",
    ResetsAll: "partial-reset",
    ResetsAllUnseen: "partial-reset",
    TakesAnyMask: "bad-mask",
    TakesFewActions: "number-of-actions",
    TakesManyActions: "number-of-actions",
    LosesFinalInfo: "autoreset",
    FinalForAll: "autoreset",
    SaysNextStep: "autoreset",
    SwapsMembers: "members",
    SwapsInfos: "members",
    ForgetsTheSeed: "members",
    PaysTheIdle: "idle-members",
    PhantomEnds: "idle-members",
    HauntedInfos: "idle-members",
    EatsSomeOptions: "episode-statistics",
    SameMath: "groups",
    GroupsOfOne: "groups",
    NeverClosed: "close",
}


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda mutant: mutant.__name__)
def test_a_mutant_is_caught_by_its_rule(mutant):
    report = check_vector_env(
        mutant, member=lambda: gym.make(GUESS, max_turns=3), raise_on_failure=False, only=[CAUGHT[mutant]]
    )
    assert CAUGHT[mutant] in [result.rule for result in report.failed], report


def test_every_rule_has_a_mutant():
    assert set(CAUGHT.values()) == set(VECTOR_RULES)


def test_a_broken_rule_raises_with_its_name():
    with pytest.raises(CheckFailed, match="close: closed is False") as caught:
        check_vector_env(NeverClosed, member=lambda: gym.make(GUESS, max_turns=3))
    assert caught.value.rule == "close"


@pytest.mark.parametrize("make", [Sound(), None])
def test_what_is_neither_an_id_nor_a_function_is_refused(make):
    with pytest.raises(ConfigError, match="make must be an id or a function"):
        check_vector_env(make)


def test_an_id_stands_for_what_gymnasium_makes_of_it():
    report = check_vector_env(GUESS)
    assert report.ok
    assert "members" not in {result.name for result in report.having(RuleStatus.UNTESTED)}
    with pytest.raises(gym.error.NameNotFound):
        check_vector_env("textgym/Gess-v0")


def test_members_of_numbers_are_compared_by_value():
    report = check_vector_env(
        lambda: SyncVectorEnv([blackjack] * 3),
        member=blackjack,
        raise_on_failure=False,
        only=["members", "autoreset"],
    )
    assert report.ok, report
    assert not report.having(RuleStatus.UNTESTED)


def test_play_goes_on_until_a_member_has_ended():
    report = check_vector_env(
        lambda: GroupVectorEnv(GUESS, 2, max_turns=40, autoreset_mode=AutoresetMode.SAME_STEP),
        member=lambda: gym.make(GUESS, max_turns=40),
        only=["members"],
    )
    assert "2 ends" in report["members"].detail


@pytest.mark.parametrize("make", [guess, lambda: Sound(num_envs=1, group_size=1)])
def test_what_is_no_vector_environment_of_several_is_refused(make):
    with pytest.raises(ConfigError, match="two or more members"):
        check_vector_env(make)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ConfigError, match="the rules are spaces, "):
        check_vector_env(Sound, only=["nonsense"])
