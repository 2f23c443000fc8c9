"""GuessNumber-v0: find a hidden whole number from the hints "higher" and "lower".

Invariant: an answer that is not exactly one whole number costs a turn and tells nothing, so hedging
("50 or 60") never pays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.datasets import GeneratedDataset
from textgym.envs import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric
from textgym.types import Message

__all__ = ["GuessNumberEnv"]

_WHOLE = re.compile(r"[+-]?[0-9]+")
_LONGEST = 32
"""Longest text between the tags that is read, in characters."""


@dataclass(frozen=True, slots=True)
class _Number:
    """Draws the number."""

    low: int
    high: int
    rules: str

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        return {"prompt": self.rules, "answer": str(rng.integers(self.low, self.high, endpoint=True))}


class GuessNumberEnv(MultiTurnEnv):
    """Guess a number from hints.

    ## Description
    The environment thinks of a whole number. After every wrong guess it says whether the number is higher or
    lower. Halving the interval finds it in time.

    ## Action Space
    Text with the guess in ``<guess>`` tags, or just the number. Anything else costs a turn.

    ## Observation Space
    Text: the rules, later the hint and the number of guesses that are left.

    ## Starting State
    A number drawn evenly from ``low..high``.

    ## Rewards
    1 for finding the number (component ``won``), else 0. The metric ``guesses`` counts the turns.

    ## Episode End
    Terminates when the number is found, or when the guesses are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/GuessNumber-v0", low=1, high=100, max_turns=None, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        low: Smallest possible number.
        high: Largest possible number.
        max_turns: Guesses; None grants what halving needs plus three.
        split: ``"train"``, ``"test"`` (disjoint numbers), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        low: int = 1,
        high: int = 100,
        max_turns: int | None = None,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        for name, value in (("low", low), ("high", high)):
            if isinstance(value, bool) or not isinstance(value, int) or abs(value) > 10**15:
                raise ConfigError(f"{name} is {value!r}: it must be a whole number within ±10**15")
        if low >= high:
            raise ConfigError(f"low is {low} and high is {high}: low must be smaller")
        turns = max_turns if max_turns is not None else (high - low + 1).bit_length() + 3
        rules = (
            f"I am thinking of a whole number from {low} to {high}. You have {turns} guesses; after each "
            "wrong one I tell you whether my number is higher or lower. Answer with one number in tags, "
            f"like <guess>{low}</guess>."
        )

        super().__init__(
            GeneratedDataset(_Number(low, high, rules), split=split, name="guess-number"),
            Rubric([won, guesses], weights=[1.0, 0.0]),
            XMLParser(["guess"], answer_field="guess"),
            max_turns=turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )
        self.low, self.high = low, high

    def initial_state(self, example: Any) -> dict[str, Any]:
        """The number and what the hints have left of the interval."""
        return {"number": int(example.answer), "low": self.low, "high": self.high}

    def _guess(self, text: str) -> int | None:
        tagged = self.parser.parse_answer(text)
        guess = (text if tagged is None else tagged).strip()
        whole = _WHOLE.fullmatch(guess) if len(guess) <= _LONGEST else None
        return None if whole is None else int(guess)

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """As soon as the number has been said."""
        if messages[-1]["role"] != "assistant":  # the hint changes nothing
            return bool(state["won"])
        state["guess"] = self._guess(self.answers[-1])
        state["won"] = state["guess"] == state["number"]
        return bool(state["won"])

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """The hint."""
        guess, number = state["guess"], state["number"]
        left = self.max_turns - self.turns
        rest = f"{left} {'guess' if left == 1 else 'guesses'} left."
        if guess is None:
            return f"That is not one whole number in <guess> tags. {rest}"
        if guess < number:
            state["low"] = max(state["low"], guess + 1)
            return f"My number is higher than {guess}. {rest}"
        state["high"] = min(state["high"], guess - 1)
        return f"My number is lower than {guess}. {rest}"

    def max_return(self) -> float | None:
        """1 where halving always finds the number in time; not defined where only luck does."""
        return 1.0 if self.max_turns >= (self.high - self.low + 1).bit_length() else None

    def oracle(self) -> str:
        """The middle of what the hints have left."""
        return f"<guess>{(self.state['low'] + self.state['high']) // 2}</guess>"


def won(state: dict[str, Any]) -> bool:
    """1 if the number was found."""
    return bool(state.get("won"))


def guesses(completions: list[str]) -> int:
    """How many guesses were made."""
    return len(completions)
