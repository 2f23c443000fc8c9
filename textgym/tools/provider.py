"""ToolProvider: tools that come from somewhere else, maybe over a live session.

Invariant: a provider that is not open is a description: it can be copied, pickled and shared, and holds no
connection. Whoever opens one closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from textgym.tools.definition import Tool

__all__ = ["ToolProvider", "is_deterministic", "is_forkable", "is_shared"]


@runtime_checkable
class ToolProvider(Protocol):
    """Brings tools, for instance those of an MCP server.

    An environment makes a copy (``copy.deepcopy``) of each provider for every episode, opens it at
    ``reset``, takes the tools that it returns and closes it when the episode has ended; so every episode
    has a session of its own, and state in it is the episode's. A provider may say otherwise by three
    attributes:

    - ``shared = True``: the provider itself is used, not a copy. Each environment opens it before its first
      episode and closes it in ``close()``; ``open`` may then be called several times, also at the same
      time, and is answered by as many ``close``s.
    - ``deterministic = True``: equal calls give equal results. Otherwise ``metadata["deterministic"]`` of the
      environment is False.
    - ``forkable = True``: its tools keep nothing of an episode, so that a copy of the environment may go on
      with them. Otherwise copying in the middle of an episode raises ``NotForkable``.

    Opening, calling and closing may come from different tasks, threads and event loops (``env.step`` uses a
    loop in the background, ``textgym.rollout`` its own): a connection that belongs to one loop or task has
    to run on its own. An error of ``open`` breaks the episode; ``close`` is called once, also after a
    failed episode, never before ``open`` has returned.
    """

    async def open(self) -> Sequence[Tool]:
        """Begin a session and return its tools."""
        ...

    async def close(self) -> None:
        """End it."""
        ...


def is_shared(provider: Any) -> bool:
    """Whether one session serves many episodes."""
    return bool(getattr(provider, "shared", False))


def is_deterministic(provider: Any) -> bool:
    """Whether equal calls give equal results."""
    return bool(getattr(provider, "deterministic", False))


def is_forkable(provider: Any) -> bool:
    """Whether its tools keep nothing of an episode."""
    return bool(getattr(provider, "forkable", False))
