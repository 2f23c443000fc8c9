"""What a policy comes to: one simulation, summed up.

Invariant: the same arguments give the same outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scheduling.client import Client
from scheduling.policy import Engines, Policy
from scheduling.workload import Workload

__all__ = ["Outcome", "simulate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it, over the measured batches."""

    throughput: float
    """Trained groups a second relative to the ideal: every slot taken, each prompt read once, nothing dropped."""
    useful: float
    """Tokens trained on a second relative to the capacity."""
    idle: float
    """Share of slot-seconds without a request."""
    wait_p99: float
    """99th percentile of a request's wait for a slot, seconds."""
    kept_length: float
    """Mean length of trained samples relative to that of all that were trained or left out; 1 is no bias."""
    staleness: float
    """Mean staleness of trained groups."""
    stalest: int
    """Greatest staleness of them."""
    seconds: float
    """Length of the measured time."""


def simulate(workload: Workload, engines: Engines, policy: Policy, batches: int) -> Outcome:
    """Measure a policy after it has warmed up.

    Args:
        workload: What is generated.
        engines: Where.
        policy: How.
        batches: Training batches to measure, at least; where groups are awaited they are trained on in
            bursts, so ``4 (staleness + 1)`` are measured in any case. ``staleness + 1`` more come first.
    """
    batches = max(batches, 4 * (policy.staleness + 1)) if policy.staleness else batches
    warm = policy.staleness + 1
    client = Client(workload, engines, policy)
    client.run(warm + batches)
    first, last = client.marks[warm - 1], client.marks[-1]
    trained = client.trained[warm * policy.batch :]
    dropped = client.dropped[int(first["dropped"]) : int(last["dropped"])]
    kept_tokens = _mean_tokens(one.group.tokens[one.kept] for one in trained)
    all_tokens = _mean_tokens(group.tokens for group in [*(one.group for one in trained), *dropped])
    members = workload.group_size - policy.extra_members
    prompt = engines.prefill * workload.prompt_tokens
    seconds = last["time"] - first["time"]
    capacity = client.cluster.capacity
    waits = client.waits[int(first["waits"]) : int(last["waits"])]
    staleness = [one.staleness for one in trained]
    return Outcome(
        throughput=len(trained) / seconds * (members * all_tokens + prompt) / capacity,
        useful=len(trained) / seconds * members * kept_tokens / capacity,
        idle=1.0 - (last["busy"] - first["busy"]) / (engines.replicas * engines.slots * seconds),
        wait_p99=float(np.percentile(waits, 99)),
        kept_length=kept_tokens / all_tokens,
        staleness=float(np.mean(staleness)),
        stalest=max(staleness),
        seconds=seconds,
    )


def _mean_tokens(samples: Iterable[np.ndarray]) -> float:
    """Mean tokens of a sample, over arrays ``(samples, turns)``."""
    return float(np.mean(np.concatenate([tokens.sum(axis=1) for tokens in samples])))
