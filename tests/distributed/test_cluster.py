"""Rollouts over a real cluster of three nodes: equal to local ones, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import Completion, CompletionRequest, Rubric, SingleTurnEnv
from textgym.errors import AuthenticationFailed, ConfigError, ProviderUnreachable, RunAborted
from textgym.rewards import group_reward
from textgym.testing import MockModelServer, ToyTokenizer
from textgym.tokens import ChatTemplate

ray = pytest.importorskip("ray")
distributed = pytest.importorskip("textgym.distributed")
actors = pytest.importorskip("textgym.distributed.actors")
crew = pytest.importorskip("textgym.distributed.crew")

# Workers cannot import this file by name.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    # Older releases of Ray leave their own log files to the collector.
    pytest.mark.filterwarnings("ignore:unclosed file .*/session_:ResourceWarning"),
]

ROWS = [{"prompt": f"{n}+{n}?", "answer": str(2 * n)} for n in range(30)]


class Diary:
    """A policy that writes down where it plays what, waits a little and answers by what it was asked."""

    def __init__(
        self, path: Path, seconds: float = 0.0, trap: Callable[[CompletionRequest], Any] | None = None
    ):
        self.path = str(path)
        self.seconds = seconds
        self.trap = trap

    async def complete(self, request: CompletionRequest) -> Completion:
        group = int(request.group.split(":")[1])
        node = ray.get_runtime_context().get_node_id()
        line = f"{node} {os.getpid()} {group} {request.sample}\n"
        with open(self.path, "ab", buffering=0) as file:
            file.write(line.encode())
        if self.trap is not None:
            waits = self.trap(request)
            if waits is not None:
                await waits
        await asyncio.sleep(self.seconds)
        return answer(request)


def answer(request: CompletionRequest) -> Completion:
    """What every policy of these tests says, with exact tokens."""
    text = "x" * (1 + request.sample)
    ids = list(request.observation.encode())
    return Completion(
        text=text,
        prompt_token_ids=ids,
        token_ids=[7] * len(text),
        logprobs=[-0.1 / 3 * i for i in range(len(text))],
    )


def begun(path: Path) -> Counter[tuple[int, int]]:
    """How often each episode was begun."""
    rows = [line.split() for line in path.read_text().splitlines()]
    return Counter((int(group), int(sample)) for _, _, group, sample in rows)


def most_held(capacity: int) -> int:
    """Most episodes that a worker holds: what it plays, as many to play next, and the rest of a group of two."""
    return 2 * capacity + 1


def pids(path: Path) -> set[int]:
    return {int(line.split()[1]) for line in path.read_text().splitlines()}


def qa() -> SingleTurnEnv:
    return SingleTurnEnv(ROWS)


def compared() -> SingleTurnEnv:
    @group_reward
    def rank(completions: list[str]) -> list[float]:
        return [float(sum(len(other) < len(text) for other in completions)) for text in completions]

    return SingleTurnEnv(ROWS, rubric=Rubric([rank]))


def plain(run: Any) -> list[dict[str, Any]]:
    """Everything but times."""
    records = []
    for trajectory in run:
        record = trajectory.to_dict()
        del record["seconds"]
        for step in record["steps"]:
            del step["latency"]
        records.append(record)
    return records


def local(env: Any, **arguments: Any) -> textgym.Run:
    return textgym.rollout(env, textgym.ScriptedPolicy(answer), **arguments)


def named(policy: Any) -> Any:
    policy.name = textgym.ScriptedPolicy(answer).name
    return policy


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; pytest's own timeout ends what never does."""
    while not condition():
        time.sleep(0.05)


# The same run.


@pytest.mark.parametrize("env", [qa, compared], ids=["plain", "compared"])
def test_a_run_equals_the_local_one(env: Any) -> None:
    there = distributed.rollout(env, textgym.ScriptedPolicy(answer), num_examples=20, group_size=3, seed=5)
    here = local(env, num_examples=20, group_size=3, seed=5)
    assert plain(there) == plain(here)
    assert there.config == here.config
    for one, other in zip(there, here, strict=True):
        assert one.tokens == other.tokens
        assert one.tokens.logprobs.tobytes() == other.tokens.logprobs.tobytes()


def test_ids_arguments_and_servers_cross() -> None:
    with MockModelServer.spawn(answer="<answer>7</answer>") as server:
        policy = textgym.OpenAIPolicy("m", base_url=server.base_url)
        arguments: dict[str, Any] = {"num_examples": 6, "env_kwargs": {"difficulty": 1}, "group_size": 2}
        there = distributed.rollout("textgym/Math-v0", policy, **arguments)
        here = textgym.rollout("textgym/Math-v0", policy, **arguments)
    assert plain(there) == plain(here)
    assert there[0].env_kwargs == {"difficulty": 1}


