"""QA-v0: six ways to score, files of one's own, splits, and rows that cannot be played."""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textgym
from textgym.datasets import as_example
from textgym.errors import ConfigError, DatasetError
from textgym.tasks.qa.env import QAEnv
from textgym.tasks.qa.prompt import FORMATS, PARSERS
from textgym.tasks.qa.scoring import normal
from textgym.tasks.qa.scorings import SCORINGS

CHOICES = ["Paris", "Rome", "B. subtilis", "the sun"]


def score(scoring: str, said: str, answer: Any, **columns: Any) -> float:
    """What ``said`` earns in an episode on one row."""
    env = QAEnv(scoring=scoring, parser="none")
    env.reset(options={"example": {"question": "?", "answer": answer, **columns}})
    return float(env.step(said)[1])


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        ("Paris", "paris", 1),
        (" PARIS.\n", "Paris", 1),
        ("new   york!", "New York", 1),
        ("cafe\u0301", "café", 1),
        ("42", 42, 1),
        ("NYC", ["New York", "NYC"], 1),
        (r"\text{Paris}", "Paris", 1),
        ("x", r"\text{x}", 1),
        ("Par is", "Paris", 0),
        ("Paris, Texas", "Paris", 0),
        ("It is Paris", "Paris", 0),
        ("...", "Paris", 0),
        ("", "Paris", 0),
        ("true", True, 1),
    ],
)
def test_exact(said: str, answer: Any, reward: float) -> None:
    assert score("exact", said, answer) == reward


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        ("0.50", "1/2", 1),
        ("1,000", 1000, 1),
        (r"\frac{1}{2}", 0.5, 1),
        ("7", ["6", "7"], 1),
        ("6 or 7", ["6", "7"], 0),
        ("7 apples", "7", 0),
        ("seven", "7", 0),
        ("", "0", 0),
    ],
)
def test_numeric(said: str, answer: Any, reward: float) -> None:
    assert score("numeric", said, answer) == reward


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        (r"\frac{\sqrt{4}}{4}", "1/2", 1),
        ("2x + 2", "2(x+1)", 1),
        ("x", ["y", "x"], 1),
        ("1/3", "1/2", 0),
        ("", "1/2", 0),
        ("{" * 5000, "1/2", 0),
    ],
)
def test_math(said: str, answer: Any, reward: float) -> None:
    assert score("math", said, answer) == reward


@pytest.mark.parametrize(
    ("said", "reward"),
    [
        *(("B", 1), ("b", 1), ("(B)", 1), ("B.", 1), ("[b]:", 1), ("Option B", 1), ("The answer is (B).", 1)),
        *(("Rome", 1), (" rome. ", 1), ("B. Rome", 1), ("(b) rome", 1), (r"\text{B}", 1), ("B)\nRome", 1)),
        *(("A", 0), ("Paris", 0), ("A. Rome", 0), ("B. Paris", 0), ("A or B", 0), ("A, B", 0), ("ABCD", 0)),
        *(("B. subtilis", 0), ("E", 0), ("", 0), ("Rome Paris", 0), ("\u212a", 0), ("1", 0), ("B B", 0)),
    ],
)
def test_choice(said: str, reward: float) -> None:
    for answer in ("Rome", "rome.", "B", 1):
        assert score("choice", said, answer, choices=CHOICES) == reward
    assert score("choice", said, "Rome", choices="|".join(CHOICES)) == reward
    assert score("choice", said, "Rome", choices=json.dumps(CHOICES)) == reward


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        ("c, A ,b.", "a, b, c", 1),
        (r"\{a, b, c\}", ["a", "b", "c"], 1),
        ("[a,b,c,]", "{a, b, c}", 1),
        ("a, b, c, c", "a, b, c", 1),
        ("a", "a", 1),
        ("a, b", "a, b, c", 0),
        ("a, b, c, d", "a, b, c", 0),
        ("a b c", "a, b, c", 0),
        (",", "a", 0),
        ("", "a", 0),
    ],
)
def test_set(said: str, answer: Any, reward: float) -> None:
    assert score("set", said, answer) == reward


