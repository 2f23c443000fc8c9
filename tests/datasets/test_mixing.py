"""mix: shares, order, where it ends, and what each example says of its source."""

import copy
import itertools
import pickle
from collections import Counter

import pytest

from textgym.datasets import GeneratedDataset, IteratedDataset, ListDataset, mix
from textgym.errors import ConfigError, DatasetError

SUMS = [{"question": f"{n}+1?", "answer": n + 1} for n in range(300)]
WORDS = [{"question": f"Spell {n}.", "task": "spelling", "id": n} for n in range(50)]


def endless():
    for n in itertools.count():
        yield {"question": f"{n}?"}


def made(rng):
    return {"question": f"{rng.integers(10**9)}?"}


def sources(dataset, n=None):
    return [example.info["source"] for example in itertools.islice(dataset, n)]


def test_examples_say_where_they_come_from():
    mixed = mix({"sums": SUMS, "words": ListDataset(WORDS)})
    one = {example.info["source"]: example for example in mixed.take(40)}
    assert one["sums"].task == "sums"
    assert one["words"].task == "spelling"
    assert all(example.id.startswith(f"{name}/") for name, example in one.items())
    assert set(sources(mix([SUMS, WORDS]).take(40))) == {"0", "1"}
    assert mix([SUMS], column="from")[0].info == {"from": "0"}


def test_the_order_of_each_source_is_kept_and_the_mix_is_repeatable():
    mixed = mix({"sums": SUMS, "words": WORDS}, weights=[4, 1], seed=3)
    rows = list(mixed)
    mine = [example.answer for example in rows if example.info["source"] == "sums"]
    assert mine == list(range(1, len(mine) + 1))
    assert list(mix({"sums": SUMS, "words": WORDS}, {"words": 1, "sums": 4}, seed=3)) == rows
    assert sources(mix({"sums": SUMS, "words": WORDS}, [4, 1], seed=4)) != sources(mixed)
    assert [mixed[i] for i in (40, 3, -1)] == [rows[i] for i in (40, 3, -1)]
    assert copy.deepcopy(mixed) is mixed
    assert list(pickle.loads(pickle.dumps(mixed))) == rows


def test_first_ends_where_a_source_has_no_further_row():
    mixed = mix({"sums": SUMS, "words": WORDS}, weights=[1, 1])
    counts = Counter(sources(mixed))
    assert counts["words"] == 50
    assert 25 < counts["sums"] < 100
    assert len({example.id for example in mixed}) == len(mixed)
    with pytest.raises(IndexError, match="is outside of MixedDataset"):
        mixed[len(mixed)]


def test_all_ends_when_every_source_has_been_read():
    mixed = mix({"sums": SUMS, "words": WORDS}, weights=[1, 1], stop="all")
    ids = Counter(example.id for example in mixed)
    assert len(ids) == 350
    assert sum(1 for name in ids if name.startswith("sums/")) == 300
    assert all(count == 1 for name, count in ids.items() if name.startswith("sums/"))
    assert min(count for name, count in ids.items() if name.startswith("words/")) >= 4


def test_endless_sources():
    base = IteratedDataset(endless)
    assert mix([base, GeneratedDataset(made)]).size is None
    assert mix([base, WORDS]).size == len(list(mix([base, WORDS])))
    forever = mix({"a": base, "words": WORDS}, stop="all")
    assert forever.size is None
    answers = [e.question for e in itertools.islice(forever, 400) if e.info["source"] == "words"]
    assert answers[50:60] == answers[:10]


@pytest.mark.parametrize("weights", [[1, 1, 1], [6, 3, 1], [1000, 1, 1e-9], [0.5, 0.25, 0.25]])
def test_shares_are_kept_in_every_block(weights):
    mixed = mix([IteratedDataset(endless)] * 3, weights, seed=9)
    for block in range(3):
        counts = Counter(mixed[i].info["source"] for i in range(1024 * block, 1024 * (block + 1)))
        for name, weight in zip("012", weights, strict=True):
            assert counts[name] == pytest.approx(1024 * weight / sum(weights), abs=2)
            assert counts[name] >= 1


def test_a_mix_can_be_mixed_and_split():
    inner = mix({"sums": SUMS, "words": WORDS}, column="inner")
    outer = mix({"in": inner, "more": WORDS})
    assert "in/words/3" in {example.id for example in outer}
    train, test = inner.split()
    assert not {e.question for e in train} & {e.question for e in test}


def test_a_column_of_that_name_is_not_overwritten():
    with pytest.raises(DatasetError, match='column="mixed_from"'):
        mix([[{"question": "q", "source": "book"}]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "no datasets"),
        (([SUMS, WORDS], [1]), "1 weights and 2 datasets"),
        (([SUMS, WORDS], [1, 0]), "weights holds 0"),
        (([SUMS, WORDS], [1, float("nan")]), "weights holds nan"),
        (([SUMS, WORDS], ["a", 1]), "weights holds 'a'"),
        (({"a": SUMS}, {"b": 1}), "weights name b: they must name a"),
        (([SUMS], None, "x"), "seed is 'x'"),
        (([3],), "dataset is int 3"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        mix(*arguments)
    with pytest.raises(ConfigError, match="stop is"):
        mix([SUMS], stop="last")
