"""Rubric: named, weighted reward functions that judge a finished episode.

Invariant: a score is either complete or an error. A function that raises, or returns None or NaN, makes
the whole score a ``RewardError`` that names it; it never becomes a silent 0.0. ``Score.rewards`` holds
the weighted parts and sums to ``Score.reward``. A rubric keeps no state of any episode, so copies of an
environment share one. Functions that compare the members of a group are not judged here.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

from textgym.errors import ConfigError, RewardError
from textgym.hooks import adrive, drive, settle

__all__ = ["RewardFunction", "Rubric", "Score"]

_SIMPLE = frozenset({float, bool, int})  # looked up first, because checks of protocols are slow


@dataclass(frozen=True, slots=True)
class Score:
    """What a rubric says of one episode."""

    reward: float = 0.0
    """Sum of ``rewards``."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Component name -> weighted reward."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Component name -> raw value of functions with weight 0, which earn nothing."""


class RewardFunction:
    """A function with a name, a weight and the arguments that it asks for by name.

    Args:
        function: Plain or async; returns a number, a bool or ``{name: number}``.
        weight: Factor of its value; 0 makes it a metric.
        name: Name of the component, by default the function's own.

    Raises:
        ConfigError: It cannot be called with keyword arguments, or the weight is no finite number.
    """

    __slots__ = ("function", "name", "required", "takes_all", "wanted", "weight")

    def __init__(self, function: Callable[..., Any], weight: float = 1.0, name: str | None = None) -> None:
        if not callable(function):
            raise ConfigError(f"reward function {function!r:.60} is not callable")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise ConfigError(f"weight of a reward function is {weight!r}: it must be a finite number")
        self.function = function
        self.weight = float(weight)
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind is p.POSITIONAL_ONLY and p.default is p.empty for p in parameters):
            raise ConfigError(
                f"reward function {self.name!r} has positional-only parameters: its arguments are "
                "given by name"
            )
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.wanted = tuple(p.name for p in named)
        self.required = tuple(p.name for p in named if p.default is p.empty)

    def __call__(self, available: Mapping[str, Any]) -> Any:
        """Call the function with the arguments that it names.

        Raises:
            ConfigError: It asks for something that this episode does not have.
        """
        if self.takes_all:
            return self.function(**available)
        missing = [name for name in self.required if name not in available]
        if missing:
            raise ConfigError(
                f"reward function {self.name!r} asks for {', '.join(missing)}; there is "
                f"{', '.join(sorted(available))}"
            )
        return self.function(**{name: available[name] for name in self.wanted if name in available})


class Rubric:
    """Weighted reward functions over one episode.

    A function names the arguments that it wants. There is ``completion`` (text of the last answer),
    ``completions`` (all answers), ``answer`` (gold), ``prompt`` (the first observation), ``question``,
    ``messages`` (the whole conversation), ``state``, ``example``, ``info``, ``task``, ``parser``,
    ``stop_reason``, and every further column of the dataset row.

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
        self._functions: tuple[RewardFunction, ...] = ()
        for function, weight in zip(functions, weights, strict=True):
            self.add(function, weight)

    def add(self, func: Callable[..., Any], weight: float = 1.0, name: str | None = None) -> Rubric:
        """Add a reward function; returns the rubric.

        Raises:
            ConfigError: The function or the weight is unusable.
        """
        entry = RewardFunction(func, weight, name)
        taken = {other.name for other in self._functions}
        base, number = entry.name, 2
        while entry.name in taken:
            entry.name, number = f"{base}_{number}", number + 1
        self._functions += (entry,)
        return self

    def add_metric(self, func: Callable[..., Any], name: str | None = None) -> Rubric:
        """Add a function that is recorded and earns nothing; returns the rubric."""
        return self.add(func, 0.0, name)

    @property
    def functions(self) -> tuple[RewardFunction, ...]:
        """The functions in the order in which they were added."""
        return self._functions

    async def score(self, **available: Any) -> Score:
        """Judge one episode.

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
        if self.parser is not None and available.get("parser") is None:
            available = {**available, "parser": self.parser}
        values: list[Any] = []
        waiting: list[tuple[int, Awaitable[Any]]] = []
        try:
            for position, function in enumerate(self._functions):
                value = _guarded(function, available)
                values.append(value)
                if inspect.isawaitable(value):
                    waiting.append((position, value))
        except BaseException:
            for _, awaitable in waiting:
                getattr(awaitable, "close", _nothing)()
            raise
        if waiting:
            settled = await settle(_together([awaitable for _, awaitable in waiting]))
            for (position, _), value in zip(waiting, settled, strict=True):
                if isinstance(value, BaseException):
                    raise _raised(self._functions[position], value) from value
                values[position] = value
        return self._collect(values)

    def _collect(self, values: list[Any]) -> Score:
        rewards: dict[str, float] = {}
        metrics: dict[str, float] = {}
        for function, value in zip(self._functions, values, strict=True):
            for name, number in _numbers(function.name, value):
                if function.weight:
                    rewards[name] = rewards.get(name, 0.0) + function.weight * number
                else:
                    metrics[name] = number
        return Score(float(sum(rewards.values())), rewards, metrics)

    def __copy__(self) -> Rubric:
        return self

    def __deepcopy__(self, memo: Any) -> Rubric:
        return self

    def __repr__(self) -> str:
        parts = ", ".join(f"{f.name}: {f.weight:g}" for f in self._functions)
        return f"Rubric({parts})"


def _nothing() -> None:
    pass


async def _together(awaitables: list[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


def _guarded(function: RewardFunction, available: Mapping[str, Any]) -> Any:
    try:
        return function(available)
    except ConfigError:
        raise
    except Exception as error:
        raise _raised(function, error) from error


def _raised(function: RewardFunction, error: BaseException) -> RewardError:
    return RewardError(
        f"reward function {function.name!r} raised {type(error).__name__}: {error}",
        function=function.name,
    )


def _numbers(name: str, value: Any) -> Iterable[tuple[str, float]]:
    if type(value) not in _SIMPLE and isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key), _number(f"{name}[{key!r}]", name, part)
    else:
        yield name, _number(name, name, value)


def _number(what: str, function: str, value: Any) -> float:
    if type(value) in _SIMPLE or isinstance(value, SupportsFloat):
        number = float(value)
        if math.isfinite(number):
            return number
    raise RewardError(
        f"reward function {what} returned {value!r:.60}: it must return a finite number, a bool or "
        "a dict of such",
        function=function,
    )
