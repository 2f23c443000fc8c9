"""What functions are tried on: ordinary inputs, and those on which careless programs fail.

Invariant: inputs are JSON values drawn from the given generator alone; strings are ASCII, and their only
white space is the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

__all__ = ["Dice", "edges", "ordinary"]

T = TypeVar("T")

_SYLLABLES = tuple(
    start + vowel + end
    for start in "bcdfghjklmnprstvwyz"
    for vowel in "aeiou"
    for end in ("", "", "", "", "", "", vowel, "n", "l", "s")
)
_BATCH = 512


class Dice:
    """Many small draws from one generator: numbers come in batches, for one draw at a time is slow.

    Args:
        rng: The only source of randomness.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: list[int] = []

    def below(self, count: int) -> int:
        """A number from 0 to ``count - 1``."""
        if not self._numbers:
            self._numbers = self._rng.integers(1 << 32, size=_BATCH).tolist()
        return self._numbers.pop() % count

    def between(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of several."""
        return choices[self.below(len(choices))]


def ordinary(dice: Dice, kind: str) -> Any:
    """An ordinary input.

    Args:
        dice: The only source of randomness.
        kind: ``"list[int]"``, ``"str"``, ``"list[str]"`` or ``"int"``.
    """
    if kind == "list[int]":
        low, high = dice.pick(((-20, 30), (-9, 9), (0, 12), (-40, 60), (-5, 30)))
        return [dice.between(low, high) for _ in range(dice.between(3, 11))]
    if kind == "str":
        words = [_word(dice) for _ in range(dice.between(2, 5))]
        if dice.below(2):
            words.insert(dice.between(0, len(words)), str(dice.below(10_000)))
        return " ".join(words) + dice.pick(("", "", ".", "!", "?", "..."))
    if kind == "list[str]":
        words = [_word(dice) for _ in range(dice.between(3, 8))]
        return words + words[: dice.below(2)]
    return dice.between(11, dice.pick((99, 999, 9_999, 999_999)))


def edges(dice: Dice, kind: str) -> list[Any]:
    """Unusual inputs: empty, single, equal, negative, sorted, long. Arguments as for ``ordinary``."""
    if kind == "list[int]":
        a, b = dice.between(2, 20), dice.between(2, 20)
        long = [dice.between(-99, 99) for _ in range(30)]
        falling = sorted(long[9:17], reverse=True)
        return [[], [0], [a], [-b], [a, a], [-a, -b, -a - b], [b] * 7, sorted(long[:9]), falling, long]
    if kind == "str":
        word, other = _word(dice), _word(dice)
        number, sentence = str(dice.between(100, 99_999)), " ".join(_word(dice) for _ in range(12))
        return ["", " ", word[0], word.upper(), f"  {word}  {other} ", "AAaa bb  cc", number, "bcd fgh!",
                f"{word},{other};{word}", sentence]  # fmt: skip
    if kind == "list[str]":
        word, other = _word(dice), _word(dice)
        return [[], [""], [word[0]], [word], [word, word], [word.upper(), word.lower()], ["", other, ""],
                [other[:3], other[:2], other[:1]], sorted(_word(dice) for _ in range(6)),
                [_word(dice) for _ in range(15)]]  # fmt: skip
    power = 2 ** dice.between(4, 20)
    return [0, 1, dice.between(2, 9), 10, 100, 11_111, 90_909, power, 10 ** dice.between(4, 9) - 1]


def _word(dice: Dice) -> str:
    """Something like a word, now and then with capitals."""
    word = "".join([dice.pick(_SYLLABLES) for _ in range(dice.between(1, 4))])
    style = dice.below(6)
    return word.upper() if style == 0 else word.capitalize() if style < 3 else word
