"""What is left when a member fails, a caller gives up, or the environment is closed."""

from __future__ import annotations

import asyncio
import copy
import pickle
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from textgym import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.vector import GroupVectorEnv


class Fragile(MultiTurnEnv):
    """Breaks when it is told to."""

    def env_response(self, messages: Any, state: Any) -> str:
        if messages[-1]["content"] == "break":
            raise RuntimeError("broken")
        return "go on"


class Slow(MultiTurnEnv):
    """Waits for an event that the test sets, unless told to go on or to break."""

    event: asyncio.Event

    async def env_response(self, messages: Any, state: Any) -> str:
        if messages[-1]["content"] == "break":
            raise RuntimeError("broken")
        if messages[-1]["content"] == "wait":
            await Slow.event.wait()
        return "go on"


def group(kind: Any = Fragile, mode: Any = AutoresetMode.DISABLED) -> GroupVectorEnv:
    rows = [{"question": f"{n}?"} for n in range(20)]
    return GroupVectorEnv(lambda: kind(rows, max_turns=9), num_envs=4, group_size=2, autoreset_mode=mode)


@pytest.mark.parametrize("kind", [Fragile, Slow])
def test_an_error_names_its_member_and_those_of_the_call_idle(kind):
    envs = group(kind)
    envs.reset(seed=0)
    envs.step(["a"] * 4)
    with pytest.raises(RuntimeError, match="broken") as caught:
        envs.step_some([1, 3, 0], ["a", "break", "a"])
    assert caught.value.__notes__ == ["raised by member 3 of the vector environment"]
    assert envs.active.tolist() == [False, False, True, False]
    observations, *_ = envs.step(["a"] * 4)
    assert observations == ("", "", "go on", "")
    twin = group(kind)
    twin.reset(seed=0)
    assert envs.reset()[0] == twin.reset()[0]
    assert envs.step(["a"] * 4)[0] == ("go on",) * 4


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_an_action_that_is_no_text_is_refused_before_anybody_is_stepped(mode):
    envs = group(mode=mode)
    envs.reset(seed=0)
    with pytest.raises(TypeError, match="the action of member 2 is NoneType None: it must be a str"):
        envs.step(["a", "a", None, "a"])
    assert [env.unwrapped.turns for env in envs.envs] == [0] * 4
    assert envs.active.all()


def test_a_failed_first_reset_begins_nobody():
    envs = group()
    with pytest.raises(ConfigError, match="nonsense") as caught:
        envs.reset(seed=0, options={"nonsense": 1})
    assert "member 0" in caught.value.__notes__[0]
    with pytest.raises(ResetNeeded):
        envs.step(["a"] * 4)


def test_a_cancelled_call_idles_its_members_and_the_next_reset_goes_on():
    envs = group(Slow)

    async def main() -> None:
        Slow.event = asyncio.Event()
        await envs.areset(seed=0)
        call = asyncio.create_task(envs.astep_some([0, 1], ["wait", "a"]))
        await asyncio.sleep(0.01)
        observations, *_ = await envs.astep_some([3], ["a"])  # others go on in the meantime
        assert observations[3] == "go on"
        for again in (envs.astep(["a"] * 4), envs.astep_some([1], ["a"]), envs.areset()):
            with pytest.raises(ConfigError, match=r"members \[.*\] are still at an earlier call"):
                await again
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert envs.active.tolist() == [False, False, True, True]
        await envs.areset()
        assert (await envs.astep(["a"] * 4))[0] == ("go on",) * 4

    asyncio.run(main())


def test_after_close_nothing_is_played():
    envs = group()
    envs.reset(seed=0)
    envs.close()
    envs.close()
    for call in (lambda: envs.step(["a"] * 4), envs.reset, lambda: envs.step_some([0], ["a"])):
        with pytest.raises(ClosedEnvironmentError):
            call()


def test_where_closing_one_fails_the_others_are_closed():
    envs = group()
    closed = []

    def close(member: int) -> None:
        closed.append(member)
        if member == 1:
            raise RuntimeError("will not close")

    for member, env in enumerate(envs.envs):
        env.close = lambda member=member: close(member)
    with pytest.raises(RuntimeError, match="will not close") as caught:
        envs.close()
    assert "member 1" in caught.value.__notes__[0]
    assert closed == [0, 1, 2, 3]


def test_one_environment_is_not_taken_for_several():
    env = gym.make("textgym/Echo-v0")
    with pytest.raises(ConfigError, match="one environment twice"):
        GroupVectorEnv(lambda: env, num_envs=2)
    assert len({id(one.unwrapped) for one in GroupVectorEnv(env, num_envs=2).envs}) == 2


def test_an_unknown_mode_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match="'NextStep', 'SameStep', 'Disabled'"):
        GroupVectorEnv("textgym/Echo-v0", autoreset_mode="same_step")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
def test_a_copy_is_an_independent_twin(copied):
    envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=4, group_size=2)
    envs.reset(seed=0)
    envs.step(["50"] * 4)
    twin = copied(envs)
    expected = [envs.step(["20"] * 4), envs.reset()]
    assert data_equivalence([twin.step(["20"] * 4), twin.reset()], expected)


def test_members_may_be_asked_directly_and_rendered():
    envs = gym.make_vec("textgym/GuessNumber-v0", num_envs=2, render_mode="ansi")
    envs.reset(seed=0)
    assert envs.call("render") == envs.render()
    assert envs.envs[0].step("3")[2] is False
