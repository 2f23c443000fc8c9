"""The faulty environments misbehave exactly where they are told to, and nowhere else."""

from __future__ import annotations

import asyncio
import copy
import math
import pickle
import time
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import ResetNeeded

import textgym
from textgym.errors import ConfigError, NotForkable, RewardError
from textgym.testing import Fault, FaultyEnv, RawFaultyEnv, check_text_env
from textgym.testing.faulty_env import DeliberateFault

KINDS = [FaultyEnv, RawFaultyEnv]
both = pytest.mark.parametrize("kind", KINDS)


def second_step(kind: Any, fault: Fault, **kwargs: Any) -> Any:
    """The result of the step in which the fault strikes, after a sound one."""
    env = kind(fault, at_step=2, turns=3, **kwargs)
    env.reset(seed=0)
    first = env.step("ok")
    assert first[:4] == ("Turn 2: say ok.", pytest.approx(1 / 3), False, False)
    return env.step("ok")


def test_without_a_fault_it_keeps_the_contract() -> None:
    check_text_env(FaultyEnv)


@pytest.mark.parametrize("fault", [Fault.ODD_TEXT, Fault.NOT_FORKABLE, Fault.ENDLESS])
def test_faults_that_are_no_breach_of_the_contract(fault: Fault) -> None:
    check_text_env(FaultyEnv, env_kwargs={"fault": fault.value}, quick=True)


@both
@pytest.mark.parametrize(
    ("fault", "reward"),
    [(Fault.NAN_REWARD, math.nan), (Fault.INF_REWARD, math.inf), (Fault.NONE_REWARD, None)],
)
def test_rewards(kind: Any, fault: Fault, reward: Any) -> None:
    given = second_step(kind, fault)[1]
    assert given is reward or given == reward or (given != given and reward != reward)
    assert second_step(kind, Fault.STR_REWARD)[1] == "much"


@both
def test_raising_and_wrong_types(kind: Any) -> None:
    with pytest.raises(DeliberateFault, match="step 2 raises on purpose"):
        second_step(kind, Fault.STEP_RAISES)
    with pytest.raises(DeliberateFault) as caught:
        second_step(kind, Fault.UNPICKLABLE_ERROR)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(caught.value)
    assert len(second_step(kind, Fault.STEP_TYPE)) == 3
    assert kind(Fault.RESET_TYPE).reset(seed=0) == 7
    with pytest.raises(DeliberateFault, match="reset raises"):
        kind(Fault.RESET_RAISES).reset(seed=0)
    observation, *_, info = second_step(kind, Fault.BAD_OBSERVATION)
    assert observation == info["messages"] == 42


@both
def test_texts(kind: Any) -> None:
    odd = second_step(kind, Fault.ODD_TEXT)[0]
    assert {"\x00", "\ud800", "\x1b", "\u202e"} <= set(odd)
    assert len(second_step(kind, Fault.HUGE_TEXT)[0]) == 4_000_000


@both
def test_endings(kind: Any) -> None:
    *_, terminated, truncated, info = second_step(kind, Fault.TRUNCATES)
    assert (terminated, truncated, "stop_reason" in info) == (False, True, False)
    env = kind(Fault.ENDLESS)
    env.reset(seed=0)
    assert not any(env.step("ok")[2] for _ in range(50))
    env = kind(Fault.REWARD_RAISES)
    env.reset(seed=0)
    env.step("ok")
    with pytest.raises((RewardError, DeliberateFault)) as caught:
        env.step("ok")
    if kind is FaultyEnv:
        assert getattr(caught.value, "function", None) == "broken_reward"
    for end in (Fault.TRUNCATES, Fault.REWARD_RAISES):
        env = kind(end, at_step=2)
        env.reset(seed=0)
        env.step("ok")
        try:
            env.step("ok")
        except (RewardError, DeliberateFault):
            pass
        with pytest.raises(ResetNeeded):
            env.step("ok")


