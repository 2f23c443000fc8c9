"""Running a query that a model wrote, read-only and within bounds.

Invariant: a query can read the tables of the database and nothing else; its result depends on the database and
the text alone (no clock, no random numbers, a budget counted in steps of SQLite's machine). Whatever goes wrong
raises ``QueryError``, whose message is written for the model. Every query has a connection of its own, made
from the database's image, so nothing can stay behind.

The time that one step takes is bounded by the lengths of texts. Only a query that sends long texts through
functions a million times can meet ``SECONDS`` of processor time first; it is refused with the same message.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from textgym.tasks.sql.expansion import expansion_of
from textgym.tasks.sql.table import MAX_ROWS, ResultTable, Row

__all__ = ["MAX_CHARACTERS", "MAX_STEPS", "QueryError", "run_query"]

MAX_CHARACTERS = 4000
"""Longest query, in characters."""
MAX_STEPS = 2_000_000
"""Most steps of SQLite's virtual machine."""
MAX_TEXT = 4000
"""Longest text and longest row within a query, in bytes."""
SECONDS = 1.5
"""Most processor time."""
MAX_EXPANSIONS = 100
"""How often the tables of WITH may refer to each other, multiplied: SQLite writes each reference out."""
MAX_SOURCES = 16
"""Most tables and subqueries in one query: the planner's time grows fast with them."""
_DATE_STEPS, _NEW_DATE_STEPS = 20, 400
"""What a call of a date function costs, and one with new arguments besides."""
_STRIDE = 1000
"""Steps between two looks at the budget."""

_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: MAX_TEXT,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 4 * MAX_CHARACTERS + 1,
    sqlite3.SQLITE_LIMIT_COLUMN: 64,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 8,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 20_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 16,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 60,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_DATES = ("date", "time", "datetime", "julianday", "strftime")
_PRESENT = frozenset({"now", "localtime", "utc", "subsec", "subsecond"})
_FUNCTIONS = frozenset(
    {
        *_DATES, "abs", "avg", "ceil", "ceiling", "coalesce", "count", "cume_dist", "dense_rank", "first_value",
        "floor", "glob", "group_concat", "ifnull", "iif", "instr", "lag", "last_value", "lead", "length", "like",
        "lower", "ltrim", "max", "min", "mod", "nth_value", "ntile", "nullif", "percent_rank", "pow", "power",
        "rank", "replace", "round", "row_number", "rtrim", "sign", "sqrt", "string_agg", "substr", "substring",
        "sum", "total", "trim", "typeof", "unicode", "upper",
    }
)  # fmt: skip
_SCHEMA = frozenset({"sqlite_master", "sqlite_schema"})


class QueryError(ValueError):
    """A query that cannot be run; the message tells the model why.

    It is no ``TextgymError``, for it is the model's doing and breaks no episode.
    """


def run_query(image: bytes, tables: frozenset[str], sql: str) -> ResultTable:
    """Run one SELECT.

    Args:
        image: The database, as ``sqlite3.Connection.serialize`` gives it.
        tables: Names of the tables that may be read.
        sql: Any text.

    Returns:
        The result, at most ``MAX_ROWS`` rows of it.

    Raises:
        QueryError: The text is no query, or one that goes beyond a bound.
    """
    text, defined = _checked(sql)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        guard = _Guard(tables, defined)
        connection.deserialize(image)
        connection.execute("PRAGMA query_only = 1")
        connection.text_factory = _decoded
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        for name in _DATES:
            connection.create_function(name, -1, guard.dated(name), deterministic=True)
        connection.set_authorizer(guard.allow)
        connection.set_progress_handler(guard.spend, _STRIDE)
        try:
            cursor = connection.execute(text)
            rows: list[Row] = cursor.fetchmany(MAX_ROWS + 1)
            names = tuple(str(column[0]) for column in cursor.description or ())
        except (sqlite3.Error, sqlite3.Warning, OverflowError, MemoryError) as error:
            raise QueryError(guard.explain(error)) from None
    if not names:
        raise QueryError("only reading is possible: write one SELECT")
    return ResultTable(names, tuple(map(tuple, rows[:MAX_ROWS])), complete=len(rows) <= MAX_ROWS)


def _checked(sql: str) -> tuple[str, frozenset[str]]:
    """The query, and the names that its WITH defines."""
    if len(sql) > MAX_CHARACTERS:
        raise QueryError(f"the query has {len(sql)} characters: at most {MAX_CHARACTERS} are possible")
    text = sql.strip().rstrip(";").rstrip()
    if not text:
        raise QueryError("the query is empty: write one SELECT")
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise QueryError("the query holds characters that are no text")
    found = expansion_of(text)
    if found.first == "explain":
        raise QueryError("only reading is possible: write one SELECT")
    if found.subqueries > MAX_EXPANSIONS:
        raise QueryError("the tables of WITH refer to each other too often: make the query simpler")
    if found.sources > MAX_SOURCES:
        raise QueryError(
            f"the query reads {found.sources} tables and subqueries: at most {MAX_SOURCES} are possible"
        )
    return text, found.defined


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class _Guard:
    """What a query may do, and what it has used up."""

    def __init__(self, tables: frozenset[str], defined: frozenset[str]) -> None:
        self.tables = tables
        self.readable = tables | defined | _SCHEMA
        self.steps = 0
        self.deadline = time.thread_time() + SECONDS
        self.refused = ""
        self.known: dict[tuple[Any, ...], Any] = {}
        """Results of date functions so far."""

    def allow(self, action: int, first: str | None, second: str | None, *_: Any) -> int:
        """SQLite's authorizer: reading, and the functions that are known to be harmless."""
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ and (first or "").lower() in self.readable:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if (second or "").lower() in _FUNCTIONS:
                return sqlite3.SQLITE_OK
            self.refuse(f"the function {second} is not available")
        elif action == sqlite3.SQLITE_READ:
            self.refuse(f"there is no table {first}: there are {', '.join(sorted(self.tables))}")
        return sqlite3.SQLITE_DENY

    def refuse(self, message: str) -> None:
        """Remember the first reason of a refusal: SQLite's own message does not tell it."""
        self.refused = self.refused or message

    def spend(self) -> int:
        """SQLite's progress handler: other than 0 stops the query."""
        self.steps += _STRIDE
        if self.steps > MAX_STEPS or time.thread_time() > self.deadline:
            self.refuse(f"the query takes more than {MAX_STEPS} steps: make it simpler")
            return 1
        return 0

    def dated(self, name: str) -> Callable[..., Any]:
        """SQLite's date function of that name, for all times but the present."""

        def compute(*arguments: Any) -> Any:
            times = arguments[1:] if name == "strftime" else arguments
            if not times or any(str(value).lower() in _PRESENT for value in times):
                self.refuse(f"{name} of the present time is not available: the data holds its own dates")
                raise ValueError
            self.steps += _DATE_STEPS
            key = (name, *arguments)
            if key not in self.known:
                with closing(sqlite3.connect(":memory:")) as calendar:
                    marks = ", ".join("?" * len(arguments))
                    self.known[key] = calendar.execute(f"SELECT {name}({marks})", arguments).fetchone()[0]
                self.steps += _NEW_DATE_STEPS
            return self.known[key]

        return compute

    def explain(self, error: BaseException) -> str:
        """Why the query failed."""
        said = str(error)
        if self.refused:
            return self.refused
        if "vtable" in said:
            return f"there is no such table: there are {', '.join(sorted(self.tables))}"
        if "not authorized" in said or "prohibited" in said or "one statement" in said:
            return "only reading is possible: write one SELECT"
        return said or "the query cannot be run"
