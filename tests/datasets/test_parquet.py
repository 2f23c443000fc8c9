"""Parquet files: row groups on demand, malformed rows, damaged files, and pyarrow missing."""

import copy
import pickle
import sys

import pytest

from textgym.datasets import ParquetDataset, as_dataset
from textgym.errors import ConfigError, DatasetError, MissingExtra

ROWS = [
    {
        "question": f"{n}+{n}?",
        "answer": str(2 * n),
        "prompt": [{"role": "user", "content": f"{n}+{n}?", "name": None}],
        "n": n,
        "vector": [n, n + 1],
    }
    for n in range(40)
]


def write(path, rows, **arguments):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, **arguments)
    return path


def test_rows_are_those_that_were_written(tmp_path):
    dataset = as_dataset(write(tmp_path / "a.parquet", ROWS, row_group_size=7))
    assert type(dataset) is ParquetDataset
    assert len(dataset) == 40
    for n in (0, 39, 6, 7, 20, 13):
        example = dataset[n]
        assert (example.question, example.answer, example.info) == (
            f"{n}+{n}?",
            str(2 * n),
            {"n": n, "vector": [n, n + 1]},
        )
        assert example.prompt == ({"role": "user", "content": f"{n}+{n}?"},)
    assert [e["n"] for e in dataset] == list(range(40))
    for twin in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert list(twin) == list(dataset)
    assert copy.deepcopy(dataset) is dataset
    assert len(pickle.dumps(dataset)) < 1500
    with pytest.raises(IndexError, match="index 40 is outside"):
        dataset[40]


def test_row_groups_are_decoded_when_they_are_needed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.parquet", ROWS, row_group_size=10)
    decoded = []
    original = ParquetDataset._decoded
    monkeypatch.setattr(
        ParquetDataset, "_decoded", lambda self, group: decoded.append(group) or original(self, group)
    )
    dataset = ParquetDataset(path)
    assert decoded == []
    assert [dataset[n]["n"] for n in (11, 15, 35, 12)] == [11, 15, 35, 12]
    assert decoded == [1, 3]
    small = ParquetDataset(path, cache_bytes=0)
    assert [small[n]["n"] for n in (11, 15, 35, 12)] == [11, 15, 35, 12]
    assert decoded == [1, 3, 1, 3, 1]


def test_malformed_rows_are_reported_at_once(tmp_path):
    rows = [{"q": row["question"], "a": row["answer"]} for row in ROWS]
    rows[3]["q"], rows[17]["a"], rows[39]["q"] = None, None, " "
    path = write(tmp_path / "a.parquet", rows, row_group_size=7)
    columns = {"question": "q", "answer": "a"}
    with pytest.raises(DatasetError) as caught:
        as_dataset(path, columns=columns)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 of 40 rows of a.parquet are malformed:"
    assert [line.partition(":")[0] for line in lines[1:4]] == ["  row 3", "  row 17", "  row 39"]
    good = as_dataset(path, columns=columns, skip_bad=True)
    assert len(good) == 37
    assert [good[n].question for n in (0, 3, 16, 36)] == ["0+0?", "4+4?", "18+18?", "38+38?"]
    with pytest.raises(DatasetError, match="its keys are q, a"):
        as_dataset(path)


def test_files_that_cannot_be_used(tmp_path):
    path = write(tmp_path / "a.parquet", ROWS)
    dataset = ParquetDataset(path)
    write(path, ROWS[:5])
    with pytest.raises(DatasetError, match="has changed"):
        dataset[0]
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read any more"):
        dataset[0]
    with pytest.raises(ConfigError, match="does not exist"):
        ParquetDataset(path)
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(DatasetError, match="no Parquet file"):
        ParquetDataset(path)
    path.write_bytes(b"")
    with pytest.raises(DatasetError, match="no Parquet file"):
        ParquetDataset(path)
    good = write(path, ROWS * 50).read_bytes()
    path.write_bytes(good[:40] + b"\xff" * 400 + good[440:])
    with pytest.raises(DatasetError, match="is damaged"):
        ParquetDataset(path)
    with pytest.raises(DatasetError, match="has no rows"):
        ParquetDataset(write(path, ROWS[:1], row_group_size=1), check=lambda e: "no", skip_bad=True)


def test_without_pyarrow_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtra, match=r'pip install "textgym\[parquet\]"'):
        as_dataset(tmp_path / "a.parquet")
