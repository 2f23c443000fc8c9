"""Environments that block: what hangs costs its own episode and nobody else's."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import gymnasium as gym
import pytest

import textgym
from textgym import Limits, ScriptedPolicy
from textgym.rollouts import Scheduling


class Sticky(gym.Env[str, str]):
    """Some of its steps hang until they are let go; closing it needs what a step holds."""

    observation_space = textgym.Unicode()
    action_space = textgym.Unicode()
    release: threading.Event
    hang: int
    closed: list[bool]

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "?", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        with self.lock:
            self.inside = True
            if action == "hang":
                assert self.release.wait(60)
            self.inside = False
        return "", 1.0, True, False, {}

    def close(self) -> None:
        self.closed.append(self.inside)
        with self.lock:
            pass


def hanging(groups: int) -> ScriptedPolicy:
    return ScriptedPolicy(lambda request: "hang" if int(request.group.split(":")[1]) < groups else "x")


@pytest.fixture
def sticky() -> Any:
    class Fresh(Sticky):
        release = threading.Event()
        closed: list[bool] = []  # noqa: RUF012

    yield Fresh
    Fresh.release.set()


@pytest.mark.parametrize("hang", [1, 4])
def test_steps_that_hang_take_no_place_from_others(sticky: Any, hang: int) -> None:
    run = textgym.rollout(
        sticky, hanging(hang), num_examples=12, max_concurrency=4, limits=Limits(seconds=2.0)
    )
    assert [t.group_id for t in run.errors] == list(range(hang))
    assert "step was not done when limits.seconds=2" in str(run[0].error)


def test_nothing_is_closed_while_a_thread_is_inside(sticky: Any) -> None:
    textgym.rollout(sticky, hanging(1), num_examples=3, max_concurrency=1, limits=Limits(seconds=1.0))
    assert sticky.closed == [False]  # that of the others
    inside = [thread for thread in threading.enumerate() if thread.name == "textgym-env"]
    sticky.release.set()
    for thread in inside:
        thread.join(30)
    assert sticky.closed == [False, False]


def test_members_that_are_not_needed_are_closed_when_they_come_out(sticky: Any) -> None:
    policy = ScriptedPolicy(lambda request: "hang" if request.sample == 0 else "x")
    run = textgym.rollout(
        sticky, policy, num_examples=1, group_size=1, scheduling=Scheduling(extra_members=1)
    )
    assert (len(run), run.left_out) == (1, {"cancelled": 1})
    inside = [thread for thread in threading.enumerate() if thread.name == "textgym-env"]
    sticky.release.set()
    for thread in inside:
        thread.join(30)
    assert sticky.closed == [False, False]


def test_an_exhausted_iterator_is_an_error_of_its_episode() -> None:
    class Exhausted(Sticky):
        closed: list[bool] = []  # noqa: RUF012

        def step(self, action: str) -> Any:
            return next(iter(()))

    run = textgym.rollout(Exhausted, lambda obs: "x", num_examples=2)
    assert [t.error is not None for t in run] == [True, True]
    assert "StopIteration" in str(run[0].error)


PROGRAM = """
import threading, time
import gymnasium as gym
import textgym

class Hangs(gym.Env):
    observation_space = action_space = textgym.Unicode()
    def reset(self, *, seed=None, options=None):
        return "?", {}
    def step(self, action):
        time.sleep(3600)

run = textgym.rollout(Hangs, lambda obs: "x", num_examples=1, limits=textgym.Limits(seconds=0.2))
print(len(run.errors))
"""


def test_a_step_that_hangs_does_not_keep_the_program_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("1\n", 0)
