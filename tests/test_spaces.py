"""``textgym.spaces``: the space itself, and what Gymnasium does with it."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Box, Dict, Discrete, OneOf, Text, Tuple
from gymnasium.spaces import Sequence as SequenceSpace
from gymnasium.spaces.utils import (
    flatdim,
    flatten,
    flatten_space,
    is_space_dtype_shape_equiv,
    unflatten,
)
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import (
    batch_differing_spaces,
    batch_space,
    concatenate,
    create_empty_array,
    create_shared_memory,
    iterate,
    read_from_shared_memory,
    write_to_shared_memory,
)

from textgym.spaces import MAX_SHARED_BYTES, SharedTexts, Unicode

TEXTS = {
    "empty": "",
    "ascii": "Please answer: 2 + 2 = ?\n",
    "nul": "a\x00b\x00",
    "emoji": "👩‍🚀🙂",
    "combining": "e\u0301 is not \u00e9",
    "rtl": "\u202eabc\u202c שלום",
    "high surrogate": "x\ud800",
    "low surrogate": "\udfffx",
    "surrogate pair in two": "\ud83d\ude42",
    "last code point": "\U0010ffff",
    "100k ascii": "ab \n" * 25_000,
    "100k astral": "🙂" * 100_000,
}
EVERY_TEXT = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
LONGEST = 100_000
PLAIN = Unicode(LONGEST)

# Python 3.12 warns of a fork when numpy's BLAS runs threads; the children only run Python.
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Talker(gym.Env[Any, Any]):
    """Says a random text of ``TEXTS`` each turn and ends after ``turns`` turns."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, shape: str = "bare", turns: int = 2, min_length: int = 0) -> None:
        text = Unicode(LONGEST, min_length=min_length)
        self.shape, self.turns, self.turn = shape, turns, 0
        self.action_space = Unicode(100)
        self.observation_space: gym.Space[Any] = {
            "bare": text,
            "dict": Dict({"prompt": text, "turn": Discrete(100), "more": Tuple((text, text))}),
            "tuple": Tuple((Box(0, 100, (1,), np.float64), Dict({"prompt": text}), text)),
        }[shape]

    def _say(self) -> str:
        return list(TEXTS.values())[self.np_random.integers(len(TEXTS))]

    def _observation(self) -> Any:
        if self.shape == "bare":
            return self._say()
        if self.shape == "dict":
            more = (self._say(), self._say())
            return {"prompt": self._say(), "turn": np.int64(self.turn), "more": more}
        return (np.array([self.turn], np.float64), {"prompt": self._say()}, self._say())

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.turn = 0
        return self._observation(), {}

    def step(self, action: str) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.turn += 1
        reward = float(len(action))
        return self._observation(), reward, self.turn >= self.turns, False, {"heard": action}


class Overflowing(Talker):
    """Breaks its own bound."""

    def _observation(self) -> str:
        return "x" * (LONGEST + 1)


@pytest.fixture
def talker_id() -> Iterator[str]:
    gym.register("TextgymTest/Talker-v0", entry_point=Talker)
    yield "TextgymTest/Talker-v0"
    del gym.registry["TextgymTest/Talker-v0"]


@contextmanager
def workers(*env_fns: Callable[[], gym.Env[Any, Any]], **kwargs: Any) -> Iterator[AsyncVectorEnv[Any, Any]]:
    envs = AsyncVectorEnv(list(env_fns), **kwargs)
    try:
        yield envs
    finally:
        envs.close(terminate=True)


# The space


def test_membership_is_a_matter_of_length_only() -> None:
    space = Unicode(4, min_length=1)
    assert all(text in space for text in ("a", "abcd", "🙂🙂🙂🙂", "\ud800", "\x00", np.str_("ab")))
    assert not any(x in space for x in ("", "abcde", b"ab", 1, None, ["a"], np.array(["a"])))


@EVERY_TEXT
def test_every_text_is_in_the_default_space_or_in_one_as_long(text: str) -> None:
    assert text in PLAIN
    assert (text in Unicode()) == (len(text) <= 65_536)
    assert text not in Unicode(max(len(text) - 1, 0)) or text == ""


