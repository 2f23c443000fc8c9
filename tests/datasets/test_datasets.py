"""Datasets in memory, from tables and from generator functions, and as_dataset."""

import copy
import itertools
import pickle
import threading

import pytest

from textgym.datasets import (
    Dataset,
    GeneratedDataset,
    IteratedDataset,
    ListDataset,
    TableDataset,
    as_dataset,
)
from textgym.errors import ConfigError, DatasetError

ROWS = [{"question": f"{n}?", "answer": str(n)} for n in range(5)]


def five():
    yield from ROWS


def endless():
    for n in itertools.count():
        yield {"question": f"{n}?", "answer": str(n)}


def made(rng):
    return {"question": f"{rng.integers(10**9)}?"}


class Table:
    """What a Hugging Face Dataset looks like from outside."""

    def __init__(self, rows, column_names):
        self.rows, self.column_names = rows, column_names

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


TABLE = Table(ROWS, ["question", "answer"])
FINITE = [ListDataset(ROWS), TableDataset(TABLE), IteratedDataset(five), IteratedDataset(five, size=5)]
ALL = [*FINITE, IteratedDataset(endless), GeneratedDataset(made), GeneratedDataset(made, size=5)]


@pytest.mark.parametrize("dataset", FINITE, ids=repr)
def test_finite_datasets_are_sequences(dataset):
    assert dataset.size == len(dataset) == 5
    assert [example.answer for example in dataset] == ["0", "1", "2", "3", "4"]
    assert dataset[-1] == dataset[4]
    for outside in (5, -6, 10**9):
        with pytest.raises(IndexError, match=f"index {outside} is outside"):
            dataset[outside]


@pytest.mark.parametrize("dataset", ALL, ids=repr)
def test_what_holds_for_all(dataset):
    assert copy.copy(dataset) is dataset
    assert copy.deepcopy([dataset])[0] is dataset
    assert as_dataset(dataset) is dataset
    assert bool(dataset)
    twin = pickle.loads(pickle.dumps(dataset))
    assert isinstance(twin, Dataset)
    assert twin.size == dataset.size
    assert [twin[i] for i in (3, 0, 4)] == [dataset[i] for i in (3, 0, 4)]
    with pytest.raises(TypeError, match="whole number"):
        dataset[0:2]


@pytest.mark.parametrize("dataset", [IteratedDataset(endless), GeneratedDataset(made)], ids=repr)
def test_endless_datasets_have_no_length(dataset):
    assert dataset.size is None
    with pytest.raises(TypeError, match="endless"):
        len(dataset)
    with pytest.raises(IndexError, match="endless"):
        dataset[-1]
    assert len(list(itertools.islice(dataset, 20))) == 20
    assert dataset[20_000].id != dataset[20_001].id


def test_a_generator_is_read_as_far_as_needed():
    read = []

    def rows():
        for row in endless():
            read.append(row)
            yield row

    dataset = IteratedDataset(rows)
    assert repr(dataset).startswith("IteratedDataset(")
    assert not read
    assert dataset[7].answer == "7"
    assert dataset[2].answer == "2"
    assert len(read) == 8
    assert IteratedDataset(rows, size=3).size == 3
    assert len(read) == 8


def test_a_generator_read_by_many_threads_gives_each_row_once():
    dataset = IteratedDataset(endless)
    answers = [[] for _ in range(8)]

    def read(mine):
        mine.extend(dataset[n].answer for n in range(500))

    threads = [threading.Thread(target=read, args=(mine,)) for mine in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == [str(n) for n in range(500)] for mine in answers)


def test_size_does_not_depend_on_what_was_read():
    def many():
        return itertools.islice(endless(), 10_002)

    fresh, used = IteratedDataset(many), IteratedDataset(many)
    assert used[10_001].answer == "10001"
    with pytest.raises(DatasetError, match="pass size=10002"):
        used[10_002]
    assert fresh.size is None
    assert used.size is None
    assert len(IteratedDataset(many, size=10_002)) == 10_002
    exactly = IteratedDataset(lambda: itertools.islice(endless(), 10_000))
    assert exactly.size == 10_000


