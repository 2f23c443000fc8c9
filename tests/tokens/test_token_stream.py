"""TokenStream: the layout, the recorder's call, storing, and what is refused."""

import base64
import copy
import pickle
from array import array

import numpy as np
import pytest

from textgym import jsontext
from textgym.errors import ConfigError
from textgym.tokens import TokenSegment, TokenSpan, TokenStream


def _stream():
    stream = TokenStream()
    stream.observe([1, 2, 3], [10, 11], [-0.5, -1.5])
    stream.observe([1, 2, 3, 10, 11, 4], [12], [-0.25])
    return stream


def _content(stream):
    arrays = stream.ids, stream.mask, stream.logprobs
    return (*(a.tolist() for a in arrays), stream.steps, stream.segments, stream.has_logprobs)


def test_an_empty_stream():
    stream = TokenStream()
    assert len(stream) == stream.ids.size == stream.mask.size == stream.logprobs.size == 0
    assert (stream.steps, stream.segments, stream.forks, stream.has_logprobs) == ((), (), 0, True)
    assert TokenStream.from_dict(stream.to_dict()) == stream
    assert stream.check_prompt([1, 2]) == 2


def test_types_and_content():
    stream = _stream()
    assert (stream.ids.dtype, stream.mask.dtype, stream.logprobs.dtype) == (
        np.int32,
        np.uint8,
        np.float32,
    )
    assert stream.ids.tolist() == [1, 2, 3, 10, 11, 4, 12]
    assert stream.mask.tolist() == [0, 0, 0, 1, 1, 0, 1]
    assert stream.logprobs.tolist() == [0.0, 0.0, 0.0, -0.5, -1.5, 0.0, -0.25]
    assert stream.steps == (TokenSpan(3, 5), TokenSpan(6, 7))
    assert stream.segments == (TokenSegment(0, 7),)
    assert len(stream) == 7
    assert repr(stream) == "TokenStream(7 tokens, 3 of them sampled in 2 steps, 0 forks)"


def test_appending_is_the_same_as_observing():
    stream = TokenStream()
    stream.append_context([1, 2])
    stream.append_context(np.array([3]))
    stream.append_sampled((10, 11), np.array([-0.5, -1.5]))
    stream.append_context(array("i", [4]))
    stream.append_sampled([12], [-0.25])
    assert stream == _stream()
    stream.append_context([])
    assert stream == _stream()


def test_views_are_read_only_share_memory_and_keep_their_content():
    stream = _stream()
    ids, mask, logprobs = stream.ids, stream.mask, stream.logprobs
    before = _content(stream)[:3]
    assert np.shares_memory(ids, stream.ids)
    for view in (ids, mask, logprobs, stream.segment_ids, stream.prompt_ids(0)):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
    for _ in range(50):
        stream.append_sampled(range(100), [-1.0] * 100)
    assert (ids.tolist(), mask.tolist(), logprobs.tolist()) == before


def test_memory_grows_with_the_tokens():
    stream = TokenStream()
    for _ in range(1000):
        stream.append_context(range(100))
    assert 9 * 100_000 <= stream.nbytes <= 2 * 9 * 100_000


def test_the_parts_of_a_step():
    stream = _stream()
    stream.observe([7, 8], [9], [-1.0])
    prompts = [stream.prompt_ids(k).tolist() for k in range(3)]
    assert prompts == [[1, 2, 3], [1, 2, 3, 10, 11, 4], [7, 8]]
    assert [stream.completion_ids(k).tolist() for k in range(3)] == [[10, 11], [12], [9]]
    assert stream.completion_ids(-1).tolist() == [9]
    with pytest.raises(IndexError):
        stream.prompt_ids(3)


@pytest.mark.parametrize(
    ("prompt", "extra"),
    [
        ([1, 2, 3, 10, 11, 4, 12], 0),
        ([1, 2, 3, 10, 11, 4, 12, 5, 6], 2),
        ([1, 2, 3, 10, 11, 4], -1),
        ([1, 2, 3, 10, 99, 4, 12, 5], -1),
        ([5], -1),
    ],
)
def test_check_prompt(prompt, extra):
    stream = _stream()
    assert stream.check_prompt(prompt) == extra
    assert stream == _stream()
    assert stream.observe(prompt, [20], [-1.0]) == extra
    assert stream.forks == (extra < 0)


