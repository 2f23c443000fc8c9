"""A step: a small function whose docstring is the sentence that the policy reads.

Invariant: the sentence, the behaviour and the reference solution of a step come from one definition. A function is
total on its kind of value, does not change its argument, and uses nothing but its arguments and builtins, so
that its source can be handed out by itself.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from textwrap import dedent
from typing import Any, TypeVar

import numpy as np

from textgym.tasks.math.problem import pick

__all__ = ["Call", "Step", "Steps", "run_all", "solution"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Step:
    """A function and the values that its parameters may have."""

    function: Callable[..., Any]
    """``function(x, **parameters)``."""
    choices: Mapping[str, tuple[Any, ...]]
    """Parameter -> values."""
    name: str
    """Name of the function."""
    says: str
    """Its docstring in one line, with fields for the parameters."""
    takes: str
    """Type of the argument, as it is written: ``list[int]``."""
    gives: str
    """Type of the result."""

    @classmethod
    def of(cls, function: Callable[..., Any], choices: Mapping[str, tuple[Any, ...]]) -> Step:
        """The step that a function is."""
        says = " ".join(inspect.cleandoc(function.__doc__ or "").split())
        types = [str(each) for each in function.__annotations__.values()]
        return cls(function, choices, function.__name__, says, types[0], types[-1])

    @property
    def variants(self) -> int:
        """How many choices of parameters there are."""
        return int(np.prod([len(values) for values in self.choices.values()], dtype=np.int64))

    def draw(self, rng: np.random.Generator) -> Call:
        """The step with parameters."""
        return Call(self, {name: pick(rng, values) for name, values in self.choices.items()})


@dataclass(frozen=True, slots=True)
class Call:
    """A step with its parameters."""

    step: Step
    """The step."""
    parameters: Mapping[str, Any]
    """Parameter -> value."""

    def __call__(self, x: Any) -> Any:
        """The result for a value."""
        return self.step.function(x, **self.parameters)

    @property
    def sentence(self) -> str:
        """What the step does, in words."""
        return self.step.says.format(**self.parameters)

    @property
    def source(self) -> str:
        """How the step is called in a program."""
        arguments = "".join(f", {value!r}" for value in self.parameters.values())
        return f"{self.step.name}(x{arguments})"

    def to_list(self) -> list[Any]:
        """``[name, parameters]``, as JSON types."""
        return [self.step.name, dict(self.parameters)]


class Steps(dict[str, Step]):
    """Name -> step, filled by a decorator."""

    def add(self, **choices: Iterable[Any]) -> Callable[[F], F]:
        """Enter a function under its name.

        Args:
            **choices: The values that each parameter may have.
        """

        def enter(function: F) -> F:
            values = {name: tuple(chosen) for name, chosen in choices.items()}
            self[function.__name__] = Step.of(function, values)
            return function

        return enter


def run_all(calls: Iterable[Call], x: Any) -> Any:
    """The result of several steps, one after another."""
    for call in calls:
        x = call(x)
    return x


def solution(function: str, argument: str, calls: Iterable[Call]) -> str:
    """A program that takes the steps.

    Args:
        function: Name of the function.
        argument: Name of its argument.
        calls: The steps, at least one.
    """
    calls = list(calls)
    sources = dict.fromkeys(_source(call.step.function) for call in calls)
    lines = [
        f"def {function}({argument}: {calls[0].step.takes}) -> {calls[-1].step.gives}:",
        f"    x = {argument}",
    ]
    lines += [f"    x = {call.source}" for call in calls]
    return "\n\n\n".join([*sources, "\n".join([*lines, "    return x"])])


@cache
def _source(function: Callable[..., Any]) -> str:
    """The text of a function without decorator and docstring, the same under every Python."""
    text = dedent(inspect.getsource(function))
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.FunctionDef)
    lines, docstring = text.splitlines(), node.body[0]
    kept = lines[node.lineno - 1 : docstring.lineno - 1] + lines[docstring.end_lineno :]
    return "\n".join(kept).strip()
