"""SQL-v0: what a query may do, how results are compared, what questions promise, how answers are judged."""

from __future__ import annotations

import copy
import pickle
import sqlite3
import threading
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.sql.database import Database
from textgym.tasks.sql.domains import DOMAINS
from textgym.tasks.sql.expansion import expansion_of
from textgym.tasks.sql.generator import Instances, databases_of
from textgym.tasks.sql.questions import LEVELS
from textgym.tasks.sql.runner import MAX_CHARACTERS, QueryError
from textgym.tasks.sql.table import MAX_ROWS, ResultTable, equal_rows

LIBRARY = Database("library", 3)
NUMBERS = st.integers(-(10**7), 10**7) | st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT 1, 'a', NULL, 2.5, x'00ff'", ((1, "a", None, 2.5, b"\x00\xff"),)),
        (" SELECT 1 ; ", ((1,),)),
        ("VALUES (1), (2)", ((1,), (2,))),
        ("WITH a(n) AS (SELECT 2) SELECT n + 1 FROM a -- done", ((3,),)),
        ("SELECT count(*) FROM sqlite_master WHERE type = 'table'", ((4,),)),
        ("SELECT strftime('%Y', '2020-02-03'), date('2020-01-31', '+1 day')", (("2020", "2020-02-01"),)),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT x + 1 FROM n WHERE x < 5) SELECT sum(x) FROM n", ((15,),)),
        ("SELECT round(avg(x), 1) FROM (SELECT 1 AS x UNION ALL SELECT 2)", ((1.5,),)),
        ("SELECT x, row_number() OVER (ORDER BY x DESC) FROM (SELECT 1 AS x UNION SELECT 2)", ((2, 1), (1, 2))),
        ("SELECT CAST(x'ff' AS TEXT)", (("\ufffd",),)),
    ],
)  # fmt: skip
def test_what_can_be_read(sql: str, rows: Any) -> None:
    assert LIBRARY.query(sql).rows == rows


READING = "only reading is possible"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "empty"),
        (" ; ", "empty"),
        ("INSERT INTO loans VALUES (1, 1, 1, '', '', 1)", READING),
        ("UPDATE books SET pages = 1", READING),
        ("DELETE FROM loans", READING),
        ("DROP TABLE loans", READING),
        ("CREATE TEMP TABLE x (a)", READING),
        ("CREATE VIRTUAL TABLE x USING fts5(a)", READING),
        ("CREATE VIEW x AS SELECT 1", READING),
        ("ATTACH 'x.db' AS x", READING),
        ("DETACH main", READING),
        ("VACUUM INTO 'x.db'", "denied"),
        ("PRAGMA writable_schema = 1", READING),
        ("PRAGMA table_info(books)", READING),
        ("BEGIN", READING),
        ("SAVEPOINT x", READING),
        ("ANALYZE", READING),
        ("REINDEX", READING),
        ("EXPLAIN SELECT 1", READING),
        ("explain query plan SELECT 1", READING),
        ("SELECT 1; SELECT 2", READING),
        ("SELECT 1; DROP TABLE books", READING),
        ("SELECT * FROM pragma_table_info('books')", ""),
        ("SELECT * FROM dbstat", "table"),
        ("SELECT * FROM sqlite_stmt", "table"),
        ("SELECT * FROM json_each('[1]')", "table"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT load_extension('x')", "load_extension is not available"),
        ("SELECT readfile('/etc/passwd')", "readfile"),
        ("SELECT writefile('x', 'y')", "writefile"),
        ("SELECT edit('x')", "edit"),
        ("SELECT random()", "random is not available"),
        ("SELECT 1 ORDER BY RANDOM()", "available"),
        ("SELECT randomblob(9)", "randomblob is not available"),
        ("SELECT zeroblob(1000000000)", "zeroblob is not available"),
        ("SELECT printf('%1000000000d', 1)", "printf is not available"),
        ("SELECT format('%.*c', 1000000000, 'x')", "format"),
        ("SELECT hex('x')", "hex is not available"),
        ("SELECT date('now')", "present time"),
        ("SELECT DATE('NOW', '+1 day')", "present time"),
        ("SELECT date()", "present time"),
        ("SELECT strftime('%s')", "present time"),
        ("SELECT datetime('2020-01-01', 'localtime')", "present time"),
        ("SELECT julianday('subsec')", "present time"),
        ("SELECT CURRENT_TIMESTAMP", "current_timestamp is not available"),
        ("SELECT last_insert_rowid()", "not available"),
        ("SELECT sqlite_version()", "not available"),
        ("SELECT '\0'", "no text"),
        ("SELECT '\ud800'", "no text"),
        ("SELECT " + "x" * MAX_CHARACTERS, "characters"),
        ("SELECT " + "(" * 500 + "1" + ")" * 500, ""),
        ("SELECT " + "+".join("1" * 900), "depth"),
        ("SELECT " + ",".join("1" * 200), "columns"),
        (" UNION ALL ".join(["SELECT 1"] * 30), "compound"),
        ("SELECT 1 FROM " + ", ".join(["books"] * 20), "at most 16"),
        ("SELECT sum(9223372036854775807) FROM books", "overflow"),
        ("SELECT 'x' LIKE '" + "%x" * 50 + "'", "complex"),
    ],
)
def test_what_cannot_be_done(sql: str, message: str) -> None:
    before = LIBRARY.query("SELECT count(*), sum(pages) FROM books").rows
    with pytest.raises(QueryError) as refused:
        LIBRARY.query(sql)
    assert message in str(refused.value)
    assert LIBRARY.query("SELECT count(*), sum(pages) FROM books").rows == before