@pytest.mark.parametrize(
    ("said", "answer", "reward"),
    [
        ("The Eiffel Tower!", "eiffel tower", 1),
        ("Paris, France", "Paris", 2 / 3),
        ("in the city of Paris", "Paris", 2 / 5),
        ("Paris", ["London", "Paris, France"], 2 / 3),
        ("paris paris", "Paris", 2 / 3),
        (r"\text{paris}", "Paris", 1),
        ("London", "Paris", 0),
        ("the", "Paris", 0),
        ("", "Paris", 0),
    ],
)
def test_f1(said: str, answer: Any, reward: float) -> None:
    assert score("f1", said, answer) == pytest.approx(reward)


def squad_f1(prediction: str, truth: str) -> float:
    """``f1_score`` of evaluate-v1.1.py, written out."""
    import re
    import string

    def words(text: str) -> list[str]:
        text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    common = Counter(words(prediction)) & Counter(words(truth))
    same = sum(common.values())
    if same == 0:
        return 0
    precision, recall = same / len(words(prediction)), same / len(words(truth))
    return 2 * precision * recall / (precision + recall)


phrases = st.lists(
    st.sampled_from(["the", "A", "cat", "cats.", "sat,", "on", "mat", "'", "\ud800"]), max_size=9
)


@given(said=phrases.map(" ".join), gold=phrases.map(" ".join))
def test_f1_is_that_of_squad(said: str, gold: str) -> None:
    example = as_example({"question": "?", "answer": gold or "x", "id": "1"})
    found = SCORINGS["f1"]().score(said, example)
    assert found == pytest.approx(squad_f1(said, gold or "x"))


def test_solved_means_all_right_or_nearly_so_for_f1() -> None:
    row = {"question": "?", "answer": "green tea"}
    for said, solved in (("green tea", True), ("some green tea", True), ("tea", False), ("green", False)):
        env = QAEnv(scoring="f1", parser="none")
        env.reset(options={"example": row})

        class Record:
            reward = env.step(said)[1]

        assert env.success(Record()) is solved
    assert QAEnv().success_threshold == 1.0


GOLDS = {
    "exact": ["Paris", "  x = 1 ", "a (b)", "42", "yes"],
    "numeric": ["42", "-1/3", "1,000.50", "0"],
    "math": [r"\frac{1}{2}", "x^2 + 1", "(1, 2)"],
    "choice": ["Rome", "A", "the sun"],
    "set": ["a, b, c", "1"],
    "f1": ["the green tea", "Paris, France"],
}


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("scoring", SCORINGS)
def test_the_oracle_is_perfect_and_nothing_earns_nothing(scoring: str, parser: str) -> None:
    env = QAEnv(scoring=scoring, parser=parser)
    assert FORMATS[parser] in env.reset(seed=0)[0]
    for gold in GOLDS[scoring]:
        row = {"question": "?", "answer": gold, "choices": CHOICES}
        env.reset(options={"example": row})
        _, reward, _, _, info = env.step(env.oracle())
        assert (reward, info["metrics"]) == (1.0, {"format": 1.0})
        junk_texts = ["", " ", "I do not know.", "\\boxed{}", "<answer></answer>", "{}", "\0\ud800"]
        if parser != "none":
            junk_texts.append(f"<think>{gold}")
        for junk in junk_texts:
            env.reset(options={"example": row})
            assert env.step(junk)[1] == 0.0, junk


anything = st.text(st.characters(exclude_categories=()), max_size=60)
pieces = st.lists(
    st.sampled_from(["A", "b.", "(c)", "1", "/", ",", "{", "}", "\\", "text", "the", "answer is", "\n"])
    | anything,
    max_size=12,
).map("".join)


@pytest.mark.parametrize("scoring", set(SCORINGS) - {"math"})
@given(said=pieces | anything)
@settings(deadline=None)
def test_scores_are_total_and_bounded(scoring: str, said: str) -> None:
    judge = SCORINGS[scoring]()
    for gold in GOLDS[scoring]:
        example = as_example({"question": "?", "answer": gold, "choices": CHOICES})
        assert 0.0 <= judge.score(said, example) <= 1.0
        assert judge.score(judge.gold_text(example), example) == 1.0
        if not said.strip():
            assert judge.score(said, example) == 0.0


