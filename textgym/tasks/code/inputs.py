"""What functions are tried on: ordinary inputs, and those on which careless programs fail.

Invariant: inputs are JSON values drawn from the given generator alone; strings are ASCII, and their only
white space is the space.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from textgym.tasks.math.problem import between, pick

__all__ = ["edges", "ordinary"]

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwyz", "aeiou"


def ordinary(rng: np.random.Generator, kind: str) -> Any:
    """An ordinary input.

    Args:
        rng: The only source of randomness.
        kind: ``"list[int]"``, ``"str"``, ``"list[str]"`` or ``"int"``.
    """
    if kind == "list[int]":
        low, high = pick(rng, ((-20, 30), (-9, 9), (0, 12), (-40, 60), (-5, 30)))
        return [between(rng, low, high) for _ in range(between(rng, 3, 11))]
    if kind == "str":
        words = [_word(rng) for _ in range(between(rng, 2, 5))]
        if rng.integers(2):
            words.insert(between(rng, 0, len(words)), str(between(rng, 0, 9999)))
        return " ".join(words) + pick(rng, ("", "", ".", "!", "?", "..."))
    if kind == "list[str]":
        words = [_word(rng) for _ in range(between(rng, 3, 8))]
        return words + words[: between(rng, 0, 1)]
    return between(rng, 11, pick(rng, (99, 999, 9_999, 999_999)))


def edges(rng: np.random.Generator, kind: str) -> list[Any]:
    """Unusual inputs: empty, single, equal, negative, sorted, long. Arguments as for ``ordinary``."""
    if kind == "list[int]":
        a, b = between(rng, 2, 20), between(rng, 2, 20)
        long = [between(rng, -99, 99) for _ in range(30)]
        return [
            [],
            [0],
            [a],
            [-b],
            [a, a],
            [-a, -b, -a - b],
            [b] * 7,
            sorted(long[:9]),
            sorted(long[9:17])[::-1],
            long,
        ]
    if kind == "str":
        word, other = _word(rng), _word(rng)
        return ["", " ", word[0], word.upper(), f"  {word}  {other} ", "AAaa bb  cc", str(between(rng, 100,
        99_999)),
                "bcd fgh!", f"{word},{other};{word}", " ".join(_word(rng) for _ in range(12))]  # fmt: skip
    if kind == "list[str]":
        word, other = _word(rng), _word(rng)
        return [[], [""], [word[0]], [word], [word, word], [word.upper(), word.lower()], ["", other, ""],
                [other[:3], other[:2], other[:1]], sorted(_word(rng) for _ in range(6)),
                [_word(rng) for _ in range(15)]]  # fmt: skip
    return [
        0,
        1,
        between(rng, 2, 9),
        10,
        100,
        11_111,
        90_909,
        2 ** between(rng, 4, 20),
        10 ** between(rng, 4, 9) - 1,
    ]


def _word(rng: np.random.Generator) -> str:
    """Something like a word, now and then with capitals or a double letter."""
    word = ""
    for _ in range(between(rng, 1, 4)):
        word += pick(rng, _CONSONANTS) + pick(rng, _VOWELS)
        if not rng.integers(4):
            word += word[-1] if rng.integers(2) else pick(rng, _CONSONANTS)
    style = int(rng.integers(6))
    return word.upper() if style == 0 else word.capitalize() if style < 3 else word
