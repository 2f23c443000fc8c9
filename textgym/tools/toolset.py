"""Toolset: the tools of an environment, and the one place where a model's calls are run.

Invariant: every call gets exactly one result, in the order of the calls, whatever the model wrote and whatever the
tool did. A toolset never changes; copies of an environment share it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import inspect
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from textgym.cutting import cut
from textgym.errors import ConfigError, EnvError
from textgym.hooks import adrive, flow, settle
from textgym.parsers.tool_calls import read_arguments
from textgym.tools.definition import Tool
from textgym.tools.execution import Finished, in_place, run_tool
from textgym.tools.provider import ToolProvider
from textgym.tools.result import ToolOutcome, ToolResult, error_text
from textgym.tools.tool_registry import registry
from textgym.types import ToolCall

__all__ = ["Prepare", "Toolset"]

Prepare: TypeAlias = Callable[[str, dict[str, Any]], Any]
"""``prepare(name, arguments) -> arguments``: changes or adds arguments after the check; may be a coroutine."""

_SHOWN = 60
_LONGEST_ERROR = 2000


class Toolset:
    """Tools with unique names, in order.

    Args:
        tools: Functions, ``Tool``s, names of registered tools and ``ToolProvider``s, and what holds ``Tool``s,
            such as ``Search(documents)``.
        hidden: Argument names that are hidden in every plain function that has them.

    Raises:
        ConfigError: Something is none of these, or two tools have one name.

    Example:
        >>> def add(a: int, b: int) -> int:
        ...     '''Add two numbers.'''
        ...     return a + b
        >>> from textgym.hooks import drive, settle
        >>> call = ToolCall(id="1", name="add", arguments='{"a": 1, "b": "2"}')
        >>> drive(settle(Toolset([add]).call(call))).text
        'Error: add: argument \\'b\\' is "2": it must be an integer'
    """

    def __init__(self, tools: Iterable[Any] = (), hidden: Collection[str] = ()) -> None:
        if isinstance(tools, str | Tool) or not isinstance(tools, Iterable):
            raise ConfigError(f"tools is {tools!r:.60}: give a list, [{tools!r:.60}]")
        self.tools: tuple[Tool, ...] = ()
        """The tools that are known without opening a provider."""
        self.providers: tuple[ToolProvider, ...] = ()
        """The providers among what was given; ``with_tools`` adds what they bring."""
        found: list[Tool] = []
        providers: list[ToolProvider] = []
        for entry in _spread(tools):
            made = _tool(entry, hidden)
            if isinstance(made, Tool):
                found.append(made)
            else:
                providers.append(made)
        self.tools, self.providers = tuple(found), tuple(providers)
        self._by_name = _named(self.tools)

    def with_tools(self, tools: Iterable[Tool]) -> Toolset:
        """A toolset with further tools, those of an opened provider, and without providers.

        Raises:
            ConfigError: Two tools have one name.
        """
        return Toolset([*self.tools, *tools])

    @property
    def schemas(self) -> list[dict[str, Any]]:
        """The schemas of all tools, fresh."""
        return [tool.schema for tool in self.tools]

    def describe(self) -> str:
        """All tools as text for a system prompt, a paragraph each."""
        return "\n\n".join(tool.describe() for tool in self.tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools)

    def __len__(self) -> int:
        return len(self.tools)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> Tool:
        """The tool of a name; raises ``KeyError``."""
        return self._by_name[name]

    @flow
    async def call(
        self, call: ToolCall, hidden: Mapping[str, Any] | None = None, prepare: Prepare | None = None
    ) -> ToolResult:
        """Run one call: ``await`` it in a coroutine, ``settle`` it in a flow. As ``calls``."""
        return (await settle(self.calls([call], hidden, prepare)))[0]  # type: ignore[no-any-return]

    @flow
    async def calls(
        self,
        calls: Sequence[ToolCall],
        hidden: Mapping[str, Any] | None = None,
        prepare: Prepare | None = None,
    ) -> list[ToolResult]:
        """Run the calls of one turn.

        Tools that are ``concurrent`` run together, the others one after another in order.

        Args:
            calls: The calls; arguments are JSON text and may be anything.
            hidden: Values of hidden arguments by name, usually an environment's state; the name ``state``
                stands for all of it.
            prepare: Sees the checked arguments of each call and returns those to use.

        Returns:
            One result a call, in order.

        Raises:
            EnvError: A hidden argument has no value, or ``prepare`` returns no dict.
            TextgymError: A tool raised it, to say that it is not the model's doing.
            KeyboardInterrupt: A tool raised it.
        """
        if len(calls) == 1 or all(self._is_quick(call) for call in calls):
            return [await self._run(call, hidden, prepare) for call in calls]
        results = await settle(self._together(calls, hidden, prepare))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return list(results)

    def _is_quick(self, call: ToolCall) -> bool:
        tool = self._by_name.get(call.name)
        return tool is None or in_place(tool)

    async def _together(
        self, calls: Sequence[ToolCall], hidden: Mapping[str, Any] | None, prepare: Prepare | None
    ) -> list[Any]:
        results: list[Any] = [None] * len(calls)

        async def one(index: int) -> None:
            try:
                results[index] = await adrive(self._run(calls[index], hidden, prepare))
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # raised in a task, KeyboardInterrupt would end the loop
                results[index] = error

        async def in_order(indices: list[int]) -> None:
            for index in indices:
                await one(index)

        alone = [i for i, call in enumerate(calls) if not self._is_concurrent(call)]
        work = [one(index) for index in range(len(calls)) if index not in alone]
        await asyncio.gather(*work, in_order(alone))
        return results

    def _is_concurrent(self, call: ToolCall) -> bool:
        tool = self._by_name.get(call.name)
        return tool is None or tool.concurrent

    async def _run(
        self, call: ToolCall, hidden: Mapping[str, Any] | None, prepare: Prepare | None
    ) -> ToolResult:
        """One call as a flow."""
        began = time.perf_counter()
        tool = self._by_name.get(call.name)
        outcome, text = await self._answer(call, tool, hidden, prepare)
        limit = _bound(tool, outcome)
        return ToolResult(
            call_id=call.id,
            name=call.name,
            outcome=outcome,
            text=cut(text, limit),
            seconds=round(time.perf_counter() - began, 6),
            truncated=len(text) > limit,
        )

    async def _answer(
        self, call: ToolCall, tool: Tool | None, hidden: Mapping[str, Any] | None, prepare: Prepare | None
    ) -> Finished:
        if not call.name:
            return ToolOutcome.MALFORMED, "Error: the call names no tool"
        if tool is None:
            return ToolOutcome.UNKNOWN_TOOL, self._unknown(call.name)
        arguments, fault = read_arguments(call.arguments)
        if arguments is None:
            return ToolOutcome.MALFORMED, f"Error: {tool.name}: {fault}"
        faults = tool.faults(arguments)
        if faults:
            return ToolOutcome.INVALID_ARGUMENTS, f"Error: {tool.name}: {'; '.join(faults)}"
        try:
            arguments = tool.converted(arguments)
        except Exception as error:
            return ToolOutcome.INVALID_ARGUMENTS, error_text(error)
        if prepare is not None:
            arguments = await settle(prepare(tool.name, arguments))
            if not isinstance(arguments, dict):
                raise EnvError(
                    f"the arguments prepared for tool {tool.name!r} are {arguments!r:.60}: they must be a dict"
                )
        return await run_tool(tool, _filled(tool, arguments, hidden or {}))

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name[:_SHOWN], self._by_name, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(self._by_name) or "none"
        return f"Error: there is no tool {name[:_SHOWN]!r}: the tools are {known}.{hint}"

    def __copy__(self) -> Toolset:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Toolset:
        """The toolset itself, unless tools are methods of what is being copied: those go to the copy's."""
        owners = [memo.get(id(getattr(tool.function, "__self__", None))) for tool in self.tools]
        if not any(owner is not None for owner in owners):
            return self
        twin = object.__new__(type(self))
        twin.providers = self.providers
        twin.tools = tuple(
            tool if owner is None else _rebound(tool, owner)
            for tool, owner in zip(self.tools, owners, strict=True)
        )
        twin._by_name = _named(twin.tools)
        return twin

    def __repr__(self) -> str:
        names = [*self._by_name, *(type(provider).__name__ for provider in self.providers)]
        return f"Toolset({', '.join(names)})"


