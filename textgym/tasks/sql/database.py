"""A database of a domain, filled from a seed.

Invariant: (domain, seed) fix every row. A ``Database`` is immutable: copies share it, and it pickles as its
name and seed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from textgym import seeding
from textgym.tasks.sql.domains import DOMAINS
from textgym.tasks.sql.runner import run_query
from textgym.tasks.sql.schema import DELAY, Choice, Column, Day, Domain, Label, Measure, Table
from textgym.tasks.sql.table import ResultTable
from textgym.tasks.sql.values import NAMES

__all__ = ["Database"]

_FIRST_YEAR, _LAST_YEAR = 1985, 2025


@dataclass(frozen=True, slots=True)
class Database:
    """One filled database, made when it is first asked for."""

    domain_name: str
    """Key of ``DOMAINS``."""
    seed: int
    """Fixes the rows."""

    @property
    def domain(self) -> Domain:
        """Its tables."""
        return DOMAINS[self.domain_name]

    @property
    def rows(self) -> dict[str, dict[str, list[Any]]]:
        """Table -> column -> values; do not change them."""
        return _filled(self.domain_name, self.seed)

    def query(self, sql: str) -> ResultTable:
        """Run one SELECT. Args, Returns and Raises as ``run_query``, the database apart."""
        tables = frozenset(table.name for table in self.domain.tables)
        return run_query(_image(self.domain_name, self.seed), tables, sql)

    def schema(self) -> str:
        """The tables as SQL, with the number of rows of each.

        Example:
            >>> print(Database("school", 0).schema().partition(";")[0])
            CREATE TABLE teachers ( -- 18 rows
              id INTEGER PRIMARY KEY,
              name TEXT NOT NULL,
              subject TEXT NOT NULL, -- one of: art, biology, history, mathematics, music
              hired TEXT NOT NULL
            )
        """
        return "\n".join(
            _definition(table).replace("(", f"( -- {len(self.rows[table.name]['id'])} rows", 1)
            for table in self.domain.tables
        )


@lru_cache(maxsize=64)
def _image(name: str, seed: int) -> bytes:
    rows = _filled(name, seed)
    with closing(sqlite3.connect(":memory:")) as connection:
        for table in DOMAINS[name].tables:
            connection.execute(_definition(table))
            columns = rows[table.name]
            marks = ", ".join("?" * len(columns))
            connection.executemany(
                f"INSERT INTO {table.name} VALUES ({marks})", zip(*columns.values(), strict=True)
            )
        connection.commit()
        return connection.serialize()


def _definition(table: Table) -> str:
    lines = ["id INTEGER PRIMARY KEY"]
    lines += [f"{link.column} INTEGER NOT NULL REFERENCES {link.table}(id)" for link in table.links]
    for column in table.columns:
        needed = "" if getattr(column, "missing", 0.0) else " NOT NULL"
        note = f" -- one of: {', '.join(column.values)}" if isinstance(column, Choice) else ""
        lines.append(f"{column.name} {_type(column)}{needed}{note}")
    body = "\n".join(f"  {_with_comma(line, last=line is lines[-1])}" for line in lines)
    return f"CREATE TABLE {table.name} (\n{body}\n);"


def _with_comma(line: str, *, last: bool) -> str:
    head, mark, note = line.partition(" -- ")
    return head + ("" if last else ",") + mark + note


def _type(column: Column) -> str:
    if isinstance(column, Measure):
        return "INTEGER" if float(column.step).is_integer() else "REAL"
    return "TEXT"


@lru_cache(maxsize=64)
def _filled(name: str, seed: int) -> dict[str, dict[str, list[Any]]]:
    domain = DOMAINS[name]
    rng = seeding.generator(seed, f"sql/{name}")
    counts: dict[str, int] = {}
    filled: dict[str, dict[str, list[Any]]] = {}
    for table in domain.tables:
        count = int(rng.integers(round(0.8 * table.rows), round(1.2 * table.rows), endpoint=True))
        counts[table.name] = count
        columns: dict[str, list[Any]] = {"id": list(range(1, count + 1))}
        for link in table.links:
            columns[link.column] = _references(rng, counts[link.table], count)
        for column in table.columns:
            before = columns.get(column.after) if isinstance(column, Day) else None
            columns[column.name] = _values(rng, column, count, before)
        filled[table.name] = columns
    return filled


@lru_cache(maxsize=1)
def _days() -> tuple[list[str], dict[str, int]]:
    """All days of the databases in order, and the place of each."""
    first = date(_FIRST_YEAR, 1, 1).toordinal()
    days = [date.fromordinal(n).isoformat() for n in range(first, date(_LAST_YEAR + 1, 1, 1).toordinal())]
    return days, {day: place for place, day in enumerate(days)}


def _references(rng: np.random.Generator, parents: int, count: int) -> list[int]:
    """Some parents have many children, and some have none."""
    weights = rng.exponential(size=parents) * (rng.random(parents) > 0.12)
    if not weights.any():
        weights[0] = 1.0
    return [int(i) + 1 for i in rng.choice(parents, size=count, p=weights / weights.sum())]


def _values(rng: np.random.Generator, column: Column, count: int, before: list[Any] | None) -> list[Any]:
    values: list[Any]
    match column:
        case Label():
            pool = NAMES[column.pool]
            values = [pool[int(i)] for i in rng.choice(len(pool), size=count, replace=count > len(pool))]
        case Choice():
            weights = rng.dirichlet(np.full(len(column.values), 3.0))
            values = [column.values[int(i)] for i in rng.choice(len(column.values), size=count, p=weights)]
        case Measure():
            steps = rng.integers(column.low, column.high, endpoint=True, size=count)
            whole = float(column.step).is_integer()
            values = [int(n) * int(column.step) if whole else float(n * column.step) for n in steps]
        case Day() if before:
            gaps = rng.integers(1, DELAY, endpoint=True, size=count).tolist()
            days, places = _days()
            values = [days[places[day] + gap] for day, gap in zip(before, gaps, strict=True)]
        case Day():
            days, places = _days()
            first, last = places[f"{column.first}-01-01"], places[f"{column.last}-12-31"]
            values = [days[n] for n in rng.integers(first, last, endpoint=True, size=count).tolist()]
    share = getattr(column, "missing", 0.0)
    if share:
        gone = rng.random(count) < share
        values = [None if empty else value for empty, value in zip(gone, values, strict=True)]
    return values
