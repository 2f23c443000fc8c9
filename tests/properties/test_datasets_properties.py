"""Properties of datasets: equal seeds give equal items, splits never meet, seeds do not overlap."""

import copy
import json
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.datasets import GeneratedDataset, ListDataset, as_dataset
from textgym.datasets.rows import as_example, content_key

seeds = st.integers(-(2**70), 2**70)
names = st.text(max_size=5)


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