def test_membership_does_not_look_at_the_characters() -> None:
    class Opaque(str):
        __slots__ = ()

        def __iter__(self) -> Any:
            raise AssertionError("contains walked the string")

        __getitem__ = __iter__

    assert Opaque("x" * 1000) in Unicode()


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"max_length": -1}, ValueError, "max_length must be at least 0, got -1"),
        ({"max_length": 2.0}, TypeError, "max_length must be an integer, got 2.0 (float)"),
        ({"max_length": None}, TypeError, "max_length must be an integer, got None (NoneType)"),
        ({"max_length": True}, TypeError, "max_length must be an integer, got True (bool)"),
        ({"min_length": -2}, ValueError, "min_length must be at least 0, got -2"),
        ({"min_length": "1"}, TypeError, "min_length must be an integer, got '1' (str)"),
        (
            {"max_length": 2, "min_length": 3},
            ValueError,
            "min_length must be at most max_length (2), got 3",
        ),
    ],
)
def test_bad_bounds_are_named(kwargs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Unicode(**kwargs)


def test_bounds_become_plain_integers() -> None:
    space = Unicode(np.int32(5), min_length=np.uint8(2))
    assert (type(space.max_length), type(space.min_length)) == (int, int)
    assert space == Unicode(5, min_length=2)


def test_repr_is_short() -> None:
    assert repr(Unicode()) == "Unicode(65536)"
    assert repr(Unicode(65_536, min_length=3)) == "Unicode(65536, min_length=3)"


def test_equality_and_hash_follow_the_bounds() -> None:
    assert Unicode(9) == Unicode(9, seed=3)
    assert hash(Unicode(9)) == hash(Unicode(9, seed=3))
    assert Unicode(9) != Unicode(8)
    assert Unicode(9) != Unicode(9, min_length=1)
    assert Unicode(9) != Text(9, min_length=0)
    assert Text(9, min_length=0) != Unicode(9)
    assert Unicode(9) != "Unicode(9)"
    assert len({Unicode(9), Unicode(9), Unicode(8)}) == 2


def test_pickle_is_small_and_keeps_the_space() -> None:
    data = pickle.dumps(Unicode(77, min_length=7))
    assert len(data) <= 300
    assert pickle.loads(data) == Unicode(77, min_length=7)
    seeded = Unicode(77, seed=5)
    assert pickle.loads(pickle.dumps(seeded)).sample() == seeded.sample()


def test_deepcopy_draws_the_same_and_is_independent() -> None:
    space = Unicode(77, seed=5)
    twin = copy.deepcopy(space)
    assert twin == space
    assert [twin.sample() for _ in range(5)] == [space.sample() for _ in range(5)]


def test_charset_is_all_of_unicode_and_stored_nowhere() -> None:
    space = Unicode(5)
    assert len(space.character_set) == len(space.character_list) == 0x110000
    assert all(c in space.character_set for c in ("a", "\x00", "\ud800", "\U0010ffff"))
    assert not any(c in space.character_set for c in ("", "ab", 97, b"a"))
    assert space.character_list[0x1F642] == "🙂"
    assert space.character_list[-1] == "\U0010ffff"
    assert space.character_list[97:100] == ("a", "b", "c")
    assert space.character_index("🙂") == 0x1F642
    assert space.character_index("a").dtype == np.int32
    assert next(iter(space.character_list)) == "\x00"
    with pytest.raises(IndexError):
        space.character_list[0x110000]
    assert space.character_set == Unicode(6).character_set
    assert hash(space.character_set) == hash(Unicode(6).character_set)
    assert space.character_set != frozenset("abc")
    assert frozenset("abc") < space.character_set
    assert space.characters.isprintable()
    assert len(repr(space.character_set)) < 40
    assert vars(space).keys() == {"max_length", "min_length", "_shape", "dtype", "_np_random"}


# Sampling


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 5), (3, 3), (0, 65_536), (70, 10**9)])
def test_samples_are_short_printable_members(low: int, high: int) -> None:
    space = Unicode(high, min_length=low, seed=1)
    samples = [space.sample() for _ in range(200)]
    assert all(x in space and x.isprintable() and type(x) is str for x in samples)
    lengths = {len(x) for x in samples}
    assert max(lengths) <= max(low, 64)
    if low < high < 64:
        assert lengths == set(range(low, high + 1))


def test_samples_follow_the_seed() -> None:
    def draw(seed: int) -> list[str]:
        space = Unicode(40, seed=seed)
        return [space.sample() for _ in range(3)] + [space.sample(mask=(9, None))]

    assert draw(1) == draw(1) != draw(2)
    space = Unicode(40)
    space.seed(1)
    assert space.sample() == draw(1)[0]


