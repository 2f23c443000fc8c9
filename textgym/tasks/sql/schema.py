"""What a domain is: tables, what their columns hold, and how English speaks of them.

Invariant: plain immutable data. A phrase follows the noun that it describes, so that phrases can be put one
after the other: ``books`` + ``of the genre crime`` + ``by an author`` + ``from Norway``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["DELAY", "Choice", "Column", "Day", "Domain", "Label", "Link", "Measure", "Table"]


DELAY = 60
"""Most days between a day and the one that it follows."""


@dataclass(frozen=True, slots=True)
class Label:
    """A name that stands for its row."""

    name: str
    """Name of the column, and what English calls it."""
    pool: str
    """Which names: a key of ``values.NAMES``."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few texts."""

    name: str
    """Name of the column, and what English calls it."""
    phrase: str
    """``of the genre {}``."""
    values: tuple[str, ...]
    """The texts."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number."""

    name: str
    """Name of the column."""
    noun: str
    """``number of pages``."""
    more: str
    """``with more than {} pages``."""
    fewer: str
    """``with fewer than {} pages``."""
    low: int
    """Smallest value, in steps."""
    high: int
    """Largest value, in steps."""
    step: float = 1
    """What the values are multiples of; a fraction makes the column REAL."""
    missing: float = 0.0
    """Share of the rows where it is NULL."""


@dataclass(frozen=True, slots=True)
class Day:
    """A date as text, ``2021-03-09``."""

    name: str
    """Name of the column."""
    verb: str
    """``published``: English says ``published in 2021``, ``published after 2021-03-09``."""
    first: int
    """First year."""
    last: int
    """Last year."""
    missing: float = 0.0
    """Share of the rows where it is NULL."""
    blank: str = ""
    """``not returned yet``: what a NULL means."""
    after: str = ""
    """The column that it follows by up to ``DELAY`` days, if any; the years do not count then."""


Column: TypeAlias = Label | Choice | Measure | Day
"""Any column that is no key."""


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key."""

    column: str
    """``author_id``; without ``_id`` it is the alias in queries."""
    table: str
    """The table that it refers to."""
    phrase: str
    """``by an author``."""

    @property
    def alias(self) -> str:
        """What a query calls the other table."""
        return self.column.removesuffix("_id")


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its key is ``id``."""

    name: str
    """Name, and what English calls several of its rows."""
    one: str
    """What English calls one of them."""
    rows: int
    """About how many there are."""
    columns: tuple[Column, ...]
    """Columns besides the keys."""
    links: tuple[Link, ...] = ()
    """Foreign keys."""

    @property
    def many(self) -> str:
        """What English calls its rows."""
        return self.name.replace("_", " ")

    @property
    def label(self) -> Label | None:
        """The column that names a row."""
        return next((column for column in self.columns if isinstance(column, Label)), None)

    @property
    def choices(self) -> list[Choice]:
        """Columns to group by."""
        return [column for column in self.columns if isinstance(column, Choice)]

    @property
    def measures(self) -> list[Measure]:
        """Columns to compute with."""
        return [column for column in self.columns if isinstance(column, Measure)]


@dataclass(frozen=True, slots=True)
class Domain:
    """A few tables that belong together, parents before children."""

    name: str
    """What they are about."""
    tables: tuple[Table, ...]
    """The tables."""

    def __getitem__(self, name: str) -> Table:
        """A table by name."""
        return next(table for table in self.tables if table.name == name)

    @property
    def families(self) -> list[tuple[Table, Link, Table]]:
        """(parent, link, child) of every foreign key."""
        return [(self[link.table], link, child) for child in self.tables for link in child.links]
