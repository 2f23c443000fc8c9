"""``Dataset``, the sequence of examples that environments read, and ``ListDataset``.

Invariant: a dataset does not change after it is made; index ``i`` gives the same example every time
and in every process. Copies are the dataset itself. It does not choose which example comes next;
environments do, from their seeds.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from textgym.datasets.rows import read_rows
from textgym.types import Example

__all__ = ["Dataset", "ListDataset"]


class Dataset(ABC):
    """An immutable sequence of examples, finite or endless.

    Subclasses give ``size`` and ``_fetch``. ``len`` works for finite datasets; ask ``size`` where a
    dataset may be endless. Negative indices count from the end of finite datasets.
    """

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Number of examples, or None for an endless dataset; never changes."""

    @abstractmethod
    def _fetch(self, position: int) -> Example:
        """The example at a position of at least 0.

        Raises:
            IndexError: The dataset ends before this position.
        """

    def __len__(self) -> int:
        """Number of examples.

        Raises:
            TypeError: The dataset is endless.
        """
        if self.size is None:
            raise TypeError(f"{self!r} is endless and has no len(): ask .size, which is None")
        return self.size

    def __bool__(self) -> bool:
        # Without this, truth would ask len(), which endless datasets do not have.
        return True

    def __getitem__(self, index: int) -> Example:
        """The example at an index.

        Args:
            index: A whole number; negative ones count from the end of a finite dataset.

        Raises:
            IndexError: The dataset has no such index.
            TypeError: The index is no whole number (slices are not supported).
        """
        try:
            position = operator.index(index)
        except TypeError:
            raise TypeError(
                f"index of a dataset is {index!r:.60} ({type(index).__name__}): it must be a whole number"
            ) from None
        if position < 0:
            if self.size is None:
                raise IndexError(f"index {position} counts from the end, and {self!r} is endless")
            position += self.size
        if position < 0:
            raise self._no_index(index)
        return self._fetch(position)

    def __iter__(self) -> Iterator[Example]:
        """Every example in order; does not end for an endless dataset."""
        positions = count() if self.size is None else range(self.size)
        return (self._fetch(position) for position in positions)

    def _no_index(self, index: int) -> IndexError:
        return IndexError(f"index {index} is outside of {self!r}")

    def __copy__(self) -> Dataset:
        return self

    def __deepcopy__(self, memo: Any) -> Dataset:
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class ListDataset(Dataset):
    """Rows in memory, all of them checked when the dataset is made.

    Args:
        rows: Row dicts or examples; read once.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.

    Raises:
        DatasetError: Rows are malformed (all are reported at once), or there are none.

    Example:
        >>> dataset = ListDataset([{"prompt": "What is 2+2?", "answer": "4", "task": "arithmetic"}])
        >>> len(dataset), dataset[0].answer, dataset[-1].task
        (1, '4', 'arithmetic')
    """

    def __init__(self, rows: Iterable[Any], *, skip_bad: bool = False) -> None:
        self._examples = read_rows(rows, skip_bad=skip_bad)

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self._examples)

    def _fetch(self, position: int) -> Example:
        try:
            return self._examples[position]
        except IndexError:
            raise self._no_index(position) from None
