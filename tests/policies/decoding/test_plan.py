"""SamplingPlan: every default filled in, and none of them a surprise."""

from __future__ import annotations

import pytest

from textgym.errors import ConfigError
from textgym.policies.decoding import SamplingPlan
from textgym.types import Sampling


def resolve(
    sampling: Sampling,
    defaults: Sampling | None = None,
    room: int | None = 100,
    max_tokens: int | None = None,
) -> SamplingPlan:
    return SamplingPlan.resolve(
        sampling, defaults or Sampling(), end_ids={2}, room=room, max_tokens=max_tokens
    )


def test_nothing_asked_is_the_whole_distribution() -> None:
    plan = resolve(Sampling())
    assert plan == SamplingPlan(temperature=1.0, top_p=1.0, max_tokens=100, stop_ids=frozenset({2}))
    assert not plan.filters
    assert not plan.greedy


def test_the_request_wins_over_the_policy_and_the_policy_over_the_model() -> None:
    defaults = Sampling(temperature=0.5, max_tokens=7, extra={"top_k": 4})
    plan = resolve(Sampling(temperature=0.0), defaults, max_tokens=9)
    assert plan.greedy
    assert plan.max_tokens == 7
    assert plan.top_k == 4
    assert resolve(Sampling(max_tokens=3), defaults).max_tokens == 3
    assert resolve(Sampling(), max_tokens=9).max_tokens == 9
    assert resolve(Sampling(max_tokens=300)).max_tokens == 100


def test_without_any_length_it_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="max_tokens"):
        resolve(Sampling(), room=None)


def test_a_negative_top_k_means_all() -> None:
    assert resolve(Sampling(extra={"top_k": -1})).top_k == 0
