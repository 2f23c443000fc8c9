"""The words that may be hidden, and the dataset made of them.

Invariant: the list (``words.txt``: lower case, sorted, each word once) is part of what ``Wordle-v0`` is;
which split a word belongs to follows from the word alone, whatever the rules of the game are set to.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from textgym import seeding
from textgym.datasets import Dataset
from textgym.datasets.rows import as_example
from textgym.types import Example

__all__ = ["HiddenWords", "words"]

TEST_SHARE = 1 / 8


@cache
def words(split: str | None = None) -> tuple[str, ...]:
    """The words of a split, sorted.

    Args:
        split: ``"train"``, ``"test"``, or None for both.
    """
    text = files("textgym.tasks.wordle").joinpath("words.txt").read_text("utf-8")
    return tuple(word for word in text.split() if split is None or _in_test(word) == (split == "test"))


def _in_test(word: str) -> bool:
    return seeding.mix("wordle", word) / (1 << seeding.SEED_BITS) < TEST_SHARE


class HiddenWords(Dataset):
    """One row a word: the rules as prompt, the word as answer.

    Args:
        prompt: The rules of the game.
        split: ``"train"``, ``"test"``, or None for both.
    """

    def __init__(self, prompt: str, split: str | None) -> None:
        self.prompt = prompt
        self.split_name = split

    @property
    def size(self) -> int:
        """Number of words."""
        return len(words(self.split_name))

    def _fetch(self, position: int) -> Example:
        try:
            word = words(self.split_name)[position]
        except IndexError:
            raise self._no_index(position) from None
        return as_example({"prompt": self.prompt, "answer": word})