HOSTILE = [
    "(",
    " ",
    "a,",
    "\\text{",
    "answer ",
    "the ",
    "a\u0301",
    "\u0316\u0301",
    "{",
    "A. ",
    "B\n",
    "9",
    "\\text ",
]


@pytest.mark.parametrize("scoring", SCORINGS)
@pytest.mark.parametrize("parser", ["none", "boxed", "json"])
def test_hostile_answers_are_judged_in_bounded_time(scoring: str, parser: str) -> None:
    env = QAEnv(scoring=scoring, parser=parser)
    row = {"question": "?", "answer": GOLDS[scoring][0], "choices": CHOICES}
    start = time.process_time()
    for unit in HOSTILE:
        env.reset(options={"example": row})
        text = env.parser.render_answer("answer " + unit * (60_000 // len(unit)))
        assert env.step(text)[1] < 0.01
    assert time.process_time() - start < 8.0


@pytest.mark.parametrize(
    ("scoring", "row", "problem"),
    [
        ("exact", {}, "it has no answer"),
        ("exact", {"answer": {"a": 1}}, "its answer holds dict {'a': 1}"),
        ("exact", {"answer": " "}, "its answer is blank"),
        ("exact", {"answer": []}, "its answer is blank"),
        ("exact", {"answer": "?!"}, "its answer '?!' would earn nothing itself"),
        ("exact", {"answer": "}{"}, "its answer '}{' cannot be written for BoxedParser()"),
        ("numeric", {"answer": "seven"}, "its answer 'seven' is no plain number"),
        ("numeric", {"answer": ["7", "8 or 9"]}, "its answer '8 or 9' is no plain number"),
        ("f1", {"answer": "the"}, "its answer 'the' would earn nothing itself"),
        ("set", {"answer": ["a, b", "c"]}, "its answer has the item 'a, b'"),
        ("set", {"answer": "a, ."}, "its answer has the item '.'"),
        ("choice", {"answer": "a"}, "it has 0 choices"),
        ("choice", {"answer": "a", "choices": ["a"]}, "it has 1 choices"),
        ("choice", {"answer": "a", "choices": ["a", None, "b"]}, "it has 0 choices"),
        ("choice", {"answer": "a", "choices": [str(n) for n in range(27)]}, "it has 27 choices"),
        ("choice", {"answer": "a", "choices": ["a", "A."]}, "are not all different"),
        ("choice", {"answer": "c", "choices": ["x", "y"]}, "names none of its choices"),
        ("choice", {"answer": 2, "choices": ["x", "y"]}, "names none of its choices"),
        ("choice", {"answer": "a", "choices": ["b", "a"]}, "its choice 'b' reads like the letter of another"),
        ("choice", {"answer": 1, "choices": ["1", "2"]}, "names several of its choices"),
        ("choice", {"answer": ["x", "y"], "choices": ["x", "y"]}, "names several of its choices"),
    ],
)
def test_rows_that_cannot_be_played_are_named_with_their_lines(
    tmp_path: Path, scoring: str, row: dict[str, Any], problem: str
) -> None:
    good = {"exact": "x", "numeric": "1", "f1": "x", "set": "x", "choice": "x"}[scoring]
    rows = [{"question": "fine", "answer": good, "choices": ["x", "y"]}, {"question": "bad", **row}]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)))
    with pytest.raises(DatasetError) as caught:
        QAEnv(str(path), scoring)
    lines = str(caught.value).splitlines()
    assert lines[0] == "1 of 2 rows of rows.jsonl are malformed:"
    assert lines[1].startswith("  line 3: ")
    assert problem in lines[1]
    assert QAEnv(str(path), scoring, skip_bad=True).num_examples == 1
    with pytest.raises(DatasetError, match="reset option example cannot be played"):
        QAEnv(scoring=scoring).reset(options={"example": rows[1]})


