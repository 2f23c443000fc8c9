"""Datasets: where task instances come from, as one immutable sequence of ``Example``.

- ``ListDataset``: rows in memory.
- ``JSONLDataset``, ``CSVDataset``, ``ParquetDataset``: rows of a file, read when they are asked for.
- ``TableDataset``: a table of the ``datasets`` library (or anything like it), row by row on demand.
- ``GeneratedDataset``: instances made from random numbers, without end, with disjoint splits.
- ``IteratedDataset``: the rows of a generator function, read as far as they are needed.

``as_dataset`` accepts what a caller has and picks the right one; ``as_example`` reads one row;
``mix`` makes one dataset of several. Every dataset can ``split``, ``shuffle``, ``take``, ``skip``,
``filter`` and ``map``.

Invariant: a dataset never changes after it is made, is shared and not copied by ``copy.deepcopy``,
and gives the same example at the same index in every thread and process. What is finite is checked
as a whole when it is made, and all malformed rows are reported at once. Nothing here turns an
example into a prompt; environments do.
"""

from textgym.datasets.csv import CSVDataset
from textgym.datasets.dataset import Dataset, ListDataset
from textgym.datasets.generated import GeneratedDataset
from textgym.datasets.iterated import IteratedDataset
from textgym.datasets.jsonl import JSONLDataset
from textgym.datasets.mixing import MixedDataset, mix
from textgym.datasets.parquet import ParquetDataset
from textgym.datasets.rows import as_example
from textgym.datasets.source import as_dataset
from textgym.datasets.table import TableDataset

__all__ = [
    "CSVDataset",
    "Dataset",
    "GeneratedDataset",
    "IteratedDataset",
    "JSONLDataset",
    "ListDataset",
    "MixedDataset",
    "ParquetDataset",
    "TableDataset",
    "as_dataset",
    "as_example",
    "mix",
]
