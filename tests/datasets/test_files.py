"""Dataset files: formats, lazy reading, and every way in which rows can be malformed."""

import copy
import gzip
import json
import logging
import os
import pickle
import tracemalloc

import pytest

from textgym.datasets import CSVDataset, JSONLDataset, ListDataset, as_dataset
from textgym.errors import ConfigError, DatasetError

ROWS = [{"question": f"{n}+{n}?", "answer": str(2 * n), "level": n % 3} for n in range(5)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = "question,answer,level\n" + "".join(f"{r['question']},{r['answer']},{r['level']}\n" for r in ROWS)


def write(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def problems(path, **arguments):
    with pytest.raises(DatasetError) as caught:
        as_dataset(path, **arguments)
    return str(caught.value).splitlines()


FILES = [
    ("a.jsonl", JSONL, JSONLDataset),
    ("a.ndjson", JSONL, JSONLDataset),
    ("a.JSONL", JSONL, JSONLDataset),
    ("a.jsonl.gz", JSONL, JSONLDataset),
    ("a.json", json.dumps(ROWS, indent=1), ListDataset),
    ("a.json.gz", json.dumps(ROWS), ListDataset),
    ("a.csv", CSV, CSVDataset),
    ("a.csv.gz", CSV, CSVDataset),
    ("a.tsv", CSV.replace(",", "\t"), CSVDataset),
    ("crlf.jsonl", JSONL.replace("\n", "\r\n"), JSONLDataset),
    ("crlf.csv", CSV.replace("\n", "\r\n"), CSVDataset),
    ("mark.jsonl", "\ufeff" + JSONL, JSONLDataset),
    ("mark.json", "\ufeff" + json.dumps(ROWS), ListDataset),
    ("mark.csv", "\ufeff" + CSV, CSVDataset),
    ("blank.jsonl", "\n" + JSONL.replace("\n", "\n \n\n"), JSONLDataset),
    ("blank.csv", "\n" + CSV.replace("\n", "\n\n"), CSVDataset),
    ("open.jsonl", JSONL.rstrip("\n"), JSONLDataset),
    ("open.csv", CSV.rstrip("\n"), CSVDataset),
]


@pytest.mark.parametrize(("name", "content", "kind"), FILES, ids=[name for name, _, _ in FILES])
def test_every_format_gives_the_same_rows(tmp_path, name, content, kind):
    path = write(tmp_path, name, content)
    for source in (path, str(path)):
        dataset = as_dataset(source)
        assert type(dataset) is kind
        assert [e.question for e in dataset] == [row["question"] for row in ROWS]
        assert [dataset[i].answer for i in (4, 0, -2)] == ["8", "0", "6"]
        assert [int(e["level"]) for e in dataset] == [0, 1, 2, 0, 1]
        assert len(dataset) == 5
        with pytest.raises(IndexError, match="index 5 is outside"):
            dataset[5]
    twin = pickle.loads(pickle.dumps(dataset))
    assert list(twin) == list(dataset) == [dataset[i] for i in range(5)]
    assert copy.deepcopy({"env": dataset})["env"] is dataset


def test_columns_are_renamed(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"problem": "2+2?", "solution": 4, "answer": "four", "url": "x"}')
    columns = {"question": "problem", "answer": "solution", "words": "answer"}
    example = as_dataset(path, columns=columns)[0]
    assert (example.question, example.answer, example.info) == ("2+2?", 4, {"words": "four", "url": "x"})
    assert problems(path, columns={"question": "problem", "answer": "solution"})[1] == (
        "  line 1: it has a key 'answer' besides 'solution', which columns puts there: give that one "
        'another name too, columns={…, "own_answer": "answer"}'
    )
    assert "no key 'gold', which columns names for 'answer'" in problems(path, columns={"answer": "gold"})[1]
    assert 'columns={"question": "that name"}' in problems(path)[-1]
    for wrong in ("problem", {"question": 3}):
        with pytest.raises(ConfigError, match="columns is"):
            as_dataset(path, columns=wrong)
    swapped = as_dataset(
        [{"question": "a", "answer": "b"}], columns={"question": "answer", "answer": "question"}
    )
    assert (swapped[0].question, swapped[0].answer) == ("b", "a")


MALFORMED = [
    (b'{"question": "ok", "answer": "a"}', None),
    (b'{"answer": "b"}', "it has neither 'prompt' nor 'question'; its keys are answer"),
    (b'{"question": 3, "answer": "b"}', "its question is int 3: it must be text"),
    (b'{"question": null, "answer": "b"}', "it has neither"),
    (b'{"question": " ", "answer": "b"}', "its question is blank"),
    (b"", None),
    (b'{"question": "x", "answer": "b"', "it is no JSON: Expecting ',' delimiter at character 3"),
    (b"question: x", "it is no JSON: Expecting value at character 1"),
    (b'["x"]', "it is JSON, but no object"),
    (b'{"question": "caf\xe9", "answer": "b"}', "byte 18 of it is 0xe9, which is no UTF-8"),
    (b'\xef\xbb\xbf{"question": "y", "answer": "b"}', "it begins with a byte order mark"),
    (b'{"question": "q1", "answer": "b", "id": "one"}', None),
    (b'{"question": "q2", "answer": "b", "id": "one"}', "its id 'one' is that of line 12 already"),
    (b'{"question": "q3", "answer": NaN}', "NaN is no JSON value"),
    (b'{"question": "q4", "answer": "b", "answer": "c"}', "holds the key 'answer' twice"),
    (b'{"question": "q5", "answer": 4}', "its answer is a number, while it is text in 4 other rows"),
    (b'{"question": "q6"}', "its answer is absent, while it is text in 4 other rows"),
    (b'{"prompt": "q7", "answer": "b"}', "its prompt is text, while it is absent in 4 other rows"),
    (b'{"question": "' + b"x" * 300 + b'", "answer": "b"}', "it is longer than 200 bytes"),
    (b'{"question": "q8", "answer": "b", "n": ' + b"[" * 90 + b"}", "it is no JSON"),
    (b'{"question": "q9", "answer": ["b"]}', "its answer is a list, while it is text"),
    (b'{"question": "q10", "answer": "b"}', None),
    (b'{"question": "q11", "answer": "b"}', None),
    (b'{"question": "q12", "answer": 4, "task": "sum"}', None),
]
"""Lines and what is wrong with each; kinds are compared within a task."""


def test_every_malformed_line_is_reported_with_its_number(tmp_path, caplog):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\r\n".join(line for line, _ in MALFORMED))
    expected = [(n, text) for n, (_, text) in enumerate(MALFORMED, start=1) if text is not None]
    with pytest.raises(DatasetError) as caught:
        JSONLDataset(path, max_row_bytes=200)
    report = str(caught.value).splitlines()
    assert report[0] == f"{len(expected)} of 23 rows of bad.jsonl are malformed:"
    assert len(report) == len(expected) + 2
    for line, (number, text) in zip(report[1:], expected, strict=False):
        assert line.startswith(f"  line {number}: ")
        assert text in line
    assert "skip_bad=True" in report[-1]
    assert "mixed=True" in report[-1]
    with caplog.at_level(logging.WARNING, "textgym.datasets"):
        good = JSONLDataset(path, max_row_bytes=200, skip_bad=True)
    assert [e.question for e in good] == ["ok", "q1", "q10", "q11", "q12"]
    assert [good[i].question for i in (4, 1)] == ["q12", "q1"]
    assert f"{len(expected)} of 23 rows" in caplog.text
    mixed = JSONLDataset(path, max_row_bytes=200, skip_bad=True, mixed=True)
    assert [e.question for e in mixed if e.prompt is None][2:6] == ["q5", "q6", "q9", "q10"]


def test_the_first_twenty_are_spelled_out_in_order(tmp_path):
    lines = [b"no json" if n % 2 else b'{"question": "q%d", "answer": %d}' % (n, n) for n in range(100)]
    lines[0] = lines[10] = b'{"question": "q", "answer": "text"}'
    report = problems(write(tmp_path, "a.jsonl", b"\n".join(lines)))
    assert report[0] == "52 of 100 rows of a.jsonl are malformed:"
    assert [int(line.split()[1][:-1]) for line in report[1:21]] == [
        *(1, 2, 4, 6, 8, 10, 11, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36),
    ]
    assert "in 48 other rows of task 'default'" in report[1]
    assert report[21] == "  … and 32 more"


def test_a_check_of_the_caller_is_part_of_the_report(tmp_path):
    def check(example):
        return None if example.answer in "0246" else f"its answer is {example.answer}: too large"

    for name, content, _ in FILES[:8]:
        path = write(tmp_path, name, content)
        assert "its answer is 8: too large" in problems(path, check=check)[1]
        assert len(as_dataset(path, check=check, skip_bad=True)) == 4


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "a.jsonl has no rows"),
        ("a.jsonl", b"\n \r\n", "a.jsonl has no rows"),
        ("a.csv", b"", "a.csv has no rows"),
        ("a.csv", b"question,answer\n", "a.csv has no rows"),
        ("a.json", b"[]", "a.json has no rows"),
        ("a.json", b" \n", "is empty: a .json file is one list"),
        ("a.json", JSONL.encode(), "name it .jsonl"),
        ("a.json", b'[\n{"question": "a"}\n{"question": "b"}]', "expected ',' or ']' at line 3"),
        ("a.json", b'[{"question": "a"},\n]', "Expecting value at line 2"),
        ("a.json", b'[{"question": "a"}', "expected ',' or ']' at line 1"),
        ("a.json", b'[\n\n{"question": "a", "question": "b"}]', "item at line 3 cannot be read"),
        ("a.json", b'[{"question": "a"}] x', "followed by 'x'"),
        ("a.json", b'[\n{"question": "a"},\n3,\n{}]', "2 of 3 rows of a.json"),
        ("a.json", b'["\xff"]', "byte 3 of it is 0xff"),
        ("a.jsonl", "\ufeff{}".encode("utf-16"), "UTF-16"),
        ("a.jsonl", gzip.compress(b"{}"), r"suffix \.gz"),
        ("a.csv", b"PK\x03\x04", "ZIP archive"),
        ("a.csv", b"q,a\nx,y\n", 'none is "prompt" or "question"'),
        ("a.csv", b"question,,a\nx,y,z\n", "column 2 has no name"),
        ("a.csv", b"question,a,a\nx,y,z\n", "the column 'a' occurs twice"),
        ("a.csv", b'"question\nx', "begins with a quote and has no closing one"),
        ("a.csv", b"question\xff,a\n", "no UTF-8"),
    ],
)
def test_files_that_are_wrong_as_a_whole(tmp_path, name, content, message):
    with pytest.raises(DatasetError, match=message):
        as_dataset(write(tmp_path, name, content))


