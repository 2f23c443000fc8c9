"""``as_dataset``: whatever a caller has, as a ``Dataset``.

Invariant: what is not understood is refused with a way out; nothing is guessed, and nothing that
may be endless is read to its end. It opens no files and downloads nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from textgym.datasets.dataset import Dataset, ListDataset
from textgym.datasets.iterated import PROBE, IteratedDataset
from textgym.datasets.table import TableDataset
from textgym.errors import ConfigError

__all__ = ["as_dataset"]


def as_dataset(source: Any, *, skip_bad: bool = False) -> Dataset:
    """Make a dataset of what the caller has.

    Args:
        source: One of

            - a ``Dataset``, which is returned as it is;
            - a list or other collection of rows (dicts or ``Example``);
            - a generator function ``def rows(): yield {…}``, read lazily and maybe endless;
            - a table with ``column_names``, such as a Hugging Face ``Dataset``, read lazily;
            - any other iterable of rows: lazily if it can be iterated again, else (an iterator) at
              once, which then may have up to 10,000 rows.
        skip_bad: Leave malformed rows out, with a log warning, instead of raising. Tables are not
            checked ahead, so it does not apply to them.

    Returns:
        A dataset.

    Raises:
        ConfigError: The source is none of these.
        DatasetError: Rows are malformed (all of a list are reported at once), or there are none.

    Example:
        >>> as_dataset([{"question": "2+2?", "answer": "4"}])
        ListDataset(size=1)
    """
    if isinstance(source, Dataset):
        return source
    _refuse_lookalikes(source)
    if all(hasattr(source, name) for name in ("column_names", "__getitem__", "__len__")):
        return TableDataset(source)
    if isinstance(source, Iterator):
        return _from_iterator(source, skip_bad)
    if isinstance(source, Iterable):
        if hasattr(source, "__len__"):
            return ListDataset(source, skip_bad=skip_bad)
        return IteratedDataset(source.__iter__, skip_bad=skip_bad)
    if callable(source):
        return _from_function(source, skip_bad)
    raise _not_a_dataset(source, "pass a list of rows, a generator function or a Dataset")


def _refuse_lookalikes(source: Any) -> None:
    if isinstance(source, str | bytes):
        raise _not_a_dataset(source, "load the rows first and pass them as a list")
    if isinstance(source, Mapping):
        keys = [str(key) for key in source]
        hint = f'pass one split of it, like dataset["{keys[0]}"]' if keys else "it is empty"
        if {"prompt", "question"} & set(keys):
            hint = "put a row into a list, [row]; turn columns into rows"
        raise _not_a_dataset(source, hint)
    if isinstance(source, type):
        raise _not_a_dataset(source, f"pass an instance, {source.__name__}(…)")


def _from_iterator(source: Iterator[Any], skip_bad: bool) -> Dataset:
    rows = list(islice(source, PROBE + 1))
    if len(rows) > PROBE:
        raise _not_a_dataset(
            source,
            f"it yields more than {PROBE:,} rows and can be read only once; pass the generator "
            "function itself (without calling it), or a list",
        )
    return ListDataset(rows, skip_bad=skip_bad)


def _from_function(source: Any, skip_bad: bool) -> Dataset:
    try:
        parameters = list(inspect.signature(source).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    if needed:
        raise _not_a_dataset(
            source,
            f"it asks for the arguments {', '.join(needed)}; a generator function takes none, and "
            "a function that makes one row from an rng is GeneratedDataset(function)",
        )
    return IteratedDataset(source, skip_bad=skip_bad)


def _not_a_dataset(source: Any, hint: str) -> ConfigError:
    return ConfigError(f"dataset is {type(source).__name__} {source!r:.80}: {hint}")