def test_a_generator_that_ends_early_is_named():
    with pytest.raises(DatasetError, match="ended after 5 rows, but it was taken to have 9"):
        IteratedDataset(five, size=9)[6]
    with pytest.raises(DatasetError, match="yields no rows"):
        _ = IteratedDataset(lambda: iter(())).size


def test_a_generator_that_fails_keeps_failing():
    def broken():
        yield ROWS[0]
        raise OSError("disk gone")

    dataset = IteratedDataset(broken)
    assert dataset[0].answer == "0"
    for _ in range(2):
        with pytest.raises(DatasetError, match="raised OSError after 1 rows: disk gone"):
            dataset[1]
    with pytest.raises(DatasetError, match="disk gone"):
        _ = dataset.size
    assert dataset[0].answer == "0"


def test_malformed_rows_of_a_generator():
    def rows():
        yield from (ROWS[0], 3, ROWS[1])

    dataset = IteratedDataset(rows)
    for index in (1, 2):
        with pytest.raises(DatasetError, match=r"row 1 of the generator .*rows is malformed"):
            dataset[index]
    assert [e.answer for e in IteratedDataset(rows, skip_bad=True)] == ["0", "1"]


def test_tables_are_checked_as_a_whole_unless_that_is_put_off():
    table = Table([*ROWS, 3], ["question"])
    with pytest.raises(DatasetError, match=r"(?s)1 of 6 rows of the table .*row 5: it is int 3"):
        TableDataset(table)
    assert [e.answer for e in TableDataset(table, skip_bad=True)] == ["0", "1", "2", "3", "4"]
    dataset = as_dataset(table, lazy=True)
    assert len(dataset) == 6
    with pytest.raises(ConfigError, match="do not apply"):
        TableDataset(table, lazy=True, skip_bad=True)
    assert dataset[0].answer == "0"
    with pytest.raises(DatasetError, match="row 5 of the table is malformed: it is int 3"):
        dataset[5]


def test_tables_without_a_question_are_refused():
    with pytest.raises(DatasetError, match=r'columns=\{"question": "problem"\}'):
        TableDataset(Table(ROWS, ["problem", "answer"]))
    with pytest.raises(DatasetError, match="columns names 'gold', which is none of them"):
        TableDataset(Table(ROWS, ["question"]), columns={"answer": "gold"})
    with pytest.raises(DatasetError, match="no rows"):
        TableDataset(Table([], ["question"]))


class Restartable:
    def __iter__(self):
        return five()


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (ROWS, ListDataset),
        (tuple(ROWS), ListDataset),
        (five(), ListDataset),
        (list(ListDataset(ROWS)), ListDataset),
        (five, IteratedDataset),
        (lambda: ROWS, IteratedDataset),
        (Restartable(), IteratedDataset),
        (TABLE, TableDataset),
    ],
    ids=lambda value: type(value).__name__,
)
def test_as_dataset(source, kind):
    dataset = as_dataset(source)
    assert type(dataset) is kind
    assert [example.answer for example in dataset] == ["0", "1", "2", "3", "4"]


def test_as_dataset_passes_skip_bad_on():
    assert len(as_dataset([*ROWS, 3], skip_bad=True)) == 5
    assert len(as_dataset(iter([*ROWS, 3]), skip_bad=True)) == 5
    assert len(as_dataset(lambda: [*ROWS, 3], skip_bad=True)) == 5


def odd(example):
    return None if int(example.answer) % 2 else "its answer is even"