def test_a_fork_is_a_whole_new_sequence_and_leaves_the_old_one():
    stream = _stream()
    assert stream.observe([1, 2, 3, 11, 4], [13, 14], [-2.0, -3.0]) == -1
    assert stream.segments == (TokenSegment(0, 7), TokenSegment(7, 14))
    assert stream.ids[7:].tolist() == stream.segment_ids.tolist() == [1, 2, 3, 11, 4, 13, 14]
    assert stream.mask[7:].tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert stream.ids[:7].tolist() == _stream().ids.tolist()
    assert stream.observe([1, 2, 3, 11, 4, 13, 14, 5], [15], [-1.0]) == 1
    assert stream.steps[2:] == (TokenSpan(12, 14), TokenSpan(15, 16))
    stream.fork([1])
    assert stream.forks == 2
    assert stream.segments[-1] == TokenSegment(16, 17)


def test_a_fork_of_nothing_is_no_fork():
    stream = TokenStream()
    stream.fork([1, 2])
    assert stream.forks == 0
    assert stream.segments == (TokenSegment(0, 2),)


def test_a_silent_turn_is_a_step():
    stream = TokenStream()
    stream.append_sampled([])
    stream.observe([1], [], [])
    stream.observe([1], [], None)
    stream.fork([2])
    assert stream.steps == (TokenSpan(0, 0), TokenSpan(1, 1), TokenSpan(1, 1))
    assert stream.has_logprobs
    assert [stream.prompt_ids(k).tolist() for k in range(3)] == [[], [1], [1]]
    assert TokenStream.from_dict(stream.to_dict()) == stream


def test_unknown_logprobs_are_said_and_not_invented():
    stream = _stream()
    stream.append_sampled([13])
    assert not stream.has_logprobs
    assert stream.logprobs.tolist()[-2:] == [-0.25, 0.0]
    stream.append_sampled([14], [-1.0])
    assert not stream.has_logprobs
    assert not TokenStream.from_dict(stream.to_dict()).has_logprobs


BAD_IDS = [
    None,
    3,
    "12",
    b"12",
    {1: 2},
    [1.0],
    [1, 2.5],
    [True, False],
    ["1"],
    [None],
    [[1], [2]],
    [[1], [2, 3]],
    [-1],
    [-100],
    [2**31],
    [2**63],
    [2**70],
    np.array([[1, 2]]),
    np.array([1.0]),
    np.array([2**32], np.uint64),
]
BAD_LOGPROBS = [
    3,
    [],
    [-1.0],
    [-1.0, -1.0, -1.0],
    [-1.0, None],
    [-1.0, "x"],
    [-1.0, float("nan")],
    [-1.0, float("-inf")],
    [-1.0, 0.1],
    [-1.0, -1e39],
    [-1.0, -9999.0],
    [[-1.0, -1.0]],
]


@pytest.mark.parametrize("bad", BAD_IDS, ids=repr)
def test_bad_ids_change_nothing(bad):
    stream = _stream()
    calls = {
        "ids": [lambda: stream.append_context(bad), lambda: stream.append_sampled(bad)],
        "prompt_ids": [
            lambda: stream.fork(bad),
            lambda: stream.check_prompt(bad),
            lambda: stream.observe(bad, [1], [-1.0]),
        ],
        "sampled_ids": [lambda: stream.observe([9, 9], bad)],
    }
    for field, attempts in calls.items():
        for attempt in attempts:
            with pytest.raises(ConfigError, match=rf"^{field}(\[\d+\])? is "):
                attempt()
    assert _content(stream) == _content(_stream())


@pytest.mark.parametrize("bad", BAD_LOGPROBS, ids=repr)
def test_bad_logprobs_change_nothing(bad):
    stream = _stream()
    with pytest.raises(ConfigError, match=r"^logprobs"):
        stream.append_sampled([1, 2], bad)
    with pytest.raises(ConfigError, match=r"^logprobs"):
        stream.observe([9, 9], [1, 2], bad)
    assert _content(stream) == _content(_stream())


def test_an_empty_prompt_is_refused():
    for call in (TokenStream().fork, TokenStream().check_prompt):
        with pytest.raises(ConfigError, match="prompt_ids is empty"):
            call([])