@both
def test_waiting(kind: Any) -> None:
    for fault in (Fault.STEP_HANGS, Fault.STEP_BLOCKS, Fault.SLOW):
        began = time.monotonic()
        assert second_step(kind, fault, seconds=0.05)[1] == pytest.approx(1 / 3)
        assert time.monotonic() - began >= 0.05


def test_a_hang_can_be_cancelled_and_does_not_block_the_loop() -> None:
    async def hang(fault: Fault) -> int:
        env, ticks = FaultyEnv(fault, seconds=30), 0
        task = asyncio.ensure_future(_episode(env))
        while ticks < 5:
            await asyncio.sleep(0.005)
            ticks += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ticks

    async def _episode(env: Any) -> None:
        await textgym.areset(env, seed=0)
        await textgym.astep(env, "ok")

    for fault in (Fault.RESET_HANGS, Fault.STEP_HANGS, Fault.SLOW):
        assert asyncio.run(hang(fault)) == 5


@both
def test_sync_and_async_agree(kind: Any) -> None:
    async def episode(env: Any) -> list[Any]:
        first = await textgym.areset(env, seed=0)
        return [first, await textgym.astep(env, "ok"), await textgym.astep(env, "no")]

    for fault in (Fault.NONE, Fault.NONE_REWARD, Fault.STEP_TYPE, Fault.BAD_OBSERVATION):
        env = kind(fault, at_step=2)
        expected = [env.reset(seed=0), env.step("ok"), env.step("no")]
        assert asyncio.run(episode(kind(fault, at_step=2))) == expected


@both
def test_only_chosen_episodes_misbehave(kind: Any) -> None:
    def misbehaves(env: Any, seed: int | None, action: str = "ok") -> bool:
        env.reset(seed=seed)
        return env.step(action)[1] is None

    env = kind(Fault.NONE_REWARD, seeds=[3, 5])
    assert [seed for seed in range(8) if misbehaves(env, seed)] == [3, 5]
    env = kind(Fault.NONE_REWARD, probability=0.25)
    struck = [misbehaves(env, seed) for seed in range(400)]
    assert 60 < sum(struck) < 140
    assert [misbehaves(kind(Fault.NONE_REWARD, probability=0.25), seed) for seed in range(50)] == struck[:50]
    assert not any(misbehaves(kind(Fault.NONE_REWARD, probability=0.0), seed) for seed in range(50))
    env = kind(Fault.NONE_REWARD, trigger="boom")
    assert [misbehaves(env, 0, text) for text in ("ok", "boom!")] == [False, True]


@both
def test_copies(kind: Any) -> None:
    env = kind(Fault.NOT_FORKABLE)
    env.reset(seed=0)
    for clone in (copy.deepcopy, pickle.dumps):
        with pytest.raises(NotForkable):
            clone(env)
    env = kind("none")
    env.reset(seed=0)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(env)))
    assert twin.step("ok")[:4] == env.step("ok")[:4]


@both
def test_unusable_arguments(kind: Any) -> None:
    for arguments, message in (
        ({"fault": "sulks"}, "fault is 'sulks'"),
        ({"at_step": 0}, "at_step is 0"),
        ({"turns": 0}, "turns is 0"),
        ({"probability": 2}, "probability is 2"),
    ):
        with pytest.raises(ConfigError, match=message):
            kind(**arguments)


def test_the_raw_kind_is_a_plain_gymnasium_env() -> None:
    env = RawFaultyEnv(render_mode="ansi")
    assert isinstance(env, gym.Env)
    assert not hasattr(env, "astep")
    assert env.reset(seed=0) == ("Turn 1: say ok.", {})
    assert env.render() == "turn 0"
    assert env.step("ok")[4] == {}
    assert RawFaultyEnv().render() is None


def test_every_fault_is_described() -> None:
    import ast
    import inspect

    tree = ast.parse(inspect.getsource(Fault)).body[0]
    assert isinstance(tree, ast.ClassDef)
    described = [isinstance(node, ast.Expr) for node in tree.body]
    assert described == [True, *[False, True] * len(Fault)]
