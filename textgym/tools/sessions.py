"""Sessions: the providers that one environment has opened, and their tools.

Invariant: what was opened is closed exactly once, whatever happened in between. A copy of an environment
    has opened
nothing: it opens its own sessions at its next episode.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import Any

from textgym.errors import ConfigError
from textgym.hooks import settle
from textgym.tools.definition import Tool
from textgym.tools.provider import ToolProvider, is_forkable, is_shared

__all__ = ["Sessions"]

_log = logging.getLogger(__name__)


class Sessions:
    """Opens providers for episodes and closes them. Its methods are flows of ``textgym.hooks``.

    Args:
        providers: The providers, as they were given; they stay closed unless they are shared.
    """

    def __init__(self, providers: Sequence[ToolProvider]) -> None:
        self.providers = tuple(providers)
        self._shared: dict[int, tuple[ToolProvider, list[Tool]]] = {}
        self._own: list[ToolProvider] = []

    @property
    def forkable(self) -> bool:
        """Whether a copy may go on with the tools of this episode."""
        return all(is_forkable(provider) for provider in self.providers)

    async def begin(self) -> list[Tool]:
        """Open what the next episode needs; the last one's sessions are closed first.

        Returns:
            The tools, in the order of the providers.

        Raises:
            ConfigError: A provider brings something that is no tool.
            Exception: Whatever a provider raises; nothing is left open of this episode then.
        """
        await self.end()
        tools: list[Tool] = []
        try:
            for provider in self.providers:
                tools += await self._tools_of(provider)
        except BaseException:
            await self.end()
            raise
        return tools

    async def _tools_of(self, provider: ToolProvider) -> list[Tool]:
        if not is_shared(provider):
            provider = copy.deepcopy(provider)
            tools = _checked(provider, await self._opened(provider))
            self._own.append(provider)
            return tools
        if id(provider) not in self._shared:
            tools = _checked(provider, await self._opened(provider))
            self._shared[id(provider)] = (provider, tools)
        return self._shared[id(provider)][1]

    async def _opened(self, provider: ToolProvider) -> Any:
        return await settle(provider.open())

    async def end(self) -> None:
        """Close the sessions of the episode."""
        while self._own:
            await _closed(self._own.pop())

    async def close(self) -> None:
        """Close everything."""
        await self.end()
        while self._shared:
            await _closed(self._shared.popitem()[1][0])

    def __deepcopy__(self, memo: dict[int, Any]) -> Sessions:
        return Sessions(self.providers)

    def __reduce__(self) -> Any:
        return Sessions, (self.providers,)


def _checked(provider: ToolProvider, tools: Any) -> list[Tool]:
    if not isinstance(tools, Sequence) or not all(isinstance(tool, Tool) for tool in tools):
        raise ConfigError(
            f"{type(provider).__name__}.open returned {tools!r:.80}: it must be a list of textgym.tools.Tool"
        )
    return list(tools)


async def _closed(provider: ToolProvider) -> None:
    """Close one; its error is told and does not break an episode that is over."""
    try:
        await settle(provider.close())
    except Exception:
        _log.warning("%s could not be closed", type(provider).__name__, exc_info=True)
