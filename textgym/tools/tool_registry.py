"""Tools by name, so that a configuration may say ``tools=["calculator"]``.

Invariant: one name is one tool. A name may stand for ``"module:attribute"``, which is imported when the tool is
first asked for; asking for what is not there says what is.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

from textgym.errors import ConfigError
from textgym.tools.definition import DEFAULT_MAX_OUTPUT, DEFAULT_TIMEOUT, Tool

__all__ = ["ToolRegistry", "registry", "tool"]


class ToolRegistry:
    """A dictionary of tools that refuses a second tool of one name.

    Example:
        >>> known = ToolRegistry()
        >>> _ = known.add(Tool("now", "Tell the time.", {"type": "object"}, print))
        >>> list(known), "now" in known, known["now"].description
        (['now'], True, 'Tell the time.')
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool | str] = {}

    def add(self, tool: Tool) -> Tool:
        """Enter a tool; returns it.

        A function that is defined anew (a notebook cell run twice, a module reloaded) replaces its older self.

        Raises:
            ConfigError: Another tool has this name.
        """
        known = self._tools.get(tool.name)
        if known is not None and not (isinstance(known, Tool) and _origin(known) == _origin(tool)):
            raise ConfigError(f"there is a tool called {tool.name!r} already: choose another name, name=…")
        self._tools[tool.name] = tool
        return tool

    def add_lazy(self, name: str, place: str) -> None:
        """Enter a name whose tool is imported when it is asked for.

        Args:
            name: Name of the tool.
            place: ``"module:attribute"``.

        Raises:
            ConfigError: Another tool has this name, or the place is not written like that.
        """
        if place.count(":") != 1:
            raise ConfigError(f'place of tool {name!r} is {place!r}: it must be "module:attribute"')
        if self._tools.get(name, place) != place:
            raise ConfigError(f"there is a tool called {name!r} already: choose another name")
        self._tools[name] = place

    def remove(self, name: str) -> None:
        """Forget a tool; unknown names are none."""
        self._tools.pop(name, None)

    def __getitem__(self, name: str) -> Tool:
        """The tool of a name.

        Raises:
            ConfigError: There is none; the message lists what there is.
        """
        found = self._tools.get(name)
        if isinstance(found, Tool):
            return found
        if found is None:
            near = difflib.get_close_matches(name, self._tools, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            known = ", ".join(sorted(self._tools)) or "none"
            raise ConfigError(f"there is no tool called {name!r:.60}: registered are {known}.{hint}")
        module, attribute = found.split(":")
        loaded = getattr(importlib.import_module(module), attribute)
        if not isinstance(loaded, Tool) or loaded.name != name:
            raise ConfigError(f"{found} is {loaded!r:.60}: it must be a Tool called {name!r}")
        self._tools[name] = loaded
        return loaded

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._tools))

    def __len__(self) -> int:
        return len(self._tools)


def _origin(tool: Tool) -> tuple[Any, Any] | Tool:
    """Where the function was defined; a tool of a lambda or of a function within another is only itself."""
    name = getattr(tool.function, "__qualname__", "<")
    return tool if "<" in name else (tool.function.__module__, name)


registry = ToolRegistry()
"""The tools that environments find by name."""


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    hidden: Iterable[str] = (),
    timeout: float | None = DEFAULT_TIMEOUT,
    max_output: int = DEFAULT_MAX_OUTPUT,
    concurrent: bool | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function and enter it in ``registry``; with or without options.

    Args:
        function: The function below the bare ``@tool``.
        **options: As for ``Tool.from_function``.

    Raises:
        ConfigError: The function cannot be a tool, or another tool has its name.

    Example:
        >>> @tool(name="example_shout", timeout=None)
        ... def shout(text: str) -> str:
        ...     return text.upper()
        >>> shout("hi"), registry["example_shout"] is shout
        ('HI', True)
        >>> registry.remove("example_shout")
    """
    if function is not None:
        return registry.add(Tool.from_function(function, **options))

    def decorated(function: Callable[..., Any]) -> Tool:
        return registry.add(Tool.from_function(function, **options))

    return decorated
