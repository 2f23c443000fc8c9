"""``TableDataset``: a table with named columns, such as one of Hugging Face ``datasets``.

Invariant: a row is converted when it is asked for and nothing is kept, so that a table on disk
stays there. The table is recognised by what it can do; the library is not imported. A malformed row
therefore shows when it is read, not when the dataset is made.
"""

from __future__ import annotations

from typing import Any

from textgym.datasets.dataset import Dataset
from textgym.datasets.rows import as_example
from textgym.errors import DatasetError
from textgym.types import Example

__all__ = ["TableDataset"]


class TableDataset(Dataset):
    """A table whose rows are read on demand.

    Args:
        table: Has ``column_names``, ``len`` and ``table[i]``, which gives the row as a dict. It
            must not be changed afterwards.

    Raises:
        DatasetError: It has neither a ``prompt`` nor a ``question`` column, or no rows.
    """

    def __init__(self, table: Any) -> None:
        columns = list(table.column_names or ())
        if "prompt" not in columns and "question" not in columns:
            raise DatasetError(
                f"the table has the columns {', '.join(map(str, columns)) or 'none'}: one must be "
                "'prompt' or 'question'; rename the one that holds the question, for instance "
                'table.rename_column("problem", "question")'
            )
        self._table = table
        self._size = len(table)
        if not self._size:
            raise DatasetError("the table has no rows: a dataset needs at least one")

    @property
    def size(self) -> int:
        """Number of rows."""
        return self._size

    def _fetch(self, position: int) -> Example:
        if position >= self._size:
            raise self._no_index(position)
        try:
            return as_example(self._table[position])
        except DatasetError as error:
            raise DatasetError(f"row {position} of the table is malformed: {error}") from None
