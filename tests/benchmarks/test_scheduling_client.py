"""The rule of batches and staleness, what is kept, and that policies are compared on the same work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduling.client import Client
from scheduling.outcome import simulate
from scheduling.policy import Engines, Late, Order, Policy, Routing
from scheduling.workload import TAILS, Workload

ENGINES = Engines(replicas=4, slots=4)
POLICIES = st.builds(
    lambda batch, staleness, factor, extra, late, routing, order, train: Policy(
        batch=batch,
        staleness=staleness,
        over_sampling=factor if late is Late.DROP else 1.0,
        extra_members=extra,
        late=late,
        routing=routing,
        order=order,
        train_seconds=train,
    ),
    st.integers(1, 6),
    st.integers(0, 3),
    st.sampled_from([1.0, 1.3, 2.0]),
    st.integers(0, 1),
    st.sampled_from(Late),
    st.sampled_from(Routing),
    st.sampled_from(Order),
    st.sampled_from([0.0, 30.0]),
)
WORKLOADS = st.builds(
    Workload,
    turns=st.integers(1, 3),
    tail=st.sampled_from(TAILS),
    group_size=st.integers(2, 5),
    seed=st.integers(0, 9),
)


def played(workload, policy, batches, engines=ENGINES):
    client = Client(workload, engines, policy)
    client.run(batches)
    client.cluster.settle()
    return client


@settings(max_examples=80, deadline=None)
@given(WORKLOADS, POLICIES, st.integers(1, 8))
def test_the_bound_holds_and_no_group_counts_twice(workload, policy, batches):
    client = played(workload, policy, batches)
    assert len(client.trained) == batches * policy.batch
    assert all(0 <= one.staleness <= policy.staleness for one in client.trained)
    seen = [one.group.index for one in client.trained] + [group.index for group in client.dropped]
    assert len(set(seen)) == len(seen)
    for one in client.trained:
        assert len(set(one.kept)) == len(one.kept) == workload.group_size - policy.extra_members
    if policy.late is Late.WAIT:
        assert not client.dropped


@settings(max_examples=60, deadline=None)
@given(WORKLOADS, POLICIES)
def test_the_engines_do_no_more_than_they_can_and_no_less_than_is_trained_on(workload, policy):
    client = played(workload, policy, 4)
    written = sum(float(one.group.tokens[one.kept].sum()) for one in client.trained)
    assert client.cluster.work_done >= written - 1e-6
    assert client.cluster.work_done <= client.cluster.capacity * client.clock.now * (1 + 1e-9)
    assert client.cluster.busy_area <= ENGINES.replicas * ENGINES.slots * client.clock.now * (1 + 1e-9)
    assert client.lost_work >= 0.0


@settings(max_examples=40, deadline=None)
@given(WORKLOADS, POLICIES)
def test_the_same_arguments_give_the_same_outcome(workload, policy):
    assert simulate(workload, ENGINES, policy, 3) == simulate(workload, ENGINES, policy, 3)


@settings(max_examples=60, deadline=None)
@given(WORKLOADS, st.integers(1, 6), st.integers(1, 8), st.sampled_from(Order))
def test_at_the_end_of_a_batch_every_token_was_written_or_read_once(workload, batch, batches, order):
    """A synchronous client on one replica a group has nothing under way then, and reads each prompt once."""
    client = played(workload, Policy(batch=batch, order=order, routing=Routing.GROUP), batches)
    written = sum(float(one.group.tokens.sum()) for one in client.trained)
    read = len(client.trained) * ENGINES.prefill * workload.prompt_tokens
    assert client.cluster.work_done == pytest.approx(written + read)
    turns = sum(one.group.tokens.size for one in client.trained)
    assert len(client.waits) == turns


def smallest(kept, of):
    """Of so many exponential lengths of mean 1: mean of the greatest kept one, and mean of those kept.

    The i-th smallest of n has the mean 1/n + 1/(n-1) + … + 1/(n-i+1).
    """
    means = np.cumsum([1.0 / (of - i) for i in range(kept)])
    return means[-1], means.mean()


EXPONENTIAL = Workload(
    tail="exponential", correlation=0.0, cap=1e9, latency=0.0, prompt_tokens=0.0, mean_tokens=1.0
)


def independent(samples):
    """A server for each sample."""
    return Engines(replicas=samples, slots=1, single_rate=1.0, load=1.0)


@pytest.mark.parametrize("samples", [4, 32])
def test_a_synchronous_batch_takes_the_mean_of_the_longest(samples):
    """Of n exponential lengths the longest has the mean H_n: 1 - 1/H_n of the slots idle."""
    workload = replace(EXPONENTIAL, group_size=1)
    outcome = simulate(workload, independent(samples), Policy(batch=samples), 800)
    longest, _ = smallest(samples, samples)
    assert outcome.seconds / 800 == pytest.approx(longest, rel=0.04)
    assert outcome.idle == pytest.approx(1.0 - 1.0 / longest, rel=0.04)
    assert outcome.throughput == pytest.approx(1.0 / longest, rel=0.04)
    assert outcome.kept_length == 1.0


def test_over_sampling_groups_keeps_the_smallest():
    """16 of 24 groups of one sample: time and bias are those of order statistics."""
    policy = Policy(batch=16, over_sampling=1.5, late=Late.DROP)
    outcome = simulate(replace(EXPONENTIAL, group_size=1), independent(24), policy, 800)
    longest, length = smallest(16, 24)
    assert outcome.seconds / 800 == pytest.approx(longest, rel=0.04)
    assert outcome.kept_length == pytest.approx(length, rel=0.04)


def test_extra_members_keep_the_smallest_of_each_group():
    """8 of 12 samples, one group a batch."""
    policy = Policy(batch=1, extra_members=4, routing=Routing.SAMPLE)
    client = Client(replace(EXPONENTIAL, group_size=12), independent(12), policy)
    outcome = simulate(client.workload, client.engines, policy, 1000)
    longest, length = smallest(8, 12)
    assert outcome.seconds / 1000 == pytest.approx(longest, rel=0.04)
    assert outcome.kept_length == pytest.approx(length, rel=0.04)
    client.run(20)
    for one in client.trained:
        shortest = one.group.tokens.sum(axis=1).argsort()[:8]
        assert one.kept == list(shortest), "in the order in which they were done"


def test_a_batch_without_queue_takes_its_longest_sample():
    """As many slots as samples at constant rate: each batch takes the longest of its samples."""
    workload = Workload(latency=0.0, prompt_tokens=0.0, group_size=4)
    engines = Engines(replicas=4, slots=4, share_when_full=1.0, single_rate=1.0, load=1.0)
    client = played(workload, Policy(batch=4, routing=Routing.SAMPLE), 5, engines)
    times = np.diff([0.0, *(mark["time"] for mark in client.marks)])
    longest = [max(workload.group(4 * b + g).tokens.max() for g in range(4)) for b in range(5)]
    assert times == pytest.approx(longest)


def test_one_slot_and_constant_lengths_are_ideal():
    workload = Workload(tail="constant", latency=0.0)
    outcome = simulate(workload, Engines(replicas=1, slots=1, load=1.0), Policy(batch=2), 4)
    assert outcome.throughput == pytest.approx(1.0)
    assert outcome.idle == pytest.approx(0.0, abs=1e-12)
    assert outcome.kept_length == 1.0


def test_training_time_comes_on_top_of_a_synchronous_batch():
    workload, seconds = Workload(latency=0.0, prompt_tokens=0.0), 123.0
    plain = simulate(
        workload, ENGINES, Policy(batch=2), 4
    )  # as many samples as slots: nothing depends on ties
    trained = simulate(workload, ENGINES, Policy(batch=2, train_seconds=seconds), 4)
    assert trained.seconds - plain.seconds == pytest.approx(4 * seconds)


def test_a_looser_bound_is_faster_and_only_dropping_biases():
    workload, engines = Workload(turns=2), Engines(replicas=8, slots=8)
    waited = [simulate(workload, engines, Policy(batch=16, staleness=n), 12) for n in (0, 2, 8)]
    assert [o.throughput for o in waited] == sorted(o.throughput for o in waited)
    assert all(o.kept_length == pytest.approx(1.0) for o in waited)
    over = simulate(workload, engines, Policy(batch=16, over_sampling=1.5, late=Late.DROP), 12)
    assert over.throughput > waited[0].throughput
    assert over.kept_length < 0.9


@pytest.mark.parametrize("tail", TAILS)
def test_lengths_have_mean_one_and_correlate_within_groups(tail):
    workload = Workload(tail=tail, mean_tokens=1.0, alpha=3.0, cap=1e9, correlation=0.8)
    lengths = np.array([workload.group(index).tokens.sum(axis=1) for index in range(20_000)])
    assert lengths.mean() == pytest.approx(1.0, rel=0.05)
    if tail != "constant":
        ranks = lengths.argsort(axis=0).argsort(axis=0)
        assert np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1] == pytest.approx(0.786, abs=0.03)  # 6/pi asin(0.4)


@pytest.mark.parametrize("turns", [1, 3])
def test_a_larger_group_is_the_smaller_one_and_more(turns):
    small, large = (Workload(group_size=size, turns=turns).group(1500) for size in (4, 7))
    assert np.array_equal(small.tokens, large.tokens[:4])
    assert np.array_equal(small.latencies, large.latencies[:4])


def test_the_tail_of_pareto_is_its_exponents():
    workload = Workload(tail="pareto", alpha=1.5, mean_tokens=1.0, cap=1e9)
    lengths = np.concatenate([workload.group(index).tokens.sum(axis=1) for index in range(20_000)])
    for length in (1.0, 4.0, 16.0):
        assert (lengths > length).mean() == pytest.approx((1 / 3 / length) ** 1.5, rel=0.15)


def test_impossible_policies_are_refused():
    with pytest.raises(ValueError, match="over_sampling starts groups that cannot all be trained"):
        Policy(batch=4, over_sampling=1.5)
    with pytest.raises(ValueError, match="at least 1"):
        Policy(batch=4, over_sampling=0.5)
    with pytest.raises(ValueError, match="extra_members is 8: it must be less than the group_size, 8"):
        simulate(Workload(), ENGINES, Policy(batch=4, extra_members=8), 1)
    with pytest.raises(ValueError, match="lognormal, pareto"):
        Workload(tail="normal")
