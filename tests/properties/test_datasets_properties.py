"""Properties of datasets: equal seeds give equal items, splits never meet, seeds do not overlap."""

import copy
import csv
import json
import pickle
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.datasets import GeneratedDataset, ListDataset, as_dataset, mix
from textgym.datasets.rows import as_example, content_key
from textgym.errors import DatasetError

seeds = st.integers(-(2**70), 2**70)
names = st.text(max_size=5)

TOKENS = (
    *(
        b"question",
        b"answer",
        b"prompt",
        b'"',
        b'""',
        b",",
        b"\t",
        b"\n",
        b"\r\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
    ),
    *(
        b'{"question": "a"}',
        b"question,answer\n",
        b"1",
        b"null",
        b"\xff",
        b"\xef\xbb\xbf",
        b" ",
        b"\\",
        b"id",
    ),
)


def large(rng):
    return {"question": f"{rng.integers(10**6)}+{rng.integers(10**6)}?"}


def small(rng):
    return {"question": f"card {rng.integers(40)}"}


@given(seed=seeds, name=names, index=st.integers(0, 2**60))
@settings(deadline=None)
def test_equal_keys_give_equal_items(seed, name, index):
    a, b = (GeneratedDataset(large, seed=seed, name=name) for _ in range(2))
    b[index + 1]
    assert a[index] == b[index]
    assert a[index].id == content_key(a[index])


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_neighbouring_seeds_share_no_instance_of_a_large_space(seed):
    items = [{GeneratedDataset(large, seed=seed + k)[i].id for i in range(40)} for k in range(3)]
    assert len(set().union(*items)) == 120


@given(a=seeds, b=seeds, share=st.sampled_from([1 / 8, 1 / 2, 0.8]))
@settings(max_examples=30, deadline=None)
def test_train_and_test_are_disjoint(a, b, share):
    train = GeneratedDataset(small, seed=a, split="train", test_share=share)
    test = GeneratedDataset(small, seed=b, split="test", test_share=share)
    assert not {train[i].id for i in range(30)} & {test[i].id for i in range(30)}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
questions = st.text(min_size=1).filter(str.strip)
rows = st.fixed_dictionaries(
    {"question": questions}, optional={"answer": values, "extra": values, "task": questions}
)


@given(row=rows)
@settings(deadline=None)
def test_a_row_keeps_its_values_and_its_id_through_json(row):
    example = as_example(row)
    assert example.question == row["question"]
    assert example.answer == row.get("answer")
    assert example.info == {key: row[key] for key in row.keys() & {"extra"}}
    assert as_example(json.loads(json.dumps(row))).id == example.id
    assert as_example(dict(reversed(row.items()))) == example


@given(st.lists(rows, min_size=1, max_size=5))
@settings(deadline=None)
def test_a_dataset_is_its_own_copy(some):
    dataset = as_dataset(some)
    assert type(dataset) is ListDataset
    assert copy.deepcopy({"env": dataset})["env"] is dataset
    assert list(pickle.loads(pickle.dumps(dataset))) == list(dataset) == list(map(as_example, some))


@given(st.lists(rows | st.integers() | st.just({}) | st.just({"prompt": []}), max_size=8))
@settings(deadline=None)
def test_skipping_bad_rows_keeps_the_good_ones(some):
    good = [row for row in some if isinstance(row, dict) and row.get("question")]
    if good:
        assert list(as_dataset(some, skip_bad=True)) == [as_example(row) for row in good]


distinct = st.lists(questions, min_size=1, max_size=40).map(
    lambda some: [{"question": question, "n": n} for n, question in enumerate(some)]
)


def sides(dataset, **arguments):
    found = []
    for part in ("train", "test"):
        try:
            found.append(list(dataset.split(part, **arguments)))
        except DatasetError:  # a side without any row is an error when it is used
            found.append([])
    return found


