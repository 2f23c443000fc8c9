"""``JSONLDataset``: a JSON object a line, and the strict reading of JSON that all formats share.

Invariant: JSON is that of RFC 8259, read without loss: whole numbers of any length stay exact, a key
that occurs twice and ``NaN`` are errors. Blank lines are skipped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import IO, Any

from textgym.datasets.lines import read_lines
from textgym.datasets.text_file import Record, TextFileDataset, decoded
from textgym.errors import DatasetError

__all__ = ["JSONLDataset", "json_decoder", "read_json"]


class JSONLDataset(TextFileDataset):
    """A file with one JSON object a line (``.jsonl``, ``.ndjson``), maybe compressed (``.gz``).

    Arguments and errors as for ``TextFileDataset``.

    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "sums.jsonl")
        >>> _ = path.write_text('{"problem": "2+2?", "answer": "4"}')
        >>> JSONLDataset(path, columns={"question": "problem"})[0].question
        '2+2?'
    """

    def _records(self, stream: IO[bytes]) -> Iterator[Record]:
        for number, start, data in read_lines(stream, self._limit):
            if data is None or data.strip():
                yield Record(number, start, data)

    def _parse(self, data: bytes) -> dict[str, Any]:
        row = read_json(decoded(data))
        if not isinstance(row, dict):
            raise DatasetError(f"it is JSON, but no object: {decoded(data)!r:.60}")
        return row


def read_json(text: str) -> Any:
    """Read one JSON document.

    Raises:
        DatasetError: It is none, or not one that can be read without loss.
    """
    if text.startswith("\ufeff"):
        raise DatasetError("it begins with a byte order mark, as where files were joined: remove it")
    try:
        return json_decoder.decode(text)
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 10) : error.pos + 20]
        raise DatasetError(
            f"it is no JSON: {error.msg} at character {error.pos + 1}, near {near!r}"
        ) from None
    except ValueError as error:
        raise DatasetError(f"it is no JSON that can be read: {error}") from None
    except RecursionError:
        raise DatasetError("it is nested too deeply") from None


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(items)
    if len(value) < len(items):
        keys = [key for key, _ in items]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object holds the key {twice!r:.60} twice")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value: write null or a text")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text:.40} is too large")
    return value


json_decoder = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)
"""Reads strict JSON; raises ValueError for keys that occur twice, NaN and numbers beyond a float."""
