"""Statistics of a run: means with honest errors, and unbiased pass@k.

Invariant: failed episodes enter no figure but their own count. Members of a group share a task, so they are
not independent: every standard error here is clustered by group.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["PassAtK", "clustered_mean", "pass_at_k", "unbiased_pass_at_k"]

Z95 = 1.959963984540054
"""97.5 % point of the normal distribution: half the width of a 95 % interval, in standard errors."""


def clustered_mean(groups: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Mean over all values and its standard error, clustered by group.

    The error is ``sqrt(G/(G-1) * sum_g (sum_i (x_gi - mean))^2) / n`` (the cluster-robust variance of a
    mean; Miller, "Adding Error Bars to Evals", 2024, with the usual small-sample factor). With groups of
    one it is the ordinary standard error.

    Args:
        groups: The values of each group; empty groups do not count.

    Returns:
        (mean, standard error); NaN where there is too little to tell.

    Example:
        >>> clustered_mean([[1.0], [0.0], [1.0], [0.0]])
        (0.5, 0.28867513459481287)
    """
    groups = [group for group in groups if len(group)]
    n = sum(len(group) for group in groups)
    if n == 0:
        return math.nan, math.nan
    mean = math.fsum(math.fsum(group) for group in groups) / n
    if len(groups) < 2:
        return mean, math.nan
    spread = math.fsum(math.fsum(value - mean for value in group) ** 2 for group in groups)
    return mean, math.sqrt(spread * len(groups) / (len(groups) - 1)) / n


def unbiased_pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that at least one of k samples is right, from c right ones among n.

    ``1 - C(n - c, k) / C(n, k)`` (Chen et al., "Evaluating Large Language Models Trained on Code", 2021,
    eq. 1): unbiased, where ``1 - (1 - c/n)^k`` is not.

    Args:
        n: Samples, at least k.
        c: Right ones, 0..n.
        k: Tries, at least 1.

    Raises:
        ValueError: The numbers do not fit together.

    Example:
        >>> unbiased_pass_at_k(4, 1, 1), unbiased_pass_at_k(4, 1, 2), unbiased_pass_at_k(4, 1, 4)
        (0.25, 0.5, 1.0)
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k of n={n}, c={c}, k={k}: needs 0 <= c <= n and 1 <= k <= n")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


@dataclass(frozen=True, slots=True)
class PassAtK:
    """An estimate of pass@k with its 95 % confidence interval."""

    k: int
    """Tries."""
    value: float
    """Mean over the groups of the unbiased estimate."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    groups: int
    """Groups with at least k valid samples; the others do not count."""

    def __str__(self) -> str:
        return f"pass@{self.k} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def pass_at_k(groups: Iterable[tuple[int, int]], k: int) -> PassAtK | None:
    """Pass@k over groups, with a 95 % confidence interval.

    The interval is Wilson's score interval ("Probable Inference", 1927) around the mean of the groups'
    estimates with the effective sample size ``p(1-p)/se^2``, kept between the number of groups and the
    number of samples; it is exact Wilson for groups of one, never leaves [0, 1] and does not collapse when
    all groups agree.

    Args:
        groups: (samples, right ones) of each group.
        k: Tries.

    Returns:
        The estimate, or None if no group has k samples.

    Example:
        >>> print(pass_at_k([(1, 1), (1, 0), (1, 1), (1, 1)], 1))
        pass@1 0.750 [0.301, 0.954]
    """
    counted = [(n, c) for n, c in groups if n >= k]
    if not counted:
        return None
    estimates = [unbiased_pass_at_k(n, c, k) for n, c in counted]
    number, samples = len(counted), sum(n for n, _ in counted)
    p, error = clustered_mean([[estimate] for estimate in estimates])
    variance = p * (1.0 - p)
    effective = float(number)
    if error > 0.0 and variance > 0.0:
        effective = min(max(variance / error**2, number - 1.0, 1.0), float(samples))
    elif error == 0.0 and variance > 0.0:
        effective = float(samples)
    if all(n == 1 for n, _ in counted):
        effective = float(number)
    square = Z95**2 / effective
    centre = (p + square / 2) / (1 + square)
    half = Z95 / (1 + square) * math.sqrt(variance / effective + square / (4 * effective))
    return PassAtK(k, p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0), number)
