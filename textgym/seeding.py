"""Randomness without global state: ``(seed, stream, index)`` names one independent generator.

Invariant: equal keys give equal numbers on every platform, process and Python version, and keys that
differ anywhere give unrelated ones (a BLAKE2b digest of the whole key; never ``seed + index``, under
which neighbouring runs would share their instances). Nothing here reads or writes a global generator.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

__all__ = [
    "SEED_BITS",
    "SHUFFLE_BLOCK",
    "content_id",
    "flat_id",
    "generator",
    "mix",
    "ordered",
    "permutation",
]

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=True, default=repr).encode
_quoted = json.encoder.encode_basestring_ascii

SEED_BITS = 53
"""Seeds are below 2**53, so that every JSON reader in every language keeps them exactly."""
SHUFFLE_BLOCK = 1024
"""Rows of a dataset without end are visited in seeded order within consecutive blocks of this many."""


def mix(*key: int | str) -> int:
    """Mix a key into one seed.

    Args:
        *key: Integers of any size and strings; order and types matter.

    Returns:
        An integer in [0, 2**53).

    Example:
        >>> mix(0, "group", 1) == mix(0, "group", 1), mix(0, "group", 1) == mix(1, "group", 0)
        (True, False)
    """
    digest = blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> (64 - SEED_BITS)


def generator(seed: int, stream: str = "", index: int = 0) -> np.random.Generator:
    """The generator that belongs to a key.

    Args:
        seed: Any integer.
        stream: Name of what the numbers are for; different names are independent.
        index: Position within the stream.

    Returns:
        A fresh ``numpy.random.Generator`` (PCG64).

    Example:
        >>> int(generator(0, "docs").integers(100)) == int(generator(0, "docs").integers(100))
        True
    """
    key = repr((seed, stream, index)).encode("utf-8", "surrogatepass")
    state: Any = _Digest(blake2b(key, digest_size=32).digest())
    return np.random.Generator(np.random.PCG64(state))


class _Digest(ISeedSequence):
    """A digest as the whole state of a bit generator: numpy's own mixing would cost five times as much."""

    __slots__ = ("digest",)

    def __init__(self, digest: bytes) -> None:
        self.digest = digest

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.frombuffer(self.digest, dtype=np.dtype(dtype).newbyteorder("<"), count=n_words)


def permutation(seed: int, stream: str, index: int, n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A seeded order of ``range(n)``: one epoch over a finite dataset.

    Returns:
        int64 array of shape ``(n,)``.
    """
    return generator(seed, stream, index).permutation(n)


def ordered(seed: int, position: int, size: int | None) -> int:
    """The row at a position of the seeded order in which a dataset is visited.

    Args:
        seed: Fixes the order.
        position: How many rows were visited before, at least 0.
        size: Rows of the dataset: every epoch is a permutation of its own. None is a dataset without end,
            whose consecutive blocks of ``SHUFFLE_BLOCK`` rows are permuted.

    Returns:
        The row.

    Example:
        >>> sorted(ordered(7, position, 5) for position in range(5))
        [0, 1, 2, 3, 4]
    """
    block = SHUFFLE_BLOCK if size is None else size
    epoch, place = divmod(position, block)
    row = int(_order(seed, epoch, block)[place])
    return row if size is not None else epoch * block + row


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return permutation(seed, "order", epoch, size)


def content_id(content: Any) -> str:
    """A stable key of JSON-like content: equal content has an equal key everywhere.

    Args:
        content: Anything ``json`` can write; other values enter by their ``repr``.

    Returns:
        16 hexadecimal digits (64 bits).
    """
    flat = flat_id(content) if type(content) is dict else None
    return flat or blake2b(_encode(content).encode("ascii"), digest_size=8).hexdigest()


def flat_id(content: dict[Any, Any]) -> str | None:
    """``content_id`` of a dict of texts and empty dicts at a third of the time; None for anything else."""
    parts = []
    try:
        for name in sorted(content):
            value = content[name]
            if type(value) is str:
                parts.append(f"{_quoted(name)}: {_quoted(value)}")
            elif type(value) is dict and not value:
                parts.append(f"{_quoted(name)}: {{}}")
            else:
                return None
    except TypeError:  # a key that is no text
        return None
    return blake2b(("{" + ", ".join(parts) + "}").encode("ascii"), digest_size=8).hexdigest()
