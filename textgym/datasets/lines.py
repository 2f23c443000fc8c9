"""The physical lines of a file, each with its place and bounded in length.

Invariant: no line is held in memory beyond the limit, so that a file that is one line of many
gigabytes (no text at all, as a rule) is reported and does not exhaust the machine. A line ends with
``\\n``, maybe after ``\\r``; a byte order mark at the start of the file is skipped. Bytes are not
decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, NamedTuple

from textgym.errors import DatasetError

__all__ = ["MAX_ROW_BYTES", "Line", "read_lines"]

MAX_ROW_BYTES = 1 << 26
"""Longest row of a text file, in bytes (64 MiB)."""

_CHUNK = 1 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_NOT_TEXT = {
    b"\xff\xfe": "UTF-16 or UTF-32: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "compressed by gzip: give its name the suffix .gz",
    b"PK": "a ZIP archive: unpack it",
    b"(\xb5/\xfd": "compressed by Zstandard: unpack it",
}


class Line(NamedTuple):
    """One line of a file."""

    number: int
    """Its number, from 1."""
    start: int
    """Offset of its first byte."""
    data: bytes | None
    """Its bytes with the line break, or None if they are more than the limit."""


def read_lines(stream: IO[bytes], limit: int) -> Iterator[Line]:
    """Read lines to the end of the file.

    Args:
        stream: At the start of the file.
        limit: Longest line, in bytes.

    Yields:
        Every line, blank ones too.

    Raises:
        DatasetError: The first bytes show that the file is no UTF-8 text.
    """
    offset = number = 0
    while raw := stream.readline(limit + 1):
        number += 1
        start, offset = offset, offset + len(raw)
        if number == 1:
            start = _length_of_mark(raw)
            raw = raw[start:]
        if len(raw) <= limit:
            yield Line(number, start, raw)
            continue
        while not raw.endswith(b"\n") and (raw := stream.readline(_CHUNK)):
            offset += len(raw)
        yield Line(number, start, None)


def _length_of_mark(raw: bytes) -> int:
    for mark, what in _NOT_TEXT.items():
        if raw.startswith(mark):
            raise DatasetError(f"it is {what}")
    return len(_UTF8_MARK) if raw.startswith(_UTF8_MARK) else 0
