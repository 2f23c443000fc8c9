"""Tool: a function with a name, a description and a JSON Schema, which a model may call.

Invariant: a tool never changes and keeps nothing of an episode, so copies of environments share it. Running one
with deadlines and containment is the business of ``Toolset``; calling a tool calls its function.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from textgym.errors import ConfigError
from textgym.tools.signature import read_signature
from textgym.tools.validation import argument_faults, kind_of
from textgym.tools.values import value_of

__all__ = ["DEFAULT_MAX_OUTPUT", "DEFAULT_TIMEOUT", "Tool"]

DEFAULT_TIMEOUT = 30.0
"""Seconds that a tool may take unless it says otherwise."""
DEFAULT_MAX_OUTPUT = 4096
"""Longest result, in code points, unless the tool says otherwise."""

_NAME = re.compile(r"\w[\w.:/-]{0,127}\Z")


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A function that a model may call. ``Tool.from_function`` makes one of a plain function.

    Raises:
        ConfigError: A field is unusable.

    Example:
        >>> def add(a: int, b: int = 1) -> int:
        ...     '''Add two numbers.
        ...
        ...     Args:
        ...         a: The first one
        ...         b: The second one
        ...     '''
        ...     return a + b
        >>> tool = Tool.from_function(add)
        >>> tool.schema["function"]["parameters"]["properties"]["a"]
        {'type': 'integer', 'description': 'The first one'}
        >>> tool(2, b=3)
        5
    """

    name: str
    """What the model calls it by."""
    description: str
    """What it does, for the model."""
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments that the model gives: an object with ``properties``."""
    function: Callable[..., Any]
    """What is called, with arguments by name: a plain or async function."""
    hidden: tuple[str, ...] = ()
    """Arguments that the model neither sees nor gives; an environment fills them from its state."""
    timeout: float | None = DEFAULT_TIMEOUT
    """Longest time of a call in seconds. A plain function then runs in a thread of its own, which is left behind
    at the deadline; None trusts the function to end by itself and calls it in place."""
    max_output: int = DEFAULT_MAX_OUTPUT
    """Longest result in code points; a longer one is cut, with a marker."""
    concurrent: bool = True
    """Whether calls of one turn may run at the same time; otherwise they run one after another, in order."""
    returns: str = ""
    """What it returns, for descriptions in prompts."""
    examples: str = ""
    """Worked examples, for descriptions in prompts."""
    hints: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Type hints to which arguments are converted (enum members, dataclasses …); JSON values without one."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise ConfigError(
                f"tool name {self.name!r:.60} is not allowed: use letters, digits, '_', '-', '.', ':' "
                "and '/', at most 128, and begin with a letter or digit (name=… names a function that has no name)"
            )
        if not callable(self.function):
            raise ConfigError(f"function of tool {self.name!r} is {self.function!r:.60}: it must be callable")
        parameters = self.parameters
        if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
            raise ConfigError(
                f"parameters of tool {self.name!r} are {parameters!r:.80}: they must be a JSON Schema "
                "of type object"
            )
        if isinstance(self.hidden, str):
            raise ConfigError(
                f"hidden of tool {self.name!r} is the text {self.hidden!r}: give names, [{self.hidden!r}]"
            )
        object.__setattr__(self, "hidden", tuple(self.hidden))
        shown = [name for name in self.hidden if name in parameters.get("properties", {})]
        if shown:
            raise ConfigError(
                f"argument {shown[0]!r} of tool {self.name!r} is hidden and in its schema: take it out of one"
            )
        if self.timeout is not None and not (_is_number(self.timeout) and 0 < self.timeout < math.inf):
            raise ConfigError(
                f"timeout of tool {self.name!r} is {self.timeout!r}: it must be a positive number of "
                "seconds, or None"
            )
        if not _is_number(self.max_output) or self.max_output < 1 or int(self.max_output) != self.max_output:
            raise ConfigError(
                f"max_output of tool {self.name!r} is {self.max_output!r}: it must be a whole number of at least 1"
            )

    @classmethod
    def from_function(
        cls,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        hidden: Iterable[str] = (),
        timeout: float | None = DEFAULT_TIMEOUT,
        max_output: int = DEFAULT_MAX_OUTPUT,
        concurrent: bool | None = None,
    ) -> Tool:
        """Make a tool of a function: its schema comes from signature, type hints and docstring.

        The schema equals that of ``transformers.utils.get_json_schema`` where that one accepts the function
        (without ``return``, which servers refuse). More is accepted here: missing hints (any value),
        missing descriptions or no docstring at all, ``Annotated[T, "description"]``.

        Args:
            function: A function, coroutine function, bound method, ``functools.partial`` (arguments that it
                binds by name are not the model's) or callable object.
            name: Instead of the function's own.
            description: Instead of the docstring's.
            hidden: Arguments that the environment fills from its state.
            timeout: See the field.
            max_output: See the field.
            concurrent: See the field; by default a tool without hidden arguments is.

        Raises:
            ConfigError: The function cannot be a tool; the message says why and what to do.
        """
        if isinstance(function, Tool):
            function = function.function
        if not callable(function):
            raise ConfigError(f"{function!r:.60} is no function: a tool is made of something callable")
        hidden = (hidden,) if isinstance(hidden, str) else tuple(hidden)
        found = read_signature(function, hidden)
        return cls(
            name=name or found.name,
            description=found.docstring.description if description is None else description,
            parameters=found.parameters,
            function=function,
            hidden=hidden,
            timeout=timeout,
            max_output=max_output,
            concurrent=not hidden if concurrent is None else concurrent,
            returns=found.docstring.returns,
            examples=found.docstring.examples,
            hints=found.hints,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it is: nothing is checked, bounded or contained."""
        return self.function(*args, **kwargs)

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as OpenAI's protocol and chat templates have it; a fresh dict."""
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": copy.deepcopy(dict(self.parameters)),
            },
        }

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        call = getattr(type(self.function), "__call__", None)  # noqa: B004 - of callable objects
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call)

    def faults(self, arguments: Mapping[str, Any]) -> list[str]:
        """What is wrong with the arguments of a call, as texts for the model; empty if nothing is."""
        return argument_faults(arguments, self.parameters)

    def converted(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Checked arguments as the function's type hints want them.

        Raises:
            Exception: Whatever a dataclass or model raises that refuses them.
        """
        hints = self.hints
        return {name: value_of(hints[name], v) if name in hints else v for name, v in arguments.items()}

    def describe(self) -> str:
        """The tool as text for a system prompt.

        Example:
            >>> print(Tool("now", "Tell the time.", {"type": "object"}, print).describe())
            now: Tell the time.
            Arguments: none
        """
        description = self.description.strip()
        lines = [f"{self.name}: {description}" if description else self.name]
        properties = self.parameters.get("properties") or {}
        lines.append("Arguments:" if properties else "Arguments: none")
        required = self.parameters.get("required") or ()
        for name, schema in properties.items():
            kind = kind_of(schema) + ("" if name in required else ", optional")
            described = schema.get("description") if isinstance(schema, Mapping) else None
            lines.append(f"- {name} ({kind})" + (f": {described}" if described else ""))
        if self.returns:
            lines.append(f"Returns: {self.returns}")
        if self.examples:
            lines += ["Examples:", *(f"  {line}" for line in self.examples.splitlines())]
        return "\n".join(lines)

    def __reduce__(self) -> Any:
        """Pickle by name where the function's own name leads to a tool, as ``@tool`` leaves it."""
        home = _home(self.function)
        if home is self:
            return _imported, (self.function.__module__, self.function.__qualname__)
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        if home is not None:
            values["function"] = None
            return _remade, (values, self.function.__module__, self.function.__qualname__)
        return _made, (values,)

    def __copy__(self) -> Tool:
        return self


def _home(function: Any) -> Tool | None:
    """The tool that stands where the function's name points to, if it is a tool of this function."""
    try:
        found = _imported(function.__module__, function.__qualname__)
    except (AttributeError, ImportError, TypeError):
        return None
    return found if isinstance(found, Tool) and found.function is function else None


def _imported(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _made(values: dict[str, Any]) -> Tool:
    return Tool(**values)


def _remade(values: dict[str, Any], module: str, name: str) -> Tool:
    return Tool(**{**values, "function": _imported(module, name).function})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
