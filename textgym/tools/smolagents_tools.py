"""``SmolagentsTools``: the tools of smolagents as textgym tools.

Invariant: a tool object is used as smolagents uses it (``setup`` once before the first call, then the object is
called with arguments by name), and only through its attributes: ``name``, ``description``, ``inputs``,
``output_type``. So the package itself is neither imported nor needed here, and anything of that shape is a tool.
Agents, hubs and remote execution of smolagents are out of sight.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from textgym.errors import ConfigError
from textgym.tools.definition import DEFAULT_MAX_OUTPUT, DEFAULT_TIMEOUT, Tool

__all__ = ["SmolagentsTools", "is_smolagents_tool"]

_MEDIA = ("image", "audio")
_ATTRIBUTES = ("name", "description", "inputs", "output_type")


class SmolagentsTools:
    """Brings smolagents tools into an environment: ``ToolEnv(data, [SmolagentsTools([WebSearchTool()])])``.

    The tool objects themselves are used in all episodes at the same time, from several threads; like plain
    functions they are taken to keep nothing of an episode and to be deterministic. Images and audio that
    they return become a placeholder text.

    Args:
        tools: Instances of ``smolagents.Tool``, functions decorated with ``@smolagents.tool``, or any callable
            objects with ``name``, ``description``, ``inputs`` and ``output_type``.
        timeout: Longest time of a call in seconds, or None to trust the tools.
        max_output: Longest result in code points.

    Raises:
        ConfigError: Something is no such tool, or needs an image or audio as input.

    Example:
        >>> class Greeter:
        ...     name, description, output_type = "greet", "Greet somebody.", "string"
        ...     inputs = {"who": {"type": "string", "description": "Whom"}}
        ...     def __call__(self, who):
        ...         return f"Hello, {who}!"
        >>> [tool] = SmolagentsTools([Greeter()])
        >>> tool.parameters["required"], tool(who="Ann")
        (['who'], 'Hello, Ann!')
    """

    shared = True
    """The objects are used, not copies of them."""
    deterministic = True
    """As textgym takes plain functions to be."""
    forkable = True
    """As textgym takes plain functions to be."""

    def __init__(
        self,
        tools: Iterable[Any],
        *,
        timeout: float | None = DEFAULT_TIMEOUT,
        max_output: int = DEFAULT_MAX_OUTPUT,
    ) -> None:
        self.tools = tuple(_adapted(tool, timeout, max_output) for tool in tools)
        """The tools, in order."""

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools)

    async def open(self) -> list[Tool]:
        """The tools; there is nothing to connect to."""
        return list(self.tools)

    async def close(self) -> None:
        """Nothing."""


def is_smolagents_tool(value: Any) -> bool:
    """Whether a value has the shape of a smolagents tool."""
    return not isinstance(value, type) and callable(value) and all(hasattr(value, a) for a in _ATTRIBUTES)


class _Called:
    """The function of an adapted tool: sets it up before its first call."""

    def __init__(self, tool: Any) -> None:
        self._tool = tool
        self._lock = threading.Lock()
        self._ready = False

    def __call__(self, **arguments: Any) -> Any:
        with self._lock:
            if not self._ready and not getattr(self._tool, "is_initialized", True):
                self._tool.setup()
                self._tool.is_initialized = True
            self._ready = True
        result = self._tool(**arguments)
        return _placeholder(result, self._tool.output_type) if self._tool.output_type in _MEDIA else result

    def __repr__(self) -> str:
        return f"the smolagents tool {type(self._tool).__name__}"

    def __reduce__(self) -> Any:
        home = _home(self._tool)
        return (_Called, (self._tool,)) if home is None else (_called_from, home)


def _home(tool: Any) -> tuple[str, str] | None:
    """Where a decorated function stands: its class is made on the spot and cannot be pickled, its name can."""
    function = inspect.unwrap(getattr(tool, "forward", tool))
    home = (getattr(function, "__module__", "") or "", getattr(function, "__qualname__", ""))
    try:
        return home if _found(*home) is tool else None
    except (AttributeError, ImportError, ValueError):
        return None


def _found(module: str, name: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _called_from(module: str, name: str) -> _Called:
    return _Called(_found(module, name))


def _adapted(tool: Any, timeout: float | None, max_output: int) -> Tool:
    if isinstance(tool, type):
        raise ConfigError(f"{tool.__name__} is a class: give an instance, {tool.__name__}()")
    lacking = [name for name in _ATTRIBUTES if not hasattr(tool, name)]
    if lacking or not callable(tool):
        raise ConfigError(f"{tool!r:.60} is no smolagents tool: it lacks {', '.join(lacking) or '__call__'}")
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=_parameters(tool),
        function=_Called(tool),
        timeout=timeout,
        max_output=max_output,
        concurrent=False,
        returns="" if tool.output_type in ("any", "null") else f"{tool.output_type}",
    )


def _parameters(tool: Any) -> dict[str, Any]:
    """The ``inputs`` of a tool as a JSON schema: a nullable input may be left out, as in smolagents."""
    if not isinstance(tool.inputs, Mapping):
        raise ConfigError(f"inputs of tool {tool.name!r} are {tool.inputs!r:.60}: they must be a dict")
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, given in tool.inputs.items():
        if not isinstance(given, Mapping):
            raise ConfigError(f"input {name!r} of tool {tool.name!r} is {given!r:.60}: it must be a dict")
        part = copy.deepcopy(dict(given))
        optional = part.get("nullable") is True or "default" in part
        kinds = part.get("type", "any")
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if set(kinds) <= set(_MEDIA):
            if optional:
                continue
            raise ConfigError(
                f"tool {tool.name!r} needs {kinds[0]} as {name!r}: a model writes JSON, which has none"
            )
        if "any" in kinds:
            part.pop("type", None)
        properties[name] = part
        if not optional:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _placeholder(value: Any, kind: str) -> str:
    match getattr(value, "size", None):
        case (int(width), int(height)) if kind == "image":
            return f"[image: {width}x{height}]"
    return f"[{kind}]"