def test_damaged_archives_are_named(tmp_path):
    for content in (b"no archive", gzip.compress(JSONL.encode() * 99)[:-20], gzip.compress(b"x" * 999)[:18]):
        for name in ("a.jsonl.gz", "a.json.gz"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DatasetError, match="cannot be decompressed"):
                as_dataset(tmp_path / name)


def test_items_of_a_json_list_have_line_numbers(tmp_path):
    report = problems(write(tmp_path, "a.json", '[\n {"question": "a"},\n\n 3, {}\n,\n{"prompt": []}\n]'))
    assert [line.partition(":")[0] for line in report[1:-1]] == ["  line 4", "  line 4", "  line 6"]


def test_cells_of_csv(tmp_path):
    content = (
        'question,answer,info,"two words"\r\n'
        '"a, ""b""\r\nc",  d  ,"{""k"": 1}",\r\n'
        "\r\n"
        '5" pipe,"","",\'x\'\r\n'
        '"",x,,\r\n'
        "e,f\r\n"
        '"g" h,i,,\r\n'
        "j,k,{,\r\n"
        '"l\n\nm",n,,\r\n'
        'o,p,,"\xff\r\n'
        "q,r,,"
    )
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode("latin-1"))
    expected = [
        "line 6: it has neither 'prompt' nor 'question'; its keys are question, answer, info, two words",
        "line 7: it has 2 cells, and the first line has 4",
        "line 8: cell 1 goes on after its closing quote with ' h,i,,': a quote within "
        "quotes is written twice",
        "line 9: it is no JSON: Expecting property name enclosed in double quotes at character 2, near '{'",
        "line 13: byte 7 of it is 0xff, which is no UTF-8: save the file as UTF-8",
    ]
    assert [line.strip() for line in problems(path, mixed=True)[1:-1]] == expected
    rows = list(as_dataset(path, mixed=True, skip_bad=True))
    assert [row.question for row in rows] == ['a, "b"\nc', '5" pipe', "l\n\nm"]
    assert [row.answer for row in rows] == ["  d  ", None, "n"]
    assert rows[0].info == {"k": 1, "two words": None}
    assert rows[1]["two words"] == "'x'"


