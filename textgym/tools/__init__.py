"""Tools: functions that a model may call, and how its calls are run.

- ``Tool``: a function with a JSON Schema, made by ``Tool.from_function`` or ``@tool``.
- ``registry``: tools by name.
- ``Toolset``: the tools of an environment; runs calls and answers every one of them.
- ``ToolProvider``: tools that come from somewhere else, such as an MCP server.
- ``tool_success``: a reward function.

Ready-made tools are imported when they are asked for; see ``_HOMES``.

Invariant: nothing that a model writes makes a call raise: it gets a ``ToolResult`` with a text for the model.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from textgym.tools.definition import Tool
from textgym.tools.provider import ToolProvider
from textgym.tools.result import ToolError, ToolOutcome, ToolResult, ToolTimeout
from textgym.tools.success import tool_success
from textgym.tools.tool_registry import ToolRegistry, registry, tool
from textgym.tools.toolset import Toolset

_HOMES: dict[str, str] = {
    "MCPToolProvider": "textgym.tools.mcp_tools",
    "Search": "textgym.tools.search_tool",
    "SearchIndex": "textgym.tools.search_index",
    "SmolagentsTools": "textgym.tools.smolagents_tools",
    "calculator": "textgym.tools.calculator_tool",
    "python": "textgym.tools.python_tool",
    "python_executor": "textgym.tools.python_tool",
}
"""Ready-made name -> module that defines it. No module may be called like a name in it, for a module that has been
imported is an attribute of this package and would hide the tool."""

_TOOLS: tuple[str, ...] = ("calculator", "python", "python_executor")
"""The names in ``_HOMES`` that are tools, which the registry finds by name."""

for _name in _TOOLS:
    registry.add_lazy(_name, f"{_HOMES[_name]}:{_name}")

__all__ = [
    "MCPToolProvider",
    "Search",
    "SearchIndex",
    "SmolagentsTools",
    "Tool",
    "ToolError",
    "ToolOutcome",
    "ToolProvider",
    "ToolRegistry",
    "ToolResult",
    "ToolTimeout",
    "Toolset",
    "calculator",
    "python",
    "python_executor",
    "registry",
    "tool",
    "tool_success",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'textgym.tools' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value
