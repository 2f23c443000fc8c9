"""Prefixes: the key-value caches of finished completions, for the next turn of the same conversation.

Invariant: what ``find`` returns was computed with the present weights from exactly the ids that the new
prompt begins with (the decoder calls ``clear`` when weights change), and all of it together is never larger
than the bound. The least recently used goes first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

from textgym.policies.decoding.forward import Layers

__all__ = ["Prefixes"]


class Prefixes:
    """A bounded store of caches by their ids.

    Args:
        most_bytes: Bound on the memory of the tensors; 0 keeps nothing.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, ...], tuple[Layers, int]] = OrderedDict()
        self._ends: Counter[tuple[int, int]] = Counter()  # (length, last id): spares most comparisons

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def enabled(self) -> bool:
        """Whether anything would be kept."""
        return self._most_bytes > 0

    def find(self, ids: Sequence[int]) -> Layers | None:
        """The layers of the longest kept beginning of ``ids`` that leaves at least one id to read."""
        best = self._beginning(ids)
        if best is None:
            return None
        self._kept.move_to_end(best)
        return self._kept[best][0]

    def _beginning(self, ids: Sequence[int]) -> tuple[int, ...] | None:
        for length in range(len(ids) - 1, 0, -1):
            if (length, ids[length - 1]) in self._ends:
                beginning = tuple(ids[:length])
                if beginning in self._kept:
                    return beginning
        return None

    def keep(self, ids: Sequence[int], layers: Layers) -> None:
        """Keep the cache of these ids, in place of the one that they continue.

        Args:
            ids: What was read.
            layers: Keys and values of them, one row.
        """
        for outdated in (self._beginning(ids), tuple(ids)):
            if outdated is not None and outdated in self._kept:
                self._drop(outdated)
        size = sum(_size(keys) + _size(values) for keys, values in layers)
        if size > self._most_bytes:
            return
        self._kept[tuple(ids)] = (layers, size)
        self._ends[len(ids), ids[-1]] += 1
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._ends.clear()
        self._bytes = 0

    def _drop(self, ids: tuple[int, ...]) -> None:
        self._bytes -= self._kept.pop(ids)[1]
        end = (len(ids), ids[-1])
        self._ends[end] -= 1
        if not self._ends[end]:
            del self._ends[end]


def _size(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())