def test_sample_takes_the_length_of_the_mask() -> None:
    space = Unicode(500, seed=0)
    assert [len(space.sample(mask=(n, None))) for n in (0, 1, 500)] == [0, 1, 500]
    assert len(space.sample(probability=(np.int64(7), None))) == 7
    assert space.sample(mask=(None, None)) in space


def test_sample_takes_the_characters_of_the_mask() -> None:
    space = Unicode(50, seed=0)
    allowed = np.zeros(0x110000, np.int8)
    allowed[[ord(c) for c in "a\ud800🙂"]] = 1
    assert set(space.sample(mask=(50, allowed))) == set("a\ud800🙂")
    digits = np.zeros(58, np.int8)
    digits[48:58] = 1
    assert space.sample(mask=(20, digits)).isdigit()
    weights = np.zeros(128)
    weights[[97, 98]] = 0.999, 0.001
    assert space.sample(probability=(50, weights)).count("a") > 40


def test_sample_without_any_allowed_character_is_empty_if_it_can_be() -> None:
    nothing = np.zeros(128, np.int8)
    assert Unicode(5).sample(mask=(None, nothing)) == ""
    with pytest.raises(ValueError, match=r"mask\[1\] allows no character, but Unicode\(5, min_le"):
        Unicode(5, min_length=1).sample(mask=(None, nothing))


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"mask": (1, None), "probability": (1, None)}, ValueError, "mask or probability"),
        ({"mask": np.ones(3, np.int8)}, TypeError, "mask must be a tuple (length or None, array"),
        ({"mask": (1, None, 2)}, TypeError, "mask must be a tuple (length or None, array"),
        ({"mask": ("1", None)}, TypeError, "mask[0] must be an integer, got '1' (str)"),
        ({"mask": (6, None)}, ValueError, "mask[0] must be a length that Unicode(5, min_length=1)"),
        ({"mask": (0, None)}, ValueError, "mask[0] must be a length that Unicode(5, min_length=1)"),
        ({"mask": (-1, None)}, ValueError, "mask[0] must be at least 0, got -1"),
        ({"mask": (1, "abc")}, TypeError, "mask[1] must be None or an array of int8, got str"),
        ({"mask": (1, np.ones(3))}, TypeError, "an array of int8, got float64"),
        ({"mask": (1, np.full(3, 2, np.int8))}, ValueError, "mask[1] may hold only 0 and 1"),
        ({"mask": (1, np.ones((2, 2), np.int8))}, ValueError, "got (2, 2)"),
        ({"mask": (1, np.ones(0x110001, np.int8))}, ValueError, "k <= 1114112, got (1114113,)"),
        ({"probability": (1, np.ones(3, np.int8))}, TypeError, "an array of float64, got int8"),
        ({"probability": (1, np.ones(3))}, ValueError, "probability[1] must be non-negative and"),
        ({"probability": (1, np.array([-1.0, 2.0]))}, ValueError, "non-negative and sum to 1"),
        ({"probability": (1, np.array([np.nan]))}, ValueError, "non-negative and sum to 1"),
    ],
)
def test_bad_masks_are_named(kwargs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Unicode(5, min_length=1).sample(**kwargs)


# Encodings


@EVERY_TEXT
def test_flatten_and_back(text: str) -> None:
    flat = flatten(PLAIN, text)
    assert isinstance(flat, np.ndarray)
    assert (flat.shape, flat.dtype) == ((LONGEST,), np.int32)
    assert flat[: len(text)].tolist() == [ord(c) for c in text]
    assert (flat[len(text) :] == 0x110000).all()
    assert unflatten(PLAIN, flat) == text


def test_flat_space_is_a_box_of_code_points() -> None:
    space = Unicode(10, min_length=2)
    box = flatten_space(space)
    assert flatdim(space) == 10
    assert isinstance(box, Box)
    assert (box.shape, box.dtype) == ((10,), np.int32)
    assert (box.low == 0).all()
    assert (box.high == 0x110000).all()
    assert flatten(space, "a\ud800🙂") in box
    box.seed(0)
    assert isinstance(unflatten(space, box.sample()), str)


@pytest.mark.parametrize(
    "space",
    [
        Dict({"a": Unicode(9), "b": Box(0, 1, (2,), np.float32), "c": Unicode(3)}),
        Tuple((Unicode(9), Discrete(4))),
        Tuple((Unicode(9), SequenceSpace(Unicode(3)))),
        pytest.param(
            OneOf((Unicode(9), Discrete(4))),
            marks=pytest.mark.skipif(
                gym.__version__ < "1.4", reason="this Gymnasium cannot flatten a OneOf with Text"
            ),
        ),
    ],
    ids=["dict", "tuple", "sequence", "oneof"],
)
def test_flatten_within_other_spaces(space: gym.Space[Any]) -> None:
    space.seed(0)
    for _ in range(10):
        value = space.sample()
        flat = flatten(space, value)
        assert flat in flatten_space(space)
        assert data_equivalence(unflatten(space, flat), value)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("abcdef", ValueError, "text has 6 code points, but Unicode(5) holds at most 5: cut the"),
        (b"abc", TypeError, "text must be a str, as Unicode(5) says, got bytes"),
    ],
)
def test_flatten_refuses_what_does_not_fit(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        flatten(Unicode(5), value)


def test_unflatten_refuses_what_is_no_code_point() -> None:
    with pytest.raises(ValueError, match="code point not in range"):
        unflatten(Unicode(2), np.array([97, -1], np.int32))


def test_json_round_trip() -> None:
    texts = list(TEXTS.values())
    line = json.dumps(PLAIN.to_jsonable(texts), ensure_ascii=False)
    line.encode()  # strict UTF-8: no lone surrogate is left in it
    assert PLAIN.from_jsonable(json.loads(line)) == texts


def test_json_of_ordinary_text_is_the_text() -> None:
    encoded = PLAIN.to_jsonable(("é🙂", np.str_("x")))
    assert encoded == ["é🙂", "x"]
    assert {type(x) for x in encoded} == {str}


def test_json_within_other_spaces() -> None:
    space = Dict({"a": Unicode(3), "b": Tuple((Unicode(3), Discrete(2)))})
    samples = [{"a": "\ud83d\ude42", "b": ("x", 1)}, {"a": "", "b": ("\udc00", 0)}]
    coded = json.loads(json.dumps(space.to_jsonable(samples)))
    decoded = space.from_jsonable(coded)
    assert [x["a"] for x in decoded] == ["\ud83d\ude42", ""]
    assert [x["b"][0] for x in decoded] == ["x", "\udc00"]


# Batches


def test_batch_is_a_tuple_of_texts() -> None:
    space = Unicode(9, min_length=2, seed=0)
    batch = batch_space(space, 3)
    assert batch == Tuple((space, space, space))
    assert batch.sample() in batch
    assert len(set(batch.sample())) == 3
    empty = create_empty_array(space, n=3)
    assert empty in batch
    texts = ("ab", "\ud800\x00", "🙂🙂")
    assert concatenate(space, texts, empty) == texts
    assert list(iterate(batch, texts)) == list(texts)
    assert create_empty_array(Unicode(9), n=2) == ("", "")


def test_spaces_that_differ_in_the_lower_bound_batch_together() -> None:
    spaces = [Unicode(9), Unicode(9, min_length=1)]
    assert batch_differing_spaces(spaces) == Tuple(spaces)
    assert is_space_dtype_shape_equiv(*spaces)
    assert not is_space_dtype_shape_equiv(Unicode(9), Unicode(8))
    assert not is_space_dtype_shape_equiv(Unicode(9), Text(9))


# Shared memory


@EVERY_TEXT
def test_shared_memory_returns_the_text(text: str) -> None:
    memory = create_shared_memory(PLAIN, n=3)
    batch = read_from_shared_memory(PLAIN, memory, n=3)
    assert batch == ("", "", "")
    write_to_shared_memory(PLAIN, 1, text, memory)
    assert batch == ("", text, "")
    write_to_shared_memory(PLAIN, 1, "shorter", memory)
    assert batch == ("", "shorter", "")


def test_full_rows_do_not_touch_their_neighbours() -> None:
    space = Unicode(5)
    memory = create_shared_memory(space, n=3)
    batch = read_from_shared_memory(space, memory, n=3)
    for index, text in enumerate(["🙂" * 5, "\ud800" * 5, "\U0010ffff" * 5]):
        write_to_shared_memory(space, index, text, memory)
    assert batch == ["🙂" * 5, "\ud800" * 5, "\U0010ffff" * 5]


def test_space_of_the_empty_text_alone_has_shared_memory() -> None:
    memory = create_shared_memory(Unicode(0), n=2)
    write_to_shared_memory(Unicode(0), 1, "", memory)
    assert read_from_shared_memory(Unicode(0), memory, n=2) == ("", "")


def test_shared_texts_are_a_live_sequence_and_their_copies_are_tuples() -> None:
    space = Unicode(5)
    memory = create_shared_memory(space, n=3)
    batch = read_from_shared_memory(space, memory, n=3)
    for index, text in enumerate("abc"):
        write_to_shared_memory(space, index, text, memory)
    assert isinstance(batch, SharedTexts)
    assert (len(batch), batch[0], batch[-1], batch[1:]) == (3, "a", "c", ("b", "c"))
    assert batch[np.int64(1)] == "b"
    assert list(batch) == ["a", "b", "c"]
    assert "b" in batch
    assert batch.index("c") == 2
    assert repr(batch) == "SharedTexts(['a', 'b', 'c'])"
    assert np.asarray(batch).tolist() == ["a", "b", "c"]
    with pytest.raises(IndexError):
        batch[3]
    with pytest.raises(TypeError):
        hash(batch)
    assert batch != ("a", "b")
    assert batch != "abc"
    assert batch == read_from_shared_memory(space, memory, n=3)
    copies = [copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))]
    nested = copy.deepcopy({"x": (batch, 1), "y": batch})
    write_to_shared_memory(space, 0, "new", memory)
    assert batch[0] == "new"
    assert copies == [("a", "b", "c")] * 3
    assert all(type(x) is tuple for x in copies)
    assert nested == {"x": (("a", "b", "c"), 1), "y": ("a", "b", "c")}


