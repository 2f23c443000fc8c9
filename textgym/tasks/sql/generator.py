"""Instances of the SQL task: a database, hidden twins of it, a question and its query.

Invariant: the query's result is not empty, differs between the shown database and each twin (so that no constant
is right), and differs from that of each weaker query on at least one of them. Which split an instance belongs to
follows from its query alone: what is asked in training is not asked in the test, whatever the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.sql.conditions import Writer
from textgym.tasks.sql.database import Database
from textgym.tasks.sql.questions import LEVELS, Draft
from textgym.tasks.sql.runner import QueryError
from textgym.tasks.sql.table import Row, equal_rows

__all__ = ["TWINS", "Instances", "databases_of"]

TWINS = 2
"""Hidden databases that an answer has to be right on, besides the shown one."""
TEST_SHARE = 1 / 8
_MOST_ROWS = 25
_ATTEMPTS = 2000


@dataclass(frozen=True, slots=True)
class Instances:
    """Draws instances as rows; ``info`` holds ``domain``, ``seed`` and ``ordered``.

    Args:
        difficulty: 1 to 5.
        domains: Names of the domains to draw from.
        split: ``"train"``, ``"test"``, or None for both.
    """

    difficulty: int
    domains: tuple[str, ...]
    split: str | None

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw one instance.

        Raises:
            ConfigError: No question fits the data; the shapes of this difficulty are at fault.
        """
        domain = self.domains[int(rng.integers(len(self.domains)))]
        seed = int(rng.integers(1 << seeding.SEED_BITS))
        draft = _drafted(self.difficulty, self.split, domain, seed)
        info = {"domain": domain, "seed": seed, "ordered": draft.ordered}
        return {"question": draft.question, "answer": draft.sql, "info": info}


@lru_cache(maxsize=256)
def _drafted(difficulty: int, split: str | None, domain: str, seed: int) -> Draft:
    """The question of an instance; kept, because the members of a group ask for the same one."""
    databases = databases_of(domain, seed)
    writer = Writer(seeding.generator(seed, "sql/question", difficulty), databases[0])
    for _ in range(_ATTEMPTS):
        draft: Draft = writer.pick(LEVELS[difficulty])(writer, difficulty)
        if _wanted(draft, split) and _is_sound(draft, databases):
            return draft
    raise ConfigError(f"no question of difficulty {difficulty} fits the data of {domain!r}")


def _wanted(draft: Draft, split: str | None) -> bool:
    if split is None:
        return True
    share = seeding.mix("sql", draft.sql) / (1 << seeding.SEED_BITS)
    return (share < TEST_SHARE) == (split == "test")


def databases_of(domain: str, seed: int) -> tuple[Database, ...]:
    """The shown database of an instance, and its twins."""
    return tuple(Database(domain, seeding.mix(seed, "twin", n) if n else seed) for n in range(TWINS + 1))


def _is_sound(draft: Draft, databases: tuple[Database, ...]) -> bool:
    results = []
    for database in databases:
        rows = _rows(draft.sql, database)
        if not rows or len(rows) > _MOST_ROWS or not any(value for row in rows for value in row):
            return False
        results.append(rows)
    shown = results[0]
    if any(equal_rows(shown, other, ordered=draft.ordered) for other in results[1:]):
        return False
    return all(_differs(weaker, draft, databases, results) for weaker in draft.weaker)


def _differs(sql: str, draft: Draft, databases: tuple[Database, ...], results: list[tuple[Row, ...]]) -> bool:
    return any(
        not equal_rows(_rows(sql, database), rows, ordered=draft.ordered)
        for database, rows in zip(databases, results, strict=True)
    )


def _rows(sql: str, database: Database) -> tuple[Row, ...]:
    try:
        return database.query(sql).rows
    except QueryError as error:
        raise ConfigError(f"the query of a question cannot be run: {error} in {sql}") from None