def test_a_file_of_ones_own_in_one_line(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}+{n}?", "solution": f"Twice {n}.\n#### {2 * n}"} for n in range(40)]
    path = tmp_path / "sums.json"
    path.write_text(json.dumps(rows))
    columns = {"question": "problem", "answer": "solution"}
    env = gym.make(
        "textgym/QA-v0", path=str(path), scoring="numeric", columns=columns, answer_after="####", parser="xml"
    )
    obs, _ = env.reset(options={"index": 7})
    assert obs == (
        "Answer the question. The answer is one number, without a unit. Give the final answer in "
        "<answer>…</answer> tags.\n\n7+7?"
    )
    assert env.step("<answer>14.0</answer>")[1] == 1.0
    assert env.spec is not None
    twin = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert twin.reset(options={"index": 7})[0] == obs
    run = textgym.rollout(
        "textgym/QA-v0",
        textgym.OraclePolicy(),
        env_kwargs={"path": str(path), "scoring": "numeric", "columns": columns, "answer_after": "####"},
    )
    assert len(run) == 40
    assert run.summary().reward == 1.0


def test_choice_from_csv_and_prompts_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,options,key\nWhich?,"one|two, or more",B\n')
    env = QAEnv(str(path), "choice", columns={"choices": "options", "answer": "key"}, system_prompt="")
    assert env.reset(seed=0)[0] == "Which?\n\nA. one\nB. two, or more"
    assert env.step(r"\boxed{two, or more}")[1] == 1.0
    env.reset(options={"example": {"prompt": "A. one B. two?", "choices": ["one", "two"], "answer": "A"}})
    assert env.messages[-1]["content"] == "A. one B. two?"


def test_splits_do_not_leak(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"question": f"What  is {n // 3}?", "answer": str(n), "id": n} for n in range(300)]
    path.write_text("\n".join(map(json.dumps, rows)))
    sides = [
        {example.text for example in QAEnv(str(path), split=split, split_seed=1, test_share=0.3).dataset}
        for split in ("train", "test", None)
    ]
    assert sides[0] | sides[1] == sides[2]
    assert not sides[0] & sides[1]
    assert 10 < len(sides[1]) < 50


def test_a_split_without_rows_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"question": "only one", "answer": "x"}')
    failed = []
    for split in ("train", "test"):
        try:
            QAEnv(str(path), split=split)
        except DatasetError as error:
            failed.append(str(error))
    assert len(failed) == 1
    assert "is empty: it has too few different questions" in failed[0]


def test_environments_share_their_rows_and_copy(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"question": "{n}?", "answer": "{n}"}}\n' for n in range(9)))
    env = QAEnv(str(path))
    assert QAEnv(str(path)).dataset is env.dataset
    path.write_text('{"question": "new?", "answer": "10"}\n')
    assert QAEnv(str(path)).num_examples == 1
    env = QAEnv(str(path), scoring="f1")
    env.reset(seed=1)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.step(r"\boxed{10}")[1] == 1.0
        assert twin.success_threshold == 0.8
    assert copy.deepcopy(env).dataset is env.dataset


def test_the_sample_is_played_by_every_scoring() -> None:
    for scoring in SCORINGS:
        sizes = [QAEnv(scoring=scoring, split=split).num_examples for split in ("train", "test", None)]
        assert sizes[0] + sizes[1] == sizes[2] >= 14  # type: ignore[operator]
    sample = Path(textgym.__file__).with_name("tasks") / "qa" / "sample.jsonl"
    rows = [json.loads(line) for line in sample.read_text("utf-8").splitlines()]
    assert len({row["question"] for row in rows}) == len(rows) >= 60
    for row in rows:
        if row["task"] == "choice":
            assert row["answer"] in row["choices"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scoring": "bleu"}, "scoring is 'bleu': it must be one of exact, numeric, math, choice, set, f1"),
        ({"parser": "yaml"}, "parser is 'yaml': it must be one of none, boxed"),
        ({"parser": None}, "parser is None"),
        ({"split": "dev"}, "part is 'dev'"),
        ({"split": "test", "test_share": 2}, "test_share is 2"),
        ({"path": "nowhere.jsonl"}, "'nowhere.jsonl' does not exist|nowhere.jsonl"),
        ({"columns": {"question": "q"}}, "columns is given without a path"),
        ({"columns": ["question"]}, "columns is \\['question'\\]"),
        ({"answer_after": ""}, "answer_after is ''"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gym.make("textgym/QA-v0", **arguments)


@given(st.text(max_size=20))
def test_normal_is_idempotent(text: str) -> None:
    assert normal(normal(text)) == normal(text) or any(ord(c) > 127 for c in text)