def test_shared_texts_keep_their_memory_alive() -> None:
    space = Unicode(1000)
    memory = create_shared_memory(space, n=2)
    batch = read_from_shared_memory(space, memory, n=2)
    write_to_shared_memory(space, 1, "still here", memory)
    del memory
    gc.collect()
    others = [create_shared_memory(space, n=2) for _ in range(20)]
    for other in others:
        write_to_shared_memory(space, 1, "someone else", other)
    assert batch == ("", "still here")


def test_reused_memory_starts_with_empty_texts() -> None:
    space = Unicode(1000)
    for _ in range(3):
        memory = create_shared_memory(space, n=2)
        assert read_from_shared_memory(space, memory, n=2) == ("", "")
        write_to_shared_memory(space, 0, "x" * 1000, memory)
        write_to_shared_memory(space, 1, "y" * 1000, memory)
        del memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_shared_memory_occupies_only_what_is_written() -> None:
    def resident_kib() -> int:
        status = Path("/proc/self/status").read_text()
        return sum(int(kib) for kib in re.findall(r"Rss\w+:\s+(\d+) kB", status))

    space = Unicode(1 << 22)
    before = resident_kib()
    memory = create_shared_memory(space, n=32)  # 512 MiB
    write_to_shared_memory(space, 31, "a short text", memory)
    assert resident_kib() - before < 32 * 1024


