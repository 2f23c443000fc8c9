"""Training rows: slices of the record, and what is refused by name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from textgym.errors import ConfigError, NotTrainable
from textgym.rollouts import Boundary, Failure, Run, Step, Trajectory, token_rows
from textgym.tokens import TokenSpan, TokenStream
from textgym.types import FinishReason


def trajectory(stream: TokenStream | None, *rewards: float) -> Trajectory:
    spans = [] if stream is None else stream.steps
    steps = [
        Step(observation="", action="", reward=r, prompt_end=s.prompt_end, completion_end=s.completion_end)
        for s, r in zip(spans, rewards or [1.0] * len(spans), strict=True)
    ]
    return Trajectory(
        env_id="x",
        group_id=3,
        sample=1,
        steps=steps,
        tokens=stream,
        reward=sum(s.reward for s in steps) + 0.5,
    )


def one() -> TokenStream:
    stream = TokenStream()
    stream.observe([1, 2, 3], [10, 11], [-0.5, -1.5])
    stream.observe([1, 2, 3, 10, 11, 4, 5], [12], [-0.25])
    return stream


def test_one_segment_is_one_row() -> None:
    (row,) = token_rows(trajectory(one(), 0.25, 2.0))
    assert (row.prompt_ids.dtype, row.mask.dtype) == (np.int32, np.uint8)
    assert row.prompt_ids.tolist() == [1, 2, 3]
    assert row.completion_ids.tolist() == [10, 11, 4, 5, 12]
    assert row.mask.tolist() == [1, 1, 0, 0, 1]
    assert row.logprobs is not None
    assert row.logprobs.tolist() == [-0.5, -1.5, 0.0, 0.0, -0.25]
    assert row.spans == (TokenSpan(0, 2), TokenSpan(4, 5))
    assert (row.turns, row.rewards, row.reward) == ((0, 1), (0.25, 2.0), 2.75)
    assert (row.key, row.segment) == ("3/1", 0)
    assert row.ids.tolist() == [1, 2, 3, 10, 11, 4, 5, 12]
    assert row.to_dict()["spans"] == [[0, 2], [4, 5]]


def test_rows_are_views_and_context_behind_the_last_answer_is_left_out() -> None:
    stream = one()
    stream.append_context([6, 7])
    (row,) = token_rows(trajectory(stream))
    assert row.completion_ids.tolist() == [10, 11, 4, 5, 12]
    assert np.shares_memory(row.completion_ids, stream.ids)


def test_a_fork_begins_another_row_and_no_token_is_trained_twice() -> None:
    stream = one()
    stream.observe([9, 10, 11], [13], [-2.0])
    stream.observe([9, 10, 11, 13], [], [])
    stream.observe([8], [14, 15], [-3.0, -4.0])
    rows = list(token_rows(trajectory(stream, 1.0, 2.0, 3.0, 4.0, 5.0)))
    assert [row.segment for row in rows] == [0, 1, 2]
    assert [row.prompt_ids.tolist() for row in rows] == [[1, 2, 3], [9, 10, 11], [8]]
    assert [row.completion_ids.tolist() for row in rows] == [[10, 11, 4, 5, 12], [13], [14, 15]]
    assert [row.turns for row in rows] == [(0, 1), (2, 3), (4,)]
    assert [row.rewards for row in rows] == [(1.0, 2.0), (3.0, 4.0), (5.0,)]
    assert rows[1].spans == (TokenSpan(0, 1), TokenSpan(1, 1))
    assert sum(int(row.mask.sum()) for row in rows) == int(stream.mask.sum())


def test_text_alone_is_refused() -> None:
    with pytest.raises(
        NotTrainable, match="trajectory 3/1: tokens is None: only the text is known"
    ) as caught:
        token_rows(trajectory(None))
    assert (caught.value.field, caught.value.key) == ("tokens", "3/1")


def test_a_failed_episode_is_refused() -> None:
    failed = trajectory(one())
    failed.error = Failure(boundary=Boundary.ENV, type="E", message="broke", turn=1)
    with pytest.raises(NotTrainable, match="error is env error in turn 1: E: broke"):
        token_rows(failed)


def test_missing_logprobs_are_refused_unless_they_are_optional() -> None:
    stream = TokenStream()
    stream.observe([1], [2])
    with pytest.raises(NotTrainable, match="told no log-probabilities") as caught:
        token_rows(trajectory(stream))
    assert caught.value.field == "tokens.logprobs"
    (row,) = token_rows(trajectory(stream), logprobs="optional")
    assert row.logprobs is None
    assert row.to_dict()["logprobs"] is None


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("tokens.mask", {"mask": [0, 1]}, "tokens.mask is of length 2: there are 3 ids"),
        ("tokens.logprobs", {"logprobs": [0.0]}, "tokens.logprobs is of length 1"),
        ("tokens.mask[0]", {"mask": [1, 1, 1]}, "1 exactly where a step was sampled"),
        ("tokens.mask[2]", {"mask": [0, 1, 0]}, "1 exactly where"),
        ("tokens.logprobs[1]", {"logprobs": [0.0, np.nan, -1.0]}, "is nan"),
        ("tokens.logprobs[2]", {"logprobs": [0.0, -1.0, -np.inf]}, "finite"),
        ("tokens.logprobs[2]", {"logprobs": [0.0, -1.0, 0.01]}, "at most 0"),
        ("tokens.logprobs[1]", {"logprobs": [0.0, -9999.0, -1.0]}, "-9999"),
        ("tokens.logprobs[0]", {"logprobs": [-0.5, -1.0, -1.0]}, "0.0 where nothing was sampled"),
        ("tokens.ids[1]", {"ids": [1, -100, 3]}, "at least 0"),
        ("steps", {"steps": ()}, "0 sampled turns"),
        ("steps[0].prompt_end", {"steps": (TokenSpan(2, 3),), "mask": [0, 0, 1]}, "the tokens say 2"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused_by_name(
    field: str, change: dict[str, Any], message: str
) -> None:
    stream = TokenStream()
    stream.observe([1], [2, 3], [-0.5, -0.5])
    good = trajectory(stream)
    names = ("ids", "mask", "logprobs", "steps", "segments", "has_logprobs")
    parts: dict[str, Any] = {name: getattr(stream, name) for name in names} | change
    if field == "steps":
        parts["mask"], parts["logprobs"] = [0, 0, 0], [0.0] * 3
    if field == "steps[0].prompt_end":
        parts["logprobs"] = [0.0, 0.0, -0.5]
    for name, kind in (("ids", np.int32), ("mask", np.uint8), ("logprobs", np.float32)):
        parts[name] = np.asarray(parts[name], kind)
    broken = dataclasses.replace(good, tokens=SimpleNamespace(**parts))  # type: ignore[arg-type]
    with pytest.raises(NotTrainable, match=message) as caught:
        token_rows(broken)
    assert caught.value.field == field
    assert "3/1" in str(caught.value)


def test_nothing_to_train_is_refused() -> None:
    stream = TokenStream()
    stream.observe([1], [], [])
    stream.observe([7], [], [])
    with pytest.raises(NotTrainable, match="tokens.mask is 0 everywhere: no token was sampled") as caught:
        token_rows(trajectory(stream))
    assert caught.value.field == "tokens.mask"


def test_a_segment_without_a_sampled_token_is_left_out_where_others_have_some() -> None:
    stream = TokenStream()
    stream.observe([1, 2], [], [])
    stream.observe([9], [13], [-2.0])
    stream.observe([8, 8], [], [])
    (row,) = token_rows(trajectory(stream, 1.0, 2.0, 3.0))
    assert (row.segment, row.turns, row.rewards, row.reward) == (1, (1,), (2.0,), 6.5)
    assert row.completion_ids.tolist() == [13]


def test_empty_answers_leave_context_at_the_ends_of_a_row() -> None:
    stream = TokenStream()
    stream.observe([1, 2], [], [])
    stream.observe([1, 2, 3], [7], [-2.0])
    stream.observe([1, 2, 3, 7, 4], [], [])
    (row,) = token_rows(trajectory(stream))
    assert row.prompt_ids.tolist() == [1, 2]
    assert row.completion_ids.tolist() == [3, 7, 4]
    assert row.mask.tolist() == [0, 1, 0]
    assert row.spans == (TokenSpan(0, 0), TokenSpan(1, 2), TokenSpan(3, 3))


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), -float("inf")])
def test_a_return_that_is_no_number_is_refused(reward: float) -> None:
    broken = trajectory(one(), 1.0, 2.0)
    broken.reward = reward
    with pytest.raises(NotTrainable, match=f"reward is {reward}: it must be finite") as caught:
        token_rows(broken)
    assert caught.value.field == "reward"


def test_another_word_for_logprobs_is_refused() -> None:
    with pytest.raises(ConfigError, match="logprobs is 'requierd': it must be 'required' or 'optional'"):
        token_rows(trajectory(one()), logprobs="requierd")  # type: ignore[arg-type]


def test_rows_tell_why_each_answer_ended() -> None:
    cut = trajectory(one())
    cut.steps[1] = dataclasses.replace(cut.steps[1], finish_reason=FinishReason.LENGTH)
    (row,) = token_rows(cut)
    assert row.finish_reasons == (FinishReason.STOP, FinishReason.LENGTH)
    assert row.to_dict()["finish_reasons"] == ["stop", "length"]


def test_a_reward_that_is_no_number_is_refused() -> None:
    with pytest.raises(NotTrainable, match=r"steps\[1\].reward is nan"):
        token_rows(trajectory(one(), 1.0, float("nan")))


def test_rounding_above_zero_is_kept() -> None:
    stream = TokenStream()
    stream.observe([1], [2], [1e-6])
    (row,) = token_rows(trajectory(stream))
    assert row.logprobs is not None
    assert row.logprobs.tolist() == [float(np.float32(1e-6))]


def test_rows_survive_the_run_directory_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = 200_000
    logprobs = -rng.exponential(2.0, size).astype(np.float32)
    logprobs[:4] = [-0.0, 0.0, -1e-45, np.finfo(np.float32).min]
    stream = one()
    stream.observe([*stream.ids.tolist(), 6], rng.integers(0, 2**31 - 1, size), logprobs)
    stream.observe([7], [8], [-1.0])
    Run([trajectory(stream)]).save(tmp_path / "run")
    loaded = Run.load(tmp_path / "run")[0]
    assert loaded.tokens == stream
    for before, after in zip(token_rows(trajectory(stream)), token_rows(loaded), strict=True):
        for name in ("prompt_ids", "completion_ids", "mask", "logprobs"):
            assert getattr(after, name).tobytes() == getattr(before, name).tobytes()
        assert after.spans == before.spans
