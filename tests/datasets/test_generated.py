"""Generated datasets: items by index, splits, sampling."""

import copy

import numpy as np
import pytest

from textgym import seeding
from textgym.datasets import GeneratedDataset
from textgym.datasets.rows import content_key
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example


def add(rng):
    a, b = rng.integers(10_000, size=2)
    return {"question": f"{a}+{b}?", "answer": int(a + b)}


def coin(rng):
    return {"question": f"coin {rng.integers(20)}"}


def one(rng):
    return {"question": "only one"}


def test_an_item_depends_on_seed_name_and_index_alone():
    dataset = GeneratedDataset(add, seed=3)
    forwards = [dataset[i] for i in range(20)]
    assert [GeneratedDataset(add, seed=3)[i] for i in reversed(range(20))] == forwards[::-1]
    assert forwards[7] == GeneratedDataset(add, seed=3, size=8)[7]
    assert forwards[0] != GeneratedDataset(add, seed=4)[0]
    assert forwards[0] != GeneratedDataset(add, seed=3, name="other")[0]
    assert dataset[10**12].question


def test_golden_item():
    """The first item of a stream is the same for ever, on every platform."""
    assert GeneratedDataset(add, seed=0, name="golden")[0] == Example(
        id="e0557749a8461f40", question="4002+7866?", answer=11868
    )


def test_size_bounds_the_indices():
    dataset = GeneratedDataset(add, size=3)
    assert len(dataset) == len(list(dataset)) == 3
    assert dataset[-1] == dataset[2]
    with pytest.raises(IndexError, match="index 3"):
        dataset[3]


def test_splits_are_disjoint_by_content_whatever_the_seeds():
    train = {GeneratedDataset(coin, seed=s, split="train")[i].question for s in (0, 1) for i in range(99)}
    test = {GeneratedDataset(coin, seed=s, split="test")[i].question for s in (5, 6) for i in range(99)}
    assert train
    assert test
    assert not train & test
    assert train | test == {f"coin {n}" for n in range(20)}


def test_an_explicit_id_does_not_change_the_split():
    counter = iter(range(10**6))

    def named(rng):
        return {**coin(rng), "id": f"draw {next(counter)}"}

    train = {GeneratedDataset(named, split="train")[i].question for i in range(60)}
    test = {GeneratedDataset(named, split="test")[i].question for i in range(60)}
    assert not train & test


@pytest.mark.parametrize("share", [1 / 8, 0.5, 0.9])
def test_the_test_share_is_kept(share):
    dataset = GeneratedDataset(add, test_share=share)
    test = GeneratedDataset(add, split="test", test_share=share, seed=1)
    limit = share * 2**seeding.SEED_BITS
    belongs = [seeding.mix("split", content_key(dataset[i])) < limit for i in range(1000)]
    assert np.mean(belongs) == pytest.approx(share, abs=0.06)
    assert all(seeding.mix("split", content_key(test[i])) < limit for i in range(50))


def test_sample_draws_from_the_given_generator_within_the_split():
    dataset = GeneratedDataset(add, split="test", size=1)
    a, b = (dataset.sample(np.random.default_rng(7)) for _ in range(2))
    assert a == b
    rng = np.random.default_rng(7)
    drawn = [dataset.sample(rng) for _ in range(20)]
    assert drawn[0] == a
    assert len({example.id for example in drawn}) == 20
    train = {GeneratedDataset(add, split="train")[i].id for i in range(500)}
    assert not train & {example.id for example in drawn}


def test_a_space_too_small_to_split_is_an_error_that_says_so():
    outcomes = []
    for split in ("train", "test"):
        try:
            outcomes.append(GeneratedDataset(one, split=split)[0])
        except DatasetError as error:
            outcomes.append(str(error))
    problem, example = sorted(outcomes, key=lambda value: isinstance(value, Example))
    assert "seems to be empty" in problem
    assert "1 different instances" in problem
    assert example.question == "only one"


def test_malformed_rows_and_failures_of_make():
    with pytest.raises(DatasetError, match=r"<lambda> made a malformed row: it is int 3"):
        GeneratedDataset(lambda rng: 3)[0]
    with pytest.raises(ZeroDivisionError):
        GeneratedDataset(lambda rng: 1 / 0)[0]

    def out_of_range(rng):
        raise IndexError("a bug of make")

    with pytest.raises(IndexError, match="a bug of make"):
        list(GeneratedDataset(out_of_range, size=3))


def test_examples_may_be_made():
    dataset = GeneratedDataset(lambda rng: Example(id=str(rng.integers(9)), question="q"))
    assert dataset[0].question == "q"
    assert copy.deepcopy(dataset) is dataset


def rows():
    yield {"question": "q"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"make": 3}, "make is 3"),
        ({"make": rows}, "IteratedDataset"),
        ({"seed": 1.0}, "seed"),
        ({"seed": True}, "seed"),
        ({"size": 0}, "size"),
        ({"size": "5"}, "size"),
        ({"split": "valid"}, '"train", "test" or None'),
        ({"test_share": 0}, "between 0 and 1"),
        ({"test_share": 1.0}, "between 0 and 1"),
        ({"test_share": "half"}, "between 0 and 1"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ConfigError, match=message):
        GeneratedDataset(**{"make": add, **arguments})
