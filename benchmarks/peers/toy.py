"""The cheapest environment of texts that still depends on everything: seed, episode, turn and action.

It costs a third of a microsecond a step, so what a vector environment adds shows. It draws nothing: a reset
without a seed goes on from the number of the episode before.

Invariant: ``Reference`` plays the members one by one without any vector environment; whatever a vector
environment shows has to equal it.
"""

from __future__ import annotations

__all__ = ["MODES", "Reference", "Toy", "actions"]

MODES = ("next_step", "same_step", "disabled")
_WORDS = ("left", "right ☃", "", "a longer answer, of more words than the others")


def actions(turn: int, members: int) -> list[str]:
    """What is said to all members at a turn."""
    return [_WORDS[(turn + member) % len(_WORDS)] for member in range(members)]


class Toy:
    """The rules."""

    number = 0

    def begin(self, seed: int | None) -> str:
        """Start an episode and return its first text."""
        self.number = self.number + 7 if seed is None else seed
        self.turn, self.length = 0, 3 + self.number % 5
        return f"{self.number}: begin"

    def answer(self, action: str) -> tuple[str, float, bool]:
        """Take a turn: text, reward, whether it was the last."""
        self.turn += 1
        return f"{self.number}, {self.turn}: {action}", 1.0 if action else 0.0, self.turn >= self.length


class Reference:
    """What a vector environment of toys has to show.

    Args:
        members: How many; member ``i`` has the seed ``i``. mode: One of ``MODES``. In ``disabled`` the caller
        resets what has ended before the next step, and sees
            the first texts of the new episodes then.
    """

    def __init__(self, members: int, mode: str) -> None:
        self.mode = mode
        self.toys = [Toy() for _ in range(members)]
        self.texts = [toy.begin(seed) for seed, toy in enumerate(self.toys)]
        self.ended = [False] * members

    def step(self, said: list[str]) -> list[str]:
        """The texts after a step of all."""
        for member, (toy, action) in enumerate(zip(self.toys, said, strict=True)):
            if self.mode == "next_step" and self.ended[member]:
                self.texts[member], self.ended[member] = toy.begin(None), False
                continue
            self.texts[member], _, self.ended[member] = toy.answer(action)
            if self.mode == "same_step" and self.ended[member]:
                self.texts[member] = toy.begin(None)
        return list(self.texts)

    def reset_ended(self) -> list[str]:
        """The texts after a reset of those that have ended."""
        for member, toy in enumerate(self.toys):
            if self.ended[member]:
                self.texts[member], self.ended[member] = toy.begin(None), False
        return list(self.texts)
