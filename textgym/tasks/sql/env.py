"""SQL-v0: questions about a database, answered by a query.

Invariant: an answer counts if, and only if, its result is right on the shown database and on every hidden twin;
the text of the query does not matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from textgym.datasets import GeneratedDataset
from textgym.envs import StatefulToolEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric
from textgym.tasks.difficulty import check_difficulty
from textgym.tasks.sql.database import Database
from textgym.tasks.sql.domains import DOMAINS
from textgym.tasks.sql.generator import Instances, databases_of
from textgym.tasks.sql.prompt import TASK
from textgym.tasks.sql.questions import LEVELS
from textgym.tasks.sql.runner import QueryError
from textgym.tasks.sql.table import ResultTable, equal_rows
from textgym.tasks.tool_prompt import tool_prompt
from textgym.tools import Tool, tool_success
from textgym.types import Example

__all__ = ["SQLEnv"]


def schema(database: Database) -> str:
    """Show the tables: their columns, keys and number of rows."""
    return database.schema()


async def query(sql: str, database: Database) -> str:
    """Run a query and show its result, up to 30 rows.

    Args:
        sql: One SELECT
        database: The database of the episode
    """
    return (await asyncio.to_thread(database.query, sql)).text()


TOOLS = tuple(Tool.from_function(function, hidden=["database"], timeout=None) for function in (schema, query))
"""What the policy may call. Queries are bounded by themselves, see ``runner``, and hold up no event loop."""


class SQLEnv(StatefulToolEnv):
    """Answer a question about a database with a query.

    ## Description
    A SQLite database of one of six domains (``library``, ``shop``, ``school``, ``flights``, ``music``, ``zoo``) is
    filled for the episode: three or four tables with foreign keys, 100 to 450 rows, names of many scripts. The
    policy looks at it with the tools ``schema`` and ``query`` and answers with a query. Difficulty 1 asks for
    rows, counts and totals under one condition; 2 adds joins, groups and extremes; 3 rankings, rows without
    counterpart and minimum counts; 4 joins over three tables, shares, comparisons with averages; 5 extremes
    of groups and combined conditions.

    ## Action Space
    Text: calls of the tools, or ``<answer>`` with one SELECT.

    ## Observation Space
    Text: the instructions and the question, later the results of the calls.

    ## Starting State
    A freshly filled database and a question. Its query gives different results on the shown database and on two
    hidden ones of the same tables and other rows.

    ## Rewards
    1 if the answer gives the right rows on the shown database and on both hidden ones (component
    ``correct``), else 0: columns by position, duplicates count, order counts where it is asked for, numbers
    are equal up to 9 digits, a text is never a number. Metrics: ``runs`` is 1 if the answer is a query that
    can be run, ``shown_correct`` 1 if it is right on the shown database, ``tool_success`` the share of calls
    without error, and those of every environment with tools.

    ## Episode End
    Terminates with an answer, or when the turns are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/SQL-v0", difficulty=2, domains=None, split="train", protocol="text", max_turns=10)``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 to 5.
        domains: Names of domains, as above; None for all.
        split: ``"train"``, ``"test"`` (disjoint queries), or None for both.
        protocol: ``"text"`` (calls in ``<tool>`` tags) or ``"native"`` (the calls of a chat server).
        max_turns: Messages that the policy may write.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 2,
        domains: Sequence[str] | None = None,
        split: Literal["train", "test"] | None = "train",
        protocol: str = "text",
        max_turns: int = 10,
        render_mode: str | None = None,
    ) -> None:
        check_difficulty(difficulty, LEVELS)
        names = (domains,) if isinstance(domains, str) else tuple(DOMAINS if domains is None else domains)
        unknown = [name for name in names if name not in DOMAINS]
        if unknown or not names:
            raise ConfigError(f"domains is {domains!r:.60}: it may hold {', '.join(DOMAINS)}")
        if split not in ("train", "test", None):
            raise ConfigError(f'split is {split!r}: it must be "train", "test" or None')
        parser = XMLParser(["think", "answer"])
        rubric = Rubric([correct], parser=parser)
        for metric in (runs, shown_correct, tool_success):
            rubric.add_metric(metric)
        super().__init__(
            GeneratedDataset(Instances(difficulty, names, split), name=f"sql-{difficulty}"),
            TOOLS,
            rubric,
            parser,
            system_prompt=tool_prompt(TASK, protocol),
            protocol=protocol,
            max_turns=max_turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )

    def initial_state(self, example: Example) -> dict[str, Any]:
        """The databases of the row, which the caller may have brought."""
        domain, seed = example.info.get("domain"), example.info.get("seed")
        if domain not in DOMAINS or not isinstance(seed, int) or not isinstance(example.answer, str):
            raise ConfigError(
                f"the row has domain={domain!r:.40}, seed={seed!r:.40} and answer={example.answer!r:.40}: it "
                "needs the name of a domain, a whole number and a query"
            )
        databases = databases_of(domain, seed)
        return {"database": databases[0], "databases": databases}

    def oracle_calls(self) -> list[Mapping[str, Any]]:
        """Look at the tables, then try the query."""
        trial = {"name": "query", "arguments": {"sql": self._current().answer}}
        return [{"name": "schema", "arguments": {}}, trial]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of an answer."""

    runs: bool
    """Whether it is a query that can be run."""
    right: tuple[bool, ...]
    """Whether its rows are right, for each database, the shown one first."""


@lru_cache(maxsize=512)
def _judged(answer: str | None, gold: str, databases: tuple[Database, ...], ordered: bool) -> _Judged:
    """Run an answer on every database; kept for the three functions that ask for it."""
    if answer is None or not answer.strip():
        return _Judged(False, (False,))
    right: list[bool] = []
    for database in databases:
        try:
            result = database.query(_unfenced(answer))
        except QueryError:
            return _Judged(bool(right), (*right, False))
        right.append(result.complete and _same(result, database.query(gold), ordered=ordered))
    return _Judged(True, tuple(right))


def _same(result: ResultTable, gold: ResultTable, *, ordered: bool) -> bool:
    return len(result.columns) == len(gold.columns) and equal_rows(result.rows, gold.rows, ordered=ordered)


def _unfenced(answer: str) -> str:
    """The query without the fence of a code block around it."""
    text = answer.strip()
    if text.startswith("```") and text.endswith("```") and len(text) >= 6:
        first, newline, rest = text[3:-3].partition("\n")
        return rest if newline and first.strip().lower() in ("", "sql", "sqlite") else first + newline + rest
    return text


async def _verdict(completion: str, answer: str, info: Any, state: Any, parser: Any) -> _Judged:
    said, ordered = parser.parse_answer(completion), bool(info.get("ordered"))
    return await asyncio.to_thread(_judged, said, answer, state["databases"], ordered)


async def correct(completion: str, answer: str, info: Any, state: Any, parser: Any) -> bool:
    """1 if the answer's rows are right on every database."""
    return all((await _verdict(completion, answer, info, state, parser)).right)


async def runs(completion: str, answer: str, info: Any, state: Any, parser: Any) -> bool:
    """1 if the answer is a query that can be run."""
    return (await _verdict(completion, answer, info, state, parser)).runs


async def shown_correct(completion: str, answer: str, info: Any, state: Any, parser: Any) -> bool:
    """1 if the answer's rows are right on the shown database."""
    return (await _verdict(completion, answer, info, state, parser)).right[0]