def test_line_numbers_of_csv_records(tmp_path):
    content = 'question,answer\n"a\nb",1\nc\nd,"2\n\n3"\n,4\n"e" f,5\ng,"6\nh,7\n'
    report = problems(write(tmp_path, "a.csv", content))
    assert [int(line.strip().partition(":")[0][5:]) for line in report[1:-1]] == [4, 8, 9, 10]
    assert "has no closing one" in report[4]


def test_an_endless_line_is_bounded(tmp_path, caplog):
    path = tmp_path / "a.jsonl"
    row = b'{"question": "q", "answer": "a"}\n'
    with open(path, "wb") as stream:
        stream.write(row)
        stream.write(b'{"question": "')
        stream.truncate(stream.tell() + (1 << 28))  # a hole: a lot of NUL that takes no space
        stream.seek(0, os.SEEK_END)
        stream.write(b'"}\n' + row)
    tracemalloc.start()
    try:
        assert len(JSONLDataset(path, max_row_bytes=1_000_000, skip_bad=True)) == 2
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert "1 of 3 rows" in caplog.text
    assert "line 2: it is longer than 1,000,000 bytes" in caplog.text


def test_long_records_of_csv_are_bounded(tmp_path):
    content = 'question,answer\na,"' + "x\n" * 300 + '"\nb,c\n'
    with pytest.raises(DatasetError, match="line 2: it is longer than 100 bytes"):
        CSVDataset(write(tmp_path, "a.csv", content), max_row_bytes=100)
    assert len(as_dataset(tmp_path / "a.csv")) == 2


