"""Prefixes: the key-value caches of finished completions, for the next turn of the same conversation.

Invariant: what ``find`` returns was computed with the present weights from exactly the ids that the new
prompt begins with (the decoder calls ``clear`` when weights change), and all of it together is never larger
than the bound. The least recently used goes first.
"""

from __future__ import annotations

from collections import OrderedDict
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

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def enabled(self) -> bool:
        """Whether anything would be kept."""
        return self._most_bytes > 0

    def find(self, ids: Sequence[int]) -> Layers | None:
        """The layers of the longest kept beginning of ``ids`` that leaves at least one id to read."""
        best: tuple[int, ...] = ()
        for kept in self._kept:
            length = len(kept)
            # Nearly all that do not match differ at their own end already.
            fits = len(best) < length < len(ids) and kept[-1] == ids[length - 1]
            if fits and kept == tuple(ids[:length]):
                best = kept
        if not best:
            return None
        self._kept.move_to_end(best)
        return self._kept[best][0]

    def keep(self, ids: Sequence[int], layers: Layers) -> None:
        """Keep the cache of these ids.

        Args:
            ids: What was read.
            layers: Keys and values of them, one row.
        """
        self._drop(tuple(ids))
        size = sum(_size(keys) + _size(values) for keys, values in layers)
        if size > self._most_bytes:
            return
        self._kept[tuple(ids)] = (layers, size)
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._bytes = 0

    def _drop(self, ids: tuple[int, ...]) -> None:
        _, size = self._kept.pop(ids, (None, 0))
        self._bytes -= size


def _size(tensor: Any) -> int:
    return int(tensor.numel() * tensor.element_size())
