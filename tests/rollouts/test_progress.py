"""The running figures equal those of the finished run, and showing them cannot break a run."""

from __future__ import annotations

import io
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import textgym
from textgym.errors import ConfigError
from textgym.rollouts import Boundary, Failure, Run, Step, Trajectory
from textgym.rollouts.progress import Progress, Tally
from textgym.rollouts.statistics import clustered_mean
from textgym.types import Usage


def episode(
    group: int = 0,
    reward: float | None = 1.0,
    *,
    sample: int = 0,
    success: bool | None = None,
    tokens: int | None = None,
) -> Trajectory:
    failed = reward is None
    return Trajectory(
        env_id="x",
        group_id=group,
        sample=sample,
        reward=reward,
        success=None if failed else success,
        error=Failure(boundary=Boundary.ENV, type="E", message="m", turn=0) if failed else None,
        steps=[Step(observation="", action="", usage=Usage(completion_tokens=tokens))],
    )


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream whose reader went away."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


rewards = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 0.1]), st.floats(-1e3, 1e3))
members = st.tuples(st.integers(0, 5), rewards, st.booleans())


@given(st.lists(members, max_size=40))
def test_the_running_figures_are_those_of_the_run(rows: list[tuple[int, float | None, bool]]) -> None:
    trajectories = [
        episode(group, reward, sample=i, success=won) for i, (group, reward, won) in enumerate(rows)
    ]
    tally = Tally()
    for trajectory in trajectories:
        tally.add(trajectory)
    groups: dict[int, list[float]] = {}
    for group, reward, _ in rows:
        if reward is not None:
            groups.setdefault(group, []).append(reward)
    mean, error = clustered_mean(groups.values())
    assert tally.reward == pytest.approx(mean, nan_ok=True, abs=1e-9)
    assert tally.standard_error == pytest.approx(error, nan_ok=True, rel=1e-6, abs=1e-4)
    summary = Run(trajectories).summary()
    assert tally.errors == sum(summary.errors.values())
    assert tally.done == summary.episodes
    if summary.pass_at:
        assert tally.pass_at_1 == pytest.approx(summary.pass_at[0].value)
    else:
        assert tally.pass_at_1 is None


def test_equal_rewards_have_no_error_at_all() -> None:
    tally = Tally()
    for i in range(1000):
        tally.add(episode(i // 8, 0.1))
    assert tally.reward == pytest.approx(0.1)
    assert tally.standard_error == 0.0


def test_an_update_costs_the_same_however_long_the_run_is() -> None:
    tally = Tally()
    spent = []
    for chunk in range(20):
        trajectories = [episode((1000 * chunk + i) // 4, float(i % 3)) for i in range(1000)]
        began = time.perf_counter()
        for trajectory in trajectories:
            tally.add(trajectory)
            _ = tally.standard_error
        spent.append(time.perf_counter() - began)
    assert min(spent[-5:]) < 4 * min(spent[:5])


def test_a_line_is_written_at_intervals_and_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(4, stream, interval=5.0, clock=clock) as progress:
        progress(episode(0, 1.0, success=True, tokens=100))
        clock.now += 6
        progress(episode(1, 0.0, success=False, tokens=2000))
        clock.now += 1
        progress(episode(2, None))
        clock.now += 1
        progress(episode(3, 1.0, success=True))
    assert stream.getvalue().splitlines() == [
        "2/4 · reward 0.500 ± 0.500 · pass@1 0.500 · 0 errors · 2.1k tokens · 350 tok/s · ETA 0:06",
        "4/4 · reward 0.667 ± 0.333 · pass@1 0.667 · 1 error · 2.1k tokens · 262 tok/s · 0:08",
    ]


def test_without_a_valid_episode_there_is_no_mean() -> None:
    stream = io.StringIO()
    with Progress(1, stream, clock=Clock()) as progress:
        progress(episode(0, None))
    assert stream.getvalue() == "1/1 · 1 error · 0:00\n"


def test_episodes_of_an_earlier_session_enter_no_rate() -> None:
    clock = Clock()
    with Progress(10, io.StringIO(), clock=clock) as progress:
        clock.now += 10
        progress.restore(episode(i, 1.0, tokens=1_000_000) for i in range(8))
        progress(episode(8, 1.0, tokens=50))
        assert progress.line().endswith("8.0M tokens · 5 tok/s · ETA 0:10")
        assert progress.line().startswith("9/10 · reward 1.000 ± 0.000")


def test_nothing_is_written_after_close() -> None:
    stream = io.StringIO()
    progress = Progress(2, stream, interval=0.0)
    progress(episode())
    written = stream.getvalue()
    progress.close()
    progress.close()
    progress(episode())
    with progress:
        progress(episode())
    assert stream.getvalue() == written != ""


def test_a_reader_that_goes_away_does_not_break_the_run() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        with Progress(2, stream, interval=0.0) as progress:
            run = textgym.rollout(
                "textgym/Echo-v0", textgym.OraclePolicy(), num_examples=2, on_result=progress
            )
        assert len(run) == 2
        assert progress.tally.done == 2


def test_a_terminal_has_one_live_line_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress(2, stream) as progress:
        time.sleep(0.2)
        progress(episode(0))
        time.sleep(0.2)
    progress(episode(1))
    text = stream.getvalue()
    assert "0/2" in text
    assert "1/2 · reward 1.000" in text
    assert "2/2" not in text
    assert text.endswith("\x1b[2K")  # the line is erased, and nothing follows
    assert "\x1b[?25h" in text  # the cursor is back


def test_the_live_line_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(ZeroDivisionError), Progress(2, stream):
        raise ZeroDivisionError
    written = stream.getvalue()
    time.sleep(0.2)
    assert stream.getvalue() == written


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress(1, stream, clock=Clock()) as progress:
        progress(episode(0, 0.5))
    assert stream.getvalue() == "1/1 · reward 0.500 · 0 errors · 0:00\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "0:00"), (59.6, "1:00"), (3599.0, "59:59"), (3661.0, "1:01:01")]
)
def test_durations(seconds: float, shown: str) -> None:
    clock = Clock()
    progress: Any = Progress(1, io.StringIO(), clock=clock)
    clock.now += seconds
    assert progress.line() == f"0/1 · 0 errors · {shown}"


def test_a_negative_interval_is_refused() -> None:
    with pytest.raises(ConfigError, match="interval is -1"):
        Progress(1, interval=-1)
    with pytest.raises(ConfigError):
        Progress(1, interval=math.nan)
