"""``read_file``: a dataset file of any known format, told apart by its suffix.

Invariant: the suffix alone decides; contents are not guessed at. Nothing is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from textgym.datasets.csv import CSVDataset
from textgym.datasets.dataset import Dataset
from textgym.datasets.inspection import Check
from textgym.datasets.json_list import read_json_list
from textgym.datasets.jsonl import JSONLDataset
from textgym.datasets.parquet import ParquetDataset
from textgym.datasets.rows import checked_columns
from textgym.datasets.text_file import existing_file
from textgym.errors import ConfigError

__all__ = ["SUFFIXES", "read_file"]

_KINDS: dict[str, type[JSONLDataset | CSVDataset | ParquetDataset]] = {
    ".jsonl": JSONLDataset,
    ".ndjson": JSONLDataset,
    ".csv": CSVDataset,
    ".tsv": CSVDataset,
    ".parquet": ParquetDataset,
}
SUFFIXES = (*_KINDS, ".json")
"""Known suffixes; all but ``.parquet`` may be followed by ``.gz``."""


def read_file(
    path: str | os.PathLike[str],
    *,
    columns: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    mixed: bool = False,
    check: Check | None = None,
) -> Dataset:
    """The dataset in a file.

    Args:
        path: A ``.jsonl``, ``.ndjson``, ``.json`` (one list), ``.csv``, ``.tsv`` or ``.parquet``
            file; the text forms may be compressed, like ``rows.jsonl.gz``.
        columns: Our column name -> the file's, like ``{"question": "problem"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer.
        check: What else has to hold of each example: returns what is wrong, or None.

    Raises:
        ConfigError: There is no such file, or its suffix is unknown.
        DatasetError: Rows are malformed; all are reported at once, with their lines.
    """
    found = existing_file(path)
    suffix = found.suffix.lower()
    if suffix == ".gz":
        suffix = found.with_suffix("").suffix.lower()
    if suffix == ".json":
        renaming = checked_columns(columns)
        return read_json_list(found, columns=renaming, skip_bad=skip_bad, mixed=mixed, check=check)
    kind = _KINDS.get(suffix)
    if kind is None or (kind is ParquetDataset and found.suffix.lower() == ".gz"):
        ending = "".join(found.suffixes[-2:])
        raise ConfigError(
            f"the dataset file {str(path)!r:.200} has the suffix {ending!r}: it must be one of "
            f"{', '.join(SUFFIXES)}, or a text form with .gz"
        )
    return kind(found, columns=columns, skip_bad=skip_bad, mixed=mixed, check=check)