def test_a_record_is_json_and_restores_bit_for_bit():
    stream = _stream()
    stream.append_sampled([2**31 - 1, 0], [-0.0, -1e-45])
    stream.fork([1])
    record = jsontext.loads(jsontext.dumps(stream.to_dict()))
    twin = TokenStream.from_dict(record)
    assert twin == stream
    assert twin.ids.tobytes() == stream.ids.tobytes()
    assert twin.logprobs.tobytes() == stream.logprobs.tobytes()
    assert twin.to_dict() == stream.to_dict()
    assert record["steps"] == [[3, 5], [6, 7], [7, 9]]
    assert record["segments"] == [[0, 9], [9, 10]]
    twin.observe([1, 2], [3], [-1.0])
    assert len(twin) == len(stream) + 2


def test_the_stored_form_is_fixed():
    stream = TokenStream()
    stream.observe([1], [2], [-0.5])
    assert stream.to_dict() == {
        "ids": "AQAAAAIAAAA=",
        "mask": "AAE=",
        "logprobs": "AAAAAAAAAL8=",
        "steps": [[1, 2]],
        "segments": [[0, 2]],
        "has_logprobs": True,
        "drifts": 0,
    }


def _record(**changes):
    stream = _stream()
    stream.fork([1, 2])
    return {**stream.to_dict(), **changes}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (None, "a token record is a dict"),
        ({}, "lacks ids, mask"),
        (_record(ids="?"), "base64"),
        (_record(ids=3), "base64"),
        (_record(ids="AQA="), "base64 of <i4 values"),
        (_record(ids=""), "0 ids, 9 mask values"),
        (_record(mask="AAAAAQEAAQAC"), "mask is not 1 exactly"),
        (_record(steps=[[3, 5]]), "mask is not 1 exactly"),
        (_record(steps=[[3, 5], [4, 7]]), "TokenSpan"),
        (_record(steps=[[3, 5], [6, 70]]), "TokenSpan"),
        (_record(steps=[[3, 5, 6]]), "pairs of offsets"),
        (_record(steps="35"), "pairs of offsets"),
        (_record(steps=[[True, 5]]), "pairs of offsets"),
        (_record(segments=[]), "do not cover"),
        (_record(segments=[[0, 7]]), "do not cover"),
        (_record(segments=[[0, 6], [7, 9]]), "do not cover"),
        (_record(segments=[[0, 7], [7, 7], [7, 9]]), "do not cover"),
        (_record(segments=[[0, 4], [4, 9]]), "reaches over the start"),
        (_record(has_logprobs=1), "true or false"),
    ],
)
def test_records_that_contradict_themselves_are_refused(record, message):
    with pytest.raises(ConfigError, match=message):
        TokenStream.from_dict(record)


def test_logprobs_of_a_record_are_checked():
    record = _record()
    values = [*_stream().logprobs.tolist(), 0.0, 0.0]
    for position, value in ((0, -1.0), (3, 0.5), (3, float("nan"))):
        changed = list(values)
        changed[position] = value
        stream = _stream()
        stream.fork([1, 2])
        record = {**record, "logprobs": _base64(np.array(changed, "<f4"))}
        with pytest.raises(ConfigError, match="logprobs"):
            TokenStream.from_dict(record)


def _base64(values):
    return base64.b64encode(values.tobytes()).decode()


@pytest.mark.parametrize(
    "twin_of", [copy.copy, copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))]
)
def test_copies_are_independent(twin_of):
    stream = _stream()
    twin = twin_of(stream)
    assert twin == stream
    stream.append_sampled([20], [-1.0])
    twin.append_sampled([])
    twin.append_sampled([30, 31], [-2.0, -3.0])
    assert stream.ids.tolist() == [*_stream().ids.tolist(), 20]
    assert twin.ids.tolist() == [*_stream().ids.tolist(), 30, 31]
    assert twin != stream
    assert twin.steps[-1] == TokenSpan(7, 9)


def test_equality():
    other = _stream()
    assert other == _stream()
    assert other != "stream"
    other.append_sampled([])
    assert other != _stream()
    with pytest.raises(TypeError):
        hash(other)
