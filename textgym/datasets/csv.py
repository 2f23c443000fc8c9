"""``CSVDataset``: a table as text, by RFC 4180, its first record naming the columns.

Invariant: a cell is text, exactly as it is written (line breaks within quotes become ``\\n``); an
empty one counts as absent. Python's ``csv`` module is not used, because its limit of 131,072
characters a cell is a setting of the whole process and it does not tell where a record lies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

from textgym.datasets.jsonl import read_json
from textgym.datasets.lines import Line, read_lines
from textgym.datasets.text_file import Record, TextFileDataset, decoded
from textgym.errors import DatasetError

__all__ = ["CSVDataset"]


class CSVDataset(TextFileDataset):
    """A file of comma-separated (``.csv``) or tab-separated (``.tsv``) cells, maybe compressed.

    A cell that holds the separator, a quote at its start, or a line break is written in quotes, and
    quotes within it twice. Every record has as many cells as the first. A column ``info`` holds JSON
    objects. Arguments and errors as for ``TextFileDataset``.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "sums.csv")
        >>> _ = path.write_text('question,answer\\n"2,5+1?","3,5"\\n')
        >>> CSVDataset(path)[0].answer
        '3,5'
    """

    _separator: str
    _header: tuple[str, ...]

    def _records(self, stream: IO[bytes]) -> Iterator[Record]:
        tabs = ".tsv" in self.path.suffixes[-2:]
        self._separator = "\t" if tabs else ","
        records = _joined(read_lines(stream, self._limit), self._separator.encode(), self._limit)
        header = next(records, None)
        self._header = () if header is None else self._read_header(header)
        return records

    def _read_header(self, record: Record) -> tuple[str, ...]:
        if record.data is None:
            raise DatasetError(f"its first line is longer than {self._limit:,} bytes")
        names = [name.strip() for name in _cells(decoded(record.data), self._separator)]
        problem = None
        if "" in names:
            problem = f"column {names.index('') + 1} has no name"
        elif len(set(names)) < len(names):
            problem = f"the column {next(n for n in names if names.count(n) > 1)!r} occurs twice"
        elif not {"prompt", "question"} & {*names, *self._columns}:
            problem = 'none is "prompt" or "question": name it, columns={"question": "its name"}'
        elif unknown := [name for name in self._columns.values() if name not in names]:
            problem = f"columns names {unknown[0]!r}, which is not among them"
        if problem is not None:
            raise DatasetError(f"its columns are {', '.join(names)!r:.200}: {problem}")
        return tuple(names)

    def _parse(self, data: bytes) -> dict[str, Any]:
        cells = _cells(decoded(data), self._separator)
        if len(cells) != len(self._header):
            raise DatasetError(f"it has {len(cells)} cells, and the first line has {len(self._header)}")
        row: dict[str, Any] = {name: cell or None for name, cell in zip(self._header, cells, strict=True)}
        info = self._columns.get("info", "info")
        if row.get(info) is not None:
            row[info] = read_json(row[info])
        return row


def _joined(lines: Iterator[Line], separator: bytes, limit: int) -> Iterator[Record]:
    """Lines joined to records: a record goes on while a quoted cell is open."""
    parts: list[bytes] = []
    number = start = size = 0
    for line in lines:
        if not parts:
            if line.data is not None and not line.data.strip():
                continue
            number, start, size = line.number, line.start, 0
        data = line.data or b""
        size += len(data)
        if line.data is None or size > limit:
            yield Record(number, start, None)
            parts = []
            continue
        parts.append(data)
        if not _ends_inside(data, separator, inside=len(parts) > 1):
            yield Record(number, start, b"".join(parts))
            parts = []
    if parts:
        yield Record(number, start, b"".join(parts))


def _ends_inside(line: bytes, separator: bytes, *, inside: bool) -> bool:
    """Whether a quoted cell is open at the end of a line that began inside of one, or did not."""
    position = 0
    while True:
        if not inside and line.startswith(b'"', position):
            inside, position = True, position + 1
        if inside:
            position = line.find(b'"', position)
            if position < 0:
                return True
            inside = line.startswith(b'""', position)
            position += 2 if inside else 1
            if inside:
                continue
        position = line.find(separator, position)
        if position < 0:
            return False
        position += 1


def _cells(text: str, separator: str) -> list[str]:
    """The cells of one record.

    Raises:
        DatasetError: A quoted cell is not closed, or goes on after its closing quote.
    """
    text = text.replace("\r\n", "\n").removesuffix("\n")
    pattern = _CELL[separator]
    cells: list[str] = []
    position = 0
    while True:
        cell = pattern.match(text, position)
        if cell is None:  # only a quote opens what does not match
            raise DatasetError(f"cell {len(cells) + 1} begins with a quote and has no closing one")
        quoted, plain = cell.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"'))
        position = cell.end()
        if position == len(text):
            return cells
        if text[position] != separator:
            raise DatasetError(
                f"cell {len(cells)} goes on after its closing quote with {text[position : position + 20]!r}: "
                "a quote within quotes is written twice"
            )
        position += 1


_CELL = {separator: re.compile(rf'"((?:[^"]++|"")*+)"|((?!")[^{separator}]*+)') for separator in (",", "\t")}
"""A quoted or a plain cell, by separator."""