def test_shared_memory_has_a_limit_that_says_what_to_do() -> None:
    rows = MAX_SHARED_BYTES // (4 * 65_536)
    create_shared_memory(Unicode(), n=rows)
    message = r"need 1074003968 bytes .* shared_memory=False or lower max_length"
    with pytest.raises(CustomSpaceError, match=message):
        create_shared_memory(Unicode(), n=rows + 1)
    with pytest.raises(CustomSpaceError, match=message):
        create_shared_memory(Dict({"x": Discrete(2), "y": Unicode()}), n=rows + 1)
    with pytest.raises(ValueError, match="shared_memory=False") as failure:
        AsyncVectorEnv([partial(gym.wrappers.TransformObservation, Talker(), str, Unicode(1 << 40))])
    assert isinstance(failure.value.__cause__, CustomSpaceError)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            "abcdef",
            ValueError,
            "observation of environment 1 has 6 code points, but Unicode(5) holds at most 5: "
            "cut the text or raise max_length",
        ),
        (7, TypeError, "observation of environment 1 must be a str, as Unicode(5) says, got int"),
    ],
)
def test_writing_refuses_what_does_not_fit(value: Any, error: type[Exception], message: str) -> None:
    memory = create_shared_memory(Unicode(5), n=2)
    write_to_shared_memory(Unicode(5), 1, "kept", memory)
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        write_to_shared_memory(Unicode(5), 1, value, memory)
    assert read_from_shared_memory(Unicode(5), memory, n=2) == ("", "kept")


def test_reading_another_number_of_texts_is_refused() -> None:
    memory = create_shared_memory(Unicode(5), n=2)
    with pytest.raises(ValueError, match="the shared memory holds 2 texts, asked for 3"):
        read_from_shared_memory(Unicode(5), memory, n=3)


