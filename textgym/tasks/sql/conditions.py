"""What a question says of rows: conditions and the tables that they need.

Invariant: each condition is said in English and in SQL at once, and its values are taken from the data, so that
it neither holds always nor never by mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textgym.tasks.sql.database import Database
from textgym.tasks.sql.schema import Choice, Column, Day, Label, Measure, Table

__all__ = ["Condition", "Subject", "Writer", "quoted"]


def quoted(text: str) -> str:
    """A text as SQL.

    Example:
        >>> quoted("O'Neill")
        "'O''Neill'"
    """
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition."""

    sql: str
    """``books.pages > 300``."""
    phrase: str
    """``with more than 300 pages``."""
    joins: tuple[str, ...] = ()
    """The JOIN clauses that it needs."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The rows of a table that a question is about."""

    table: Table
    """The table."""
    conditions: tuple[Condition, ...]
    """What holds for all of them."""

    @property
    def one(self) -> str:
        """``book of the genre crime``."""
        return self._said(self.table.one)

    @property
    def many(self) -> str:
        """``books of the genre crime``."""
        return self._said(self.table.many)

    def _said(self, noun: str) -> str:
        return " ".join([noun, *(condition.phrase for condition in self.conditions)])

    @property
    def source(self) -> str:
        """What stands after FROM: the table and its joins."""
        joins = dict.fromkeys(join for condition in self.conditions for join in condition.joins)
        return " ".join([self.table.name, *joins])

    def where(self, *more: str) -> str:
        """``" WHERE …"`` with further conditions, or nothing."""
        return self._clause(" WHERE ", more)

    def also(self, *more: str) -> str:
        """``" AND …"`` with further conditions, or nothing."""
        return self._clause(" AND ", more)

    def _clause(self, word: str, more: Sequence[str]) -> str:
        parts = [condition.sql for condition in self.conditions] + [part for part in more if part]
        return word + " AND ".join(parts) if parts else ""

    def without(self, index: int) -> Subject:
        """The same without one condition."""
        return Subject(self.table, self.conditions[:index] + self.conditions[index + 1 :])


class Writer:
    """Draws subjects and conditions for a database.

    Args:
        rng: The only source of randomness.
        database: Where the values come from.
    """

    def __init__(self, rng: np.random.Generator, database: Database) -> None:
        self.rng = rng
        self.domain = database.domain
        self.rows = database.rows

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of several."""
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high, endpoint=True))

    def subject(self, table: Table, own: int = 0, hops: int = 0, besides: Column | None = None) -> Subject:
        """Rows of a table.

        Args:
            table: The table.
            own: How many conditions on its own columns.
            hops: With 1, a condition on a table that it refers to; with 2, on one beyond, where there is one.
            besides: The column that has no condition.
        """
        columns = [c for c in table.columns if not isinstance(c, Label) and c is not besides]
        chosen = self.rng.choice(len(columns), size=min(own, len(columns)), replace=False)
        found = [self.condition(table, columns[int(i)], table.name) for i in sorted(chosen)]
        if hops and table.links:
            found.append(self.linked(table, hops))
        return Subject(table, tuple(found))

    def linked(self, table: Table, hops: int) -> Condition:
        """A condition on a table that this one refers to, directly or in two steps."""
        alias, phrase, joins = table.name, "", []
        while True:
            links = [link for link in table.links if self.domain[link.table].links] if hops > 1 else []
            link = self.pick(links or table.links)
            joins.append(f"JOIN {link.table} AS {link.alias} ON {link.alias}.id = {alias}.{link.column}")
            phrase = f"{phrase} {link.phrase}".strip()
            table, alias, hops = self.domain[link.table], link.alias, hops - 1
            if not hops or not table.links:
                break
        column = self.pick([column for column in table.columns if not isinstance(column, Label)])
        found = self.condition(table, column, alias)
        return Condition(found.sql, f"{phrase} {found.phrase}", tuple(joins))

    def condition(self, table: Table, column: Column, alias: str) -> Condition:
        """A condition on one column, with a value that some row has."""
        name = f"{alias}.{column.name}"
        values = sorted({value for value in self.rows[table.name][column.name] if value is not None})
        match column:
            case Choice():
                value = self.pick(values)
                return Condition(f"{name} = {quoted(value)}", column.phrase.format(value))
            case Measure():
                value = self.pick(values[len(values) // 6 : -(len(values) // 6) or None])
                if self.rng.integers(2):
                    return Condition(f"{name} > {value}", column.more.format(f"{value:g}"))
                return Condition(f"{name} < {value}", column.fewer.format(f"{value:g}"))
            case Day():
                return self._dated(column, name, values)
            case _:
                value = self.pick(values)
                return Condition(f"{name} = {quoted(value)}", f"called {value}")

    def _dated(self, column: Day, name: str, values: list[str]) -> Condition:
        kind = int(self.rng.integers(4 if column.blank else 3))
        if kind == 3:
            return Condition(f"{name} IS NULL", column.blank)
        day = self.pick(values[len(values) // 6 : -(len(values) // 6) or None])
        if kind == 0:
            return Condition(f"{name} > {quoted(day)}", f"{column.verb} after {day}")
        if kind == 1:
            return Condition(f"{name} < {quoted(day)}", f"{column.verb} before {day}")
        return Condition(f"{name} LIKE {quoted(day[:4] + '-%')}", f"{column.verb} in {day[:4]}")
