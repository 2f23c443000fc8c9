"""The simulated engines against queueing theory, and their books against themselves."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduling.cluster import Clock, Cluster, Request, falling_rates


def serve(rates, jobs, replicas=1, aborts=()):
    """Play (time, work, replica) jobs to the end; aborts are (time, index of a job)."""
    clock, ended = Clock(), []
    cluster = Cluster(clock, replicas, rates, ended.append)
    requests = [Request(index, work) for index, (_, work, _) in enumerate(jobs)]
    lost = {}
    for request, (time, _, replica) in zip(requests, jobs, strict=True):
        clock.at(time, lambda pair: cluster.submit(*pair), (request, replica))

    def abort(index):
        request = requests[index]
        if request.arrived >= 0.0 and request.ended < 0.0 and index not in lost:
            lost[index] = cluster.abort(request)

    for time, index in aborts:
        clock.at(time, abort, index)
    clock.run()
    cluster.settle()
    return cluster, requests, ended, lost


def poisson(rate, works, seed):
    """Jobs of a Poisson stream."""
    rng, now, jobs = random.Random(seed), 0.0, []
    for work in works(rng):
        now += rng.expovariate(rate)
        jobs.append((now, work, 0))
    return jobs


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def exponential(count):
    return lambda rng: (rng.expovariate(1.0) for _ in range(count))


def two_kinds(count, high=8.0):
    """Mean 1; every tenth is long: squared coefficient of variation (0.9 a^2 + 0.1 high^2) - 1."""
    low = (1.0 - 0.1 * high) / 0.9
    return lambda rng: (high if rng.random() < 0.1 else low for _ in range(count))


def erlang_c(servers, load):
    """Probability of waiting in M/M/k at ``load`` = arrival rate x mean service time."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


@pytest.mark.parametrize(("servers", "load", "error"), [(1, 0.7, 0.1), (4, 3.0, 0.1), (16, 11.0, 0.2)])
def test_independent_slots_are_an_m_m_k_queue(servers, load, error):
    """The errors allowed are about twice the standard errors of so many jobs."""
    rates = falling_rates(servers, 1.0, 1.0)
    _, requests, _, _ = serve(rates, poisson(load, exponential(60_000), seed=servers))
    waiting = erlang_c(servers, load)
    assert mean(r.wait for r in requests) == pytest.approx(waiting / (servers - load), rel=error)
    assert mean(r.wait > 1e-9 for r in requests) == pytest.approx(waiting, rel=error / 2)


def test_one_slot_obeys_pollaczek_and_khinchine():
    load, high = 0.6, 8.0
    second = 0.9 * ((1.0 - 0.1 * high) / 0.9) ** 2 + 0.1 * high**2
    _, requests, _, _ = serve(falling_rates(1, 1.0, 1.0), poisson(load, two_kinds(80_000, high), seed=1))
    assert mean(r.wait for r in requests) == pytest.approx(load * second / (2.0 * (1.0 - load)), rel=0.1)


@pytest.mark.parametrize("works", [exponential(60_000), two_kinds(60_000)], ids=["exponential", "two kinds"])
def test_a_shared_processor_does_not_mind_the_distribution(works):
    """M/G/1 processor sharing: mean time in system 1 / (1 - load), and work / (1 - load) for each size."""
    load, slots = 0.6, 400
    rates = [0.0, *(1.0 / n for n in range(1, slots + 1))]
    _, requests, _, _ = serve(rates, poisson(load, works, seed=2))
    assert all(r.wait == 0.0 for r in requests)
    assert mean(r.ended - r.arrived for r in requests) == pytest.approx(1.0 / (1.0 - load), rel=0.08)
    short = [r for r in requests if r.work < 0.3]
    slowness = mean((r.ended - r.arrived) / r.work for r in short if r.work > 0.05)
    assert slowness == pytest.approx(1.0 / (1.0 - load), rel=0.08)


JOBS = st.lists(
    st.tuples(st.floats(0.0, 50.0), st.floats(0.01, 20.0), st.integers(0, 2)), min_size=1, max_size=40
)
RATES = st.tuples(st.integers(1, 6), st.floats(0.1, 1.0)).map(lambda p: falling_rates(p[0], 2.0, p[1]))
ABORTS = st.lists(st.tuples(st.floats(0.0, 80.0), st.integers(0, 39)), max_size=10)


@settings(max_examples=150, deadline=None)
@given(JOBS, RATES, ABORTS)
def test_work_is_conserved_and_littles_law_holds(jobs, rates, aborts):
    aborts = [(time, index) for time, index in aborts if index < len(jobs)]
    cluster, requests, ended, lost = serve(rates, jobs, replicas=3, aborts=aborts)
    assert len(ended) + len(lost) == len(jobs)
    done = sum(r.work for r in ended) + sum(lost.values())
    assert cluster.work_done == pytest.approx(done, rel=1e-9, abs=1e-9)
    assert all(-1e-9 <= part <= requests[index].work + 1e-9 for index, part in lost.items())
    if not lost:
        assert cluster.busy_area == pytest.approx(sum(r.ended - r.began for r in ended), abs=1e-6)
        assert cluster.queue_area == pytest.approx(sum(r.wait for r in ended), abs=1e-6)
    for request in ended:
        alone = request.work / rates[1]
        assert request.ended - request.began >= alone * (1 - 1e-9)
        assert request.ended - request.began <= request.work / min(rates[1:]) * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(JOBS, RATES)
def test_no_slot_is_empty_while_something_waits(jobs, rates):
    _, requests, _, _ = serve(rates, jobs, replicas=3)
    slots = len(rates) - 1
    for late in requests:
        if late.wait <= 1e-9:
            continue
        middle = (late.arrived + late.began) / 2.0
        running = [r for r in requests if r.replica is late.replica and r.began <= middle < r.ended]
        assert len(running) == slots
    by_home = {}
    for request in sorted(requests, key=lambda r: r.arrived):
        by_home.setdefault(id(request.replica), []).append(request)
    for mine in by_home.values():  # first come, first served
        order = [r.began for r in mine]
        assert order == sorted(order)


def test_rates_fall_to_the_stated_share():
    rates = falling_rates(16, 100.0, 0.5)
    assert rates[1] == 100.0
    assert rates[16] == pytest.approx(50.0)
    assert all(n * rates[n] < (n + 1) * rates[n + 1] for n in range(1, 16)), "more at once is more in all"
    assert falling_rates(1, 100.0, 0.5) == [0.0, 100.0]
    shared = falling_rates(8, 1.0, 1.0 / 8.0)
    assert math.isclose(8 * shared[8], shared[1])
