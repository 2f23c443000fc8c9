"""``TableDataset``: a table with named columns, such as one of Hugging Face ``datasets``.

Invariant: a row is converted when it is asked for and nothing is kept, so that a table on disk
stays there. The table is recognised by what it can do; the library is not imported. All rows are
checked in one pass when the dataset is made, unless that is put off.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from textgym.datasets.dataset import Dataset
from textgym.datasets.inspection import Check, Inspection
from textgym.datasets.rows import as_example, checked_columns, renamed
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["TableDataset"]

_BATCH = 256
"""Rows that are read at a time while the table is checked."""


class TableDataset(Dataset):
    """A table whose rows are read on demand.

    Args:
        table: Has ``column_names``, ``len`` and ``table[i]``, which gives the row as a dict. It
            must not be changed afterwards.
        columns: Our column name -> the table's, like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer.
        check: What else has to hold of each example: returns what is wrong, or None.
        lazy: Do not check the rows now (some 20 µs each): a malformed one shows when it is read.

    Raises:
        ConfigError: Arguments contradict each other.
        DatasetError: It has neither a ``prompt`` nor a ``question`` column, it has no rows, or rows
            are malformed (all are reported at once, by their position from 0).
    """

    def __init__(
        self,
        table: Any,
        *,
        columns: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        mixed: bool = False,
        check: Check | None = None,
        lazy: bool = False,
    ) -> None:
        self._columns = checked_columns(columns)
        if lazy and (skip_bad or check is not None):
            raise ConfigError("lazy=True checks no rows, so skip_bad and check do not apply: leave them out")
        _require_question(list(table.column_names or ()), self._columns)
        self._table = table
        self._kept: np.ndarray[Any, np.dtype[np.int64]] | None = None
        self._size = len(table)
        if not self._size:
            raise DatasetError("the table has no rows: a dataset needs at least one")
        if not lazy:
            inspection = Inspection("the table", "row", columns=self._columns, check=check, mixed=mixed)
            self._inspect(inspection, skip_bad)

    def _inspect(self, inspection: Inspection, skip_bad: bool) -> None:
        good = array("q")
        for position, row in enumerate(_rows(self._table, self._size)):
            if inspection.read(position, row) is not None:
                good.append(position)
        kept = np.array(good, np.int64)[inspection.finish(skip_bad=skip_bad)]
        if len(kept) < self._size:
            self._kept, self._size = kept, len(kept)

    @property
    def size(self) -> int:
        """Number of rows."""
        return self._size

    def _fetch(self, position: int) -> Example:
        if position >= self._size:
            raise self._no_index(position)
        row = position if self._kept is None else int(self._kept[position])
        try:
            return as_example(renamed(self._table[row], self._columns))
        except DatasetError as error:
            raise DatasetError(f"row {row} of the table is malformed: {error}") from None


def _require_question(names: list[Any], columns: Mapping[str, str]) -> None:
    listed = ", ".join(map(str, names)) or "none"
    absent = [theirs for theirs in columns.values() if theirs not in names]
    if absent:
        raise DatasetError(
            f"the table has the columns {listed}: columns names {absent[0]!r}, which is none of them"
        )
    if not {"prompt", "question"} & {*names, *columns}:
        raise DatasetError(
            f"the table has the columns {listed}: one must be 'prompt' or 'question'; name the one that "
            'holds the question, columns={"question": "problem"}'
        )


def _rows(table: Any, size: int) -> Iterator[Any]:
    """Every row in order, in batches where the table can give them, which is ten times faster."""
    batches = getattr(table, "iter", None)
    if batches is None:
        yield from (table[position] for position in range(size))
        return
    for batch in batches(batch_size=_BATCH):
        names = list(batch)
        yield from (dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True))