# Environments


@pytest.mark.parametrize("shape", ["bare", "dict", "tuple"])
def test_gymnasium_checks_pass(talker_id: str, shape: str) -> None:
    env = gym.make(talker_id, shape=shape)
    check_env(env.unwrapped)
    for seed in range(5):
        env.reset(seed=seed)
        for _ in range(2):
            env.step(env.action_space.sample())
    env.close()


def test_flatten_wrapper_sees_the_text(talker_id: str) -> None:
    env, flat = gym.make(talker_id), gym.wrappers.FlattenObservation(gym.make(talker_id))
    observation, _ = env.reset(seed=4)
    codes, _ = flat.reset(seed=4)
    assert unflatten(env.observation_space, codes) == observation
    assert codes in flat.observation_space


def play(envs: gym.vector.VectorEnv[Any, Any, Any], steps: int = 5) -> list[Any]:
    disabled = envs.metadata["autoreset_mode"] == AutoresetMode.DISABLED
    record: list[Any] = [envs.reset(seed=7)]
    for step in range(steps):
        actions = tuple(f"{step}\ud800🙂" * i for i in range(envs.num_envs))
        record.append(envs.step(actions))
        done = record[-1][2] | record[-1][3]
        if disabled and done.any():
            record.append(envs.reset(options={"reset_mask": done}))
    return record


@forks
@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.name)
@pytest.mark.parametrize("shape", ["bare", "dict", "tuple"])
def test_worker_processes_say_what_one_process_says(shape: str, mode: AutoresetMode) -> None:
    # Episodes of different lengths, so that environments reset at different steps.
    env_fns = [partial(Talker, shape, turns) for turns in (1, 2, 3)]
    sync = SyncVectorEnv(env_fns, autoreset_mode=mode)
    expected = play(sync)
    assert all(step[0] in sync.observation_space for step in expected)
    for shared_memory in (True, False):
        with workers(*env_fns, autoreset_mode=mode, shared_memory=shared_memory) as envs:
            record = play(envs)
        assert data_equivalence(record, expected, exact=True), f"{shared_memory=}"


@forks
@pytest.mark.parametrize("text", [t for t in TEXTS.values() if len(t) <= 100])
def test_actions_reach_the_workers_unchanged(text: str) -> None:
    with workers(Talker, Talker) as envs:
        envs.reset(seed=0)
        assert envs.step((text, text))[4]["heard"].tolist() == [text, text]


@forks
def test_without_copies_the_batch_follows_the_environments() -> None:
    with workers(Talker, Talker, copy=False) as envs:
        expected = play(SyncVectorEnv([Talker, Talker]))
        batch, _ = envs.reset(seed=7)
        assert isinstance(batch, SharedTexts)
        assert batch == expected[0][0]
        again = envs.step(("", "0\ud800🙂"))[0]
        assert again is batch
        assert batch == expected[1][0]
        assert tuple(batch) in envs.observation_space
    assert batch == expected[1][0]


@forks
def test_spaces_that_differ_in_the_lower_bound_share_memory() -> None:
    env_fns = [Talker, partial(Talker, min_length=1)]
    with workers(*env_fns, observation_mode="different") as envs:
        sync = SyncVectorEnv(env_fns, observation_mode="different")
        assert envs.reset(seed=7)[0] == sync.reset(seed=7)[0]


def test_spawned_workers_share_memory() -> None:
    with workers(Talker, Talker, context="spawn") as envs:
        assert data_equivalence(play(envs, 2), play(SyncVectorEnv([Talker, Talker]), 2))


@forks
@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium logs the worker's traceback
def test_a_worker_that_breaks_the_bound_is_named() -> None:
    with (
        workers(Talker, Overflowing) as envs,
        pytest.raises(ValueError, match="observation of environment 1 has 100001 code points"),
    ):
        envs.reset(seed=0)


def test_texts_cover_what_the_space_promises() -> None:
    categories = {unicodedata.category(c) for text in TEXTS.values() for c in set(text)}
    assert {"Cs", "Cc", "Cf", "Mn", "So", "Cn"} <= categories


def test_a_copy_has_a_generator_of_its_own() -> None:
    space = Unicode(20, min_length=3, seed=5)
    twin = copy.deepcopy(space)
    assert twin == space
    assert [twin.sample() for _ in range(3)] == [space.sample() for _ in range(3)]
    space.sample()
    assert twin.np_random is not space.np_random
    assert copy.deepcopy(Unicode(4))._np_random is None