GROWING = "WITH RECURSIVE r(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT substr(x || x, 1, 1900) FROM r)"
DOUBLING = "WITH c0 AS (SELECT 1 AS x)" + "".join(
    f", c{n} AS (SELECT p.x FROM c{n - 1} AS p, c{n - 1} AS q)" for n in range(1, 25)
)
COUNTING = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)"
BOMBS = {
    "an endless recursion": f"{COUNTING} SELECT count(*) FROM r",
    "a cross join": "SELECT count(*) FROM loans a, loans b, loans c, loans d",
    "a sorted cross join": "SELECT a.lent || b.lent AS x FROM loans a, loans b, loans c ORDER BY x",
    "texts that double": "WITH RECURSIVE r(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM r) SELECT x FROM r",
    "long texts": f"{GROWING} SELECT x FROM r ORDER BY x DESC",
    "patterns on long texts": f"{GROWING} SELECT count(*) FROM r WHERE x LIKE '{'%a' * 20}%b'",
    "replacements": f"{GROWING} SELECT count(*) FROM r WHERE replace(x, 'a', 'b') = 'c'",
    "dates": f"{COUNTING} SELECT max(date('2020-01-01', '+' || x || ' days')) FROM r",
    "definitions that double": f"{DOUBLING} SELECT count(*) FROM c24",
    "quoted definitions": DOUBLING.replace("c1 ", '"C1" ').replace("c2 ", "[c2] ") + " SELECT 1 FROM c24",
}  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("sql", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_do_not_go_off(sql: str) -> None:
    with pytest.raises(QueryError) as refused:
        LIBRARY.query(sql)
    assert (
        "steps" in str(refused.value) or "too often" in str(refused.value) or "too big" in str(refused.value)
    )


@settings(deadline=None, max_examples=200)
@given(
    st.text(st.characters(exclude_categories=()), max_size=100)
    | st.lists(
        st.sampled_from(
            (
                "SELECT", "FROM", "books", "WITH", "a", "AS", "(", ")", ",", "*", "'", '"', "[", "--", "/*",
                "UNION", "ALL", "VALUES", "1", ";", "RECURSIVE", "\n", "PRAGMA", "ATTACH", "\0", "LIKE",
                "date(", "JOIN",
            )
        ),
        max_size=30,
    ).map(" ".join)
)  # fmt: skip
def test_nothing_else_is_raised(sql: str) -> None:
    try:
        LIBRARY.query(sql)
    except QueryError as error:
        str(error).encode()


def test_expansion_is_linear_on_anything() -> None:
    for text in (
        "(" * 4000,
        "'" * 3999,
        '"' * 3999,
        "a AS (" * 660,
        "[" * 4000,
        "/*" * 2000,
        "with a as (" * 360,
    ):
        expansion_of(text)


def test_long_results_are_cut() -> None:
    result = LIBRARY.query("SELECT a.id FROM loans a, loans b")
    assert (len(result.rows), result.complete) == (MAX_ROWS, False)
    lines = result.text().splitlines()
    assert (len(lines), lines[-1]) == (32, "(the first 30 of more than 500 rows)")


def test_how_a_table_looks() -> None:
    table = ResultTable(("a", "b"), ((1, None), (2.0, "x\ny"), (1e20, "z" * 200), (0.1 + 0.2, b"\xff")))
    assert table.text().splitlines() == [
        "a | b", "1 | NULL", "2.0 | x\\ny", "1e+20 | " + "z" * 79 + "…", "0.3 | x'ff'", "(4 rows)",
    ]  # fmt: skip
    assert ResultTable(("a",), ()).text() == "a\n(0 rows)"


@pytest.mark.parametrize(
    ("left", "right", "ordered", "equal"),
    [
        ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")], False, True),
        ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")], True, False),
        ([(1,), (1,), (2,)], [(1,), (2,), (2,)], False, False),
        ([(1,)], [(1.0,)], False, True),
        ([(0.1 + 0.2,)], [(0.3,)], False, True),
        ([(0.3001,)], [(0.3,)], False, False),
        ([("1",)], [(1,)], False, False),
        ([(None,)], [(0,)], False, False),
        ([(None,)], [("",)], False, False),
        ([("a",)], [(b"a",)], False, False),
        ([(1, 2)], [(2, 1)], False, False),
        ([(1,)], [(1, 1)], False, False),
        ([(2**60,)], [(2**60 + 1,)], False, False),
        ([(1234567,), (1234568,)], [(1234568,), (1234567,)], False, True),
        ([(1234567.0,), (1234568,)], [(1234568.0,), (1234567,)], False, True),
        ([(0.1 + 0.2, "b"), (0.3, "a")], [(0.3, "b"), (0.1 + 0.2, "a")], False, True),
        ([(1e-10, 1), (-1e-10, 2)], [(-1e-10, 1), (1e-10, 2)], False, True),
        ([(1234567,), (1234567,)], [(1234568,), (1234567,)], False, False),
        ([(float("inf"),)], [(1.0,)], False, False),
        ([(None,), ("a",), (1,), (b"x",)], [(b"x",), (1,), ("a",), (None,)], False, True),
        ([], [], True, True),
    ],
)
def test_comparing_results(left: Any, right: Any, ordered: bool, equal: bool) -> None:
    assert equal_rows(left, right, ordered=ordered) == equal_rows(right, left, ordered=ordered) == equal


@given(st.lists(st.tuples(NUMBERS, st.sampled_from("ab")), max_size=6), st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[Any], random: Any) -> None:
    shuffled = random.sample(rows, len(rows))
    noisy = [(number * (1 + 1e-12), text) for number, text in shuffled]
    assert equal_rows(rows, shuffled, ordered=False)
    assert equal_rows(rows, noisy, ordered=False)
    assert equal_rows(noisy, rows, ordered=False)


@pytest.mark.parametrize("name", DOMAINS)
def test_databases(name: str) -> None:
    database = Database(name, 5)
    shown = sqlite3.connect(":memory:")
    shown.executescript(database.schema())  # what is shown is SQL
    for table in database.domain.tables:
        assert database.query(f"SELECT count(*) FROM {table.name}").rows[0][0] == len(
            database.rows[table.name]["id"]
        )
        for link in table.links:
            orphans = (
                f"SELECT count(*) FROM {table.name} WHERE {link.column} NOT IN (SELECT id FROM {link.table})"
            )
            assert database.query(orphans).rows == ((0,),)
    shown.close()
    assert Database(name, 5).rows == database.rows
    assert Database(name, 6).rows != database.rows


def test_databases_travel_light() -> None:
    assert len(pickle.dumps(LIBRARY)) < 200
    assert pickle.loads(pickle.dumps(LIBRARY)) == LIBRARY
    assert not any("O'Neill" in str(row) for row in LIBRARY.query("SELECT 1").rows)


def instances(difficulty: int, split: str | None, count: int) -> list[dict[str, Any]]:
    make = Instances(difficulty, tuple(DOMAINS), split)
    return [make(seeding.generator(seed, "test", difficulty)) for seed in range(count)]


@pytest.mark.parametrize("difficulty", LEVELS)
def test_questions(difficulty: int) -> None:
    rows = instances(difficulty, None, 40)
    for row in rows:
        assert row["question"].endswith(("?", "."))
        assert "{" not in row["question"]
        assert len(row["question"]) < 400
        databases = databases_of(row["info"]["domain"], row["info"]["seed"])
        results = [database.query(row["answer"]).rows for database in databases]
        assert all(results)
        assert not any(equal_rows(results[0], other, ordered=row["info"]["ordered"]) for other in results[1:])
        assert row["info"]["ordered"] == ("first;" in row["question"])
    assert len({row["question"] for row in rows}) > 35
    assert len({row["info"]["domain"] for row in rows}) == len(DOMAINS)


def test_difficulty_makes_queries_longer() -> None:
    lengths = [sum(len(row["answer"]) for row in instances(level, None, 40)) / 40 for level in LEVELS]
    assert lengths == sorted(lengths)


def test_no_query_is_in_both_splits() -> None:
    train, test = ({row["answer"] for row in instances(1, split, 60)} for split in ("train", "test"))
    assert not train & test


def played(*actions: str, **arguments: Any) -> tuple[float, dict[str, Any], Any]:
    env: Any = gym.make("textgym/SQL-v0", disable_env_checker=True, **arguments).unwrapped
    env.reset(seed=1)
    reward, info = 0.0, {}
    for action in actions:
        _, reward, _, _, info = env.step(action)
    return float(reward), info["metrics"], env


def answered(change: Any, seed: int = 1, **arguments: Any) -> tuple[float, dict[str, float]]:
    env: Any = gym.make("textgym/SQL-v0", disable_env_checker=True, **arguments).unwrapped
    env.reset(seed=seed)
    gold = env.example.answer
    _, reward, terminated, _, info = env.step(f"<answer>{change(gold, env.state['database'])}</answer>")
    assert terminated
    return float(reward), info["metrics"]


def test_another_text_with_the_same_result_is_right() -> None:
    for change in (
        lambda gold, _: f"WITH answer AS ({gold}) SELECT * FROM answer",
        lambda gold, _: f"```sql\n{gold};\n```",
        lambda gold, _: f"```\n{gold}\n```",
        lambda gold, _: gold.replace("SELECT", "select") + " -- done",
    ):
        assert answered(change)[0] == 1.0


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("difficulty", [1, 3, 5])
def test_the_result_of_the_shown_database_is_no_answer(seed: int, difficulty: int) -> None:
    def constant(gold: str, database: Database) -> str:
        def literal(value: Any) -> str:
            return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value or "NULL")

        rows = database.query(gold).rows
        return "VALUES " + ", ".join(f"({', '.join(map(literal, row))})" for row in rows)

    reward, metrics = answered(constant, seed, difficulty=difficulty)
    assert (reward, metrics["runs"]) == (0.0, 1.0)


