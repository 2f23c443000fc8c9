"""``TextFileDataset``: rows of a text file, checked in one pass and read again when asked for.

Invariant: what is kept of a row is where it lies in the file (16 bytes); the row is read anew each
time, after a look at the file's size and time of change, so that a file that is written to while it
is in use is an error and never another row. Subclasses know one format each.
"""

from __future__ import annotations

import gzip
import os
import zlib
from abc import abstractmethod
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import numpy as np

from textgym.datasets.dataset import Dataset
from textgym.datasets.inspection import Check, Inspection
from textgym.datasets.lines import MAX_ROW_BYTES
from textgym.datasets.rows import as_example, checked_columns, renamed
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example

__all__ = ["Record", "TextFileDataset", "decoded", "existing_file", "fingerprint"]


class Record(NamedTuple):
    """One row as it lies in a file."""

    line: int
    """Number of its first line, from 1."""
    start: int
    """Offset of its first byte."""
    data: bytes | None
    """Its bytes as they lie there, or None if they are more than the limit."""


class TextFileDataset(Dataset):
    """Rows of a text file. Base of ``JSONLDataset`` and ``CSVDataset``.

    A file whose name ends in ``.gz`` cannot be read from the middle: its rows are kept in memory.

    Args:
        path: The file. It must not change afterwards.
        columns: Our column name -> the file's, like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer.
        check: What else has to hold of each example: returns what is wrong, or None.
        max_row_bytes: Longest row, in bytes.

    Raises:
        ConfigError: There is no such file, or an argument is unusable.
        DatasetError: Rows are malformed (all are reported at once, with their lines), or there are
            none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        skip_bad: bool = False,
        mixed: bool = False,
        check: Check | None = None,
        max_row_bytes: int = MAX_ROW_BYTES,
    ) -> None:
        self.path = existing_file(path)
        self._columns = checked_columns(columns)
        if isinstance(max_row_bytes, bool) or not isinstance(max_row_bytes, int) or max_row_bytes < 1:
            raise ConfigError(f"max_row_bytes is {max_row_bytes!r}: it must be a positive whole number")
        self._limit = max_row_bytes
        self._kept: tuple[Example, ...] | None = None
        inspection = Inspection(self.path.name, "line", columns=self._columns, check=check, mixed=mixed)
        self._inspect(inspection, skip_bad)

    @abstractmethod
    def _records(self, stream: IO[bytes]) -> Iterator[Record]:
        """Every row of the file in order; called once, with the stream at its start."""

    @abstractmethod
    def _parse(self, data: bytes) -> dict[str, Any]:
        """The row in the bytes of a record.

        Raises:
            DatasetError: They hold no row.
        """

    def _inspect(self, inspection: Inspection, skip_bad: bool) -> None:
        compressed = self.path.suffix == ".gz"
        starts, lengths, examples = array("q"), array("q"), []
        try:
            with _opened(self.path, compressed) as stream:
                self._fingerprint = fingerprint(stream.fileno())
                for line, start, data in self._records(stream):
                    example = self._read(inspection, line, data)
                    if example is None or data is None:
                        continue
                    if compressed:
                        examples.append(example)
                    else:
                        starts.append(start)
                        lengths.append(len(data))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DatasetError(f"{self.path} cannot be decompressed: {error}") from None
        except DatasetError as error:
            raise DatasetError(f"{self.path}: {error}") from None
        stays = inspection.finish(skip_bad=skip_bad)
        if compressed:
            self._kept = tuple(example for example, stay in zip(examples, stays, strict=True) if stay)
        self._starts = np.array(starts, np.int64)[stays[: len(starts)]]
        self._lengths = np.array(lengths, np.int64)[stays[: len(lengths)]]

    def _read(self, inspection: Inspection, line: int, data: bytes | None) -> Example | None:
        if data is None:
            inspection.refuse(line, f"it is longer than {self._limit:,} bytes (see max_row_bytes)")
            return None
        try:
            row = self._parse(data)
        except DatasetError as error:
            inspection.refuse(line, str(error))
            return None
        return inspection.read(line, row)

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self._starts) if self._kept is None else len(self._kept)

    def _fetch(self, position: int) -> Example:
        if position >= self.size:
            raise self._no_index(position)
        if self._kept is not None:
            return self._kept[position]
        with self._unchanged() as stream:
            return self._example(stream, position)

    def __iter__(self) -> Iterator[Example]:
        """Every example in order, with the file opened once."""
        if self._kept is not None:
            yield from self._kept
            return
        with self._unchanged() as stream:
            for position in range(self.size):
                yield self._example(stream, position)

    def _unchanged(self) -> IO[bytes]:
        try:
            stream = open(self.path, "rb")  # noqa: SIM115 - closed by the callers
        except OSError as error:
            raise DatasetError(f"{self.path} cannot be read any more: {error}") from None
        if fingerprint(stream.fileno()) != self._fingerprint:
            stream.close()
            raise DatasetError(f"{self.path} has changed since it was checked: make the dataset anew")
        return stream

    def _example(self, stream: IO[bytes], position: int) -> Example:
        stream.seek(int(self._starts[position]))
        data = stream.read(int(self._lengths[position]))
        return as_example(renamed(self._parse(data), self._columns))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, size={self.size})"


def existing_file(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a file that is there.

    Raises:
        ConfigError: There is none.
    """
    found = Path(path).expanduser()
    if not found.is_file():
        what = "is a folder" if found.is_dir() else "does not exist"
        raise ConfigError(
            f"the dataset file {str(path)!r:.200} {what} (looked for at {found.absolute()}): give the "
            "path of a .jsonl, .json, .csv, .tsv or .parquet file (a dataset of the Hugging Face hub is what "
            'datasets.load_dataset(name, split="train") returns)'
        )
    return found.resolve()


def fingerprint(descriptor: int) -> tuple[int, int]:
    """Size in bytes and time of change in ns: what tells that a file is another one now."""
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def decoded(data: bytes) -> str:
    """The bytes as text.

    Raises:
        DatasetError: They are no UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"byte {error.start + 1} of it is 0x{data[error.start]:02x}, which is no UTF-8: save the "
            "file as UTF-8"
        ) from None


def _opened(path: Path, compressed: bool) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if compressed else open(path, "rb")
