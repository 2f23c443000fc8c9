"""Properties of TokenStream: any sequence of calls keeps every promise of its docstring."""

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.tokens import TokenStream

ids = st.lists(st.integers(0, 2**31 - 1), max_size=12)
small_ids = st.lists(st.integers(0, 3), max_size=6)
logprob = st.floats(-1e4, 0, width=32).filter(lambda value: value != -9999.0)


@st.composite
def turns(draw):
    sampled = draw(ids | small_ids)
    known = draw(st.booleans())
    size = len(sampled)
    logprobs = draw(st.lists(logprob, min_size=size, max_size=size)) if known else None
    return sampled, logprobs


operations = st.lists(
    st.tuples(st.just("context"), ids)
    | st.tuples(st.just("sampled"), turns())
    | st.tuples(st.just("fork"), ids.filter(bool))
    | st.tuples(st.just("continue"), st.tuples(ids, turns()))
    | st.tuples(st.just("observe"), st.tuples(small_ids.filter(bool), turns())),
    max_size=12,
)


def _apply(stream, operation):
    """Apply one operation; returns the flat (id, mask, logprob) triples that it has to append."""
    kind, value = operation
    if kind == "context":
        stream.append_context(value)
        return _context(value)
    if kind == "sampled":
        stream.append_sampled(*value)
        return _sampled(*value)
    if kind == "fork":
        stream.fork(value)
        return _context(value)
    prompt, turn = value
    if kind == "continue":
        prompt = [*stream.segment_ids.tolist(), *prompt] or [1]
    segment = stream.segment_ids.tolist()
    extra = stream.observe(prompt, *turn)
    continues = prompt[: len(segment)] == segment
    assert extra == (len(prompt) - len(segment) if continues else -1)
    return _context(prompt[len(segment) :] if continues else prompt) + _sampled(*turn)


def _context(tokens):
    return [(token, 0, 0.0) for token in tokens]


def _sampled(tokens, logprobs):
    return [(t, 1, p) for t, p in zip(tokens, logprobs or [0.0] * len(tokens), strict=True)]


def _triples(stream):
    return list(zip(stream.ids.tolist(), stream.mask.tolist(), stream.logprobs.tolist(), strict=True))


@given(operations)
@settings(deadline=None)
def test_a_stream_is_the_concatenation_of_what_was_appended(calls):
    stream, expected, views = TokenStream(), [], []
    for call in calls:
        expected += _apply(stream, call)
        views.append((stream.ids, stream.mask, stream.logprobs, list(expected)))
    assert _triples(stream) == expected
    assert len(stream) == len(expected)
    for *arrays, then in views:
        assert list(zip(*(a.tolist() for a in arrays), strict=True)) == then


@given(operations)
@settings(deadline=None)
def test_steps_and_segments_lay_out_the_arrays(calls):
    stream = TokenStream()
    forks = 0
    unknown = False
    for call in calls:
        before = len(stream), len(stream.steps), stream.segments
        _apply(stream, call)
        forks += call[0] == "fork" and before[0] > 0
        if len(stream.steps) > before[1] and call[0] != "fork":
            turn = call[1] if call[0] == "sampled" else call[1][1]
            unknown = unknown or (turn[1] is None and bool(turn[0]))
            assert stream.completion_ids(-1).tolist() == turn[0]
        assert [s.start for s in stream.segments][: len(before[2])] == [s.start for s in before[2]]
    mask = np.zeros(len(stream), np.uint8)
    for step in stream.steps:
        mask[step.prompt_end : step.completion_end] = 1
    assert np.array_equal(mask, stream.mask)
    assert not stream.logprobs[mask == 0].any()
    assert stream.has_logprobs is not unknown
    bounds = [bound for s in stream.segments for bound in (s.start, s.end)]
    assert bounds == sorted(bounds)
    assert sum(s.end - s.start for s in stream.segments) == len(stream)
    assert len(stream.segments) == (stream.forks + 1 if len(stream) else 0)
    assert stream.forks >= forks
    for k, step in enumerate(stream.steps):
        starts = {segment.start for segment in stream.segments} | {0}
        assert step.prompt_end - stream.prompt_ids(k).size in starts


@given(operations)
@settings(deadline=None)
def test_records_copies_and_pickles_are_equal_and_independent(calls):
    stream = TokenStream()
    for call in calls:
        _apply(stream, call)
    record = stream.to_dict()
    twins = [
        TokenStream.from_dict(json.loads(json.dumps(record))),
        pickle.loads(pickle.dumps(stream)),
        copy.deepcopy(stream),
        copy.copy(stream),
    ]
    before = _triples(stream)
    for twin in twins:
        assert twin == stream
        assert twin.to_dict() == record
        for call in calls:
            _apply(twin, call)
        twin.append_sampled([1], [-1.0])
    assert _triples(stream) == before


bad_ids = st.one_of(
    st.none(),
    st.text(),
    st.floats(),
    st.lists(st.floats(), min_size=1),
    st.lists(st.integers(max_value=-1), min_size=1),
    st.lists(st.integers(min_value=2**31), min_size=1),
    st.lists(st.none(), min_size=1),
    st.lists(ids, min_size=1),
)


@given(calls=operations, bad=bad_ids)
@settings(max_examples=60, deadline=None)
def test_refused_calls_change_nothing(calls, bad):
    stream = TokenStream()
    for call in calls:
        _apply(stream, call)
    before = stream.to_dict()
    for call in (
        lambda: stream.append_context(bad),
        lambda: stream.append_sampled(bad, [-1.0]),
        lambda: stream.fork(bad),
        lambda: stream.observe(bad, [1], [-1.0]),
        lambda: stream.observe([1], bad, [-1.0]),
        lambda: stream.observe([1], [1, 2], [-1.0, float("nan")]),
        lambda: stream.observe([1], [1, 2], [-1.0]),
        lambda: stream.append_sampled([1], [0.5]),
    ):
        with pytest.raises(ConfigError):
            call()
    assert stream.to_dict() == before
