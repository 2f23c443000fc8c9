"""Drawing the next token of every row of a batch.

Invariant: a row's draw uses its own generator, which advances by one number per vocabulary entry and token,
whatever the other rows do; the log-probability that is returned belongs to the very distribution that was
drawn from. The draw is an exponential race (the token with the largest probability divided by its own
exponential number wins, which is a draw from those probabilities): rounding in one probability can change a
draw only where two tokens are that close to a tie, not by shifting all that follow as a cumulative sum does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textgym.policies.decoding.job import Job, Token
from textgym.policies.decoding.plan import SamplingPlan

__all__ = ["choose", "log_distribution"]

_TINY = 1e-37
"""Keeps the logarithm of an exponential number finite in float32."""


def choose(logits: Any, jobs: Sequence[Job]) -> list[Token]:
    """Draw one token a row.

    Args:
        logits: Shape ``(rows, vocabulary)``, any float type.
        jobs: The job of each row, with its generator.

    Returns:
        One token a row.
    """
    import torch

    logprobs = log_distribution(logits, [job.plan for job in jobs])
    scores = logprobs
    if not all(job.plan.greedy for job in jobs):
        race = torch.ones_like(logprobs)
        for row, job in enumerate(jobs):
            if not job.plan.greedy:
                race[row].exponential_(generator=job.generator)
        scores = logprobs - race.clamp_min_(_TINY).log_()  # greedy rows: minus log 1
    ids = scores.argmax(-1, keepdim=True)
    drawn = logprobs.gather(-1, ids)
    tops = _tops(logprobs, jobs)
    rows = zip(ids.flatten().tolist(), drawn.flatten().tolist(), tops, strict=True)
    return [Token(id=token, logprob=logprob, top=top) for token, logprob, top in rows]


def log_distribution(logits: Any, plans: Sequence[SamplingPlan]) -> Any:
    """The log-probabilities that each row draws from.

    Temperature comes first, then ``top_k``, ``top_p`` and ``min_p`` in this order, each renormalised by
    what it leaves. A greedy row, which draws from nothing, has the distribution at temperature 1.

    Args:
        logits: Shape ``(rows, vocabulary)``.
        plans: The plan of each row.

    Returns:
        float32 of the same shape; minus infinity where a token is ruled out.
    """
    logits = logits.float()
    temperatures = [1.0 if plan.greedy else plan.temperature for plan in plans]
    if any(temperature != 1.0 for temperature in temperatures):
        logits = logits / logits.new_tensor(temperatures)[:, None]
    logprobs = logits.log_softmax(-1)
    for row, plan in enumerate(plans):
        if plan.filters:
            logprobs[row] = _filtered(logprobs[row], plan)
    return logprobs


def _filtered(logprobs: Any, plan: SamplingPlan) -> Any:
    """One row without the tokens that the plan rules out; the most likely one always stays."""
    import torch

    ranked, order = logprobs.sort(descending=True, stable=True)
    keep = torch.ones_like(ranked, dtype=torch.bool)
    if plan.top_k:
        keep[plan.top_k :] = False
    if plan.top_p < 1.0:
        probabilities = ranked.masked_fill(~keep, -torch.inf).softmax(-1)
        keep &= probabilities.cumsum(-1) - probabilities < plan.top_p
    if plan.min_p > 0.0:
        keep &= (ranked - ranked[0]).exp() >= plan.min_p
    keep[0] = True
    kept = ranked.masked_fill(~keep, -torch.inf).log_softmax(-1)
    return torch.empty_like(logprobs).scatter_(0, order, kept)


def _tops(logprobs: Any, jobs: Sequence[Job]) -> list[tuple[tuple[int, float], ...]]:
    most = min(max((job.top for job in jobs), default=0), logprobs.shape[-1])
    if not most:
        return [()] * len(jobs)
    values, ids = logprobs.topk(most)
    return [
        tuple(zip(row_ids[: job.top], row_values[: job.top], strict=True))
        for job, row_ids, row_values in zip(jobs, ids.tolist(), values.tolist(), strict=True)
    ]
