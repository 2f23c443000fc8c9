"""The hand of a worker: the groups that it was dealt and has not begun, as a queue for its slots.

Invariant: groups are begun in the order in which they came, and one that is not begun can be given back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.shares import Share

__all__ = ["Hand"]


class Hand:
    """A queue of groups that is filled while it is played.

    Args:
        begin: Called with each group whose first episode is about to be taken.
    """

    def __init__(self, begin: Callable[[Share], object]) -> None:
        self._begin = begin
        self._waiting: deque[Share] = deque()
        self._begun: deque[EpisodeTask] = deque()
        self._filled = asyncio.Event()

    def add(self, shares: Iterable[Share]) -> None:
        """Take groups over."""
        self._waiting.extend(shares)
        if self._waiting:
            self._filled.set()

    def give_back(self) -> list[int]:
        """Let go of half of the groups that are not begun, the newest, and name them."""
        return [self._waiting.pop().group_id for _ in range((len(self._waiting) + 1) // 2)]

    def take(self) -> EpisodeTask | None:
        """The next episode, or None if there is none now."""
        if not self._begun and self._waiting:
            share = self._waiting.popleft()
            self._begin(share)
            self._begun.extend(share.tasks)
        return self._begun.popleft() if self._begun else None

    async def more(self) -> bool:
        """Wait until there may be another episode."""
        if not (self._begun or self._waiting):
            self._filled.clear()
            await self._filled.wait()
        return True
