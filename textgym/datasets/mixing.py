"""``mix``: several datasets as one, interleaved by weight.

Invariant: which source a position draws from, and which of its rows, follows from the weights, the
seed and the position alone, and is found without looking at other positions. Of 1,024 positions in
a row, every source gets its share to within one; their order is seeded. Within a source the order
of rows is kept (shuffle it before mixing).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from textgym import seeding
from textgym.datasets.dataset import Dataset
from textgym.datasets.numbers import whole_number
from textgym.datasets.source import as_dataset
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["MixedDataset", "mix"]

BLOCK = 1024
"""Positions within which shares are kept."""


def mix(
    datasets: Mapping[str, Any] | Sequence[Any],
    weights: Mapping[str, float] | Sequence[float] | None = None,
    seed: int = 0,
    *,
    stop: Literal["first", "all"] = "first",
    column: str = "source",
) -> MixedDataset:
    """Mix datasets.

    Every example says where it comes from: ``info["source"]`` is the name of its dataset, its ``id``
    begins with it, and its ``task`` is that name where the row has no task of its own (so that each
    source can have its prompt template).

    Args:
        datasets: ``{name: dataset}``, or a list, whose names are ``"0"``, ``"1"`` …; a dataset is
            whatever ``as_dataset`` takes.
        weights: How often each is drawn from, relative to the others; by default equally. A share
            is kept to 1/1024, and is at least that.
        seed: Gives another order of sources.
        stop: ``"first"``: the mix ends when the first finite dataset has no further row, so that no
            row comes twice (and does not end if all are endless). ``"all"``: it ends when every
            dataset has been read to its end, the shorter ones being repeated (and does not end if
            one is endless).
        column: Key of ``info`` that gets the name.

    Returns:
        A dataset.

    Raises:
        ConfigError: An argument is unusable.
        DatasetError: A dataset is malformed, or its rows have the key ``column`` already.

    Example:
        >>> sums = [{"question": f"{n}+1?"} for n in range(8)]
        >>> words = [{"question": f"Spell {w}."} for w in "abc"]
        >>> mixed = mix({"sums": sums, "words": words}, weights=[3, 1])
        >>> mixed[0].info["source"] in ("sums", "words"), mixed[0] == mixed[0]
        (True, True)
    """
    named = datasets if isinstance(datasets, Mapping) else dict(enumerate(datasets))
    if not named:
        raise ConfigError("mix got no datasets: give at least one")
    sources = {str(name): as_dataset(source) for name, source in named.items()}
    if stop not in ("first", "all"):
        raise ConfigError(f'stop is {stop!r:.60}: it must be "first" or "all"')
    return MixedDataset(
        sources, _quotas(list(sources), weights), whole_number("seed", seed), stop=stop, column=column
    )


class MixedDataset(Dataset):
    """What ``mix`` makes."""

    def __init__(
        self, sources: Mapping[str, Dataset], quotas: Sequence[int], seed: int, *, stop: str, column: str
    ) -> None:
        self._names = tuple(sources)
        self._datasets = tuple(sources.values())
        self._quotas = tuple(quotas)
        self._seed = seed
        self._stop = stop
        self._column = column
        for name, dataset in sources.items():
            self._labelled(name, dataset[0])

    @cached_property
    def size(self) -> int | None:
        """Number of rows, or None for no end."""
        sizes = [dataset.size for dataset in self._datasets]
        if self._stop == "all":
            if None in sizes:
                return None
            return max(self._position(k, size - 1) + 1 for k, size in enumerate(sizes) if size is not None)
        ends = [self._position(k, size) for k, size in enumerate(sizes) if size is not None]
        return min(ends, default=None)

    def _position(self, source: int, draw: int) -> int:
        """Where draw number ``draw`` from a source is in the mix."""
        block, rank = divmod(draw, self._quotas[source])
        order, _ = _schedule(self._seed, self._quotas, block)
        return block * BLOCK + int(np.flatnonzero(order == source)[rank])

    def _fetch(self, position: int) -> Example:
        size = self.size
        if size is not None and position >= size:
            raise self._no_index(position)
        block, place = divmod(position, BLOCK)
        order, ranks = _schedule(self._seed, self._quotas, block)
        source = int(order[place])
        draw = block * self._quotas[source] + int(ranks[place])
        dataset = self._datasets[source]
        if self._stop == "all" and dataset.size is not None:
            draw %= dataset.size
        return self._labelled(self._names[source], dataset[draw])

    def _labelled(self, name: str, example: Example) -> Example:
        if self._column in example.info:
            raise DatasetError(
                f"example {example.id!r} of {name!r} has {self._column}={example.info[self._column]!r:.60} "
                'already: choose another key for the name of the dataset, mix(…, column="mixed_from")'
            )
        return replace(
            example,
            id=f"{name}/{example.id}",
            task=name if example.task == "default" else example.task,
            info={**example.info, self._column: name},
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "size"}

    def __repr__(self) -> str:
        shares = ", ".join(
            f"{name}: {quota}/{BLOCK}" for name, quota in zip(self._names, self._quotas, strict=True)
        )
        return f"MixedDataset({shares}, seed={self._seed}, stop={self._stop!r})"


@lru_cache(maxsize=64)
def _schedule(
    seed: int, quotas: tuple[int, ...], block: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """The source at each place of a block, and how many places before it have the same."""
    sources = np.repeat(np.arange(len(quotas)), quotas)
    order = sources[seeding.permutation(seed, "mix", block, BLOCK)]
    ranks = np.empty(BLOCK, np.int64)
    for source, quota in enumerate(quotas):
        ranks[order == source] = np.arange(quota)
    return order, ranks


def _quotas(names: list[str], weights: Any) -> list[int]:
    """Places of each source within a block, by largest remainder."""
    if isinstance(weights, Mapping):
        if set(weights) != set(names):
            raise ConfigError(
                f"weights name {', '.join(map(str, weights))}: they must name {', '.join(names)}"
            )
        weights = [weights[name] for name in names]
    values = [1.0] * len(names) if weights is None else list(weights)
    if len(values) != len(names):
        raise ConfigError(f"there are {len(values)} weights and {len(names)} datasets: give one each")
    for weight in values:
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise ConfigError(
                f"weights holds {weight!r:.60}: a weight is a positive number; leave a dataset out for 0"
            )
    if len(values) > BLOCK:
        raise ConfigError(f"there are {len(values)} datasets: mix at most {BLOCK}")
    spare = BLOCK - len(values)
    exact = [weight / sum(values) * BLOCK for weight in values]
    above = [max(share - 1.0, 0.0) for share in exact]
    scale = spare / sum(above) if sum(above) else 0.0
    quotas = [1 + math.floor(share * scale) for share in above]
    remainders = [share * scale - math.floor(share * scale) for share in above]
    for index in sorted(range(len(values)), key=lambda i: -remainders[i])[: BLOCK - sum(quotas)]:
        quotas[index] += 1
    return quotas
