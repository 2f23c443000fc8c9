"""Echo-v0: repeat what you are told; the toy that a tiny model can learn.

Invariant: the reward of a turn is the share of the longer text that the common prefix covers, so every
further right character pays and only the exact word earns all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.datasets import GeneratedDataset
from textgym.envs import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.rewards import Rubric, prefix_match
from textgym.types import Message

__all__ = ["EchoEnv"]

LONGEST = 4096
"""Longest word, in characters."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Draws the words of an episode."""

    turns: int
    length: int
    alphabet: str

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        words = [
            "".join(self.alphabet[i] for i in rng.integers(len(self.alphabet), size=self.length))
            for _ in range(self.turns)
        ]
        return {"prompt": f"Say: {words[0]}", "answer": " ".join(words)}


class EchoEnv(MultiTurnEnv):
    """Repeat a word, once or several times.

    ## Description
    Every turn the environment says ``Say: WORD`` and the policy has to answer with that word alone. It is
    meant for checking a training loop: a model of a hundred thousand weights learns it in minutes.

    ## Action Space
    Text. Surrounding whitespace does not count.

    ## Observation Space
    Text: ``Say: WORD``.

    ## Starting State
    ``turns`` random words of ``length`` characters of ``alphabet``.

    ## Rewards
    Each turn pays ``prefix_match(answer, word) / turns`` (component ``echo``): 1 in all for a perfect
    episode, 0 for empty answers.

    ## Episode End
    After ``turns`` answers the episode terminates.

    ## Arguments
    ``gym.make("textgym/Echo-v0", turns=1, length=4, alphabet="0123456789", split="train")``

    ## Version History
    * v0: initial version.

    Args:
        turns: Words to repeat, one a turn.
        length: Characters of a word.
        alphabet: Characters to draw from, each once and none of them a space.
        split: ``"train"``, ``"test"`` (disjoint), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    reward_bounds = (0.0, 1.0)

    def __init__(
        self,
        turns: int = 1,
        length: int = 4,
        alphabet: str = "0123456789",
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        if not alphabet or len(set(alphabet)) != len(alphabet) or any(c.isspace() for c in alphabet):
            raise ConfigError(
                f"alphabet is {alphabet!r:.60}: it must be a text of different characters without spaces"
            )
        if isinstance(length, bool) or not isinstance(length, int) or not 1 <= length <= LONGEST:
            raise ConfigError(f"length is {length!r}: it must be a whole number in 1..{LONGEST}")
        if isinstance(turns, bool) or not isinstance(turns, int) or turns < 1:
            raise ConfigError(f"turns is {turns!r}: it must be a whole number of at least 1")

        super().__init__(
            GeneratedDataset(_Words(turns, length, alphabet), split=split, name="echo"),
            Rubric(),
            max_turns=turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )

    def initial_state(self, example: Any) -> dict[str, Any]:
        """The words that are to be said."""
        return {"words": example.answer.split(" ")}

    def turn_reward(self, messages: list[Message], state: dict[str, Any]) -> dict[str, float]:
        """How much of the word the newest answer repeats."""
        words = state["words"]
        said = messages[-1]["content"]
        return {"echo": prefix_match(said, words[self.turns - 1]) / len(words)}

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """After the last word."""
        return self.turns == len(state["words"])

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """The next word."""
        return f"Say: {state['words'][self.turns]}"

    def oracle(self) -> str:
        """The word itself."""
        words: list[str] = self.state["words"]
        return words[min(self.turns, len(words) - 1)]
