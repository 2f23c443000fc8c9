"""The watchdog names whose function blocks the event loop, once, and nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import textgym
from textgym import MultiTurnEnv, ScriptedPolicy, SingleTurnEnv
from textgym.rollouts import watchdog

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LAG_SECONDS", 0.2)


def said(caplog: pytest.LogCaptureFixture, play: Callable[[], Any]) -> list[str]:
    with caplog.at_level(logging.WARNING, logger="textgym.rollouts"):
        play()
    return [record.getMessage() for record in caplog.records if "held up" in record.getMessage()]


def test_an_environment_that_blocks_is_named_once_with_its_hook(caplog: pytest.LogCaptureFixture) -> None:
    class Sleepy(MultiTurnEnv):
        def env_response(self, messages: Any, state: Any) -> str:
            time.sleep(0.6)
            return "on"

        def is_completed(self, messages: Any, state: Any) -> bool:
            return self.turns == 2

    messages = said(caplog, lambda: textgym.rollout(lambda: Sleepy(ROWS), lambda obs: "x", num_examples=3))
    assert len(messages) == 1
    assert "environment Sleepy" in messages[0]
    assert "Sleepy.env_response" in messages[0]
    assert 'metadata["blocking"] = True' in messages[0]


def test_many_short_blocks_are_named_as_well(caplog: pytest.LogCaptureFixture) -> None:
    def slow_reward(completion: str) -> float:
        time.sleep(0.03)
        return 1.0

    def play() -> None:
        env = SingleTurnEnv(ROWS, textgym.Rubric([slow_reward]))
        textgym.rollout(lambda: env, lambda obs: "x", num_examples=64, max_concurrency=1)

    messages = said(caplog, play)
    assert len(messages) == 1
    assert "slow_reward" in messages[0]


def test_a_policy_that_blocks_is_named(caplog: pytest.LogCaptureFixture) -> None:
    def thinks_long(observation: str) -> str:
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            sum(range(1000))
        return "x"

    messages = said(caplog, lambda: textgym.rollout(lambda: SingleTurnEnv(ROWS), thinks_long, num_examples=2))
    assert len(messages) == 1
    assert "policy thinks_long" in messages[0]
    assert "asyncio.to_thread" in messages[0]


def test_what_waits_or_runs_in_threads_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    class Threaded(MultiTurnEnv):
        metadata = {**MultiTurnEnv.metadata, "blocking": True}  # noqa: RUF012

        def env_response(self, messages: Any, state: Any) -> str:
            time.sleep(0.5)
            return "on"

    async def waits(observation: str) -> str:
        await asyncio.sleep(0.5)
        return "x"

    def play() -> None:
        run = textgym.rollout(lambda: Threaded(ROWS, max_turns=2), waits, num_examples=2)
        assert run.errors == []

    assert said(caplog, play) == []


def test_a_function_beside_the_rollout_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    def trains(group: Any) -> None:
        time.sleep(0.6)

    async def main() -> None:
        async for group in textgym.arollout(
            lambda: SingleTurnEnv(ROWS), ScriptedPolicy(["x"]), num_examples=40
        ):
            if group.id == 0:
                trains(group)

    async def slow(observation: str) -> str:
        await asyncio.sleep(1.5)
        return "x"

    async def together() -> None:
        other = asyncio.create_task(beside())
        async for _ in textgym.arollout(lambda: SingleTurnEnv(ROWS), slow, num_examples=1):
            pass
        await other

    async def beside() -> None:
        await asyncio.sleep(0.1)
        trains(None)

    messages = said(caplog, lambda: asyncio.run(together()))
    assert len(messages) == 1
    assert "beside the rollout" in messages[0]
    assert "beside" in messages[0]
    asyncio.run(main())


def test_closing_is_the_environments_business(caplog: pytest.LogCaptureFixture) -> None:
    class SlowToClose(MultiTurnEnv):
        def close(self) -> None:
            time.sleep(0.6)

    def play() -> None:
        async def policy(observation: str) -> str:
            await asyncio.sleep(0.01)
            return "x"

        textgym.rollout(lambda: SlowToClose(ROWS, max_turns=1), policy, num_examples=2, max_concurrency=1)

    messages = said(caplog, play)
    assert len(messages) == 1
    assert "environment SlowToClose" in messages[0]


def test_under_uvloop_the_function_is_named_and_not_its_caller(caplog: pytest.LogCaptureFixture) -> None:
    uvloop = pytest.importorskip("uvloop")

    def notes(trajectory: Any) -> None:
        time.sleep(0.6)

    async def main() -> None:
        async def policy(observation: str) -> str:
            await asyncio.sleep(0.01)
            return "x"

        env = SingleTurnEnv(ROWS)
        async for _ in textgym.arollout(lambda: env, policy, num_examples=2, on_result=notes):
            pass

    def play() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    messages = said(caplog, play)
    assert len(messages) == 1
    assert "notes" in messages[0]


@pytest.mark.parametrize(
    ("computed", "queued", "could_run"),
    [(0.0, 0.0, 0.1), (9.0, 0.0, 9.1), (2.0, 8.0, 2.0), (9.9, 0.0, 10.0)],
    ids=["stopped", "lock held", "machine too busy", "computing"],
)
def test_time_in_which_nothing_could_run_does_not_count(
    monkeypatch: pytest.MonkeyPatch, computed: float, queued: float, could_run: float
) -> None:
    read = iter([(5.0, 1.0, 0.5), (15.0, 1.0 + computed, 0.5 + queued)])
    monkeypatch.setattr(watchdog._Running, "_read", lambda self: next(read))
    running = watchdog._Running(threading.get_native_id())
    assert running.since_last(0.1) == pytest.approx(could_run)