def test_a_file_that_changes_is_an_error_and_never_another_row(tmp_path):
    path = write(tmp_path, "a.jsonl", JSONL)
    dataset = as_dataset(path)
    assert dataset[1].answer == "2"
    path.write_text(JSONL.replace("1+1", "one plus one"))
    for read in (lambda: dataset[1], lambda: list(dataset), lambda: pickle.loads(pickle.dumps(dataset))[1]):
        with pytest.raises(DatasetError, match="has changed since it was checked"):
            read()
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read any more"):
        dataset[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", "suffix '.txt'"),
        ("a", "suffix ''"),
        ("a.parquet.gz", "suffix '.parquet.gz'"),
        ("a.txt.gz", "one of"),
    ],
)
def test_unknown_suffixes_are_refused(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        as_dataset(write(tmp_path, name, b"x"))


def test_paths_that_are_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"'rows.jsonl' does not exist \(looked for at .*rows.jsonl\)"):
        as_dataset("rows.jsonl")
    with pytest.raises(ConfigError, match="is a folder"):
        as_dataset(tmp_path)
    write(tmp_path, "rows.jsonl", JSONL)
    dataset = as_dataset("rows.jsonl")
    monkeypatch.chdir("/")
    assert dataset[0].answer == "0"
    with pytest.raises(ConfigError, match="max_row_bytes is 0"):
        JSONLDataset(tmp_path / "rows.jsonl", max_row_bytes=0)


def test_whole_numbers_of_any_length_stay_exact(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"question": "q", "answer": 123456789012345678901234567890}')
    assert as_dataset(path)[0].answer == 123456789012345678901234567890


def test_an_index_takes_a_few_bytes_a_row(tmp_path):
    path = write(tmp_path, "a.jsonl", "".join(f'{{"question": "{n}{"x" * 500}"}}\n' for n in range(3000)))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        dataset = as_dataset(path)
        assert tracemalloc.get_traced_memory()[0] - before < 3000 * 16 + 100_000
    finally:
        tracemalloc.stop()
    assert len(dataset) == 3000
    assert len(pickle.dumps(dataset)) < 3000 * 16 + 2000