@pytest.mark.parametrize("source", [ROWS, five, TABLE, lambda: iter(ROWS)], ids=repr)
def test_columns_and_checks_apply_to_every_source(source):
    source = source() if getattr(source, "__name__", "") == "<lambda>" else source
    columns = {"question": "answer", "answer": "question"}
    with pytest.raises(DatasetError, match="its answer is even"):
        list(as_dataset(source if not hasattr(source, "__next__") else ROWS, check=odd))
    dataset = as_dataset(source, columns=columns)
    assert (dataset[3].question, dataset[3].answer) == ("3", "3?")
    assert pickle.loads(pickle.dumps(dataset))[3].question == "3"


def test_checked_generators_leave_out_what_fails():
    dataset = as_dataset(five, check=odd, skip_bad=True)
    assert [e.answer for e in dataset] == ["1", "3"]
    assert [e.answer for e in pickle.loads(pickle.dumps(dataset))] == ["1", "3"]
    with pytest.raises(ConfigError, match="is a dataset already"):
        as_dataset(dataset, check=odd)


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (None, "pass a list of rows"),
        (3, "pass a list of rows"),
        (b"rows.jsonl", "the path of a file as text"),
        ({"train": ROWS}, r'dataset\["train"\]'),
        ({"question": ["a"], "answer": ["b"]}, "turn columns into rows"),
        ({}, "empty"),
        (Restartable, r"Restartable\(…\)"),
        (made, r"GeneratedDataset\(function\)"),
        (endless(), "without calling it"),
    ],
    ids=repr,
)
def test_as_dataset_refuses_with_a_way_out(source, hint):
    with pytest.raises(ConfigError, match=hint):
        as_dataset(source)


def test_iterated_arguments_are_checked():
    with pytest.raises(ConfigError, match="without calling it"):
        IteratedDataset(five())
    for size in (0, True, 2.0):
        with pytest.raises(ConfigError, match="size"):
            IteratedDataset(five, size=size)


def test_a_hugging_face_dataset():
    datasets = pytest.importorskip("datasets")
    dataset = as_dataset(datasets.Dataset.from_list(ROWS))
    assert type(dataset) is TableDataset
    assert [example.answer for example in dataset] == ["0", "1", "2", "3", "4"]
    assert [example.answer for example in pickle.loads(pickle.dumps(dataset))] == ["0", "1", "2", "3", "4"]
    chats = [{"prompt": [{"role": "user", "content": q}], "solution": q, "tags": [q]} for q in "ab"]
    chat = as_dataset(datasets.Dataset.from_list(chats), columns={"answer": "solution"})[1]
    assert (chat.prompt, chat.answer, chat["tags"]) == (({"role": "user", "content": "b"},), "b", ["b"])


def test_malformed_rows_of_a_hugging_face_dataset():
    datasets = pytest.importorskip("datasets")
    rows = [{"question": f"{n}?", "answer": str(n)} for n in range(603)]
    rows[600]["question"], rows[601]["answer"], rows[602]["question"] = None, None, " "
    table = datasets.Dataset.from_list(rows)
    with pytest.raises(DatasetError) as caught:
        as_dataset(table)
    lines = str(caught.value).splitlines()
    assert lines[0] == "3 of 603 rows of the table are malformed:"
    assert [line.partition(":")[0] for line in lines[1:4]] == ["  row 600", "  row 601", "  row 602"]
    assert "its answer is absent, while it is text in 600 other rows" in lines[2]
    assert len(as_dataset(table, skip_bad=True)) == 600
    assert len(as_dataset(table, skip_bad=True, mixed=True)) == 601
    assert len(as_dataset(table, lazy=True)) == 603


def test_a_streaming_hugging_face_dataset_is_iterated():
    datasets = pytest.importorskip("datasets")
    dataset = as_dataset(datasets.Dataset.from_list(ROWS).to_iterable_dataset())
    assert type(dataset) is IteratedDataset
    assert [example.answer for example in dataset] == ["0", "1", "2", "3", "4"]
    with pytest.raises(ConfigError, match=r'dataset\["train"\]'):
        as_dataset(datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}))
