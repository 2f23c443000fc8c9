"""Reading rows: what becomes of each key, and how malformed rows are reported."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import textgym
from textgym.datasets.inspection import read_rows
from textgym.datasets.rows import as_example, content_key
from textgym.errors import DatasetError
from textgym.types import Example

USER = {"role": "user", "content": "2+2?"}


def test_the_rows_of_the_seed():
    example = as_example({"prompt": "What is 2+2?", "answer": "4", "task": "arithmetic"})
    assert example.prompt == example.text == "What is 2+2?"
    assert (example.question, example.answer, example.task) == (None, "4", "arithmetic")
    assert example.info == {}


def test_every_key_has_its_place():
    row = {
        "prompt": [USER],
        "question": "2+2?",
        "answer": 4,
        "task": None,
        "info": {"source": "book"},
        "id": 7,
        "level": 1,
        "hint": None,
    }
    example = as_example(row)
    assert example.prompt == (USER,)
    assert (example.question, example.answer, example.task, example.id) == ("2+2?", 4, "default", "7")
    assert example.info == {"level": 1, "hint": None, "source": "book"}


def test_nothing_is_shared_with_the_caller():
    row = {"prompt": [dict(USER)], "answer": [1], "tests": [{"in": [1]}], "info": {"a": [1]}}
    example = as_example(row)
    row["prompt"][0]["content"] = row["answer"][0] = row["info"]["a"][0] = "changed"
    row["tests"][0]["in"].append(2)
    assert example == as_example(
        {"prompt": [dict(USER)], "answer": [1], "tests": [{"in": [1]}], "info": {"a": [1]}}
    )


def test_numpy_values_become_python_ones():
    array = np.array([[1, 2], [3, 4]])
    example = as_example(
        {"question": "q", "answer": np.int64(3), "board": array, "n": {"x": np.float32(0.5)}}
    )
    assert type(example.answer) is int
    assert example.info == {"board": [[1, 2], [3, 4]], "n": {"x": 0.5}}
    plain = {"question": "q", "answer": 3, "board": [[1, 2], [3, 4]], "n": {"x": 0.5}}
    assert example.id == as_example(plain).id


def test_ids_follow_the_content():
    row = {"question": "q", "answer": "a", "level": 1}
    same = {"level": 1, "answer": "a", "question": "q", "task": None}
    assert as_example(row).id == as_example(same).id == content_key(as_example(row))
    others = [{**row, "level": 2}, {**row, "answer": "b"}, {**row, "task": "t"}, {"prompt": "q"}]
    assert len({as_example(other).id for other in [row, *others]}) == 5
    named = as_example({**row, "id": "mine"})
    assert named.id == "mine"
    assert content_key(named) == as_example(row).id


def test_ids_are_the_same_in_every_process():
    code = (
        "from textgym.datasets import as_example as f\n"
        "assert f({'question': 'é\\ud800', 'answer': {'b', 'a', 'c'}}).id == '%s'"
    )
    here = as_example({"question": "é\ud800", "answer": {"b", "a", "c"}}).id
    root = Path(textgym.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code % here], check=True, timeout=60, cwd=root)


MALFORMED = [
    (3, "a row is a dict"),
    ("2+2?", "a row is a dict"),
    ({}, "neither 'prompt' nor 'question'; its keys are none"),
    ({"problem": "2+2?"}, "its keys are problem"),
    ({"prompt": None, "question": None}, "neither"),
    ({"prompt": 3}, "prompt is int 3"),
    ({"prompt": " "}, "prompt is blank"),
    ({"question": ""}, "question is blank"),
    ({"question": ["q"]}, "question is list"),
    ({"prompt": []}, "empty list of messages"),
    ({"prompt": ["hi"]}, "message 0 of its prompt is str 'hi'"),
    ({"prompt": [USER, {"content": "a"}]}, "message 1 of its prompt has the role None"),
    ({"prompt": [{"role": "human", "content": "a"}]}, "role 'human': it must be one of system"),
    ({"prompt": [{"role": "user"}]}, "message 0 of its prompt has no content"),
    ({"prompt": [{"role": "user", "content": 3}]}, "content of message 0 of its prompt is int"),
    ({"question": "q", "task": 3}, "task is int"),
    ({"question": "q", "info": "{}"}, "json.loads"),
    ({"question": "q", "a": 1, "info": {"a": 2}}, "both a key of the row and of its info"),
    ({"question": "q", "id": 1.5}, "id is float"),
    ({"question": "q", "id": True}, "id is bool"),
    ({"question": "q", "id": ""}, "id is empty"),
    ({"question": "q", 3: 4}, "its key 3 is int"),
    ({"question": "q", "answer": object()}, "give the row an id"),
    ({"question": "q", "answer": {(1, 2): 3}}, "give the row an id"),
    (Example(id="x"), "neither a prompt nor a question"),
    (Example(id="", question="q"), "id is empty"),
]


@pytest.mark.parametrize(("row", "problem"), MALFORMED)
def test_each_malformation_is_named(row, problem):
    with pytest.raises(DatasetError, match=problem.replace("(", r"\(")):
        as_example(row)


def test_values_that_hold_themselves_are_malformed():
    loop = []
    loop.append(loop)
    with pytest.raises(DatasetError, match="nested too deeply"):
        as_example({"question": "q", "answer": loop})


def test_messages_that_only_call_tools_need_no_content():
    calls = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    assert as_example({"prompt": [USER, calls]}).prompt == (USER, calls)


def test_empty_cells_of_messages_are_left_out():
    padded = {**USER, "tool_calls": None, "name": None}
    assert as_example({"prompt": [padded]}) == as_example({"prompt": [USER]})


def test_an_example_is_taken_as_it_is():
    example = Example(id="mine", question="q")
    assert as_example(example) is example
    listed = as_example(Example(id="mine", prompt=[USER]))
    assert listed.prompt == (USER,)


def test_all_malformed_rows_are_reported_at_once():
    rows = [{"question": "q"}, *[row for row, _ in MALFORMED], {"question": "r"}]
    with pytest.raises(DatasetError) as caught:
        read_rows(rows)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{len(MALFORMED)} of {len(rows)} rows of the dataset are malformed:"
    assert lines[1].startswith("  row 1: it is int 3")
    assert lines[21] == f"  … and {len(MALFORMED) - 20} more"
    assert "skip_bad=True" in lines[22]
    assert len(lines) == 23


def test_skip_bad_leaves_them_out_and_says_so(caplog):
    with caplog.at_level(logging.WARNING, "textgym.datasets"):
        examples = read_rows([{"question": "q"}, 3, {"question": "r"}], skip_bad=True)
    assert [example.question for example in examples] == ["q", "r"]
    assert "1 of 3 rows" in caplog.text
    assert "row 1" in caplog.text


def test_an_explicit_id_occurs_once():
    with pytest.raises(DatasetError, match="row 2: its id '1' is that of row 0"):
        read_rows([{"question": "q", "id": 1}, {"question": "r"}, {"question": "s", "id": "1"}])
    with pytest.raises(DatasetError, match="row 1: its id 'x' is that of row 0"):
        read_rows([Example(id="x", question="q"), Example(id="x", question="r")])
    twice = as_example({"question": "q"})
    assert len(read_rows([{"question": "q"}, {"question": "q"}, twice, twice])) == 4


@pytest.mark.parametrize("skip_bad", [False, True])
def test_no_rows_is_an_error(skip_bad):
    with pytest.raises(DatasetError, match="has no rows"):
        read_rows([], skip_bad=skip_bad)


def test_no_rows_left_is_an_error():
    with pytest.raises(DatasetError, match="no rows left"):
        read_rows([3], skip_bad=True)
