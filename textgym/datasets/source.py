"""``as_dataset``: whatever a caller has, as a ``Dataset``.

Invariant: what is not understood is refused with a way out; nothing is guessed, and nothing that
may be endless is read to its end. It downloads nothing.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from textgym.datasets.dataset import Dataset, ListDataset
from textgym.datasets.files import read_file
from textgym.datasets.inspection import Check
from textgym.datasets.iterated import PROBE, IteratedDataset
from textgym.datasets.rows import checked_columns
from textgym.datasets.table import TableDataset
from textgym.errors import ConfigError

__all__ = ["as_dataset"]


def as_dataset(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    skip_bad: bool = False,
    mixed: bool = False,
    check: Check | None = None,
    lazy: bool = False,
) -> Dataset:
    """Make a dataset of what the caller has.

    Args:
        source: One of

            - a ``Dataset``, which is returned as it is;
            - the path of a ``.jsonl``, ``.ndjson``, ``.json``, ``.csv``, ``.tsv`` or ``.parquet`` file, the
              text forms maybe compressed (``.jsonl.gz``);
            - a list or other collection of rows (dicts or ``Example``);
            - a generator function ``def rows(): yield {…}``, read lazily and maybe endless;
            - a table with ``column_names``, such as a Hugging Face ``Dataset``;
            - any other iterable of rows: lazily if it can be iterated again, else (an iterator) at
              once, which then may have up to 10,000 rows.
        columns: Our column name -> the source's, like ``{"question": "problem", "answer": "solution"}``.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising.
        mixed: Whether rows of one task may differ in the types of prompt, question and answer. Only
            files and tables are held to equal types.
        check: What else has to hold of each example: returns what is wrong with it, or None. Lazily
            read sources are checked row by row.
        lazy: Do not check the rows of a table ahead: a malformed one shows when it is read.

    Returns:
        A dataset.

    Raises:
        ConfigError: The source is none of these, or the arguments do not apply to it.
        DatasetError: Rows are malformed (all of a finite source are reported at once), or there are
            none.

    Example:
        >>> as_dataset([{"question": "2+2?", "answer": "4"}])
        ListDataset(size=1)
        >>> as_dataset([{"problem": "2+2?", "answer": 4}], columns={"question": "problem"})[0].question
        '2+2?'
    """
    columns = checked_columns(columns)
    if isinstance(source, Dataset):
        if columns or check is not None:
            raise ConfigError(f"{source!r} is a dataset already: pass columns and check where it is made")
        return source
    if isinstance(source, str | os.PathLike):
        return read_file(source, columns=columns, skip_bad=skip_bad, mixed=mixed, check=check)
    _refuse_lookalikes(source)
    if all(hasattr(source, name) for name in ("column_names", "__getitem__", "__len__")):
        return TableDataset(source, columns=columns, skip_bad=skip_bad, mixed=mixed, check=check, lazy=lazy)
    reading: dict[str, Any] = {"columns": columns, "skip_bad": skip_bad, "check": check}
    if isinstance(source, Iterator):
        return ListDataset(_few(source), **reading)
    if isinstance(source, Iterable):
        if hasattr(source, "__len__"):
            return ListDataset(source, **reading)
        return IteratedDataset(source.__iter__, **reading)
    if callable(source):
        _require_no_arguments(source)
        return IteratedDataset(source, **reading)
    raise _not_a_dataset(source, "pass a list of rows, the path of a file, a generator function or a Dataset")


def _refuse_lookalikes(source: Any) -> None:
    if isinstance(source, bytes):
        raise _not_a_dataset(source, "pass the path of a file as text, or a list of rows")
    if isinstance(source, Mapping):
        keys = [str(key) for key in source]
        hint = f'pass one split of it, like dataset["{keys[0]}"]' if keys else "it is empty"
        if {"prompt", "question"} & set(keys):
            hint = "put a row into a list, [row]; turn columns into rows"
        raise _not_a_dataset(source, hint)
    if isinstance(source, type):
        raise _not_a_dataset(source, f"pass an instance, {source.__name__}(…)")


def _few(source: Iterator[Any]) -> list[Any]:
    rows = list(islice(source, PROBE + 1))
    if len(rows) > PROBE:
        raise _not_a_dataset(
            source,
            f"it yields more than {PROBE:,} rows and can be read only once; pass the generator "
            "function itself (without calling it), or a list",
        )
    return rows


def _require_no_arguments(source: Any) -> None:
    try:
        parameters = list(inspect.signature(source).parameters.values())
    except (TypeError, ValueError):
        return
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    if needed:
        raise _not_a_dataset(
            source,
            f"it asks for the arguments {', '.join(needed)}; a generator function takes none, and "
            "a function that makes one row from an rng is GeneratedDataset(function)",
        )


def _not_a_dataset(source: Any, hint: str) -> ConfigError:
    return ConfigError(f"dataset is {type(source).__name__} {source!r:.80}: {hint}")