def test_wrong_answers() -> None:
    for change, runs in (
        (lambda gold, _: f"{gold} LIMIT 0", None),
        (lambda gold, _: gold.replace("SELECT ", "SELECT 1, ", 1), 1.0),
        (lambda gold, _: "SELECT 42", 1.0),
        (lambda gold, _: "DROP TABLE books", 0.0),
        (lambda gold, _: "nonsense", 0.0),
        (lambda gold, _: "```", 0.0),
        (lambda gold, _: "SELECT 1" + " " * 10_000, 1.0),
        (lambda gold, _: "\ud800", 0.0),
    ):
        reward, metrics = answered(change)
        assert reward == 0.0
        assert runs is None or metrics["runs"] == runs


def test_a_database_cannot_be_changed_by_a_call() -> None:
    change = '<tool>{"name": "query", "args": {"sql": "CREATE TABLE books (id)"}}</tool>'
    reward, metrics, env = played(change, "<answer>SELECT 1</answer>")
    assert metrics["tool/raised"] == 1.0
    assert "Error: QueryError: only reading is possible" in env.messages[3]["content"]


def test_the_connection_is_not_the_models_business() -> None:
    forged = '<tool>{"name": "query", "args": {"sql": "SELECT 1", "database": 7}}</tool>'
    metrics = played(forged, "<answer>SELECT 1</answer>")[1]
    assert metrics["tool/invalid_arguments"] == 1.0


def test_twins_share_the_database() -> None:
    env: Any = gym.make("textgym/SQL-v0", disable_env_checker=True).unwrapped
    env.reset(seed=4)
    twin = copy.deepcopy(env)
    assert twin.state["database"] == env.state["database"]
    assert len(pickle.dumps(env.state)) < 1000


def test_queries_in_threads() -> None:
    results: list[Any] = []

    def work() -> None:
        results.append([LIBRARY.query("SELECT sum(pages) FROM books").rows for _ in range(20)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize(
    "arguments",
    [
        {"difficulty": 0},
        {"difficulty": True},
        {"domains": ["x"]},
        {"domains": []},
        {"split": "dev"},
        {"protocol": "x"},
    ],
)
def test_unusable_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        gym.make("textgym/SQL-v0", **arguments)


def test_rows_of_ones_own() -> None:
    env: Any = gym.make("textgym/SQL-v0").unwrapped
    row = {"question": "How many books?", "answer": "SELECT count(*) FROM books"}
    with pytest.raises(ConfigError, match="domain"):
        env.reset(options={"example": row})
    env.reset(options={"example": {**row, "info": {"domain": "library", "seed": 7}}})
    assert env.step("<answer>SELECT count(id) FROM books</answer>")[1] == 1.0