class Words:
    """A policy that renders by a template of its own."""

    name = "words"

    def __init__(self) -> None:
        self.template = ChatTemplate(ToyTokenizer())

    async def complete(self, request: CompletionRequest) -> Completion:
        assert request.prompt_ids is not None  # rendered by the engine
        text = f"<guess>{request.sample + 3 * len(request.messages)}</guess>"
        ids = [*text.encode(), ToyTokenizer.eos_token_id]
        return Completion(
            text=text, prompt_token_ids=request.prompt_ids, token_ids=ids, logprobs=[-0.1] * len(ids)
        )


def test_prompts_are_rendered_by_the_policys_own_template() -> None:
    arguments: dict[str, Any] = {"num_examples": 3, "group_size": 2, "limits": textgym.Limits(turns=3)}
    there = distributed.rollout("textgym/GuessNumber-v0", Words(), **arguments)
    here = textgym.rollout("textgym/GuessNumber-v0", Words(), **arguments)
    assert plain(there) == plain(here)
    assert there.config == here.config
    assert max(len(t.steps) for t in here) > 1
    for one, other in zip(there, here, strict=True):
        assert one.tokens == other.tokens
        assert one.tokens.mask.tolist() == other.tokens.mask.tolist()
        assert 0 < sum(one.tokens.mask) < len(one.tokens.mask)


@pytest.mark.filterwarnings("ignore:.*latest versioned environment")
@pytest.mark.parametrize("name", ["textgym:textgym/Echo-v0", "textgym/Echo"])
def test_ids_with_a_module_and_without_a_version_cross(name: str) -> None:
    there = distributed.rollout(name, textgym.ScriptedPolicy(answer), num_examples=2)
    assert plain(there) == plain(local(name, num_examples=2))


def test_ids_that_only_the_driver_has_registered_cross() -> None:
    gym.register("Driver/Sums-v0", entry_point=qa)
    try:
        there = distributed.rollout("Driver/Sums-v0", textgym.ScriptedPolicy(answer), num_examples=2)
        assert plain(there) == plain(local("Driver/Sums-v0", num_examples=2))
    finally:
        del gym.registry["Driver/Sums-v0"]


