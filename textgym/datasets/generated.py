"""``GeneratedDataset``: instances made from random numbers, without end and with disjoint splits.

Invariant: item ``i`` depends on ``(seed, name, i)`` and the split alone, and whether an instance
belongs to the train or to the test split depends on its content alone. The same instance can
therefore never be in both splits, whatever the seeds. Nothing is remembered between calls.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from textgym import seeding
from textgym.datasets.dataset import Dataset, SplitKey
from textgym.datasets.numbers import checked_share, whole_number
from textgym.datasets.rows import as_example, content_key
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["GeneratedDataset"]

_PATIENCE = 64
"""Draws before a split is called empty, over its share: a chance of e**-64 to be wrong."""


class GeneratedDataset(Dataset):
    """Instances made by a function of a random generator.

    An instance belongs to the test split if a hash of its content falls into the test share, and to
    the train split otherwise. Content is everything but the ``id``: prompt, question, answer, task
    and info. So ``info`` must hold nothing that differs between draws of the same instance (a
    draw's seed, a time), or one question could be in both splits.

    Draws are independent, so an instance may come twice, as often as the size of the space
    suggests.

    Args:
        make: ``make(rng) -> row``: a row dict or ``Example`` from a ``numpy.random.Generator``, its
            only source of randomness.
        seed: Chooses the items; seeds give unrelated items, neighbouring ones too.
        size: Number of items, or None for no end.
        split: ``"train"``, ``"test"``, or None for all instances.
        test_share: Share of the instances that belong to the test split, in (0, 1).
        name: Name of the stream; datasets of one seed with different names are unrelated.

    Raises:
        ConfigError: An argument is outside its range.

    Example:
        >>> def make(rng):
        ...     a, b = rng.integers(1000, size=2)
        ...     return {"question": f"{a}+{b}?", "answer": str(a + b)}
        >>> train, test = (GeneratedDataset(make, split=split) for split in ("train", "test"))
        >>> train[5] == train[5], train[5].id == test[5].id
        (True, False)
    """

    def __init__(
        self,
        make: Callable[[np.random.Generator], Any],
        *,
        seed: int = 0,
        size: int | None = None,
        split: Literal["train", "test"] | None = None,
        test_share: float = 1 / 8,
        name: str = "",
    ) -> None:
        self.make = _checked_maker(make)
        self.seed = whole_number("seed", seed)
        self._size = None if size is None else whole_number("size", size)
        if self._size is not None and self._size < 1:
            raise ConfigError(f"size is {size!r}: it must be at least 1, or None for no end")
        if split not in ("train", "test", None):
            raise ConfigError(f'split is {split!r}: it must be "train", "test" or None')
        self._part = split
        self.test_share = checked_share(test_share)
        self.name = name

    @property
    def part(self) -> str | None:
        """``"train"``, ``"test"``, or None for all instances."""
        return self._part

    @property
    def size(self) -> int | None:
        """Number of items, or None for no end."""
        return self._size

    def sample(self, rng: np.random.Generator) -> Example:
        """Draw one instance of this split, whatever ``size`` is.

        Args:
            rng: Its only source of randomness; it is advanced.

        Raises:
            DatasetError: ``make`` gave a malformed row, or no instance of the split comes up.
        """
        if self._part is None:
            return self._draw(rng)[0]
        share = self.test_share if self._part == "test" else 1 - self.test_share
        attempts = math.ceil(_PATIENCE / share)
        seen = set()
        for _ in range(attempts):
            example, key = self._draw(rng)
            if self._in_test(key) == (self._part == "test"):
                return example
            seen.add(key)
        raise DatasetError(
            f"the {self._part} split of {self._maker} seems to be empty: {attempts} draws gave "
            f"{len(seen)} different instances, all of the other split. The space of instances is "
            "too small to be split by content: make it larger, change test_share, or use "
            "split=None"
        )

    def _side(
        self, part: Literal["train", "test"], test_share: float, seed: int, by: SplitKey | None
    ) -> GeneratedDataset:
        """A side as ``split=`` makes it, so that both ways of asking give the same two sides."""
        if self._part is not None:
            raise ConfigError(f"{self!r} is the {self._part} split already: split a dataset with split=None")
        if seed or by == "question":
            raise ConfigError(
                "generated instances are split by their content alone, whatever the seed: leave seed and "
                "by out"
            )
        return GeneratedDataset(
            self.make, seed=self.seed, size=self._size, split=part, test_share=test_share, name=self.name
        )

    def _fetch(self, position: int) -> Example:
        if self._size is not None and position >= self._size:
            raise self._no_index(position)
        return self.sample(seeding.generator(self.seed, f"dataset/{self.name}", position))

    def _draw(self, rng: np.random.Generator) -> tuple[Example, str]:
        """An instance of any split and the key of its content."""
        row = self.make(rng)
        try:
            example = as_example(row)
            made_from_content = isinstance(row, Mapping) and row.get("id") is None
            return example, example.id if made_from_content else content_key(example)
        except DatasetError as error:
            raise DatasetError(f"{self._maker} made a malformed row: {error}") from None

    def _in_test(self, key: str) -> bool:
        return seeding.mix("split", key) / (1 << seeding.SEED_BITS) < self.test_share

    @property
    def _maker(self) -> str:
        return getattr(self.make, "__qualname__", type(self.make).__name__)

    def __repr__(self) -> str:
        split = "" if self._part is None else f", split={self._part!r}"
        return f"GeneratedDataset({self._maker}, size={self._size}, seed={self.seed}{split})"


def _checked_maker(make: Any) -> Callable[[np.random.Generator], Any]:
    if not callable(make):
        raise ConfigError(f"make is {make!r:.60}: it must be a function make(rng) -> row")
    if inspect.isgeneratorfunction(make):
        raise ConfigError(
            f"make is the generator function {make.__qualname__}, which yields rows: use "
            "IteratedDataset, or return one row for each rng"
        )
    return make  # type: ignore[no-any-return]
