"""``.json`` files: one list of row objects, read into memory.

Invariant: every item is read on its own, so that a malformed one is reported with the line on which
it begins. JSON lines under this suffix are recognised and refused, with the suffix they should have.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textgym.datasets.dataset import ListDataset
from textgym.datasets.inspection import Check, Inspection
from textgym.datasets.jsonl import json_decoder
from textgym.datasets.text_file import decoded
from textgym.errors import DatasetError

__all__ = ["read_json_list"]

MAX_BYTES = 1 << 30
"""Largest file that is read into memory (1 GiB)."""

_SPACE = re.compile(r"[ \t\r\n]*+")


def read_json_list(
    path: Path, *, columns: dict[str, str], skip_bad: bool, mixed: bool, check: Check | None
) -> ListDataset:
    """The rows of a JSON file that holds one list.

    Args:
        path: The file, maybe compressed (``.json.gz``).
        columns: As for ``TextFileDataset``, and so for the others.
        skip_bad: Leave malformed rows out.
        mixed: Whether types may differ.
        check: What else has to hold of each example.

    Raises:
        DatasetError: The file holds no list, or rows are malformed.
    """
    inspection = Inspection(path.name, "line", columns=columns, check=check, mixed=mixed)
    examples = []
    try:
        for line, row in _items(_text(path)):
            example = inspection.read(line, row)
            if example is not None:
                examples.append(example)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    stays = inspection.finish(skip_bad=skip_bad)
    return ListDataset(example for example, stay in zip(examples, stays, strict=True) if stay)


def _text(path: Path) -> str:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"it cannot be decompressed: {error}") from None
    if len(data) > MAX_BYTES:
        raise DatasetError(
            f"it is larger than {MAX_BYTES:,} bytes: write a .jsonl file, which is read by row"
        )
    return decoded(data).removeprefix("\ufeff")


def _items(text: str) -> Iterator[tuple[int, Any]]:
    """(line, item) of a JSON list."""
    position = _SPACE.match(text, 0).end()  # type: ignore[union-attr]
    if text[position : position + 1] != "[":
        kind = "is empty" if position == len(text) else f"begins with {text[position : position + 20]!r}"
        raise DatasetError(
            f"it {kind}: a .json file is one list of objects, [{{…}}, {{…}}]; with an object a line, "
            "name it .jsonl"
        )
    line, counted, separator = 1, 0, "["
    while True:
        position = _SPACE.match(text, position + 1).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, position), position
        if separator == "[" and text[position : position + 1] == "]":
            break
        try:
            item, position = json_decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise DatasetError(f"it is no JSON: {error.msg} at line {error.lineno}") from None
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"its item at line {line} cannot be read: {error}") from None
        yield line, item
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        separator = text[position : position + 1]
        if separator == "]":
            break
        if separator != ",":
            at = line + text.count("\n", counted, position)
            raise DatasetError(f"it is no JSON: expected ',' or ']' at line {at}")
    rest = text[position + 1 :].strip()
    if rest:
        raise DatasetError(f"its list is followed by {rest!r:.60}: a .json file is one list")
