"""What is to be generated: groups of samples with heavy-tailed lengths, correlated within a group.

Invariant: group ``g`` of a seed is the same whatever policy asks for it and in whatever order, and its first
samples are the same in a larger group, so that policies are compared on the same work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["TAILS", "Group", "Workload"]

TAILS = ("lognormal", "pareto", "exponential", "constant")
"""Shapes of the length distribution, all of mean 1 before the cap."""
_CHUNK = 1024
_NORMAL_TAIL = np.frompyfunc(lambda z: 0.5 * math.erfc(z / math.sqrt(2.0)), 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The samples of one task."""

    index: int
    """Number of the group."""
    tokens: np.ndarray
    """Tokens to generate, shape ``(group_size, turns)``, float."""
    latencies: np.ndarray
    """Seconds the environment takes after each turn but the last, shape ``(group_size, turns - 1)``."""
    expected: float
    """Mean length that is known of the task beforehand, relative to others: what an order can go by."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How groups are drawn.

    Length of a sample = ``mean_tokens`` x a draw of mean 1, cut at ``cap`` x ``mean_tokens``. The draws of a
    group share a Gaussian factor: ``correlation`` is that of the normal scores of two of its samples.
    """

    group_size: int = 8
    """Samples of a group."""
    turns: int = 1
    """Turns of a sample; its length falls on them in random shares."""
    tail: str = "lognormal"
    """One of ``TAILS``."""
    sigma: float = 1.0
    """Standard deviation of the logarithm, for ``lognormal``."""
    alpha: float = 1.5
    """Exponent of the tail, for ``pareto``; at 2 or less the variance is infinite but for the cap."""
    correlation: float = 0.5
    """Correlation of the normal scores within a group, 0 to 1."""
    mean_tokens: float = 2000.0
    """Mean length of a sample."""
    cap: float = 16.0
    """Longest sample, in means: an engine's ``max_tokens``."""
    prompt_tokens: float = 500.0
    """Length of a group's prompt."""
    latency: float = 2.0
    """Mean seconds of an environment step, exponential."""
    seed: int = 0
    """Fixes everything."""

    def __post_init__(self) -> None:
        if self.tail not in TAILS:
            raise ValueError(f"tail is {self.tail!r}: it must be one of {', '.join(TAILS)}")
        if not 0.0 <= self.correlation <= 1.0:
            raise ValueError(f"correlation is {self.correlation}: it must be in 0..1")

    @cached_property
    def _chunks(self) -> dict[int, tuple[np.ndarray, ...]]:
        return {}

    def group(self, index: int) -> Group:
        """Draw one group.

        Args:
            index: Its number, from 0.
        """
        number, row = divmod(index, _CHUNK)
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = self._chunks[number] = self._draw(number)
        tokens, latencies, expected = chunk
        return Group(index=index, tokens=tokens[row], latencies=latencies[row], expected=float(expected[row]))

    def _draw(self, number: int) -> tuple[np.ndarray, ...]:
        rngs = [np.random.default_rng((self.seed, number, part)) for part in range(4)]
        members, turns = self.group_size, self.turns
        # Member after member, so that a larger group is the smaller one and more.
        shared = rngs[0].standard_normal((_CHUNK, 1))
        own = rngs[1].standard_normal((members, _CHUNK)).T
        scores = math.sqrt(self.correlation) * shared + math.sqrt(1.0 - self.correlation) * own
        lengths = np.minimum(self._lengths(scores), self.cap) * self.mean_tokens
        shares = rngs[2].exponential(size=(members, _CHUNK, turns)).swapaxes(0, 1)
        tokens = lengths[..., None] * shares / shares.sum(axis=2, keepdims=True)
        latencies = rngs[3].exponential(self.latency, (members, _CHUNK, turns - 1)).swapaxes(0, 1)
        return tokens, latencies, shared[:, 0]

    def _lengths(self, scores: np.ndarray) -> np.ndarray:
        """Lengths of mean 1 whose ranks are those of normal scores."""
        if self.tail == "constant":
            return np.ones_like(scores)
        if self.tail == "lognormal":
            return np.exp(self.sigma * scores - self.sigma**2 / 2.0)
        above = np.maximum(_NORMAL_TAIL(scores).astype(float), 1e-300)
        if self.tail == "exponential":
            return -np.log(above)
        lengths: np.ndarray = (self.alpha - 1.0) / self.alpha * above ** (-1.0 / self.alpha)
        return lengths