def _bound(tool: Tool | None, outcome: ToolOutcome) -> int:
    """The longest text of a result: what a tool says of its failure may be as long as what it returns."""
    if tool is None or outcome in (ToolOutcome.MALFORMED, ToolOutcome.INVALID_ARGUMENTS):
        return _LONGEST_ERROR
    return tool.max_output if outcome is ToolOutcome.OK else max(tool.max_output, _LONGEST_ERROR)


def _spread(entries: Iterable[Any]) -> Iterator[Any]:
    """The entries, and in place of those that hold nothing but tools, these."""
    for entry in entries:
        single = callable(entry) or isinstance(entry, str | Tool | ToolProvider)
        held = list(entry) if isinstance(entry, Iterable) and not single else []
        if held and all(isinstance(each, Tool) for each in held):
            yield from held
        else:
            yield entry


def _tool(entry: Any, hidden: Collection[str]) -> Tool | ToolProvider:
    if isinstance(entry, Tool):
        return entry
    if isinstance(entry, str):
        return registry[entry]
    if isinstance(entry, ToolProvider) and not isinstance(entry, type):
        return entry
    if not callable(entry):
        raise ConfigError(
            f"tools holds {entry!r:.60}: each must be a function, a Tool, the name of a registered tool or a "
            "ToolProvider"
        )
    own = [name for name in hidden if name in _parameters(entry)]
    return Tool.from_function(entry, hidden=own)


def _parameters(function: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return ()


def _named(tools: Sequence[Tool]) -> dict[str, Tool]:
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in named:
            raise ConfigError(
                f"two tools are called {tool.name!r}, {named[tool.name].function!r:.120} and "
                f"{tool.function!r:.120}: give one of them another name (MCPToolProvider has prefix=…)"
            )
        named[tool.name] = tool
    return named


def _filled(tool: Tool, arguments: dict[str, Any], hidden: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the hidden ones that are not there yet."""
    filled = dict(arguments)
    for name in tool.hidden:
        if name in filled:
            continue
        if name not in hidden and name != "state":
            raise EnvError(
                f"tool {tool.name!r} needs the hidden argument {name!r}, and the state has "
                f"{', '.join(map(str, hidden)) or 'nothing'}: put it there in initial_state, or return it from "
                "tool_arguments"
            )
        filled[name] = hidden.get(name, hidden)  # the name `state` stands for all of it
    return filled


def _rebound(tool: Tool, owner: Any) -> Tool:
    method: Any = tool.function
    return dataclasses.replace(tool, function=method.__func__.__get__(owner))
