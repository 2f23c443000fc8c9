"""Means with clustered errors and unbiased pass@k, against simulation and known values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.rollouts.statistics import clustered_mean, pass_at_k, unbiased_pass_at_k


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30))
def test_groups_of_one_give_the_ordinary_standard_error(values: list[float]) -> None:
    mean, error = clustered_mean([[value] for value in values])
    assert mean == pytest.approx(np.mean(values), abs=1e-9)
    assert error == pytest.approx(np.std(values, ddof=1) / math.sqrt(len(values)), abs=1e-9)


def test_copies_within_a_group_add_no_certainty() -> None:
    alone = clustered_mean([[1.0], [0.0], [0.0]])
    copied = clustered_mean([[1.0] * 8, [0.0] * 8, [0.0] * 8])
    assert copied == pytest.approx(alone)


def test_too_little_to_tell() -> None:
    assert all(math.isnan(value) for value in clustered_mean([]))
    mean, error = clustered_mean([[1.0, 0.0], []])
    assert mean == 0.5
    assert math.isnan(error)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 4), (8, 3, 8)])
def test_pass_at_k_counts_subsets(n: int, c: int, k: int) -> None:
    samples = [1] * c + [0] * (n - c)
    subsets = list(itertools.combinations(samples, k))
    assert unbiased_pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    p, n, k = 0.3, 6, 3
    estimates = [unbiased_pass_at_k(n, int(c), k) for c in rng.binomial(n, p, size=20_000)]
    assert np.mean(estimates) == pytest.approx(1 - (1 - p) ** k, abs=0.01)


@pytest.mark.parametrize("group_size", [1, 4])
def test_the_interval_covers(group_size: int) -> None:
    rng = np.random.default_rng(1)
    hits, repeats = 0, 600
    for _ in range(repeats):
        skill = rng.beta(0.6, 1.4, size=40)  # mean 0.3, with hard and easy tasks
        groups = [(group_size, int(c)) for c in rng.binomial(group_size, skill)]
        estimate = pass_at_k(groups, 1)
        assert estimate is not None
        hits += estimate.low <= 0.3 <= estimate.high
    assert 0.92 <= hits / repeats <= 0.99


def test_the_interval_never_collapses_or_leaves_the_unit() -> None:
    for groups in ([(4, 4)] * 5, [(4, 0)] * 5, [(1, 1)], [(4, 2)] * 5, [(2, 1), (2, 2)]):
        estimate = pass_at_k(groups, 1)
        assert estimate is not None
        assert 0.0 <= estimate.low <= estimate.value <= estimate.high <= 1.0
        assert estimate.high - estimate.low > 0.05


def test_small_groups_do_not_count() -> None:
    estimate = pass_at_k([(4, 2), (1, 1)], 4)
    assert estimate is not None
    assert (estimate.groups, estimate.value) == (1, 1.0)
    assert pass_at_k([(1, 1)], 2) is None


def test_impossible_counts_are_refused() -> None:
    for n, c, k in ((3, 4, 1), (3, 1, 4), (3, 1, 0), (3, -1, 1)):
        with pytest.raises(ValueError, match="pass@k"):
            unbiased_pass_at_k(n, c, k)
