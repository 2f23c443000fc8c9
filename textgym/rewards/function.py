"""A reward function as a rubric holds it: a name, a weight, a role, and its arguments by name.

Invariant: calling one either gives finite numbers or raises ``RewardError`` with the function's name;
nothing a function does becomes a silent 0.0. This module judges one function; ``rubric.py`` combines them.
"""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, SupportsFloat, TypeVar

from textgym.errors import ConfigError, RewardError
from textgym.hooks import settle

__all__ = ["RewardFunction", "Role", "gate", "group_reward", "number", "numbers", "values_of"]

_SIMPLE = frozenset({float, bool, int})  # looked up first, because checks of protocols are slow
F = TypeVar("F", bound=Callable[..., Any])


class Role(StrEnum):
    """What a rubric does with the value of a function."""

    REWARD = "reward"
    """Its weighted value is a part of the reward."""
    METRIC = "metric"
    """It is recorded and earns nothing (weight 0)."""
    GATE = "gate"
    """A factor in [0, 1] on the whole reward; at 0 the other functions are not even run."""
    GROUP = "group"
    """It sees all members of a group and gives each of them a reward when the last one has ended."""


def group_reward(function: F) -> F:
    """Mark a reward function as one that sees all members of a group.

    It may ask for ``completions``, ``messages``, ``states`` and ``rewards`` (a list each, with one entry a
    member) and for what the members share (``answer``, ``prompt``, ``question``, ``example``, ``info``,
    ``task``, ``parser``), and returns one number a member, or ``{name: [number, …]}``.

    Example:
        >>> @group_reward
        ... def shortest(completions):
        ...     least = min(map(len, completions))
        ...     return [len(completion) == least for completion in completions]
    """
    function.textgym_role = Role.GROUP  # type: ignore[attr-defined]
    return function


def gate(function: F) -> F:
    """Mark a function as a gate: its value in [0, 1] multiplies the whole reward."""
    function.textgym_role = Role.GATE  # type: ignore[attr-defined]
    return function


class RewardFunction:
    """A function with a name, a weight, a role and the arguments that it asks for by name.

    Args:
        function: Plain or async; returns a number, a bool or ``{name: number}`` (group functions: a list of
            such numbers, one a member).
        weight: Factor of its value; 0 makes it a metric.
        name: Name of the component, by default the function's own.
        role: What its value is for; by default what it is marked as, or a reward.

    Raises:
        ConfigError: It cannot be called with keyword arguments, or the weight is no finite number.
    """

    __slots__ = ("function", "name", "required", "role", "takes_all", "wanted", "weight")

    def __init__(
        self,
        function: Callable[..., Any],
        weight: float = 1.0,
        name: str | None = None,
        role: Role | None = None,
    ) -> None:
        if not callable(function):
            raise ConfigError(f"reward function {function!r:.60} is not callable")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
            raise ConfigError(f"weight of a reward function is {weight!r}: it must be a finite number")
        self.function = function
        self.weight = float(weight)
        self.name = name or str(getattr(function, "__name__", type(function).__name__))
        self.role = role or getattr(function, "textgym_role", Role.REWARD)
        if self.role is Role.REWARD and not self.weight:
            self.role = Role.METRIC
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
            RewardError: It raised.
        """
        wanted = {name: available[name] for name in self.wanted if name in available}
        if len(wanted) < len(self.wanted):
            missing = ", ".join(name for name in self.required if name not in available)
            if missing:
                raise ConfigError(
                    f"reward function {self.name!r} asks for {missing}; there is {', '.join(sorted(available))}"
                )
        try:
            return self.function(**(available if self.takes_all else wanted))
        except Exception as error:
            raise self.raised(error) from error

    def raised(self, error: BaseException) -> RewardError:
        """The error that says that this function raised."""
        return RewardError(
            f"reward function {self.name!r} raised {type(error).__name__}: {error}", function=self.name
        )


async def values_of(functions: Sequence[RewardFunction], available: Mapping[str, Any]) -> list[Any]:
    """The values of several functions, as a flow: plain ones in order, async ones together.

    Raises:
        RewardError: A function raised.
        ConfigError: A function asks for an argument that is not there.
    """
    values: list[Any] = []
    waiting: list[tuple[int, Awaitable[Any]]] = []
    try:
        for position, function in enumerate(functions):
            value = function(available)
            values.append(value)
            if type(value) not in _SIMPLE and inspect.isawaitable(value):
                waiting.append((position, value))
    except BaseException:
        for _, awaitable in waiting:
            getattr(awaitable, "close", _nothing)()
        raise
    if waiting:
        settled = await settle(_together([awaitable for _, awaitable in waiting]))
        for (position, _), value in zip(waiting, settled, strict=True):
            if isinstance(value, BaseException):
                raise functions[position].raised(value) from value
            values[position] = value
    return values


async def _together(awaitables: list[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


def _nothing() -> None:
    pass


def numbers(function: RewardFunction, value: Any) -> list[tuple[str, float]]:
    """The components of a value: (name, finite number).

    Raises:
        RewardError: Some part of it is no finite number.
    """
    if type(value) not in _SIMPLE and isinstance(value, Mapping):
        return [
            (str(key), number(f"{function.name}[{key!r}]", function.name, part))
            for key, part in value.items()
        ]
    return [(function.name, number(function.name, function.name, value))]


def number(what: str, function: str, value: Any) -> float:
    """The value as a finite float.

    Args:
        what: Name of the value, for the error.
        function: Name of the function, for the error.
        value: What the function returned.

    Raises:
        RewardError: It is no finite number.
    """
    if type(value) in _SIMPLE or isinstance(value, SupportsFloat):
        result = float(value)
        if math.isfinite(result):
            return result
    raise RewardError(
        f"reward function {what} returned {value!r:.60}: it must return a finite number, a bool or a dict of "
        "such",
        function=function,
    )
