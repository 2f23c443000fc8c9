"""StatefulToolEnv: tools that work on the state of the episode.

Invariant: what a hidden argument gets is the environment's to say; a model that gives one is told that there is no
such argument. The state belongs to one episode and is copied with the environment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from textgym.envs.tool_env import ToolEnv
from textgym.errors import ConfigError
from textgym.hooks import Flow
from textgym.tools import ToolResult, Toolset
from textgym.types import ToolCall

__all__ = ["StatefulToolEnv"]


class StatefulToolEnv(ToolEnv):
    """Tools with hidden arguments: those that the model neither sees nor gives.

    A hidden argument gets ``self.state[name]``; one called ``state`` gets the whole state (unless it has
    such a key). ``initial_state(example)`` makes the state, tools may change what they are given, and
    ``tool_arguments`` may put in anything else. Tools with hidden arguments are not run at the same time,
    so that their order is that of the calls.

    ## Rewards
    Those of the rubric; reward functions may ask for ``state``.

    Args:
        dataset: As for ``ToolEnv``, like all arguments that are not named here.
        tools: The tools.
        *args: The rubric and the parser.
        hidden: Argument names that are hidden in every plain function among the tools that has them; a ``Tool``
            says for itself what it hides.
        **kwargs: As for ``ToolEnv``.

    Raises:
        ConfigError: ``hidden`` is given with a ready ``Toolset``, or as for ``ToolEnv``.

    Example:
        >>> def put(item: str, basket: list) -> str:
        ...     '''Put something into the basket.'''
        ...     basket.append(item)
        ...     return f"{len(basket)} in the basket"
        >>> class Shop(StatefulToolEnv):
        ...     def initial_state(self, example):
        ...         return {"basket": []}
        >>> shop = Shop([{"prompt": "Buy tea.", "answer": "done"}], [put], hidden=["basket"])
        >>> _ = shop.reset(seed=0)
        >>> _ = shop.step('<tool>{"name": "put", "args": {"item": "tea"}}</tool>')
        >>> shop.state["basket"]
        ['tea']
    """

    fills_hidden = True

    def __init__(
        self,
        dataset: Any,
        tools: Iterable[Any] | Toolset,
        *args: Any,
        hidden: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        if isinstance(hidden, str):
            raise ConfigError(f"hidden is the text {hidden!r}: give a list of names, [{hidden!r}]")
        if not isinstance(tools, Toolset):
            tools = Toolset(tools, hidden)
        elif hidden:
            raise ConfigError("hidden names are for plain functions: a Toolset says for itself what it hides")
        super().__init__(dataset, tools, *args, **kwargs)

    def tool_arguments(self, name: str, arguments: dict[str, Any], state: dict[str, Any]) -> Any:
        """The arguments that a tool is called with (may be a coroutine function).

        Args:
            name: Name of the tool.
            arguments: What the model gave, checked.
            state: The episode's state.

        Returns:
            The arguments, hidden ones among them; those that are left out come from the state.
        """
        return arguments

    def run_calls(self, calls: Sequence[ToolCall]) -> Flow[list[ToolResult]]:
        """Run the calls with hidden arguments from the state."""

        def prepare(name: str, arguments: dict[str, Any]) -> Any:
            return self.tool_arguments(name, arguments, self.state)

        return self.toolset.calls(calls, hidden=self.state, prepare=prepare)
