"""``Dataset``, the sequence of examples that environments read, and ``ListDataset``.

Invariant: a dataset does not change after it is made; index ``i`` gives the same example every time
and in every process. Copies are the dataset itself. It does not choose which example comes next;
environments do, from their seeds.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, Literal, overload

from textgym.datasets.inspection import Check, read_rows
from textgym.datasets.rows import checked_columns
from textgym.errors import ConfigError
from textgym.types import Example

__all__ = ["Dataset", "ListDataset", "SplitKey"]

SplitKey = Literal["question", "content"]
"""What decides the side of a split: what is asked, or everything but the id."""


class Dataset(ABC):
    """An immutable sequence of examples, finite or endless.

    Subclasses give ``size`` and ``_fetch``. ``len`` works for finite datasets; ask ``size`` where a
    dataset may be endless. Negative indices count from the end of finite datasets.

    ``split``, ``shuffle``, ``take``, ``skip``, ``filter`` and ``map`` give views: they read rows of
    this dataset when they are asked for one, copy none, follow from their arguments alone, and can
    be pickled if this dataset and their functions can.
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

    @overload
    def split(
        self,
        part: None = None,
        *,
        test_share: float = 1 / 8,
        seed: int = 0,
        by: SplitKey | None = None,
    ) -> tuple[Dataset, Dataset]: ...

    @overload
    def split(
        self,
        part: Literal["train", "test"],
        *,
        test_share: float = 1 / 8,
        seed: int = 0,
        by: SplitKey | None = None,
    ) -> Dataset: ...

    def split(
        self,
        part: Literal["train", "test"] | None = None,
        *,
        test_share: float = 1 / 8,
        seed: int = 0,
        by: SplitKey | None = None,
    ) -> Dataset | tuple[Dataset, Dataset]:
        """Divide the rows so that no row of one side is in the other.

        The side of a row is a hash of what it asks: its prompt and question, apart from case and
        spacing. So equal questions are on one side, however often they come, in whatever order, in
        whatever file, and whatever their ids, answers and other columns say. Adding rows moves no
        other row. Sides have about the asked share, not exactly. In an endless dataset the rows of
        a side are looked for one after another.

        Args:
            part: One side; by default both.
            test_share: Share of the questions that go to the test side, in (0, 1).
            seed: Gives another division. Train and test of different seeds do overlap.
            by: ``"question"`` (the default) or ``"content"``, everything but the id: for datasets
                whose prompt is always the same. Rows then have to be equal altogether to stay
                together.

        Returns:
            The side, or ``(train, test)``.

        Raises:
            ConfigError: An argument is unusable.

        Example:
            >>> rows = ListDataset([{"question": f"{n}?"} for n in range(80)])
            >>> train, test = rows.split()
            >>> len(train), len(test), {e.id for e in train} & {e.id for e in test}
            (67, 13, set())
        """
        if part not in ("train", "test", None):
            raise ConfigError(f'part is {part!r:.60}: it must be "train", "test", or None for both')
        if by not in ("question", "content", None):
            raise ConfigError(f'by is {by!r:.60}: it must be "question" or "content"')
        if part is None:
            return self._side("train", test_share, seed, by), self._side("test", test_share, seed, by)
        return self._side(part, test_share, seed, by)

    def _side(
        self, part: Literal["train", "test"], test_share: float, seed: int, by: SplitKey | None
    ) -> Dataset:
        from textgym.datasets.views import Filtered, Side

        side = Side(part, test_share, seed, by or "question")
        return Filtered(self, side, f"split({part!r})")

    def shuffle(self, seed: int = 0) -> Dataset:
        """The same rows in a seeded order; an endless dataset is shuffled in blocks of 1,024 rows.

        Example:
            >>> rows = ListDataset([{"question": f"{n}?"} for n in range(80)])
            >>> list(rows.shuffle(1)) == list(rows), set(map(str, rows.shuffle(1))) == set(map(str, rows))
            (False, True)
        """
        from textgym.datasets.views import Shuffled

        return Shuffled(self, seed)

    def take(self, n: int) -> Dataset:
        """The first ``n`` rows, at least 1; all of them where there are fewer."""
        from textgym.datasets.views import Section

        return Section(self, 0, n)

    def skip(self, n: int) -> Dataset:
        """All rows but the first ``n``; that none is left shows as a DatasetError when it is used."""
        from textgym.datasets.views import Section

        return Section(self, n, None)

    def filter(self, keep: Callable[[Example], Any]) -> Dataset:
        """The rows for which a function says yes, in order.

        Args:
            keep: Gets an example. It must give the same answer for the same example each time.

        Returns:
            A view. Of a finite dataset all rows are read once, when it is first used; of an endless
            one as many as are needed. That no row is left shows as a DatasetError then.
        """
        from textgym.datasets.views import Filtered

        return Filtered(self, keep)

    def map(self, change: Callable[[Example], Any]) -> Dataset:
        """Every row changed by a function.

        Args:
            change: Gets an example and returns an ``Example`` or a row dict. It must give the same
                result for the same example each time.

        Example:
            >>> rows = ListDataset([{"question": "2+2", "answer": "4"}])
            >>> rows.map(lambda e: {"question": f"{e.question} = ?", "answer": e.answer})[0].question
            '2+2 = ?'
        """
        from textgym.datasets.views import Mapped

        return Mapped(self, change)

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
        columns: Our column name -> the rows', like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        check: What else has to hold of each example: returns what is wrong, or None.

    Raises:
        DatasetError: Rows are malformed (all are reported at once), or there are none.

    Example:
        >>> dataset = ListDataset([{"prompt": "What is 2+2?", "answer": "4", "task": "arithmetic"}])
        >>> len(dataset), dataset[0].answer, dataset[-1].task
        (1, '4', 'arithmetic')
    """

    def __init__(
        self,
        rows: Iterable[Any],
        *,
        columns: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        check: Check | None = None,
    ) -> None:
        self._examples = read_rows(rows, skip_bad=skip_bad, columns=checked_columns(columns), check=check)

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self._examples)

    def _fetch(self, position: int) -> Example:
        try:
            return self._examples[position]
        except IndexError:
            raise self._no_index(position) from None
