"""Progress: one line that says how a run is doing while it runs.

    with Progress(total=256) as progress:
        textgym.rollout(env, policy, num_examples=32, group_size=8, on_result=progress)

Invariants: an update costs the same however long the run is; the figures agree with those of
``Run.summary``: failed episodes are counted apart and enter no mean, and the standard error is clustered
by group; showing progress never breaks a run, not even when the terminal goes away. This module keeps no
trajectory and writes nothing after ``close``.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TextIO

from textgym.errors import ConfigError
from textgym.rollouts.trajectory import Trajectory

__all__ = ["Progress", "Tally"]

REFRESHES = 8
"""Most redraws a second on a terminal."""


@dataclass(slots=True)
class _Members:
    """Running sums of one group. Rewards are measured from the tally's origin."""

    count: int = 0
    total: float = 0.0
    judged: int = 0
    solved: int = 0


@dataclass(slots=True)
class Tally:
    """Running figures of a run, each updated in constant time.

    The clustered error of ``statistics.clustered_mean`` expands to sums over groups of ``S^2``, ``S n`` and
    ``n^2`` (S: sum of a group's rewards, n: its valid members), which an episode changes for its own group
    only. Rewards are taken relative to the first one, so that nearly equal rewards lose no digits.
    """

    done: int = 0
    """Finished episodes, failed ones included."""
    errors: int = 0
    """Failed episodes."""
    tokens: int = 0
    """Sampled tokens, as far as they are known."""
    _origin: float | None = None
    _groups: dict[int, _Members] = field(default_factory=dict)
    _valid: int = 0
    _total: float = 0.0
    _squares: float = 0.0
    _products: float = 0.0
    _counts: int = 0
    _clusters: int = 0
    _judged_groups: int = 0
    _solved_share: float = 0.0

    def add(self, trajectory: Trajectory) -> None:
        """Count one finished episode."""
        self.done += 1
        self.tokens += trajectory.usage.completion_tokens or 0
        if trajectory.error is not None:
            self.errors += 1
        elif trajectory.reward is not None:
            members = self._groups.setdefault(trajectory.group_id, _Members())
            self._reward(members, trajectory.reward)
            if trajectory.success is not None:
                self._success(members, trajectory.success)

    def _reward(self, members: _Members, reward: float) -> None:
        if self._origin is None:
            self._origin = reward
        reward -= self._origin
        count, total = members.count, members.total
        members.count, members.total = count + 1, total + reward
        self._clusters += not count
        self._valid += 1
        self._total += reward
        self._squares += members.total**2 - total**2
        self._products += members.total * (count + 1) - total * count
        self._counts += 2 * count + 1

    def _success(self, members: _Members, solved: bool) -> None:
        before = members.solved / members.judged if members.judged else 0.0
        self._judged_groups += not members.judged
        members.judged += 1
        members.solved += solved
        self._solved_share += members.solved / members.judged - before

    @property
    def reward(self) -> float:
        """Mean reward of the valid episodes, NaN without one."""
        return (self._origin or 0.0) + self._total / self._valid if self._valid else math.nan

    @property
    def standard_error(self) -> float:
        """Its standard error, clustered by group; NaN with fewer than two groups."""
        if self._clusters < 2:
            return math.nan
        mean = self._total / self._valid
        spread = max(self._squares - 2 * mean * self._products + mean * mean * self._counts, 0.0)
        return math.sqrt(spread * self._clusters / (self._clusters - 1)) / self._valid

    @property
    def pass_at_1(self) -> float | None:
        """Mean share of solved episodes over the groups, None where nobody knows success."""
        return self._solved_share / self._judged_groups if self._judged_groups else None


class Progress:
    """Shows how a run is doing; give it as ``on_result``.

    On a terminal one line is kept up to date, at most 8 times a second and also while nothing finishes.
    Elsewhere a line is written every ``interval`` seconds, when something has finished, and at the end.

    Args:
        total: Episodes that the run will have.
        stream: Where to write; None is standard error.
        interval: Seconds between two lines where there is no terminal, at least 0.
        live: Whether to keep one line up to date; None asks the stream.
        clock: Seconds from any origin, never going backwards.

    Raises:
        ConfigError: The interval is negative.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO | None = None,
        *,
        interval: float = 10.0,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not interval >= 0.0:
            raise ConfigError(f"interval is {interval!r}: it must be a number of seconds, at least 0")
        self.total = total
        self.tally = Tally()
        self._stream = sys.stderr if stream is None else stream
        self._interval = interval
        self._clock = clock
        self._began = self._shown_at = clock()
        self._before = Tally()
        self._closed = False
        self._display: Any = None
        self._live = _is_terminal(self._stream) if live is None else live

    def __call__(self, trajectory: Trajectory) -> None:
        """Count one finished episode and show it when it is time."""
        self.tally.add(trajectory)
        if self._closed or self._display is not None:
            return
        now = self._clock()
        last = self.tally.done >= self.total
        if last or now - self._shown_at >= self._interval:
            self._shown_at = now
            self._write(self.line() + "\n")

    def restore(self, trajectories: Iterable[Trajectory]) -> None:
        """Count episodes of an earlier session: they enter the figures, but no rate."""
        for trajectory in trajectories:
            self.tally.add(trajectory)
            self._before.done += 1
            self._before.tokens += trajectory.usage.completion_tokens or 0

    def line(self) -> str:
        """The figures as one line."""
        tally, seconds = self.tally, self._clock() - self._began
        parts = [f"{tally.done}/{self.total}"]
        if not math.isnan(tally.reward):
            spread = "" if math.isnan(tally.standard_error) else f" ± {tally.standard_error:.3f}"
            parts.append(f"reward {tally.reward:.3f}{spread}")
        if tally.pass_at_1 is not None:
            parts.append(f"pass@1 {tally.pass_at_1:.3f}")
        parts.append(f"{tally.errors} error{'' if tally.errors == 1 else 's'}")
        sampled = tally.tokens - self._before.tokens
        if tally.tokens:
            parts.append(f"{_short(tally.tokens)} tokens")
        if sampled and seconds > 0.0:
            parts.append(f"{_short(sampled / seconds)} tok/s")
        parts.append(self._time(seconds))
        return " · ".join(parts)

    def _time(self, seconds: float) -> str:
        played = self.tally.done - self._before.done
        left = self.total - self.tally.done
        if left <= 0 or not played:
            return _duration(seconds)
        return f"ETA {_duration(seconds / played * left)}"

    def close(self) -> None:
        """Stop showing; calling it twice is fine."""
        self._closed = True
        display, self._display = self._display, None
        if display is not None:
            try:
                display.stop()
            except (OSError, ValueError):
                pass

    def __enter__(self) -> Self:
        self._began = self._shown_at = self._clock()
        if self._live and not self._closed:
            self._display = _live_display(self._stream, self.line)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the reader went away or the stream is closed: play on
            self._closed = True


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # a closed file
        return False


def _live_display(stream: TextIO, line: Callable[[], str]) -> Any:
    """A running ``rich.live.Live`` that redraws the line; it vanishes when stopped."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    display = Live(
        console=Console(file=stream),
        get_renderable=lambda: Text(line(), no_wrap=True, overflow="ellipsis"),
        refresh_per_second=REFRESHES,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=stream is sys.stderr,
    )
    try:
        display.start()
    except (OSError, ValueError):
        return None
    return display


def _short(number: float) -> str:
    """Three digits or so: 950, 1.2k, 48.1k, 3.4M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def _duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
