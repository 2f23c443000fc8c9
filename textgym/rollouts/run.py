"""Run: the finished episodes of one rollout, in order, with their groups and their summary.

Invariant: trajectories are ordered by group and member, whatever the order in which they finished. A run is
plain data: it can be saved, loaded and compared, and holds no environment and no policy.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from textgym.rollouts.statistics import PassAtK, clustered_mean, pass_at_k
from textgym.rollouts.store import RunDirectory, read
from textgym.rollouts.trajectory import Trajectory
from textgym.tokens import TokenStream
from textgym.types import Usage

__all__ = ["Group", "Run", "Summary"]


@dataclass(frozen=True, slots=True)
class Group(Sequence[Trajectory]):
    """The samples of one task instance."""

    id: int
    """Index of the group in its run."""
    trajectories: tuple[Trajectory, ...]
    """The members, by sample index."""

    @property
    def example_id(self) -> str:
        """Key of the task instance that all members share."""
        return next((t.example_id for t in self.trajectories if t.example_id), "")

    @property
    def rewards(self) -> list[float | None]:
        """One reward a member; None for members that failed."""
        return [trajectory.reward for trajectory in self.trajectories]

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trajectory, ...]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | tuple[Trajectory, ...]:
        return self.trajectories[index]

    def __len__(self) -> int:
        return len(self.trajectories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run says in a few lines; ``str()`` of it is meant for people."""

    env_id: str
    """The environment."""
    policy: str
    """The policy."""
    episodes: int
    """Finished episodes, failed ones included."""
    groups: int
    """Task instances."""
    errors: dict[str, int]
    """Failed episodes by boundary and exception, which no other figure includes."""
    reward: float
    """Mean reward, NaN without a valid episode."""
    reward_se: float
    """Standard error of the mean, clustered by group; NaN with fewer than two groups."""
    rewards: dict[str, float]
    """Component name -> mean over valid episodes."""
    metrics: dict[str, float]
    """Component name -> mean over the episodes that have it."""
    pass_at: tuple[PassAtK, ...]
    """Pass@k for k = 1, 2, 4, … up to the group size; empty where nobody knows success."""
    turns: float
    """Mean number of completions."""
    stop_reasons: dict[str, int]
    """How the episodes ended."""
    finish_reasons: dict[str, int]
    """How the completions ended."""
    usage: Usage
    """Tokens of all calls, as far as servers told."""
    capture: dict[str, int]
    """Valid episodes by what is known of their tokens: ``tokens``, ``tokens without logprobs``, ``text``."""
    forks: int
    """Segments that were begun because a prompt did not continue the one before."""
    drifts: int
    """Calls in which the engine conditioned on other ids than it had been asked to continue."""
    seconds: float | None
    """Wall time of the run, if known."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Episodes that were begun and that no figure includes, by reason."""

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON types; NaN becomes None."""
        return {
            "env_id": self.env_id,
            "policy": self.policy,
            "episodes": self.episodes,
            "groups": self.groups,
            "errors": self.errors,
            "reward": _finite(self.reward),
            "reward_se": _finite(self.reward_se),
            "rewards": self.rewards,
            "metrics": self.metrics,
            "pass_at": {
                str(p.k): {"value": p.value, "low": p.low, "high": p.high, "groups": p.groups}
                for p in self.pass_at
            },
            "turns": _finite(self.turns),
            "stop_reasons": self.stop_reasons,
            "finish_reasons": self.finish_reasons,
            "usage": self.usage.to_dict(),
            "capture": self.capture,
            "forks": self.forks,
            "drifts": self.drifts,
            "seconds": self.seconds,
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        failed = sum(self.errors.values())
        reward = "no valid episode"
        if not math.isnan(self.reward):
            spread = "" if math.isnan(self.reward_se) else f" ± {self.reward_se:.3f}"
            reward = f"{self.reward:.3f}{spread} (standard error, by group)"
        rows = [
            ("episodes", f"{self.episodes} in {self.groups} groups, {failed} errors"),
            ("reward", reward),
        ]
        if self.rewards and set(self.rewards) != {"reward"}:
            rows.append(("rewards", _pairs(self.rewards)))
        if self.metrics:
            rows.append(("metrics", _pairs(self.metrics)))
        rows += [("success", str(estimate)) for estimate in self.pass_at]
        rows.append(("turns", "-" if math.isnan(self.turns) else f"{self.turns:.2f} on average"))
        if self.stop_reasons:
            rows.append(("ended", _pairs(self.stop_reasons)))
        if set(self.finish_reasons) - {"stop"}:
            rows.append(("answers", _pairs(self.finish_reasons)))
        rows.append(("tokens", _tokens(self.usage)))
        if set(self.capture) - {"text"}:
            rows.append(("capture", f"{_pairs(self.capture)}; forks {self.forks}, drifts {self.drifts}"))
        if self.seconds is not None:
            rows.append(("time", f"{self.seconds:.1f} s"))
        if self.left_out:
            rows.append(("left out", _pairs(self.left_out)))
        rows += [("error", f"{count} x {what}") for what, count in self.errors.items()]
        width = max(len(name) for name, _ in rows)
        head = f"{self.env_id} with {self.policy}"
        return "\n".join([head, *(f"  {name:<{width}}  {text}" for name, text in rows)])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {value}" if isinstance(value, int) else f"{name} {value:.3f}"
        for name, value in values.items()
    )


def _tokens(usage: Usage) -> str:
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return "not reported"
    read = "?" if usage.prompt_tokens is None else f"{usage.prompt_tokens:,}"
    written = "?" if usage.completion_tokens is None else f"{usage.completion_tokens:,}"
    return f"{read} read, {written} written"


@dataclass
class Run(Sequence[Trajectory]):
    """Finished episodes, ordered by group and member."""

    trajectories: list[Trajectory] = field(default_factory=list)
    """The episodes."""
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration that produced them."""
    seconds: float | None = None
    """Wall time, if known."""
    left_out: dict[str, int] = field(default_factory=dict)
    """What was begun and is not among the trajectories: ``cancelled`` episodes of groups that had enough
    or were not needed, and ``retried`` attempts of failed ones (see ``Scheduling``); empty where nothing was."""

    def __post_init__(self) -> None:
        self.trajectories = sorted(self.trajectories, key=lambda t: (t.group_id, t.sample))

    @property
    def groups(self) -> list[Group]:
        """The groups, in order."""
        members: dict[int, list[Trajectory]] = {}
        for trajectory in self.trajectories:
            members.setdefault(trajectory.group_id, []).append(trajectory)
        return [Group(number, tuple(group)) for number, group in members.items()]

    @property
    def errors(self) -> list[Trajectory]:
        """The episodes that failed."""
        return [trajectory for trajectory in self.trajectories if trajectory.error is not None]

    def summary(self) -> Summary:
        """The figures of the run. Failed episodes are counted and enter no mean."""
        valid = [t for t in self.trajectories if t.error is None and t.reward is not None]
        groups = self.groups
        mean, error = clustered_mean([[r for r in g.rewards if r is not None] for g in groups])
        turns = [float(len(t.steps)) for t in valid]
        usage = Usage()
        for trajectory in self.trajectories:
            usage = usage + trajectory.usage
        first = self.trajectories[0] if self.trajectories else None
        return Summary(
            env_id=first.env_id if first else str(self.config.get("env", "")),
            policy=first.policy if first else "",
            episodes=len(self.trajectories),
            groups=len(groups),
            errors=_count(f"{t.error.boundary} {t.error.type}" for t in self.errors if t.error),
            reward=mean,
            reward_se=error,
            rewards=_means([t.rewards for t in valid], missing=0.0),
            metrics=_means([t.metrics for t in valid], missing=None),
            pass_at=_pass_at(groups),
            turns=sum(turns) / len(turns) if turns else math.nan,
            stop_reasons=_count(t.stop_reason.value for t in valid),
            finish_reasons=_count(s.finish_reason.value for t in valid for s in t.steps),
            usage=usage,
            capture=_count(_capture(t.tokens) for t in valid),
            forks=sum(t.tokens.forks for t in valid if t.tokens is not None),
            drifts=sum(t.tokens.drifts for t in valid if t.tokens is not None),
            seconds=self.seconds,
            left_out=self.left_out,
        )

    def save(self, path: str | Path) -> Path:
        """Write the run as a run directory.

        Args:
            path: A directory that does not hold a run yet.

        Returns:
            The directory.

        Raises:
            RunError: It holds a run already, or cannot be written.
        """
        with RunDirectory.create(path, self.config) as directory:
            for trajectory in self.trajectories:
                directory.append(trajectory)
            directory.finish(self.seconds, self.left_out)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Run:
        """Read a run directory; torn and damaged lines are left out, with a warning in the log.

        Raises:
            RunError: There is no run, or it cannot be read.
        """
        return cls(*read(path))

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        return self.trajectories[index]

    def __len__(self) -> int:
        return len(self.trajectories)

    def __iter__(self) -> Iterator[Trajectory]:
        return iter(self.trajectories)

    def __repr__(self) -> str:
        return f"<Run of {len(self)} episodes, {len(self.errors)} errors>"


def _capture(tokens: TokenStream | None) -> str:
    if tokens is None:
        return "text"
    return "tokens" if tokens.has_logprobs else "tokens without logprobs"


def _count(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _means(rows: Sequence[Mapping[str, float]], missing: float | None) -> dict[str, float]:
    names = dict.fromkeys(name for row in rows for name in row)
    means = {}
    for name in names:
        values = [row.get(name, missing) for row in rows]
        numbers = [value for value in values if value is not None]
        means[name] = math.fsum(numbers) / len(numbers)
    return means


def _pass_at(groups: Sequence[Group]) -> tuple[PassAtK, ...]:
    counts = []
    for group in groups:
        known = [t.success for t in group if t.success is not None]
        counts.append((len(known), sum(known)))
    largest = max((n for n, _ in counts), default=0)
    tries = [1 << i for i in range(largest.bit_length()) if 1 << i < largest]
    estimates = [pass_at_k(counts, k) for k in dict.fromkeys([*tries, largest]) if k]
    return tuple(estimate for estimate in estimates if estimate is not None)