@given(
    some=distinct,
    seed=seeds,
    share=st.floats(0.05, 0.95),
    order=st.randoms(use_true_random=False),
    by=st.sampled_from(["question", "content"]),
)
@settings(deadline=None)
def test_splits_are_disjoint_and_complete_whatever_the_order(some, seed, share, order, by):
    base = ListDataset(some)
    train, test = sides(base, seed=seed, test_share=share, by=by)
    assert sorted(e["n"] for e in train + test) == list(range(len(some)))
    normal = [{" ".join(e.question.split()).casefold() for e in side} for side in (train, test)]
    assert by == "content" or not normal[0] & normal[1]
    again = [{**row, "id": f"row {n}"} for n, row in enumerate(some)]
    order.shuffle(again)
    moved = sides(ListDataset(again), seed=seed, test_share=share, by=by)
    assert {e["n"] for e in moved[1]} == {e["n"] for e in test}


@given(some=distinct, seed=seeds, n=st.integers(1, 50))
@settings(deadline=None)
def test_shuffle_permutes_and_take_and_skip_partition(some, seed, n):
    base = ListDataset(some)
    shuffled = base.shuffle(seed)
    assert sorted(e["n"] for e in shuffled) == list(range(len(some)))
    assert list(base.shuffle(seed)) == list(shuffled)
    rest = list(shuffled.skip(n)) if n < len(some) else []
    assert [*shuffled.take(n), *rest] == list(shuffled)
    kept = [list(base.filter(keep)) if any(map(keep, base)) else [] for keep in (odd, even)]
    assert sorted(e["n"] for side in kept for e in side) == list(range(len(some)))


def odd(example):
    return example["n"] % 2 == 1


def even(example):
    return not odd(example)


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    data=st.data(),
    seed=seeds,
    stop=st.sampled_from(["first", "all"]),
)
@settings(max_examples=30, deadline=None)
def test_mixes_are_deterministic_and_keep_the_rows_of_their_sources(sizes, data, seed, stop):
    weights = data.draw(st.lists(st.floats(0.1, 3), min_size=len(sizes), max_size=len(sizes)))
    named = {f"s{k}": [{"question": f"{k}/{n}"} for n in range(size)] for k, size in enumerate(sizes)}
    mixed = mix(named, weights, seed, stop=stop)
    rows = list(mixed)
    assert rows == list(mix(named, weights, seed, stop=stop))
    assert [mixed[i] for i in reversed(range(len(rows)))] == rows[::-1]
    for k, size in enumerate(sizes):
        mine = [example.question for example in rows if example.info["source"] == f"s{k}"]
        assert mine == [f"{k}/{n % size}" for n in range(len(mine))]
        assert stop == "all" or len(mine) <= size
        assert stop == "first" or len(mine) >= size
    exhausted = [sum(e.info["source"] == f"s{k}" for e in rows) >= size for k, size in enumerate(sizes)]
    assert any(exhausted) if stop == "first" else all(exhausted)


cells = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0"), max_size=12)


@given(table=st.lists(st.tuples(questions.filter(lambda q: q.isprintable()), cells), min_size=1, max_size=6))
@settings(deadline=None)
def test_csv_of_the_standard_library_reads_back(table):
    with tempfile.TemporaryDirectory() as folder:
        for name, dialect in (("a.csv", "excel"), ("a.tsv", "excel-tab")):
            path = Path(folder, name)
            with open(path, "w", newline="", encoding="utf-8") as stream:
                csv.writer(stream, dialect).writerows([("question", "cell"), *table])
            read = list(as_dataset(path))
            assert [(e.question, e["cell"] or "") for e in read] == table


@given(some=st.lists(rows.filter(lambda row: "Infinity" not in json.dumps(row)), min_size=1, max_size=6))
@settings(deadline=None)
def test_jsonl_reads_back(some):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_text("".join(json.dumps(row) + "\r\n" for row in some), "utf-8")
        dataset = as_dataset(path, mixed=True)
        expected = [as_example(row) for row in some]
        assert list(dataset) == [dataset[i] for i in range(len(some))] == expected
        path.with_suffix(".json").write_text(json.dumps(some), "utf-8")
        assert list(as_dataset(path.with_suffix(".json"), mixed=True)) == expected


@given(st.binary(max_size=300) | st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_rows_or_one_dataset_error(content):
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".csv.gz"):
            path = Path(folder, f"a{suffix}")
            path.write_bytes(content)
            try:
                dataset = as_dataset(path)
            except DatasetError:
                continue
            assert [dataset[i] for i in range(len(dataset))] == list(dataset)
