"""``workers=K``: the same trajectories from several processes, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import Completion, CompletionRequest, Rubric, SingleTurnEnv, StopReason
from textgym.errors import AuthenticationFailed, ConfigError, PolicyError, RunAborted
from textgym.rewards import group_reward
from textgym.rollouts import Boundary, Scheduling
from textgym.testing import MockModelServer
from textgym.testing.toy_tokenizer import ToyTokenizer
from textgym.tokens import ChatTemplate

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(8)]


@group_reward
def above_mean(completions: list[str]) -> list[float]:
    mean = sum(map(len, completions)) / len(completions)
    return [float(len(text) > mean) for text in completions]


def qa(rows: Any = ROWS) -> SingleTurnEnv:
    return SingleTurnEnv(rows)


def compared() -> SingleTurnEnv:
    return SingleTurnEnv(ROWS, Rubric([above_mean]))


class Waiting:
    """Answers after a moment; the answer follows from the request alone."""

    name = "waiting"

    def __init__(self, seconds: float = 0.005) -> None:
        self.seconds = seconds

    async def complete(self, request: CompletionRequest) -> Completion:
        await asyncio.sleep(self.seconds)
        number = (request.seed or 0) % 100
        return Completion(
            text=f"<guess>{number}</guess>", token_ids=[number], prompt_token_ids=[1, 2], logprobs=[-0.5]
        )


class Killing(Waiting):
    """Kills its process in one episode, as long as a file says how often."""

    def __init__(self, path: Path, group: int) -> None:
        super().__init__(0.01)
        self.path, self.group = path, group

    async def complete(self, request: CompletionRequest) -> Completion:
        if request.group.endswith(f":{self.group}") and request.turn == 0:
            lives = int(self.path.read_text("ascii"))
            if lives:
                self.path.write_text(str(lives - 1), "ascii")
                os.kill(os.getpid(), signal.SIGKILL)
        return await super().complete(request)


class Refused(Waiting):
    async def complete(self, request: CompletionRequest) -> Completion:
        raise AuthenticationFailed("401 at http://x", status=401)


class SlowFirst(Waiting):
    async def complete(self, request: CompletionRequest) -> Completion:
        if request.group.endswith(":0") and request.sample == 1:
            await asyncio.sleep(60)
        return await super().complete(request)


class Failing(Waiting):
    async def complete(self, request: CompletionRequest) -> Completion:
        if request.sample == 1:
            raise PolicyError("gone")
        return await super().complete(request)


def essence(run: Any) -> list[Any]:
    records = [trajectory.to_dict() for trajectory in run]
    for record in records:
        del record["seconds"]
        for step in record["steps"]:
            del step["latency"]
    return records


@pytest.mark.parametrize(
    ("env", "more"),
    [
        ("textgym/GuessNumber-v0", {"num_examples": 12, "env_kwargs": {"max_turns": 3}}),
        (qa, {"env_kwargs": {"rows": ROWS[:5]}}),
        (compared, {"num_examples": 6}),
    ],
)
def test_several_processes_give_the_same_trajectories(env: Any, more: dict[str, Any]) -> None:
    alone = textgym.rollout(env, Waiting(0), group_size=3, seed=4, **more)
    together = textgym.rollout(env, Waiting(), group_size=3, seed=4, workers=2, max_concurrency=8, **more)
    assert essence(together) == essence(alone)
    assert together.config == alone.config


def test_results_stream_back_and_are_stored_here(tmp_path: Path) -> None:
    seen: list[int] = []

    async def main() -> int:
        count = 0
        async for group in textgym.arollout(
            qa, Waiting(), num_examples=8, group_size=2, workers=2, out=tmp_path / "run",
            on_result=lambda t: seen.append(os.getpid()), scheduling=Scheduling(extra_members=1),
        ):  # fmt: skip
            assert len(group) == 2
            count += 1
        return count

    assert asyncio.run(main()) == 8
    assert seen == [os.getpid()] * 16
    assert len(textgym.Run.load(tmp_path / "run")) == 16


def test_a_killed_process_is_replaced_and_nothing_is_lost(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.write_text("1", "ascii")
    alone = textgym.rollout(qa, Waiting(0), num_examples=8, group_size=2)
    run = textgym.rollout(
        qa,
        Killing(lives, 3),
        num_examples=8,
        group_size=2,
        workers=2,
        max_concurrency=4,
        out=tmp_path / "run",
    )
    assert lives.read_text("ascii") == "0"
    assert essence(run) == essence(alone)
    lines = (tmp_path / "run" / "episodes.jsonl").read_bytes().splitlines()
    assert len(lines) == 16  # what was finished was kept and not played again


@pytest.mark.parametrize("max_concurrency", [2, 16])
def test_a_group_that_keeps_killing_becomes_errors_and_no_other(tmp_path: Path, max_concurrency: int) -> None:
    lives = tmp_path / "lives"
    lives.write_text("99", "ascii")
    policy = Killing(lives, 0)
    policy.seconds = 0.05
    before = threading.active_count()
    run = textgym.rollout(
        qa, policy, num_examples=6, group_size=2, workers=2, max_concurrency=max_concurrency
    )
    assert threading.active_count() == before
    assert len(run) == 12
    assert lives.read_text("ascii") == "96"
    failed = [t for t in run if t.error is not None]
    assert [t.group_id for t in failed] == [0, 0]
    for trajectory in failed:
        assert trajectory.error is not None
        assert (trajectory.error.boundary, trajectory.error.type) == (Boundary.ENV, "WorkerDied")
        assert trajectory.stop_reason is StopReason.ERROR


class KilledAtStart(Waiting):
    """Kills the first processes that unpickle it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        lives = int(self.path.read_text("ascii"))
        if lives:
            self.path.write_text(str(lives - 1), "ascii")
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_while_it_starts_is_replaced(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.write_text("1", "ascii")
    run = textgym.rollout(qa, KilledAtStart(lives), num_examples=4, workers=2)
    assert (len(run), run.errors) == (4, [])
    lives.write_text("99", "ascii")
    with pytest.raises(RunAborted, match=r"ended before it could begin \(exit code -9\)"):
        textgym.rollout(qa, KilledAtStart(lives), num_examples=4, workers=2)


class Forking(Killing):
    """Leaves a child behind that holds what it has inherited."""

    async def complete(self, request: CompletionRequest) -> Completion:
        if self.path.read_text("ascii") != "0" and request.group.endswith(f":{self.group}"):
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
            child.start()
            self.path.with_name("child").write_text(str(child.pid), "ascii")
        return await super().complete(request)


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_child_of_a_killed_process_does_not_hide_its_end(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.write_text("1", "ascii")
    try:
        run = textgym.rollout(qa, Forking(lives, 1), num_examples=4, workers=2)
    finally:
        os.kill(int((tmp_path / "child").read_text("ascii")), signal.SIGKILL)
    assert (len(run), run.errors) == (4, [])


class Odd(gym.Env[str, str]):
    """Tells of things that cannot be sent, or that the other side cannot read."""

    observation_space = textgym.Unicode()
    action_space = textgym.Unicode()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.readable = (options or {})["readable"]
        return "?", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        thing: Any = threading.Lock()
        if not self.readable:
            module: Any = sys.modules.setdefault("only_here", types.ModuleType("only_here"))
            # One for all episodes, or those of others would no longer pickle.
            if not hasattr(module, "Thing"):
                module.Thing = type("Thing", (), {"__module__": "only_here"})
            thing = module.Thing()
        return "", 1.0, True, False, {"messages": [{"role": "user", "content": "on", "odd": thing}]}


def test_odd_values_in_messages_do_not_cost_the_run() -> None:
    run = textgym.rollout(Odd, Waiting(), num_examples=3, workers=2, options={"readable": True})
    assert run.errors == []
    assert "lock" in run[0].messages[-1]["odd"]  # type: ignore[typeddict-item]
    run = textgym.rollout(Odd, Waiting(), num_examples=3, workers=2, options={"readable": False})
    assert [t.error is not None for t in run] == [True] * 3
    assert "cannot be read here: ModuleNotFoundError" in str(run[0].error)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_begun_of_groups_that_are_not_needed_is_counted(workers: int) -> None:
    run = textgym.rollout(
        qa, SlowFirst(), num_examples=3, group_size=2, max_concurrency=4, workers=workers,
        scheduling=Scheduling(extra_groups=4),
    )  # fmt: skip
    assert len([group for group in run.groups if None not in group.rewards]) >= 3
    assert 0 not in [group.id for group in run.groups]
    assert run.left_out["cancelled"] >= 2  # of the first group alone


def test_errors_of_the_run_come_back(tmp_path: Path) -> None:
    with pytest.raises(RunAborted, match="401 at http://x"):
        textgym.rollout(qa, Refused(), num_examples=8, workers=2)
    with pytest.raises(RunAborted, match="gone") as caught:
        textgym.rollout(qa, Failing(), num_examples=4, group_size=2, workers=2, on_error="raise")
    assert isinstance(caught.value.run, textgym.Run)
    run = textgym.rollout(qa, Failing(), num_examples=4, group_size=2, workers=2)
    assert [t.error is not None for t in run] == [False, True] * 4


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(
        ConfigError, match="policy is .*lambda.*top level of a module, or play with workers=1"
    ):
        textgym.rollout(qa, lambda obs: "x", num_examples=4, workers=2)
    with pytest.raises(ConfigError, match="env is .*cannot be sent"):
        textgym.rollout(lambda: SingleTurnEnv(ROWS), Waiting(), num_examples=4, workers=2)
    with pytest.raises(ConfigError, match="env_kwargs is .*cannot be sent"):
        textgym.rollout(qa, Waiting(), num_examples=4, workers=2, env_kwargs={"rows": (r for r in ROWS)})
    with pytest.raises(ConfigError, match="workers is 0"):
        textgym.rollout(qa, Waiting(), num_examples=4, workers=0)


def test_a_model_server_is_asked_by_all_processes() -> None:
    with MockModelServer(answer="4", latency=0.01) as server:
        policy = textgym.OpenAIPolicy("mock", base_url=server.base_url)
        run = textgym.rollout(qa, policy, num_examples=16, group_size=2, workers=2, max_concurrency=16)
        assert run.errors == []
        assert server.counters["chat"] == 32
        assert server.peak_in_flight <= 16


SCRIPT = """
import asyncio, os, re, sys, time
import textgym

class Slow:
    name = "slow"
    async def complete(self, request):
        await asyncio.sleep(0.05 if request.group.endswith(":0") else 60)
        return textgym.Completion(text=str(os.getpid()))

class Stuck(Slow):
    async def complete(self, request):
        if request.group.endswith(":0"):
            return await super().complete(request)
        await asyncio.sleep(0.2)
        re.match("(a+)+$", "a" * 60 + "b")  # years, and never lets go of the interpreter's lock

if __name__ == "__main__":
    seen = []
    def show(trajectory):
        print(trajectory.completion, flush=True)
    try:
        policy = globals()[sys.argv[2]]()
        textgym.rollout("textgym/Echo-v0", policy, num_examples=8, workers=2, out=sys.argv[1], on_result=show)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("policy", "number"),
    [
        ("Slow", signal.SIGINT),
        ("Slow", signal.SIGKILL),
        ("Stuck", signal.SIGINT),
        pytest.param(
            "Stuck", signal.SIGKILL, marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl")
        ),
    ],
)
def test_no_process_outlives_the_run(tmp_path: Path, policy: str, number: signal.Signals) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), "utf-8")
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "run", policy],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert alive(worker)
    time.sleep(0.5 if policy == "Stuck" else 0)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
        assert process.stdout.read().strip() == "interrupted"
    else:
        process.kill()
    process.wait(30)
    process.stdout.close()
    until = time.monotonic() + 20
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(worker)
    if number == signal.SIGINT:
        assert len(textgym.Run.load(tmp_path / "run")) == 1


class Rendering(Waiting):
    """Continues the ids that it is given."""

    async def complete(self, request: CompletionRequest) -> Completion:
        assert request.prompt_ids is not None
        return Completion(text="4", token_ids=[52], prompt_token_ids=request.prompt_ids, logprobs=[-0.5])


class RenderingItself(Rendering):
    """The same, by a template of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.template = ChatTemplate(ToyTokenizer())


def test_prompts_are_rendered_in_every_process() -> None:
    arguments: dict[str, Any] = {"tokenizer": ToyTokenizer(), "limits": textgym.Limits(turns=1)}
    alone = textgym.rollout(qa, Rendering(), num_examples=4, **arguments)
    together = textgym.rollout(qa, Rendering(), num_examples=4, workers=2, **arguments)
    assert alone[0].tokens is not None
    assert essence(together) == essence(alone)


def test_prompts_are_rendered_in_every_process_by_the_policys_own_template() -> None:
    arguments: dict[str, Any] = {"limits": textgym.Limits(turns=1)}
    alone = textgym.rollout(qa, RenderingItself(), num_examples=4, **arguments)
    together = textgym.rollout(qa, RenderingItself(), num_examples=4, workers=2, **arguments)
    assert alone[0].tokens is not None
    assert essence(together) == essence(alone)
    assert [t.tokens for t in together] == [t.tokens for t in alone]
