"""Views: datasets that read the rows of another one in another order, or change them.

Invariant: a view follows from its base and its arguments alone; what it remembers (an order, the
places that a filter keeps) is a few bytes a row, can be forgotten at any time, and is not pickled.
No row is copied. A view over an endless dataset is endless, unless it takes a number of rows.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from textgym import seeding
from textgym.datasets.dataset import Dataset, SplitKey
from textgym.datasets.numbers import checked_share, whole_number
from textgym.datasets.rows import as_example, content_key
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["Filtered", "Mapped", "Section", "Shuffled", "Side", "View"]

PATIENCE = 100_000
"""Rows of an endless dataset after which a filter that keeps none of them gives up."""

_FORGOTTEN = ("size", "_order", "_lock", "_places", "_scanned")


class View(Dataset):
    """A dataset over another one. Base of the others."""

    def __init__(self, base: Dataset, name: str) -> None:
        self._base = base
        self._name = name

    @property
    def size(self) -> int | None:
        """Number of rows; here that of the base."""
        return self._base.size

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _FORGOTTEN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __repr__(self) -> str:
        # Does not ask size: showing a view must not read a whole dataset.
        return f"{self._base!r}.{self._name}"


class Section(View):
    """The rows from ``start`` on, up to ``count`` of them. See ``Dataset.take`` and ``skip``."""

    def __init__(self, base: Dataset, start: Any, count: Any) -> None:
        start = whole_number("skip", start)
        if start < 0:
            raise ConfigError(f"skip is {start}: it must be at least 0")
        self._count = None if count is None else whole_number("take", count)
        if self._count is not None and self._count < 1:
            raise ConfigError(f"take is {self._count}: it must be at least 1")
        self._start: int = start
        super().__init__(base, f"skip({start})" if count is None else f"take({count})")

    @cached_property
    def size(self) -> int | None:
        """Number of rows, or None for no end."""
        if self._count is not None:
            # Asked first, because the size of a generator is found by reading thousands of rows.
            try:
                self._base[self._start + self._count - 1]
            except IndexError:
                pass
            else:
                return self._count
        size = self._base.size
        if size is None:
            return None
        if size <= self._start:
            raise DatasetError(f"{self!r} has no rows: there are {size} to skip {self._start} of")
        return size - self._start

    def _fetch(self, position: int) -> Example:
        if self._count is not None and position >= self._count:
            raise self._no_index(position)
        try:
            return self._base[self._start + position]
        except IndexError:
            if self.size is not None and position >= self.size:
                raise self._no_index(position) from None
            raise


class Shuffled(View):
    """The rows in a seeded order. See ``Dataset.shuffle``."""

    def __init__(self, base: Dataset, seed: Any) -> None:
        self._seed = whole_number("seed", seed)
        super().__init__(base, f"shuffle({self._seed})")

    @cached_property
    def _order(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return seeding.permutation(self._seed, "shuffle", 0, self._base.size or 0)

    def _fetch(self, position: int) -> Example:
        size = self._base.size
        if size is None:
            block, place = divmod(position, seeding.SHUFFLE_BLOCK)
            return self._base[block * seeding.SHUFFLE_BLOCK + int(_block_order(self._seed, block)[place])]
        if position >= size:
            raise self._no_index(position)
        return self._base[int(self._order[position])]


@lru_cache(maxsize=64)
def _block_order(seed: int, block: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return seeding.permutation(seed, "shuffle", block, seeding.SHUFFLE_BLOCK)


class Filtered(View):
    """The rows for which a function says yes. See ``Dataset.filter``."""

    def __init__(self, base: Dataset, keep: Callable[[Example], Any], name: str | None = None) -> None:
        if not callable(keep):
            raise ConfigError(f"filter got {keep!r:.60}: it must be a function from an Example to a bool")
        self._keep = keep
        super().__init__(base, name or f"filter({_named(keep)})")
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()  # a filter may read this very view
        self._places = array("q")
        self._scanned = 0

    @cached_property
    def size(self) -> int | None:
        """Number of rows that are kept, or None for no end."""
        total = self._base.size
        if total is None:
            return None
        with self._lock:
            kept = (place for place, example in enumerate(self._base) if self._keep(example))
            self._places = array("q", kept)
        if not self._places:
            raise DatasetError(f"{self!r} has no rows: none of {total} is kept")
        return len(self._places)

    def _fetch(self, position: int) -> Example:
        size = self.size
        if size is not None and position >= size:
            raise self._no_index(position)
        with self._lock:
            misses = 0
            while len(self._places) <= position:
                misses = 0 if self._scan() else misses + 1
                if misses >= PATIENCE:
                    raise DatasetError(
                        f"{self!r} gave up: it keeps none of {misses:,} rows in a row from row "
                        f"{self._scanned - misses:,} on, and the dataset is endless"
                    )
        return self._base[self._places[position]]

    def _scan(self) -> bool:
        """Look at the next row of the base; whether it is kept. The lock is held."""
        kept = bool(self._keep(self._base[self._scanned]))
        if kept:
            self._places.append(self._scanned)
        self._scanned += 1
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._begin()


class Mapped(View):
    """The rows changed by a function. See ``Dataset.map``."""

    def __init__(self, base: Dataset, change: Callable[[Example], Any]) -> None:
        if not callable(change):
            raise ConfigError(f"map got {change!r:.60}: it must be a function from an Example to a row")
        self._change = change
        super().__init__(base, f"map({_named(change)})")

    def _fetch(self, position: int) -> Example:
        row = self._change(self._base[position])
        try:
            return as_example(row)
        except DatasetError as error:
            raise DatasetError(
                f"{_named(self._change)} made a malformed row of row {position}: {error}"
            ) from None


class Side:
    """Whether an example is on one side of a split. See ``Dataset.split``."""

    __slots__ = ("by", "part", "seed", "share")

    def __init__(self, part: Literal["train", "test"], share: Any, seed: Any, by: SplitKey) -> None:
        self.part = part
        self.share = checked_share(share)
        self.seed = whole_number("seed", seed)
        self.by = by

    def __call__(self, example: Example) -> bool:
        """Whether it is on this side."""
        key = content_key(example) if self.by == "content" else question_key(example)
        test = seeding.mix("split", self.seed, key) / (1 << seeding.SEED_BITS) < self.share
        return test == (self.part == "test")


def question_key(example: Example) -> str:
    """Stable key of what an example asks, apart from case and spacing."""
    return seeding.content_id(_normal([example.prompt, example.question]))


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split()).casefold()
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()}
    return value


def _named(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))