def test_groups_stream_out_as_they_finish(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def closed() -> None:
        while not gate.exists():
            await asyncio.sleep(0.01)

    def trap(request: CompletionRequest) -> Any:
        return closed() if request.group.endswith(":0") else None

    async def play() -> list[int]:
        order = []
        policy = Diary(tmp_path / "diary", trap=trap)
        async for group in distributed.arollout(qa, policy, num_examples=12, group_size=2, max_concurrency=6):
            order.append(group.id)
            if len(order) == 11:
                gate.touch()  # the last group can only end after all others have arrived
        return order

    assert asyncio.run(play())[-1] == 0


def test_a_slow_worker_holds_up_nobody(tmp_path: Path) -> None:
    """One worker stops in the middle; the others play all that it has not begun."""
    gate, slow = tmp_path / "gate", tmp_path / "slow"

    async def closed() -> None:
        while not gate.exists():
            await asyncio.sleep(0.01)

    def trap(request: CompletionRequest) -> Any:
        number = int(request.group.split(":")[1])
        if number == 6:
            slow.write_text(str(os.getpid()))
        if slow.exists() and slow.read_text() == str(os.getpid()):
            return closed()
        return None

    arrived: list[Any] = []

    def on_result(trajectory: Any) -> None:
        arrived.append(trajectory)
        if len(arrived) == 28:  # all but the two that the slow one has begun
            gate.touch()

    run = distributed.rollout(
        qa, Diary(tmp_path / "diary", 0.01, trap), num_examples=30, max_concurrency=4, on_result=on_result
    )
    assert (len(run), len(run.errors)) == (30, 0)


# What dies.


def test_a_killed_node_costs_only_what_it_held(cluster: Any, tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    capacity = 4
    delivered: set[tuple[int, int]] = set()

    async def play() -> None:
        policy = Diary(diary, 0.05)
        killer = None
        async for group in distributed.arollout(
            qa, policy, num_examples=30, group_size=2, max_concurrency=2 * capacity, out=tmp_path / "run"
        ):
            if killer is None and group.id >= 4:
                delivered.update((t.group_id, t.sample) for t in group)
                names = {line.split()[0] for line in diary.read_text().splitlines()}
                node = next(node for node in cluster.worker_nodes if node.node_id in names)
                killer = asyncio.create_task(
                    asyncio.to_thread(cluster.remove_node, node, allow_graceful=False)
                )
        assert killer is not None
        await killer

    try:
        asyncio.run(play())
    finally:
        cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    run = textgym.Run.load(tmp_path / "run")
    expected = plain(local(qa, num_examples=30, group_size=2))
    assert [{**r, "policy": ""} for r in plain(run)] == [{**r, "policy": ""} for r in expected]
    times = begun(diary)
    repeated = sum(times.values()) - 60
    assert all(times[key] == 1 for key in delivered)
    assert 0 <= repeated <= most_held(capacity)
    lines = (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == 60


@pytest.mark.parametrize("another", [True, False], ids=["replaced", "lost"])
def test_the_only_node_that_can_hold_workers_is_killed(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    """A node that joins is played on; without one, the run ends instead of waiting for ever."""
    shape: dict[str, Any] = {"num_cpus": 1, "resources": {"laser": 1}, "object_store_memory": 80 * 2**20}
    nodes = [cluster.add_node(**shape)]
    arguments: dict[str, Any] = {"num_examples": 12, "max_concurrency": 2, "resources": {"laser": 1}}
    if not another:
        monkeypatch.setattr(crew, "WATCH_SECONDS", 1.0)

    gate, diary = tmp_path / "gate", tmp_path / "diary"

    async def opened() -> None:
        while not gate.exists():
            await asyncio.sleep(0.01)

    def trap(request: CompletionRequest) -> Any:
        return opened() if int(request.group.split(":")[1]) > 5 else None  # the first node ends none of these

    def on_result(trajectory: Any) -> None:
        if trajectory.group_id == 3:
            cluster.remove_node(nodes.pop(), allow_graceful=False)
            wait_until(lambda: all(map(gone, pids(diary))))
            if another:
                nodes.append(cluster.add_node(**shape))
                gate.touch()

    policy = named(Diary(diary, 0.0, trap))
    try:
        if another:
            run = distributed.rollout(qa, policy, on_result=on_result, **arguments)
            assert plain(run) == plain(local(qa, num_examples=12))
        else:
            with pytest.raises(RunAborted, match="no node is left .*laser=1") as caught:
                distributed.rollout(qa, policy, on_result=on_result, **arguments)
            assert {t.group_id for t in caught.value.run} <= set(range(6))
    finally:
        for node in nodes:
            cluster.remove_node(node)


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    once = tmp_path / "once"

    def trap(request: CompletionRequest) -> None:
        if request.group.endswith(":7") and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    diary = tmp_path / "diary"
    arguments: dict[str, Any] = {"num_examples": 20, "group_size": 2, "max_concurrency": 4}
    run = distributed.rollout(compared, named(Diary(diary, 0.01, trap)), num_workers=1, **arguments)
    assert plain(run) == plain(local(compared, **arguments))
    assert len(pids(diary)) == 2
    assert sum(begun(diary).values()) - 40 <= most_held(4)


def test_a_worker_that_dies_while_it_starts_is_replaced(tmp_path: Path) -> None:
    driver, once = os.getpid(), tmp_path / "once"

    class Frail(Diary):
        async def preflight(self) -> None:
            if os.getpid() != driver and not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)

    diary = tmp_path / "diary"
    run = distributed.rollout(qa, named(Frail(diary)), num_workers=1, num_examples=6)
    assert once.exists()
    assert plain(run) == plain(local(qa, num_examples=6))
    assert set(begun(diary).values()) == {1}


def test_a_worker_that_dies_while_the_driver_is_busy_is_replaced(tmp_path: Path) -> None:
    diary, arrived = tmp_path / "diary", []

    def on_result(trajectory: Any) -> None:
        arrived.append((trajectory.group_id, trajectory.sample))
        if len(arrived) == 5:
            [pid] = pids(diary)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: gone(pid))

    arguments: dict[str, Any] = {"num_examples": 20, "group_size": 2, "max_concurrency": 4}
    run = distributed.rollout(qa, named(Diary(diary, 0.01)), num_workers=1, on_result=on_result, **arguments)
    assert plain(run) == plain(local(qa, **arguments))
    assert sorted(arrived) == sorted(set(arrived))
    assert sum(begun(diary).values()) - 40 <= most_held(4)


def test_what_kills_every_worker_is_an_error_and_costs_nothing_else(tmp_path: Path) -> None:
    def trap(request: CompletionRequest) -> None:
        if request.group.endswith(":3"):
            os.kill(os.getpid(), signal.SIGKILL)

    run = distributed.rollout(qa, Diary(tmp_path / "diary", 0.0, trap), num_examples=10, max_concurrency=2)
    assert [t.group_id for t in run.errors] == [3]
    assert run[3].error is not None
    assert run[3].error.type == "WorkerDied"
    assert "3 times" in run[3].error.message
    assert len(run) == 10


DRIVER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_cluster as t
from textgym import distributed
seen = []
def on_result(trajectory):
    seen.append(trajectory)
    if len(seen) == 12:
        {deed}
try:
    distributed.rollout(t.qa, t.named(t.Diary(Path({diary!r}), 0.05)), num_examples=30, max_concurrency=4,
                        address={address!r}, out={out!r}, on_result=on_result)
except KeyboardInterrupt:
    sys.exit(77)
"""


TWO_AT_ONCE = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import ray
import test_cluster as t
from textgym.distributed import crew
crew.WATCH_SECONDS = 0.5
async def play(path, seconds, count):
    policy = t.Diary(Path(path), seconds)
    arguments = dict(num_examples=count, max_concurrency=1, num_workers=1, address={address!r})
    async for group in t.distributed.arollout(t.qa, policy, **arguments):
        {deed}
    return ray.is_initialized()
async def both():
    return await asyncio.gather(play({diary!r} + "short", 0, 2), play({diary!r} + "long", 0.2, 12))
try:
    said = asyncio.run(both())
except Exception as error:
    said = error
Path({out!r}).write_text(f"{{said!r}}, then {{ray.is_initialized()}}")  # Ray may print whatever it likes
"""


def drive(cluster: Any, tmp_path: Path, deed: str, script: str = DRIVER) -> subprocess.CompletedProcess[str]:
    code = script.format(
        here=str(Path(__file__).parent),
        diary=str(tmp_path / "diary"),
        address=cluster.address,
        out=str(tmp_path / "run"),
        deed=deed,
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)


def test_a_killed_driver_leaves_no_worker_and_a_run_to_resume(cluster: Any, tmp_path: Path) -> None:
    ended = drive(cluster, tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    diary = tmp_path / "diary"
    wait_until(lambda: all(map(gone, pids(diary))))
    stored = textgym.Run.load(tmp_path / "run")
    before = begun(diary)
    run = distributed.rollout(
        qa, named(Diary(diary)), num_examples=30, max_concurrency=4, out=tmp_path / "run", resume=True
    )
    assert plain(run) == plain(local(qa, num_examples=30))
    again = begun(diary) - before
    assert set(again) == {(n, 0) for n in range(30)} - {(t.group_id, t.sample) for t in stored}
    assert set(again.values()) == {1}


def test_ctrl_c_leaves_no_worker(cluster: Any, tmp_path: Path) -> None:
    ended = drive(cluster, tmp_path, "os.kill(os.getpid(), signal.SIGINT)")
    assert ended.returncode == 77, ended.stderr
    wait_until(lambda: all(map(gone, pids(tmp_path / "diary"))))
    assert 12 <= len(textgym.Run.load(tmp_path / "run")) < 30


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    from contextlib import aclosing

    async def play() -> None:
        policy = Diary(tmp_path / "diary", 0.05)
        async with aclosing(distributed.arollout(qa, policy, num_examples=30, max_concurrency=2)) as groups:
            async for _ in groups:
                break

    asyncio.run(play())
    wait_until(lambda: all(map(gone, pids(tmp_path / "diary"))))


def test_rollouts_at_the_same_time_share_a_connection(cluster: Any, tmp_path: Path) -> None:
    ended = drive(cluster, tmp_path, "pass", TWO_AT_ONCE)
    assert ended.returncode == 0, ended.stderr
    # The one that ends first leaves it to the other, which closes it.
    assert (tmp_path / "run").read_text() == "[True, False], then False"
    assert sum(begun(tmp_path / "diarylong").values()) == 12


def test_who_closes_the_connection_ends_the_rollout(cluster: Any, tmp_path: Path) -> None:
    """Nothing goes on, above all not on a cluster that Ray would start for it."""
    ended = drive(cluster, tmp_path, "ray.shutdown()", TWO_AT_ONCE)
    assert ended.returncode == 0, ended.stderr
    said = (tmp_path / "run").read_text()
    assert said.startswith("RunAborted('the connection to the Ray cluster was shut down")
    assert said.endswith(", then False")


# Errors.


def test_an_error_of_the_drivers_own_ends_the_workers(tmp_path: Path) -> None:
    def on_result(trajectory: Any) -> None:
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        distributed.rollout(
            qa, Diary(tmp_path / "diary"), num_examples=30, max_concurrency=4, on_result=on_result
        )
    wait_until(lambda: all(map(gone, pids(tmp_path / "diary"))))
    assert ray.is_initialized()


def test_a_worker_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Foreign(actors.Worker):
        pass

    module = ModuleType("only_here")
    module.Foreign = Foreign  # type: ignore[attr-defined]
    Foreign.__module__ = "only_here"
    monkeypatch.setitem(sys.modules, "only_here", module)
    Foreign.__qualname__ = "Foreign"
    monkeypatch.setattr(actors, "Worker", Foreign)
    with pytest.raises(RunAborted, match=r"a worker cannot be made: .*No module named 'only_here'"):
        distributed.rollout(qa, textgym.ScriptedPolicy(answer), num_examples=2)


def test_amounts_that_ray_refuses_are_named() -> None:
    with pytest.raises(ConfigError, match=r"resources is \{'num_cpus': 1e-06\}"):
        distributed.rollout(qa, textgym.ScriptedPolicy(answer), num_examples=2, resources={"num_cpus": 1e-6})


def test_a_refused_key_stops_the_run_and_keeps_what_is_done() -> None:
    def policy(request: CompletionRequest) -> Completion:
        if request.group.endswith(":9"):
            raise AuthenticationFailed("the key is refused", status=401)
        return answer(request)

    with pytest.raises(RunAborted, match="the key is refused") as caught:
        distributed.rollout(qa, textgym.ScriptedPolicy(policy), num_examples=30, max_concurrency=2)
    assert caught.value.run is not None
    assert all(t.error is None for t in caught.value.run)


def test_a_server_that_only_workers_miss_is_the_same_error(tmp_path: Path) -> None:
    driver = os.getpid()

    class Remote(Diary):
        async def preflight(self) -> None:
            if os.getpid() != driver:
                raise ProviderUnreachable("no server here")

    with pytest.raises(ProviderUnreachable, match="no server here"):
        distributed.rollout(qa, Remote(tmp_path / "diary"), num_examples=4)


def test_equal_failures_stop_the_run() -> None:
    def policy(request: CompletionRequest) -> Completion:
        raise KeyError("broken")

    with pytest.raises(RunAborted, match="all failed alike"):
        distributed.rollout(qa, textgym.ScriptedPolicy(policy), num_examples=30, max_concurrency=4)


def test_an_environment_that_workers_cannot_make_is_told(tmp_path: Path) -> None:
    driver = os.getpid()

    def here_only() -> SingleTurnEnv:
        if os.getpid() != driver:
            raise OSError("no such file there")
        return qa()

    with pytest.raises(RunAborted, match="OSError: no such file there"):
        distributed.rollout(here_only, textgym.ScriptedPolicy(answer), num_examples=4)


def test_workers_that_no_node_can_hold_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"no node .* the nodes have .*CPU 1"):
        distributed.rollout(
            qa, textgym.ScriptedPolicy(answer), num_examples=4, resources={"num_cpus": 1, "laser": 2}
        )


def test_threads_do_not_matter() -> None:
    """A rollout from a thread other than the main one, inside a running loop, as in a notebook."""
    runs: list[Any] = []

    async def cell() -> None:
        runs.append(distributed.rollout(qa, textgym.ScriptedPolicy(answer), num_examples=3))

    thread = threading.Thread(target=lambda: asyncio.run(cell()))
    thread.start()
    thread.join()
    assert plain(runs[0]) == plain(local(qa, num_examples=3))


def test_scheduling_is_that_of_the_local_engine(tmp_path: Path) -> None:
    """Second attempts, and groups that stop when they have enough."""

    def policy(request: CompletionRequest) -> Completion:
        if request.sample == 1:
            raise KeyError("never")
        return answer(request)

    scheduling = textgym.rollouts.Scheduling(retry_failed=1, extra_members=1)
    arguments: dict[str, Any] = {"num_examples": 6, "group_size": 2, "scheduling": scheduling}
    there = distributed.rollout(qa, textgym.ScriptedPolicy(policy), **arguments)
    assert [[t.sample for t in group if t.error is None] for group in there.groups] == [[0, 2]] * 6
    assert there.left_out["retried"] == 6
    more = textgym.rollouts.Scheduling(extra_groups=2)
    few = distributed.rollout(
        qa, textgym.ScriptedPolicy(answer), num_examples=6, group_size=2, scheduling=more
    )
    assert 6 <= len(few.groups) <= 8
