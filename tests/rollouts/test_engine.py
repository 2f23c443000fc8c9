"""The engine: groups, seeds, limits, errors as data, order, tokens, early stops."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym import Completion, CompletionRequest, Limits, Rubric, Sampling, SingleTurnEnv, StopReason, Usage
from textgym.errors import (
    AuthenticationFailed,
    ConfigError,
    ContextOverflow,
    PolicyError,
    RunAborted,
)
from textgym.rewards import group_reward
from textgym.rollouts import Boundary
from textgym.rollouts.plan import group_seed

ROWS = [{"prompt": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(7)]


def qa(**kwargs: Any) -> SingleTurnEnv:
    return SingleTurnEnv(ROWS, **kwargs)


def test_groups_share_a_task_and_differ_in_sampling() -> None:
    seeds: dict[tuple[str, int], int] = {}

    def policy(request: CompletionRequest) -> str:
        assert request.seed is not None
        seeds[request.group, request.sample] = request.seed
        return "x"

    run = textgym.rollout(
        "textgym/Math-v0", textgym.ScriptedPolicy(policy), num_examples=5, group_size=3, seed=9
    )
    assert len(run) == 15
    assert [len(group) for group in run.groups] == [3] * 5
    for number, group in enumerate(run.groups):
        assert {t.example_id for t in group} == {group.example_id}
        assert {t.seed for t in group} == {group_seed(9, number)}
        assert [t.sample for t in group] == [0, 1, 2]
    assert len({group.example_id for group in run.groups}) == 5
    assert len(set(seeds.values())) == 15
    assert all(0 <= seed < 2**31 for seed in seeds.values())


def test_the_result_does_not_depend_on_concurrency_or_order() -> None:
    async def jittery(observation: str) -> str:
        await asyncio.sleep(0.002 * (hash(observation) % 5))
        return observation[-3:]

    def rollout(concurrency: int) -> list[Any]:
        run = textgym.rollout(
            "textgym/Echo-v0", jittery, num_examples=20, group_size=2, env_kwargs={"turns": 2},
            max_concurrency=concurrency,
        )  # fmt: skip
        return [(t.group_id, t.sample, t.example_id, t.messages, t.reward) for t in run]

    assert rollout(1) == rollout(7) == rollout(256)


def test_a_finite_dataset_is_taken_whole_by_default() -> None:
    run = textgym.rollout(qa, textgym.OraclePolicy(), group_size=2)
    assert len(run) == 14
    assert len({t.example_id for t in run}) == 7
    assert run.summary().reward == 1.0
    again = textgym.rollout(qa, textgym.OraclePolicy(), num_examples=9)
    assert len({t.example_id for t in again[:7]}) == 7  # a second epoch only after the first


def test_explicit_seeds_and_options() -> None:
    run = textgym.rollout("textgym/Math-v0", textgym.OraclePolicy(), seed=[5, 5, 6])
    env = gym.make("textgym/Math-v0")
    ids = [env.reset(seed=seed)[1]["example_id"] for seed in (5, 5, 6)]
    assert [t.example_id for t in run] == ids
    chosen = textgym.rollout(qa, textgym.OraclePolicy(), num_examples=3, options={"index": 4})
    assert {t.answer for t in chosen} == {"8"}


def test_records_are_complete() -> None:
    run = textgym.rollout("textgym/GuessNumber-v0", lambda obs: "<guess>1</guess>", num_examples=2)
    for trajectory in run:
        assert trajectory.reward == sum(step.reward for step in trajectory.steps) == 0.0
        assert [m["sampled"] for m in trajectory.messages] == [False, True] * 10
        assert trajectory.steps[0].observation == trajectory.messages[0]["content"]
        assert trajectory.steps[1].observation == trajectory.messages[2]["content"]
        assert trajectory.stop_reason is StopReason.OUT_OF_TURNS
        assert trajectory.terminated
        assert not trajectory.truncated
        assert trajectory.metrics == {"guesses": 10.0}
        assert trajectory.success is False
        assert trajectory.policy == "<lambda>"
        assert trajectory.tokens is None
        assert textgym.Trajectory.from_dict(trajectory.to_dict()) == trajectory


def tokens(*counts: int) -> Completion:
    return Completion(text="7", usage=Usage(prompt_tokens=counts[0], completion_tokens=counts[1]))


@pytest.mark.parametrize(
    ("limits", "turns", "reason"),
    [
        (Limits(turns=3), 3, StopReason.MAX_TURNS),
        (Limits(completion_tokens=40), 2, StopReason.COMPLETION_TOKENS),
        (Limits(total_tokens=300), 3, StopReason.TOTAL_TOKENS),
        (Limits(context_tokens=120), 1, StopReason.CONTEXT_TOKENS),
        (Limits(turns=2, completion_tokens=40), 2, StopReason.MAX_TURNS),
    ],
)
def test_limits_truncate_and_are_scored(limits: Limits, turns: int, reason: StopReason) -> None:
    policy = textgym.ScriptedPolicy([tokens(100, 20)] * 9)
    (trajectory,) = textgym.rollout("textgym/GuessNumber-v0", policy, num_examples=1, limits=limits)
    assert len(trajectory.steps) == turns
    assert trajectory.stop_reason is reason
    assert trajectory.truncated
    assert trajectory.steps[-1].truncated
    assert trajectory.reward == 0.0
    assert trajectory.rewards == {"won": 0.0}
    assert trajectory.usage == Usage(prompt_tokens=100 * turns, completion_tokens=20 * turns)


def test_the_last_call_gets_only_the_tokens_that_are_left() -> None:
    asked = []

    def policy(request: CompletionRequest) -> Completion:
        asked.append(request.sampling.max_tokens)
        return tokens(10, 30)

    textgym.rollout(
        "textgym/GuessNumber-v0", textgym.ScriptedPolicy(policy), num_examples=1,
        sampling=Sampling(max_tokens=50), limits=Limits(completion_tokens=70),
    )  # fmt: skip
    assert asked == [50, 40, 10]


def test_a_slow_completion_is_given_up_and_scored() -> None:
    async def slow(observation: str) -> str:
        await asyncio.sleep(30)
        return "late"

    began = time.monotonic()
    (trajectory,) = textgym.rollout(qa, slow, num_examples=1, limits=Limits(seconds=0.2))
    assert time.monotonic() - began < 5
    assert (trajectory.stop_reason, trajectory.reward) == (StopReason.SECONDS, 0.0)
    assert trajectory.steps == []
    assert trajectory.truncated


def test_context_overflow_truncates() -> None:
    def policy(request: CompletionRequest) -> str:
        if request.turn == 2:
            raise ContextOverflow("too long", status=400)
        return "<guess>1</guess>"

    (trajectory,) = textgym.rollout("textgym/GuessNumber-v0", textgym.ScriptedPolicy(policy), num_examples=1)
    assert (trajectory.stop_reason, trajectory.error) == (StopReason.CONTEXT_TOKENS, None)
    assert len(trajectory.steps) == 2


def sometimes(error: Exception, every: int = 3) -> textgym.ScriptedPolicy:
    def policy(request: CompletionRequest) -> str:
        if request.sample % every == 1:
            raise error
        return "4"

    return textgym.ScriptedPolicy(policy)


def test_a_failed_rollout_is_data() -> None:
    run = textgym.rollout(qa, sometimes(PolicyError("server gone")), num_examples=4, group_size=3)
    failed = [t for t in run if t.error is not None]
    assert len(failed) == 4
    for trajectory in failed:
        assert trajectory.error is not None
        assert trajectory.error.boundary is Boundary.POLICY
        assert (trajectory.error.type, trajectory.error.message) == ("PolicyError", "server gone")
        assert trajectory.reward is None
        assert trajectory.success is None
        assert trajectory.stop_reason is StopReason.ERROR
        assert textgym.Trajectory.from_dict(trajectory.to_dict()) == trajectory
    summary = run.summary()
    assert summary.errors == {"policy PolicyError": 4}
    assert summary.reward == pytest.approx(np.mean([t.reward for t in run if t.reward is not None]))
    assert "4 errors" in str(summary)


def test_errors_name_their_boundary() -> None:
    def broken_reward(completion: str) -> float:
        raise KeyError("gold")

    class BrokenEnv(SingleTurnEnv):
        def respond(self, action: str) -> Any:
            if action == "4":
                raise OSError("disk")
            return super().respond(action)

    run = textgym.rollout(
        lambda: SingleTurnEnv(ROWS, textgym.Rubric([broken_reward])), lambda obs: "4", num_examples=1
    )
    assert run[0].error is not None
    assert (run[0].error.boundary, run[0].error.type) == (Boundary.REWARD, "RewardError")
    assert "broken_reward" in run[0].error.message
    run = textgym.rollout(
        lambda: BrokenEnv(ROWS), textgym.ScriptedPolicy(lambda r: "4" if r.sample == 1 else "5"),
        num_examples=3, group_size=2, max_concurrency=1,
    )  # fmt: skip
    assert [t.error is None for t in run] == [True, False] * 3
    assert run[1].error is not None
    assert (run[1].error.boundary, run[1].error.type) == (Boundary.ENV, "OSError")
    assert run[1].error.where.endswith("respond")


stepping: list[int] = []
inside: list[int] = []


class Foreign(gym.Env[str, str]):
    """A text environment that knows nothing of textgym, and blocks."""

    observation_space = textgym.Unicode()
    action_space = textgym.Unicode()

    def __init__(self, reward: Any = 1.0) -> None:
        self.reward = reward

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.turn = 0
        return "Say something.", {}

    def step(self, action: str) -> tuple[str, Any, bool, bool, dict[str, Any]]:
        stepping.append(1)
        inside.append(len(stepping))
        time.sleep(0.05)
        stepping.pop()
        self.turn += 1
        return f"turn {self.turn}", self.reward, self.turn == 2, False, {}


def test_foreign_environments_run_in_threads() -> None:
    inside.clear()
    run = textgym.rollout(Foreign, lambda obs: "hello", num_examples=64, max_concurrency=64)
    assert max(inside) > 32  # environments in their step at the same time
    assert [m["content"] for m in run[0].messages] == ["Say something.", "hello", "turn 1", "hello"]
    assert (run[0].reward, run[0].rewards) == (2.0, {"reward": 2.0})
    assert run[0].success is None
    assert run.summary().pass_at == ()


@pytest.mark.parametrize("reward", [None, math.nan, math.inf, "1.0x"])
def test_a_reward_that_is_no_number_is_an_error(reward: Any) -> None:
    run = textgym.rollout(lambda: Foreign(reward), lambda obs: "x", num_examples=1)
    assert run[0].reward is None
    assert run[0].error is not None
    assert (run[0].error.boundary, run[0].error.type) == (Boundary.ENV, "EnvError")
    assert f"seed {run[0].seed}" in run[0].error.message


def test_a_refused_key_stops_the_run_at_once() -> None:
    calls = []

    def policy(request: CompletionRequest) -> str:
        calls.append(request)
        if len(calls) > 3:
            raise AuthenticationFailed("401 at http://x", status=401)
        return "0"

    with pytest.raises(RunAborted, match="401 at http://x") as caught:
        textgym.rollout(
            "textgym/Echo-v0", textgym.ScriptedPolicy(policy), num_examples=500, max_concurrency=2
        )
    assert len(calls) <= 5
    assert len(caught.value.run) == 3


def test_a_run_of_equal_failures_stops() -> None:
    calls = []

    def policy(request: CompletionRequest) -> str:
        calls.append(request)
        raise PolicyError(f"404: no model (request {len(calls)})", status=404)

    with pytest.raises(RunAborted, match="first 8 episodes all failed alike.*404: no model") as caught:
        textgym.rollout(
            "textgym/Echo-v0", textgym.ScriptedPolicy(policy), num_examples=500, max_concurrency=4
        )
    assert len(calls) <= 8 + 2 * 4  # what was under way in the other workers
    assert len(caught.value.run) == 8


def test_on_error_raise() -> None:
    with pytest.raises(RunAborted, match="PolicyError: gone") as caught:
        textgym.rollout(qa, sometimes(PolicyError("gone")), group_size=3, on_error="raise")
    assert isinstance(caught.value.run, textgym.Run)


def test_wrong_configuration_raises_at_once() -> None:
    oracle = textgym.OraclePolicy()
    for arguments, message in (
        ({"group_size": 0}, "group_size is 0"),
        ({"num_examples": 2.5}, "num_examples is 2.5"),
        ({"max_concurrency": 0}, "max_concurrency is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": [1, 2], "num_examples": 3}, "2 seeds for 3 examples"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"resume": True}, "resume needs"),
    ):
        with pytest.raises(ConfigError, match=message):
            textgym.rollout(qa, oracle, **arguments)
    with pytest.raises(ConfigError, match="num_examples is needed"):
        textgym.rollout("textgym/Math-v0", oracle)
    with pytest.raises(gym.error.NameNotFound, match="Math"):
        textgym.rollout("textgym/Maths-v0", oracle, num_examples=1)
    with pytest.raises(ConfigError, match="class OraclePolicy"):
        textgym.rollout(qa, textgym.OraclePolicy)
    with pytest.raises(ConfigError, match="no oracle|has none"):
        textgym.rollout(Foreign, oracle, num_examples=1)
    with pytest.raises(ConfigError, match=r"limits.turns is 0"):
        Limits(turns=0)
    with pytest.raises(ConfigError, match="temperature is -1"):
        Sampling(temperature=-1)


def test_arollout_yields_groups_as_they_finish() -> None:
    async def policy(request: CompletionRequest) -> str:
        await asyncio.sleep(0.3 if request.group.endswith(":0") else 0.01)
        return "x"

    async def main() -> list[int]:
        order = []
        stream = textgym.arollout(qa, textgym.ScriptedPolicy(policy), group_size=2)
        async for group in stream:
            assert [t.sample for t in group] == [0, 1]
            order.append(group.id)
        return order

    order = asyncio.run(main())
    assert sorted(order) == list(range(7))
    assert order[-1] == 0  # the slow group holds nobody up


def test_leaving_arollout_early_stops_the_work() -> None:
    active = []

    async def policy(observation: str) -> str:
        active.append(1)
        try:
            await asyncio.sleep(0.01)
        finally:
            active.pop()
        return "x"

    async def main() -> None:
        stream = textgym.arollout("textgym/Echo-v0", policy, num_examples=10_000, max_concurrency=4)
        async for _ in stream:
            break
        await stream.aclose()
        assert not active
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_rollout_works_inside_a_running_loop() -> None:
    async def main() -> textgym.Run:
        return textgym.rollout(qa, textgym.OraclePolicy())

    assert len(asyncio.run(main())) == 7


def test_at_most_max_concurrency_episodes_are_alive() -> None:
    alive, most = 0, 0

    async def policy(observation: str) -> str:
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        await asyncio.sleep(0.001)
        alive -= 1
        return "x"

    textgym.rollout("textgym/Echo-v0", policy, num_examples=100, max_concurrency=7)
    assert most == 7


def test_on_result_sees_every_trajectory_and_its_errors_surface() -> None:
    seen: list[textgym.Trajectory] = []
    run = textgym.rollout(qa, textgym.OraclePolicy(), on_result=seen.append)
    assert sorted(map(id, seen)) == sorted(map(id, run))
    with pytest.raises(ZeroDivisionError):
        textgym.rollout(qa, textgym.OraclePolicy(), on_result=lambda trajectory: 1 / 0)


def test_native_tool_calls_become_part_of_the_action() -> None:
    call = textgym.ToolCall(id="c1", name="add", arguments='{"a": 1}')
    policy = textgym.ScriptedPolicy([Completion(text="Let me see.", tool_calls=(call,))])
    run = textgym.rollout(qa, policy, num_examples=1)
    expected = 'Let me see.\n<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>'
    assert run[0].steps[0].action == expected


def test_token_records_follow_the_server() -> None:
    def policy(request: CompletionRequest) -> Completion:
        prompt = [1, 2, 3] + [7, 8, 4, 5] * request.turn
        if request.turn == 2:
            prompt[0] = 99  # the server rendered the history differently
        return Completion(
            text="<guess>1</guess>", prompt_token_ids=prompt, token_ids=[7, 8], logprobs=[-0.5, -0.25]
        )

    (trajectory,) = textgym.rollout(
        "textgym/GuessNumber-v0", textgym.ScriptedPolicy(policy), num_examples=1, limits=Limits(turns=3)
    )
    stream = trajectory.tokens
    assert stream is not None
    assert stream.forks == 1
    assert len(stream.segments) == 2
    for step in trajectory.steps:
        assert stream.ids[step.prompt_end : step.completion_end].tolist() == [7, 8]
        assert stream.logprobs[step.prompt_end : step.completion_end].tolist() == [-0.5, -0.25]
    assert int(stream.mask.sum()) == 6
    assert textgym.Trajectory.from_dict(trajectory.to_dict()).tokens == stream


def test_half_a_token_record_is_none() -> None:
    def policy(request: CompletionRequest) -> Completion:
        known = request.turn == 0
        return Completion(text="1", prompt_token_ids=[1] if known else None, token_ids=[2] if known else None)

    (trajectory,) = textgym.rollout(
        "textgym/GuessNumber-v0", textgym.ScriptedPolicy(policy), num_examples=1, limits=Limits(turns=2)
    )
    assert trajectory.tokens is None
    assert [(s.prompt_end, s.completion_end) for s in trajectory.steps] == [(None, None)] * 2


def unequal() -> SingleTurnEnv:
    def length(completion: str) -> float:
        return float(len(completion))

    @group_reward
    def above_mean(completions: list[str], rewards: list[float]) -> list[bool]:
        mean = sum(map(len, completions)) / len(completions)
        assert rewards == [float(len(text)) for text in completions]
        return [len(text) > mean for text in completions]

    return SingleTurnEnv(ROWS, Rubric([length, above_mean]))


def test_members_are_compared_without_those_that_failed() -> None:
    def policy(request: CompletionRequest) -> str:
        if request.sample in (2, 5):
            raise PolicyError("gone")
        return "x" * request.sample

    run = textgym.rollout(unequal, textgym.ScriptedPolicy(policy), num_examples=64, group_size=8)
    assert len(run) == 512
    for group in run.groups:
        # 0, 1, 3, 4, 6, 7 characters: the mean is 3.5, and failed members have no part in it
        assert group.rewards == [0.0, 1.0, None, 3.0, 4.0 + 1, None, 6.0 + 1, 7.0 + 1]
        assert group[7].rewards == {"length": 7.0, "above_mean": 1.0}
        assert sum(step.reward for step in group[7].steps) == 7.0
        assert [t.error is not None for t in group] == [s in (2, 5) for s in range(8)]


def test_a_group_with_one_valid_member_is_an_error() -> None:
    run = textgym.rollout(unequal, sometimes(PolicyError("gone"), every=2), num_examples=3, group_size=2)
    assert len(run.errors) == 6
    error = run[0].error
    assert error is not None
    assert (error.boundary, run[0].reward) == (Boundary.REWARD, None)
    assert "only 1 of the group is valid" in error.message


def test_a_bare_episode_refuses_group_functions() -> None:
    with pytest.raises(ConfigError, match="above_mean.*textgym.rollout"):
        unequal().reset(seed=0)


def test_compared_groups_are_resumed_whole(tmp_path: Path) -> None:
    def policy(request: CompletionRequest) -> str:
        return "x" * (1 + request.sample)

    arguments: dict[str, Any] = {"num_examples": 5, "group_size": 3, "out": tmp_path / "run"}
    whole = textgym.rollout(unequal, textgym.ScriptedPolicy(policy), **arguments)
    path = tmp_path / "run" / "episodes.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:8]))
    asked: list[int] = []

    def counting(request: CompletionRequest) -> str:
        asked.append(request.sample)
        return policy(request)

    resumed = textgym.rollout(unequal, textgym.ScriptedPolicy(counting), resume=True, **arguments)
    assert sorted(asked) == sorted([0, 1, 2] * 3)  # two whole groups were kept
    assert [t.reward for t in resumed] == [t.reward for t in whole]
    assert [t.reward for t in textgym.Run.load(tmp_path / "run")] == [t.reward for t in whole]


def test_an_episode_is_as_old_as_its_first_turn() -> None:
    class Learning:
        """A policy whose weights change between turns."""

        name = "learning"

        async def complete(self, request: CompletionRequest) -> Completion:
            return Completion(text="no", policy_version=request.turn + 4)

    run = textgym.rollout("textgym/GuessNumber-v0", Learning(), num_examples=1, env_kwargs={"max_turns": 3})
    assert len(run[0].steps) == 3
    assert run[0].policy_version == 4
