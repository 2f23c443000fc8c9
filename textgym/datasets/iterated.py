"""``IteratedDataset``: the rows that a generator function yields, read as far as they are needed.

Invariant: row ``i`` is the ``i``-th that the function yields, whichever thread asks first and in
whatever order rows are asked for; every row is read once and kept. ``size`` depends on what the
function yields and never on how much has been read. It cannot make the function itself repeatable:
one that draws unseeded random numbers gives other rows in another process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from textgym.datasets.dataset import Dataset
from textgym.datasets.inspection import Check
from textgym.datasets.rows import as_example, checked_columns, renamed
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["PROBE", "IteratedDataset"]

logger = logging.getLogger(__name__)

PROBE = 10_000
"""Rows after which a generator counts as endless, unless its size is given."""


class IteratedDataset(Dataset):
    """The rows of a generator function.

    A generator does not tell how many rows it has. The first call of ``size`` therefore reads up to
    10,000 rows: one that ends by then is finite, any other counts as endless. Give ``size`` for a
    long generator that does end.

    Args:
        rows: Called without arguments, returns an iterable of rows; usually ``def rows(): yield
            {…}``. To be pickled, it must be importable, and it is read again in the other process.
        size: Number of rows, where it is known; further ones are ignored.
        columns: Our column name -> the rows', like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        check: What else has to hold of each example: returns what is wrong, or None.

    Raises:
        ConfigError: ``rows`` is no function, or ``size`` no positive whole number.

    Example:
        >>> def squares():
        ...     n = 0
        ...     while True:
        ...         yield {"question": f"{n}*{n}?", "answer": str(n * n)}
        ...         n += 1
        >>> dataset = IteratedDataset(squares)
        >>> dataset[12].answer, dataset.size
        ('144', None)
    """

    def __init__(
        self,
        rows: Callable[[], Iterable[Any]],
        *,
        size: int | None = None,
        columns: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        check: Check | None = None,
    ) -> None:
        if not callable(rows):
            raise ConfigError(
                f"rows is {rows!r:.60} ({type(rows).__name__}): pass the generator function "
                "itself, without calling it"
            )
        self._function = rows
        self._declared = _declared(size)
        self._columns = checked_columns(columns)
        self._skip_bad = skip_bad
        self._check = check
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._examples: list[Example] = []
        self._iterator: Iterator[Any] | None = None
        self._read = 0
        self._ended = False
        self._failure: str | None = None

    @cached_property
    def size(self) -> int | None:
        """Number of rows, or None if there are more than 10,000 and no size was given.

        Raises:
            DatasetError: The generator failed, or yields no row.
        """
        if self._declared is not None:
            return self._declared
        if self._advance(PROBE):
            return None
        if not self._examples:
            raise DatasetError(f"{self._source} yields no rows: a dataset needs at least one")
        return len(self._examples)

    def _fetch(self, position: int) -> Example:
        if self._declared is not None and position >= self._declared:
            raise self._no_index(position)
        if position < len(self._examples) or self._advance(position):
            return self._examples[position]
        if self._declared is None and self.size is not None:
            raise self._no_index(position)
        raise DatasetError(
            f"{self._source} ended after {len(self._examples)} rows, but it was taken to have "
            f"{self._declared or 'more'}: pass size={len(self._examples)}"
        )

    def _advance(self, position: int) -> bool:
        """Read until there is a row at ``position``; False if the generator ends before."""
        with self._lock:
            while len(self._examples) <= position:
                if self._failure is not None:
                    # A generator that raised is dead; asked again, it would look like a short one.
                    raise DatasetError(self._failure)
                if self._ended or not self._read_one():
                    return False
        return True

    def _read_one(self) -> bool:
        try:
            if self._iterator is None:
                self._iterator = iter(self._function())
            row = next(self._iterator)
        except StopIteration:
            self._ended = True
            return False
        except BaseException as error:
            self._failure = f"{self._source} raised {type(error).__name__} after {self._read} rows: {error}"
            if isinstance(error, Exception):
                raise DatasetError(self._failure) from error
            raise
        number = self._read
        self._read += 1
        try:
            example = as_example(renamed(row, self._columns))
            wrong = None if self._check is None else self._check(example)
            if wrong is not None:
                raise DatasetError(wrong)
            self._examples.append(example)
        except DatasetError as error:
            problem = f"row {number} of {self._source} is malformed: {error}"
            if not self._skip_bad:
                self._failure = f"{problem}. Fix it, or pass skip_bad=True to leave such rows out"
                raise DatasetError(self._failure) from None
            logger.warning("%s; it is left out (skip_bad=True)", problem)
        return True

    @property
    def _name(self) -> str:
        return str(getattr(self._function, "__qualname__", type(self._function).__name__))

    @property
    def _source(self) -> str:
        return f"the generator {self._name}"

    def __getstate__(self) -> tuple[Any, ...]:
        return self._function, self._declared, self._columns, self._skip_bad, self._check

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._function, self._declared, self._columns, self._skip_bad, self._check = state
        self._begin()

    def __repr__(self) -> str:
        # Does not ask size: showing a dataset must not read ten thousand rows.
        size = "" if self._declared is None else f", size={self._declared}"
        return f"IteratedDataset({self._name}{size})"


def _declared(size: Any) -> int | None:
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ConfigError(f"size is {size!r:.60}: it must be a whole number of at least 1, or None")
    return size
