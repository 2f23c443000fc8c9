"""``textgym.spaces.Unicode``: every text survives every encoding."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
from gymnasium.spaces import Box, Dict
from gymnasium.spaces.utils import flatten, flatten_space, unflatten
from gymnasium.vector.utils import (
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)
from hypothesis import example, given
from hypothesis import strategies as st

from textgym.spaces import Unicode

LONGEST = 40
SPACE = Unicode(LONGEST)

# All of Unicode with surrogates, and often those that other encodings confuse.
characters = st.characters(exclude_categories=()) | st.sampled_from("\ud83d\ude42\udc00\0🙂\u0301")
texts = st.text(characters, max_size=LONGEST)


@given(texts)
@example("\ud83d\ude42")
def test_flatten_round_trip(text: str) -> None:
    flat = flatten(SPACE, text)
    assert flat in flatten_space(SPACE)
    assert unflatten(SPACE, flat) == text


@given(texts, texts)
def test_flatten_round_trip_beside_floats(one: str, two: str) -> None:
    space = Dict({"one": SPACE, "x": Box(-1, 1, (2,), np.float32), "two": SPACE})
    flat = flatten(space, {"one": one, "x": np.zeros(2, np.float32), "two": two})
    value = unflatten(space, flat)
    assert (value["one"], value["two"]) == (one, two)


@given(st.lists(texts, max_size=5))
def test_json_round_trip(batch: list[str]) -> None:
    line = json.dumps(SPACE.to_jsonable(batch), ensure_ascii=False).encode()
    assert SPACE.from_jsonable(json.loads(line)) == batch


@given(st.lists(texts, min_size=1, max_size=5))
def test_batch_round_trip(batch: list[str]) -> None:
    space = batch_space(SPACE, len(batch))
    joined = concatenate(SPACE, batch, create_empty_array(SPACE, len(batch)))
    assert joined in space
    assert list(iterate(space, joined)) == batch


@given(st.lists(st.tuples(st.integers(0, 2), texts), max_size=12))
def test_shared_memory_holds_the_last_text_of_each_row(writes: list[tuple[int, str]]) -> None:
    memory = create_shared_memory(SPACE, n=3)
    batch = read_from_shared_memory(SPACE, memory, n=3)
    rows = ["", "", ""]
    for index, text in writes:
        write_to_shared_memory(SPACE, index, text, memory)
        rows[index] = text
        assert batch == rows
    assert copy.deepcopy(batch) == pickle.loads(pickle.dumps(batch)) == tuple(rows)


@given(texts, st.integers(0, LONGEST), st.integers(0, LONGEST))
def test_membership_is_length(text: str, one: int, two: int) -> None:
    low, high = sorted((one, two))
    assert (text in Unicode(high, min_length=low)) == (low <= len(text) <= high)


@given(st.integers(0, 10**9), st.integers(0, 200), st.integers(0, 2**32))
def test_samples_are_members_and_reproducible(extra: int, low: int, seed: int) -> None:
    space = Unicode(low + extra, min_length=low, seed=seed)
    text = space.sample()
    assert text in space
    assert text.isprintable()
    assert len(text) <= max(low, 64)
    assert text == Unicode(low + extra, min_length=low, seed=seed).sample()


@given(st.sets(characters.filter(lambda c: ord(c) < 0x3000), min_size=1), st.integers(0, LONGEST))
def test_samples_obey_their_mask(allowed: set[str], length: int) -> None:
    codes = [ord(c) for c in allowed]
    mask = np.zeros(max(codes) + 1, np.int8)
    mask[codes] = 1
    text = SPACE.sample(mask=(length, mask))
    assert len(text) == length
    assert set(text) <= allowed


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_pickle_and_copies_are_equal(one: int, two: int) -> None:
    low, high = sorted((one, two))
    space = Unicode(high, min_length=low)
    twin = pickle.loads(pickle.dumps(space))
    assert twin == copy.deepcopy(space) == space
    assert hash(twin) == hash(space)
    assert repr(twin) == repr(space)
    assert len(pickle.dumps(space)) <= 300
