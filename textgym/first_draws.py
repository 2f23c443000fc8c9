"""The first number that numpy's PCG64 draws for a seed, for many seeds at once.

A seeded ``reset`` needs exactly that number. Asking numpy makes a ``SeedSequence``, a bit generator and a
generator for each seed, a tenth of what a short episode costs; here the same arithmetic runs on arrays.

Sources: M. E. O'Neill, "Developing a seed_seq Alternative" (the mixing of ``numpy.random.SeedSequence``), and
M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
Generation" (XSL-RR 128/64).

Invariant: ``first_draws([s])[0] == PCG64(SeedSequence(s)).random_raw()``. What is remembered is a bounded
table of this pure function, shared by the whole process, so that whether a seed is in it changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["first_draws", "foresee", "foreseen"]

_MOST = 1 << 15
"""Most numbers that are remembered."""
_LEAST = 24
"""Fewer seeds are not worth the arrays."""

_known: dict[int, int] = {}

_POOL = 4
_M32, _M64, _M128 = (1 << 32) - 1, (1 << 64) - 1, (1 << 128) - 1
_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


def _constants(first: int, factor: int, count: int) -> list[np.uint32]:
    values = [first]
    for _ in range(count):
        values.append(values[-1] * factor & _M32)
    return [np.uint32(value) for value in values]


_POOLED = _constants(0x43B0D7E5, 0x931E8875, _POOL * _POOL)
_DRAWN = _constants(0x8B51F9DD, 0x58F38DED, 2 * _POOL)
_LEFT, _RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
_HALF = np.uint32(16)


def _hashed(value: Any, constants: list[np.uint32], place: int) -> Any:
    value = (value ^ constants[place]) * constants[place + 1]
    return value ^ (value >> _HALF)


def _mixed(x: Any, y: Any) -> Any:
    value = _LEFT * x - _RIGHT * y
    return value ^ (value >> _HALF)


def first_draws(seeds: Sequence[int]) -> list[int]:
    """The first raw numbers of the generators with these seeds.

    Args:
        seeds: Integers in [0, 2**64).

    Returns:
        One integer in [0, 2**64) a seed.
    """
    words = np.array(seeds, dtype=np.uint64)
    low, high = words.astype(np.uint32), (words >> np.uint64(32)).astype(np.uint32)
    nothing = np.zeros_like(low)
    pool = [_hashed(word, _POOLED, place) for place, word in enumerate((low, high, nothing, nothing))]
    place = _POOL
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mixed(pool[target], _hashed(pool[source], _POOLED, place))
                place += 1
    halves = [_hashed(pool[place % _POOL], _DRAWN, place).astype(np.uint64) for place in range(2 * _POOL)]
    wide = [halves[2 * i] | halves[2 * i + 1] << np.uint64(32) for i in range(_POOL)]
    return [_drawn(*parts) for parts in zip(*(part.tolist() for part in wide), strict=True)]


def _drawn(state_high: int, state_low: int, stream_high: int, stream_low: int) -> int:
    """Seed PCG64 and draw."""
    increment = (stream_high << 65 | stream_low << 1 | 1) & _M128
    state = ((state_high << 64 | state_low) + increment) * _MULTIPLIER + increment
    state = (state * _MULTIPLIER + increment) & _M128
    folded, turn = (state >> 64) ^ (state & _M64), state >> 122
    return (folded >> turn | folded << (64 - turn)) & _M64


def foresee(seeds: Sequence[int]) -> None:
    """Remember the first numbers of seeds that are about to be used.

    Args:
        seeds: Integers in [0, 2**64).
    """
    if len(seeds) < _LEAST:
        return
    if len(_known) + len(seeds) > _MOST:
        _known.clear()
    _known.update(zip(seeds, first_draws(seeds), strict=True))


def foreseen(seed: int) -> int | None:
    """The first number of a seed, if it is remembered."""
    return _known.get(seed) if type(seed) is int else None
