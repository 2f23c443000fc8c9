"""``ParquetDataset``: rows of a Parquet file, a row group at a time.

Invariant: no more than ``cache_bytes`` of decoded row groups (and always the newest one) are kept,
so that a file of any size can be used; the file is checked in one pass of small batches, and a file
that changes afterwards is an error. Reading in the order of the file decodes every row group once;
a random order over a file that is larger than the cache decodes one for nearly every row.
"""

from __future__ import annotations

import os
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import accumulate
from typing import Any

import numpy as np

from textgym.datasets.dataset import Dataset
from textgym.datasets.inspection import Check, Inspection
from textgym.datasets.rows import as_example, checked_columns, renamed
from textgym.datasets.text_file import existing_file, fingerprint
from textgym.errors import DatasetError, MissingExtra
from textgym.types import Example

__all__ = ["ParquetDataset"]

_BATCH = 256
"""Rows that are decoded at a time while the file is checked."""


class ParquetDataset(Dataset):
    """Rows of a Parquet file; needs ``pyarrow`` (``pip install "textgym[parquet]"``).

    Args:
        path: The file. It must not change afterwards.
        columns: Our column name -> the file's, like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer.
        check: What else has to hold of each example: returns what is wrong, or None.
        cache_bytes: How much of decoded row groups is kept in memory.

    Raises:
        ConfigError: There is no such file, or an argument is unusable.
        MissingExtra: pyarrow is not installed.
        DatasetError: It is no Parquet file, rows are malformed (all are reported at once, by their
            position from 0), or there are none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        mixed: bool = False,
        check: Check | None = None,
        cache_bytes: int = 1 << 28,
    ) -> None:
        self.path = existing_file(path)
        self._columns = checked_columns(columns)
        self._cache_bytes = cache_bytes
        with open(self.path, "rb") as stream:
            self._fingerprint = fingerprint(stream.fileno())
        with _opened(self.path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            inspection = Inspection(self.path.name, "row", columns=self._columns, check=check, mixed=mixed)
            good = array("q")
            for position, row in enumerate(_rows(file, self.path)):
                if inspection.read(position, row) is not None:
                    good.append(position)
        stays = inspection.finish(skip_bad=skip_bad)
        kept = np.array(good, np.int64)[stays]
        self._bounds = np.array([0, *accumulate(sizes)], np.int64)
        self._size = len(kept)
        self._kept = None if len(kept) == self._bounds[-1] else kept
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._groups: OrderedDict[int, Any] = OrderedDict()

    @property
    def size(self) -> int:
        """Number of rows."""
        return self._size

    def _fetch(self, position: int) -> Example:
        if position >= self._size:
            raise self._no_index(position)
        row = position if self._kept is None else int(self._kept[position])
        group = int(np.searchsorted(self._bounds, row, side="right")) - 1
        with self._lock:
            table = self._group(group)
        return as_example(
            renamed(table.slice(row - int(self._bounds[group]), 1).to_pylist()[0], self._columns)
        )

    def _group(self, group: int) -> Any:
        table = self._groups.get(group)
        if table is None:
            table = self._decoded(group)
            self._groups[group] = table
            while len(self._groups) > 1 and sum(t.nbytes for t in self._groups.values()) > self._cache_bytes:
                self._groups.popitem(last=False)
        self._groups.move_to_end(group)
        return table

    def _decoded(self, group: int) -> Any:
        try:
            with open(self.path, "rb") as stream:
                changed = fingerprint(stream.fileno()) != self._fingerprint
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read any more: {error}") from None
        if changed:
            raise DatasetError(f"{self.path} has changed since it was checked: make the dataset anew")
        with _opened(self.path) as file:
            # Threads of pyarrow do not survive a fork, and vector environments fork.
            return file.read_row_group(group, use_threads=False)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_groups")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"ParquetDataset({str(self.path)!r}, size={self._size})"


def _opened(path: Any) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise MissingExtra(f"reading {path} needs pyarrow", extra="parquet") from None
    try:
        return parquet.ParquetFile(path, memory_map=True)
    except (OSError, ValueError) as error:  # pyarrow's own errors derive from these
        raise DatasetError(f"{path} is no Parquet file that can be read: {error}") from None


def _rows(file: Any, path: Any) -> Iterator[dict[str, Any]]:
    try:
        for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is damaged: {error}") from None
