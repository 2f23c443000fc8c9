"""Rubric: named, weighted reward functions that judge a finished episode, and a finished group.

Invariant: a score is either complete or an error. A function that raises, or returns None or NaN, makes the
whole score a ``RewardError`` that names it; it never becomes a silent 0.0. ``Score.rewards`` holds the
weighted parts and sums to ``Score.reward``. A rubric keeps no state of any episode, so copies of an
environment share one. Functions of a group never enter the reward of a step: whoever plays the whole group
calls ``score_group``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textgym.errors import ConfigError, RewardError
from textgym.hooks import adrive, drive, settle
from textgym.rewards.function import RewardFunction, Role, number, numbers, values_of

__all__ = ["Rubric", "Score"]

_OWN = ("completion", "messages", "state", "reward")
"""What every member of a group has for itself; group functions get it as a list, in the plural."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a rubric says of one episode."""

    reward: float = 0.0
    """Sum of ``rewards``."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Component name -> weighted reward."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Component name -> raw value of metrics and gates, which are no part of the sum."""


class Rubric:
    """Weighted reward functions over one episode.

    A function names the arguments that it wants. There is ``completion`` (text of the last answer),
    ``completions`` (all answers), ``answer`` (gold), ``prompt`` (the first observation), ``question``,
    ``messages`` (the whole conversation), ``state``, ``example``, ``info``, ``task``, ``parser``,
    ``stop_reason``, and every further column of the dataset row. Functions marked with ``gate`` multiply the
    whole reward; functions marked with ``group_reward`` compare the members of a group.

    Args:
        funcs: Reward functions.
        weights: One weight a function, by default 1.0 each. A weight of 0 makes a metric.
        parser: Handed to the functions that ask for ``parser``.

    Raises:
        ConfigError: The lengths differ, or an entry is unusable.

    Example:
        >>> def right(completion, answer): return completion == answer
        >>> def length(completion): return len(completion)
        >>> rubric = Rubric([right, length], weights=[1.0, 0.0])
        >>> rubric.score_sync(completion="4", answer="4")
        Score(reward=1.0, rewards={'right': 1.0}, metrics={'length': 1.0})
    """

    def __init__(
        self,
        funcs: Iterable[Callable[..., Any]] = (),
        weights: Sequence[float] | None = None,
        parser: Any = None,
    ) -> None:
        functions = list(funcs)
        if weights is None:
            weights = [1.0] * len(functions)
        if len(weights) != len(functions):
            raise ConfigError(
                f"rubric has {len(functions)} functions and {len(weights)} weights: give one each"
            )
        self.parser = parser
        self.functions: tuple[RewardFunction, ...] = ()
        for function, weight in zip(functions, weights, strict=True):
            self.add(function, weight)

    def add(
        self,
        func: Callable[..., Any],
        weight: float = 1.0,
        name: str | None = None,
        *,
        gate: bool = False,
        group: bool = False,
    ) -> Rubric:
        """Add a function; returns the rubric.

        Args:
            func: The function.
            weight: Factor of its value; 0 makes a metric.
            name: Name of the component, by default the function's own.
            gate: Its value in [0, 1] multiplies the whole reward.
            group: It sees all members of a group (see ``group_reward``).

        Raises:
            ConfigError: The function or the weight is unusable, or it is to be both.
        """
        if gate and group:
            raise ConfigError(f"reward function {name or func!r:.60} cannot be both a gate and of a group")
        role = Role.GATE if gate else Role.GROUP if group else None
        entry = RewardFunction(func, weight, name, role)
        taken = {other.name for other in self.functions}
        base, copy = entry.name, 2
        while entry.name in taken:
            entry.name, copy = f"{base}_{copy}", copy + 1
        self.functions += (entry,)
        roles = (Role.REWARD, Role.METRIC)
        self._plain = tuple(f for f in self.functions if f.role in roles)
        self._gates = tuple(f for f in self.functions if f.role is Role.GATE)
        self.group_functions = tuple(f for f in self.functions if f.role is Role.GROUP)
        return self

    _plain: tuple[RewardFunction, ...] = ()
    _gates: tuple[RewardFunction, ...] = ()
    group_functions: tuple[RewardFunction, ...] = ()
    """The functions that compare the members of a group."""

    def add_reward_func(self, func: Callable[..., Any], weight: float = 1.0) -> Rubric:
        """The same as ``add``, by its name in verifiers."""
        return self.add(func, weight)

    def add_metric(self, func: Callable[..., Any], name: str | None = None) -> Rubric:
        """Add a function that is recorded and earns nothing; returns the rubric."""
        return self.add(func, 0.0, name)

    async def score(self, **available: Any) -> Score:
        """Judge one episode, without the functions of a group.

        Args:
            **available: The arguments that functions may ask for.

        Raises:
            RewardError: A function raised, or returned something other than finite numbers.
            ConfigError: A function asks for an argument that is not there.
        """
        return await adrive(self.flow(available))

    def score_sync(self, **available: Any) -> Score:
        """The same from ordinary code. Raises as ``score`` does."""
        return drive(self.flow(available))

    async def flow(self, available: Mapping[str, Any]) -> Score:
        """The judgement as a flow of ``textgym.hooks``, for environments. Raises as ``score``."""
        available = self._with_parser(available)
        factor, metrics = 1.0, {}
        for function in self._gates:
            (value,) = await values_of([function], available)
            metrics[function.name] = share = number(function.name, function.name, value)
            if not 0.0 <= share <= 1.0:
                raise RewardError(
                    f"gate {function.name!r} returned {share}: it must be between 0 and 1",
                    function=function.name,
                )
            factor *= share
            if not factor:
                rewards = {f.name: 0.0 for f in self._plain if f.role is Role.REWARD}
                return Score(0.0, rewards, metrics)
        values = await values_of(self._plain, available)
        rewards = {}
        for function, value in zip(self._plain, values, strict=True):
            for name, part in numbers(function, value):
                if function.role is Role.METRIC:
                    metrics[name] = part
                else:
                    rewards[name] = rewards.get(name, 0.0) + function.weight * factor * part
        return Score(float(sum(rewards.values())), rewards, metrics)

    async def score_group(self, members: Sequence[Mapping[str, Any]]) -> list[Score]:
        """Judge the members of a finished group against each other.

        Args:
            members: The arguments of each member's own score, with its ``reward`` so far.

        Returns:
            One score a member: what it earns on top of its own.

        Raises:
            RewardError: There are fewer than two members, a function raised, or it did not return one finite
                number a member.
            ConfigError: A function asks for an argument that is not there.
        """
        return await adrive(self.group_flow(members))

    async def group_flow(self, members: Sequence[Mapping[str, Any]]) -> list[Score]:
        """The same as a flow. Raises as ``score_group``."""
        functions = self.group_functions
        if functions and len(members) < 2:
            raise RewardError(
                f"group function {functions[0].name!r} compares members and only {len(members)} of the group "
                "is valid: it needs two",
                function=functions[0].name,
            )
        available = self._with_parser(_together(members)) if members else {}
        rewards: list[dict[str, float]] = [{} for _ in members]
        metrics: list[dict[str, float]] = [{} for _ in members]
        values = await values_of(functions, available)
        for function, value in zip(functions, values, strict=True):
            value = await settle(value)
            parts = value if isinstance(value, Mapping) else {function.name: value}
            for name, row in parts.items():
                target = rewards if function.weight else metrics
                for own, part in zip(target, _row(function, row, len(members)), strict=True):
                    own[str(name)] = part * (function.weight or 1.0)
        return [
            Score(float(sum(own.values())), own, other) for own, other in zip(rewards, metrics, strict=True)
        ]

    def _with_parser(self, available: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.parser is not None and available.get("parser") is None:
            return {**available, "parser": self.parser}
        return available

    def __copy__(self) -> Rubric:
        return self

    def __deepcopy__(self, memo: Any) -> Rubric:
        return self

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{f.name}: {f.role}" if f.role in (Role.GATE, Role.GROUP) else f"{f.name}: {f.weight:g}"
            for f in self.functions
        )
        return f"Rubric({parts})"


def _together(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shared = {name: value for name, value in members[0].items() if name not in (*_OWN, "stop_reason")}
    lists = {
        name if name.endswith("s") else f"{name}s": [member.get(name) for member in members] for name in _OWN
    }
    return {**shared, **lists}


def _row(function: RewardFunction, row: Any, size: int) -> list[float]:
    if isinstance(row, str | bytes) or not hasattr(row, "__len__") or len(row) != size:
        raise RewardError(
            f"group function {function.name!r} returned {row!r:.60}: it must return one number for each of the "
            f"{size} members",
            function=function.name,
        )
    return [number(f"{function.name}[{i}]", function.name, part) for i, part in enumerate(row)]
