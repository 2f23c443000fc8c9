"""What breaks inside one episode stays inside it; what breaks a run says so and keeps what is done."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import textgym
from textgym import Completion, CompletionRequest, Limits, MultiTurnEnv, Rubric, SingleTurnEnv
from textgym.errors import ConfigError, PolicyError, RunAborted, RunError, RunMismatch
from textgym.rewards import group_reward
from textgym.rollouts import Boundary
from textgym.testing import FaultyEnv

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


def qa(**kwargs: Any) -> SingleTurnEnv:
    return SingleTurnEnv(ROWS, **kwargs)


def broken_in_one(kind: type[SingleTurnEnv], **kwargs: Any) -> textgym.Run:
    run = textgym.rollout(lambda: kind(ROWS), lambda obs: "2", **kwargs)
    assert len(run) == 8
    return run


def test_quick_failures_do_not_outrun_what_goes_well() -> None:
    async def policy(request: CompletionRequest) -> str:
        if int(request.group.split(":")[1]) % 16 == 5:
            raise PolicyError("rejected", status=400)
        await asyncio.sleep(0.05)
        return "x"

    run = textgym.rollout("textgym/Echo-v0", textgym.ScriptedPolicy(policy), num_examples=320)
    assert (len(run), len(run.errors)) == (320, 20)


def test_one_bad_group_does_not_stop_the_others() -> None:
    def policy(request: CompletionRequest) -> str:
        if request.group.endswith(":0"):
            raise PolicyError("rejected", status=400)
        return "x"

    run = textgym.rollout(
        "textgym/Echo-v0", textgym.ScriptedPolicy(policy), num_examples=10, group_size=8, max_concurrency=4
    )
    assert len(run.errors) == 8


def test_a_run_that_is_over_is_returned_even_if_all_failed() -> None:
    def gone(request: CompletionRequest) -> str:
        raise PolicyError("gone")

    assert len(textgym.rollout(qa, textgym.ScriptedPolicy(gone), num_examples=2).errors) == 2


def test_success_that_raises_is_an_error_of_its_episode() -> None:
    class Odd(SingleTurnEnv):
        def success(self, trajectory: Any) -> bool:
            if trajectory.answer == "6":
                raise KeyError("odd")
            return True

    run = broken_in_one(Odd)
    assert [t.error.type for t in run if t.error is not None] == ["KeyError"]
    assert run.errors[0].reward is None


def test_a_coroutine_success_is_refused() -> None:
    class Odd(SingleTurnEnv):
        async def success(self, trajectory: Any) -> bool:  # type: ignore[override]
            return True

    assert "plain method" in str(broken_in_one(Odd)[0].error)


def test_close_that_raises_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(SingleTurnEnv):
        def close(self) -> None:
            raise OSError("disk")

    assert broken_in_one(Odd).errors == []
    assert "closing" in caplog.text


def test_a_cancelled_task_inside_a_hook_is_no_cancelled_run() -> None:
    async def cancelled(observation: str) -> str:
        task = asyncio.ensure_future(asyncio.sleep(9))
        task.cancel()
        await task
        return "never"

    def policy(request: CompletionRequest) -> Any:
        return cancelled("") if request.group.endswith(":3") else "x"

    run = textgym.rollout(qa, textgym.ScriptedPolicy(policy))
    assert [t.error.type for t in run if t.error is not None] == ["CancelledError"]


def test_odd_values_in_messages_do_not_cost_the_episode(tmp_path: Path) -> None:
    class Odd(MultiTurnEnv):
        def env_response(self, messages: Any, state: Any) -> Any:
            extra = {"score": np.float32(0.5), "raw": b"\xff", "thing": object(), "count": np.int64(3)}
            return {"role": "user", "content": "again", **extra}

        def is_completed(self, messages: Any, state: Any) -> bool:
            return self.turns == 2

    run = textgym.rollout(lambda: Odd(ROWS), lambda obs: "x", out=tmp_path / "run")
    loaded = textgym.Run.load(tmp_path / "run")
    assert len(loaded) == 8
    assert run.errors == []
    assert loaded[0].messages[2]["score"] == 0.5
    assert loaded[0].messages[2]["raw"] == r"b'\xff'"


class Foreign(gym.Env[str, str]):
    observation_space = textgym.Unicode()
    action_space = textgym.Unicode()

    def __init__(self, **info: Any) -> None:
        self.info = info

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        return "Say something.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", 1.0, True, False, self.info


@pytest.mark.parametrize("info", [{"messages": "abc"}, {"messages": [object()]}, {"metrics": {"a": np.nan}}])
def test_what_foreign_infos_hold_wrongly_is_an_error_of_the_episode(info: dict[str, Any]) -> None:
    run = textgym.rollout(lambda: Foreign(**info), lambda obs: "x", num_examples=2)
    assert [(t.error.boundary, t.error.type) for t in run if t.error] == [(Boundary.ENV, "EnvError")] * 2


def test_a_foreign_stop_reason_is_no_error() -> None:
    (trajectory,) = textgym.rollout(
        lambda: Foreign(stop_reason="won the game"), lambda obs: "x", num_examples=1
    )
    assert (trajectory.reward, trajectory.stop_reason) == (1.0, "completed")


@pytest.mark.parametrize(
    "completion",
    [
        Completion(text="x", token_ids=[1], prompt_token_ids=[0], logprobs=[float("nan")]),
        Completion(text="x", token_ids=[1], prompt_token_ids=[0], logprobs=[0.5]),
        Completion(text="x", token_ids=[1, 2], prompt_token_ids=[0], logprobs=[-0.5]),
        Completion(text="x", finish_reason="weird"),  # type: ignore[arg-type]
        Completion(text=None),  # type: ignore[arg-type]
    ],
)
def test_a_policys_bad_completion_is_its_own_error(completion: Completion) -> None:
    (trajectory,) = textgym.rollout(qa, textgym.ScriptedPolicy([completion]), num_examples=1)
    assert trajectory.error is not None
    assert (trajectory.error.boundary, trajectory.error.type) == (Boundary.POLICY, "PolicyError")


def test_a_policy_object_may_return_text() -> None:
    class Plain:
        async def complete(self, request: CompletionRequest) -> Any:
            request.messages.clear()  # the conversation is not its to change
            return "2"

    (trajectory,) = textgym.rollout(qa, Plain(), num_examples=1)
    assert [m["role"] for m in trajectory.messages] == ["user", "assistant"]


def test_an_environment_that_cannot_be_made_keeps_what_is_done() -> None:
    made = []

    def make() -> gym.Env[str, str]:
        made.append(1)
        if len(made) > 2:
            raise ConnectionError("no more")
        return gym.make("textgym/Echo-v0")

    async def policy(observation: str) -> str:
        await asyncio.sleep(0.01)
        return "x"

    with pytest.raises(RunAborted, match="could not be made: ConnectionError") as caught:
        textgym.rollout(make, policy, num_examples=8, max_concurrency=4)
    assert isinstance(caught.value.run, textgym.Run)


def test_a_hook_that_hangs_is_bounded_by_the_limit_on_seconds() -> None:
    class Hangs(MultiTurnEnv):
        async def env_response(self, messages: Any, state: Any) -> str:
            await asyncio.sleep(60)
            return "late"

    began = time.monotonic()
    run = textgym.rollout(lambda: Hangs(ROWS), lambda obs: "x", num_examples=2, limits=Limits(seconds=0.3))
    assert time.monotonic() - began < 5
    assert [t.error.boundary for t in run if t.error] == [Boundary.ENV] * 2
    assert "limits.seconds=0.3" in str(run[0].error)
    with pytest.raises(ConfigError, match="seconds is nan"):
        Limits(seconds=float("nan"))


@pytest.mark.parametrize(
    "fault", ["reset-raises", "reset-type", "step-raises", "step-type", "bad-observation"]
)
def test_faulty_environments_are_errors_of_the_episode(fault: str) -> None:
    run = textgym.rollout(FaultyEnv, lambda obs: "x", num_examples=3, env_kwargs={"fault": fault})
    assert [t.error.boundary for t in run if t.error] == [Boundary.ENV] * 3


def test_solved_is_said_only_where_it_is_known() -> None:
    def right(completion: str, answer: str) -> bool:
        return completion == answer

    def shaped(completion: str) -> float:
        return 1.0

    def solved(weights: list[float] | None, answer: str, **kwargs: Any) -> tuple[float, bool | None]:
        env = SingleTurnEnv(ROWS, Rubric([right, shaped], weights), **kwargs)
        (trajectory,) = textgym.rollout(env, lambda obs: answer, num_examples=1, options={"index": 1})
        assert trajectory.reward is not None
        return trajectory.reward, trajectory.success

    assert solved(None, "wrong") == (1.0, False)
    assert solved(None, "2") == (2.0, True)
    assert solved([0.7, 0.2], "2") == (pytest.approx(0.9), True)
    assert solved([0.9, 0.1], "wrong", success_threshold=0.1) == (pytest.approx(0.1), True)
    assert solved(None, "wrong", reward_bounds=(0, 1)) == (1.0, True)

    class Paid(MultiTurnEnv):
        def turn_reward(self, messages: Any, state: Any) -> float:
            return 1.0

        def env_response(self, messages: Any, state: Any) -> str:
            return "on"

    run = textgym.rollout(lambda: Paid(ROWS, max_turns=3), lambda obs: "x", num_examples=1)
    assert (run[0].reward, run[0].success) == (3.0, None)
    assert SingleTurnEnv(ROWS, Rubric([shaped], [-2.0])).reward_bounds == (-2.0, 0.0)
    with pytest.raises(ConfigError, match="lower one first"):
        SingleTurnEnv(ROWS, reward_bounds=(1, 0))


def test_resume_refuses_other_data_and_other_questions_to_the_server(tmp_path: Path) -> None:
    other = [{"prompt": "other?", "answer": "x"}, *ROWS[1:]]
    textgym.rollout(qa, textgym.OraclePolicy(), num_examples=4, out=tmp_path / "a")
    with pytest.raises(RunMismatch, match="data"):
        textgym.rollout(
            lambda: SingleTurnEnv(other),
            textgym.OraclePolicy(),
            num_examples=4,
            out=tmp_path / "a",
            resume=True,
        )
    (tmp_path / "a" / "run.json").unlink()
    with pytest.raises(RunError, match=r"no run\.json"):
        textgym.rollout(qa, textgym.OraclePolicy(), num_examples=4, out=tmp_path / "a", resume=True)


def test_a_run_is_resumed_longer_and_with_objects_as_arguments(tmp_path: Path) -> None:
    def marked(completion: str) -> float:
        return 1.0

    def play(n: int, resume: bool) -> textgym.Run:
        kwargs = {"dataset": ROWS, "rubric": Rubric([marked]), "odd": {("a", "tuple"): object()}}
        return textgym.rollout(
            lambda **given: SingleTurnEnv(given["dataset"], given["rubric"]),
            lambda obs: "x",
            num_examples=n,
            env_kwargs=kwargs,
            out=tmp_path / "a",
            resume=resume,
        )

    assert len(play(3, False)) == 3
    assert len(play(6, True)) == 6
    assert len((tmp_path / "a" / "episodes.jsonl").read_bytes().splitlines()) == 6


def test_large_arguments_are_stored_once(tmp_path: Path) -> None:
    rows = [{"prompt": f"{'x' * 300} {n}", "answer": "y"} for n in range(3000)]
    began = time.process_time()
    run = textgym.rollout(
        lambda rows: SingleTurnEnv(rows), lambda obs: "y", num_examples=300, env_kwargs={"rows": rows},
        out=tmp_path / "a",
    )  # fmt: skip
    assert time.process_time() - began < 5
    assert (tmp_path / "a" / "episodes.jsonl").stat().st_size < 1_000_000
    assert textgym.Run.load(tmp_path / "a")[0].env_kwargs == run[0].env_kwargs


def test_group_functions_need_groups() -> None:
    @group_reward
    def compare(completions: list[str]) -> list[float]:
        return [0.0 for _ in completions]

    with pytest.raises(ConfigError, match="group_size=2"):
        textgym.rollout(lambda: SingleTurnEnv(ROWS, Rubric([compare])), lambda obs: "x")


def test_blocking_environments_run_together_in_arollout() -> None:
    class Slow(Foreign):
        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            stepping.append(1)
            most.append(len(stepping))
            time.sleep(0.2)
            stepping.pop()
            return super().step(action)

    async def main() -> int:
        return sum([len(group) async for group in textgym.arollout(Slow, lambda obs: "x", num_examples=64)])

    stepping: list[int] = []
    most: list[int] = []
    assert asyncio.run(main()) == 64
    assert max(most) > 32  # more than asyncio's own threads ever are


def test_rows_are_read_for_a_digest_only_where_a_run_is_stored(tmp_path: Path) -> None:
    class Counting(SingleTurnEnv):
        def fingerprint(self) -> str | None:
            asked.append(1)
            return super().fingerprint()

    asked: list[int] = []
    textgym.rollout(lambda: Counting(ROWS), lambda obs: "x")
    assert asked == []
    run = textgym.rollout(lambda: Counting(ROWS), lambda obs: "x", out=tmp_path / "run")
    assert asked == [1]
    assert textgym.Run.load(tmp_path / "run").config == run.config


NOTEBOOK = """
import asyncio, signal, threading, time, textgym
calls = []

async def policy(observation):
    calls.append(1)
    await asyncio.sleep(0.05)
    return "x"

async def cell():
    threading.Timer(0.6, lambda: signal.raise_signal(signal.SIGINT)).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    textgym.rollout("textgym/Echo-v0", policy, num_examples=400, max_concurrency=2)

loop = asyncio.new_event_loop()
try:
    loop.run_until_complete(cell())
except KeyboardInterrupt:
    pass
before = len(calls)
time.sleep(0.5)
print(before < 100, len(calls) == before, [t.name for t in threading.enumerate() if "textgym" in t.name])
"""


def test_ctrl_c_in_a_notebook_ends_the_work() -> None:
    command = [sys.executable, "-c", textwrap.dedent(NOTEBOOK)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True True []", done.stderr


def test_seeds_and_counts_may_be_numpys() -> None:
    run = textgym.rollout(qa, textgym.OraclePolicy(), seed=np.arange(3), num_examples=np.int64(3))  # type: ignore[arg-type]
    assert json.dumps(run.config["seed"]) == "[0, 1, 2]"
    with pytest.raises(ConfigError, match="empty list"):
        textgym.rollout(qa, textgym.OraclePolicy(), seed=[])
