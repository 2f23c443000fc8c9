"""A worker and its hand, without a cluster around them."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

import textgym
from textgym import CompletionRequest, Limits, Rubric, Sampling, ScriptedPolicy, SingleTurnEnv
from textgym.distributed.hand import Hand
from textgym.distributed.parcels import Answer, Job, pack_job, pack_shares
from textgym.distributed.worker import Worker
from textgym.errors import AuthenticationFailed, ConfigError, RunAborted, TextgymError
from textgym.policies.policy import as_policy
from textgym.rewards import group_reward
from textgym.rollouts.packing import PackedReport
from textgym.rollouts.plan import Plan
from textgym.rollouts.shares import Report, Share
from textgym.testing import RawFaultyEnv

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


def qa() -> SingleTurnEnv:
    return SingleTurnEnv(ROWS)


def compared() -> SingleTurnEnv:
    @group_reward
    def longest(completions: list[str]) -> list[float]:
        return [float(len(text) == max(map(len, completions))) for text in completions]

    return SingleTurnEnv(ROWS, rubric=Rubric([longest]))


def job(env: Any, policy: Any, group_size: int = 1) -> tuple[bytes, list[Share]]:
    pytest.importorskip("ray")
    policy = as_policy(policy)
    plan = Plan.resolve(
        env,
        policy,
        num_examples=8,
        group_size=group_size,
        env_kwargs=None,
        seed=3,
        options=None,
        sampling=Sampling(),
        limits=Limits(),
    )
    made = Job(plan=plan, env=env, env_kwargs={}, record_kwargs={}, policy=policy)
    return pack_job(made), list(plan.shares())


def played(env: Any, policy: Any, group_size: int = 1, capacity: int = 4) -> list[PackedReport]:
    """All reports of eight groups; raises what ends the work."""
    packed, shares = job(env, policy, group_size)

    async def play() -> list[PackedReport]:
        worker = Worker()
        (await worker.start(packed, capacity)).raise_error()
        found: list[PackedReport] = []
        waiting = [shares[:5], shares[5:]]
        try:
            while sum(report.closed for report in found) < 8:
                answer = await worker.exchange(pack_shares(waiting.pop(0) if waiting else []))
                found += answer.reports
                answer.raise_error()
        finally:
            await worker.close(5.0)
        return found

    return asyncio.run(play())


def test_every_group_is_played_and_closed_once() -> None:
    reports = played(qa, lambda obs: "2", 3)
    assert sorted(report.group_id for report in reports if report.closed) == list(range(8))
    places = [(report.group_id, sample) for report in reports for sample, _ in report.trajectories]
    assert sorted(places) == [(group, sample) for group in range(8) for sample in range(3)]


def test_compared_groups_leave_whole() -> None:
    def policy(request: CompletionRequest) -> str:
        return "x" * (request.sample + 1)

    reports = [r for r in played(compared, ScriptedPolicy(policy), 3) if r.trajectories]
    assert len(reports) == 8
    for report in reports:
        assert report.closed
        assert [pickle.loads(data).reward for _, data in report.trajectories] == [0.0, 0.0, 1.0]


def test_blocking_environments_are_played_too() -> None:
    assert len(played(RawFaultyEnv, lambda obs: "x")) == 8


def test_what_no_episode_escapes_is_told_after_what_is_done() -> None:
    def policy(request: CompletionRequest) -> str:
        if request.group.endswith(":3"):
            raise AuthenticationFailed("the key is refused", status=401)
        return "2"

    with pytest.raises(AuthenticationFailed, match="refused") as caught:
        played(qa, ScriptedPolicy(policy), capacity=1)
    assert caught.value.status == 401


def test_an_environment_that_cannot_be_made_says_so_in_any_process() -> None:
    made: list[int] = []

    def once() -> SingleTurnEnv:
        if made:
            raise OSError("no more")
        made.append(1)
        return qa()

    packed, _ = job(once, lambda obs: "x")  # by value: the worker has a list of its own, which is full
    answer = asyncio.run(Worker().start(packed, 2))
    with pytest.raises(RunAborted, match="OSError: no more"):
        answer.raise_error()


class Unreadable(TextgymError):
    """It pickles, and what comes of it does not load."""

    def __init__(self, *, status: int) -> None:
        super().__init__(f"status {status}")


def test_errors_that_cannot_be_read_arrive_all_the_same() -> None:
    with pytest.raises(RunAborted, match="Unreadable: status 5"):
        Answer.of(Unreadable(status=5)).raise_error()


def test_another_version_is_told_whatever_it_sends() -> None:
    packed = pickle.dumps(("0.0.0", b"of classes that moved"))
    with pytest.raises(ConfigError, match=r"the driver has textgym 0\.0\.0 and this worker"):
        asyncio.run(Worker().start(packed, 2)).raise_error()


def test_what_is_not_begun_can_be_given_back() -> None:
    _, shares = job(qa, lambda obs: "x", 2)
    begun: list[int] = []

    async def deal() -> None:
        hand = Hand(lambda share: begun.append(share.group_id))
        hand.add(shares[:6])
        assert await hand.more()
        taken = [hand.take() for _ in range(3)]
        assert [(task.group_id, task.sample) for task in taken if task] == [(0, 0), (0, 1), (1, 0)]
        assert hand.give_back() == [5, 4]
        rest = []
        while (task := hand.take()) is not None:
            rest.append((task.group_id, task.sample))
        assert rest == [(1, 1), (2, 0), (2, 1), (3, 0), (3, 1)]
        assert hand.give_back() == []
        waiter = asyncio.ensure_future(hand.more())
        await asyncio.sleep(0)
        assert not waiter.done()
        hand.add(shares[6:])
        assert await waiter

    asyncio.run(deal())
    assert begun == [0, 1, 2, 3]


def test_objects_that_do_not_pickle_do_not_cost_the_episode() -> None:
    odd = threading.Lock()
    [trajectory] = textgym.rollout(qa, lambda obs: "2", num_examples=1)
    steps = trajectory.steps
    trajectory.messages[0]["odd"] = odd
    packed = PackedReport.of(Report(0, (trajectory,), closed=True))
    arrived = pickle.loads(packed.trajectories[0][1])
    assert arrived.messages[0]["odd"] == repr(odd)
    assert arrived.steps == steps
