"""What is begun beyond the plan, and that slow episodes hold back nobody."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import CompletionRequest, MultiTurnEnv, Rubric, ScriptedPolicy, SingleTurnEnv
from textgym.errors import ConfigError, PolicyError, RunMismatch
from textgym.rewards import group_reward
from textgym.rollouts import Scheduling

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


def qa() -> SingleTurnEnv:
    return SingleTurnEnv(ROWS)


def compared() -> SingleTurnEnv:
    @group_reward
    def above(completions: list[str]) -> list[float]:
        mean = sum(map(len, completions)) / len(completions)
        return [float(len(text) > mean) for text in completions]

    return SingleTurnEnv(ROWS, Rubric([above]))


def group_of(request: CompletionRequest) -> int:
    return int(request.group.split(":")[1])


# Nothing waits for a slow neighbour.


@pytest.mark.parametrize("make", [qa, compared])
def test_a_slow_group_holds_back_no_other(make: Any) -> None:
    release = []

    async def policy(request: CompletionRequest) -> str:
        if group_of(request) == 1 and request.sample == 1:
            while not release:
                await asyncio.sleep(0.01)
        return "x" * (1 + request.sample)

    async def main() -> list[int]:
        order = []
        async for group in textgym.arollout(
            make, ScriptedPolicy(policy), num_examples=30, group_size=2, max_concurrency=4
        ):
            order.append(group.id)
            if len(order) == 29:
                assert 1 not in order
                release.append(True)
        return order

    order = asyncio.run(main())
    assert (len(order), order[-1]) == (30, 1)


def test_an_environment_that_sleeps_in_its_thread_holds_back_no_other() -> None:
    class Slow(MultiTurnEnv):
        metadata = {**MultiTurnEnv.metadata, "blocking": True}  # noqa: RUF012

        def env_response(self, messages: Any, state: Any) -> str:
            while self.example is not None and self.example.answer == "0" and len(done) < 7:
                time.sleep(0.01)
            return "on"

    done: list[int] = []
    run = textgym.rollout(
        lambda: Slow(ROWS, max_turns=2), lambda obs: "x", max_concurrency=2,
        on_result=lambda t: done.append(t.group_id),
    )  # fmt: skip
    slow = next(t.group_id for t in run if t.answer == "0")
    assert done[-1] == slow


def test_episodes_begin_in_the_order_of_groups() -> None:
    began: list[tuple[int, int]] = []

    async def policy(request: CompletionRequest) -> str:
        began.append((group_of(request), request.sample))
        await asyncio.sleep(0.001 * ((request.seed or 0) % 7))
        return "x"

    textgym.rollout(qa, ScriptedPolicy(policy), num_examples=6, group_size=3, max_concurrency=4)
    assert began == [(group, sample) for group in range(6) for sample in range(3)]


# Failed members.


def test_failed_members_are_played_again_with_another_seed() -> None:
    seeds: dict[tuple[int, int], list[int | None]] = {}

    def policy(request: CompletionRequest) -> str:
        attempts = seeds.setdefault((group_of(request), request.sample), [])
        attempts.append(request.seed)
        if request.sample == 1 and len(attempts) <= 2:
            raise PolicyError("gone")
        return "x"

    run = textgym.rollout(
        qa, ScriptedPolicy(policy), num_examples=4, group_size=2, scheduling=Scheduling(retry_failed=2)
    )
    assert run.errors == []
    assert Counter(map(len, seeds.values())) == {3: 4, 1: 4}
    assert all(len(set(attempts)) == len(attempts) for attempts in seeds.values())
    assert run.left_out == {"retried": 8}
    assert "retried 8" in str(run.summary())
    seeds.clear()
    run = textgym.rollout(
        qa, ScriptedPolicy(policy), num_examples=4, group_size=2, scheduling=Scheduling(retry_failed=1)
    )
    assert [t.error is not None for t in run] == [False, True] * 4


def test_a_broken_environment_is_replaced_before_the_next_attempt() -> None:
    made: list[int] = []

    class Breaks(gym.Env[str, str]):
        observation_space = textgym.Unicode()
        action_space = textgym.Unicode()

        def __init__(self) -> None:
            made.append(1)
            self.number = len(made)

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
            return "?", {}

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            if self.number == 1:
                raise OSError("broken")
            return "", 1.0, True, False, {}

    run = textgym.rollout(Breaks, lambda obs: "x", num_examples=1, scheduling=Scheduling(retry_failed=1))
    assert (run[0].reward, len(made)) == (1.0, 2)


def test_no_member_is_played_again_once_its_group_has_enough() -> None:
    asked: list[int] = []

    class Breaks(MultiTurnEnv):
        def env_response(self, messages: Any, state: Any) -> str:
            raise OSError("broken")

        async def aclose(self) -> None:
            await asyncio.sleep(0.2)  # meanwhile the others end

        def is_completed(self, messages: Any, state: Any) -> bool:
            return messages[-1]["content"] == "good"

    async def policy(request: CompletionRequest) -> str:
        asked.append(request.sample)
        await asyncio.sleep(0.05 * request.sample)
        return "good" if request.sample else "bad"

    run = textgym.rollout(
        lambda: Breaks(ROWS, max_turns=3), ScriptedPolicy(policy), num_examples=1, group_size=1,
        scheduling=Scheduling(extra_members=1, retry_failed=3),
    )  # fmt: skip
    assert asked == [0, 1]
    assert [t.sample for t in run] == [1]
    assert run.left_out == {"cancelled": 1}


# More than are needed.


def first_are_slow(slow: int) -> ScriptedPolicy:
    async def policy(request: CompletionRequest) -> str:
        await asyncio.sleep(30 if request.sample < slow else 0)
        return "x" * request.sample

    return ScriptedPolicy(policy)


@pytest.mark.parametrize("make", [qa, compared])
def test_a_group_is_complete_with_enough_valid_members(make: Any) -> None:
    run = textgym.rollout(
        make, first_are_slow(2), num_examples=4, group_size=3, scheduling=Scheduling(extra_members=2)
    )
    assert [[t.sample for t in group] for group in run.groups] == [[2, 3, 4]] * 4
    assert run.left_out == {"cancelled": 8}
    if make is compared:
        assert [group.rewards for group in run.groups] == [[0.0, 0.0, 1.0]] * 4


def test_members_that_are_not_needed_never_begin() -> None:
    asked: list[int] = []

    def policy(request: CompletionRequest) -> str:
        asked.append(request.sample)
        return "x"

    run = textgym.rollout(
        qa, ScriptedPolicy(policy), num_examples=3, group_size=2, max_concurrency=1,
        scheduling=Scheduling(extra_members=5),
    )  # fmt: skip
    assert asked == [0, 1] * 3
    assert run.left_out == {}


def test_errors_are_kept_and_do_not_count() -> None:
    def policy(request: CompletionRequest) -> str:
        if request.sample == 0:
            raise PolicyError("gone")
        return "x"

    run = textgym.rollout(
        qa, ScriptedPolicy(policy), num_examples=3, group_size=2, scheduling=Scheduling(extra_members=1)
    )
    assert [[t.error is None for t in group] for group in run.groups] == [[False, True, True]] * 3


def test_a_run_is_complete_with_enough_whole_groups(tmp_path: Path) -> None:
    async def policy(request: CompletionRequest) -> str:
        if group_of(request) == 0 and request.sample == 1:
            await asyncio.sleep(30)
        if group_of(request) == 1 and request.sample == 0:
            raise PolicyError("gone")
        return "x"

    arguments: dict[str, Any] = {"num_examples": 3, "group_size": 2, "scheduling": Scheduling(extra_groups=4)}
    run = textgym.rollout(qa, ScriptedPolicy(policy), max_concurrency=4, out=tmp_path / "run", **arguments)
    whole = [group.id for group in run.groups if None not in group.rewards]
    assert len(whole) == 3
    assert 0 not in [group.id for group in run.groups]  # its quick member is gone with it
    loaded = textgym.Run.load(tmp_path / "run")
    assert [(t.group_id, t.sample) for t in loaded] == [(t.group_id, t.sample) for t in run]
    assert loaded.left_out == run.left_out
    nobody = ScriptedPolicy(lambda request: pytest.fail("nothing is owed"))
    again = textgym.rollout(qa, nobody, out=tmp_path / "run", resume=True, **arguments)
    assert [group.id for group in again.groups] == whole


def test_resuming_plays_what_a_group_still_needs(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "num_examples": 2, "group_size": 3, "out": tmp_path / "run", "scheduling": Scheduling(extra_members=1)
    }  # fmt: skip
    textgym.rollout(qa, ScriptedPolicy(["x"]), **arguments)
    path = tmp_path / "run" / "episodes.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    asked: list[tuple[int, int]] = []

    def policy(request: CompletionRequest) -> str:
        asked.append((group_of(request), request.sample))
        return "x"

    run = textgym.rollout(qa, ScriptedPolicy(policy), resume=True, max_concurrency=1, **arguments)
    assert len(asked) == 2
    assert [len(group) for group in run.groups] == [3, 3]
    with pytest.raises(RunMismatch, match="scheduling"):
        textgym.rollout(qa, ScriptedPolicy(policy), resume=True, **{**arguments, "scheduling": None})


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match="retry_failed is -1"):
        Scheduling(retry_failed=-1)
    with pytest.raises(ConfigError, match="list of seeds"):
        textgym.rollout(qa, lambda obs: "x", seed=[1, 2], scheduling=Scheduling(extra_groups=1))
