"""Wordle-v0: find a hidden word of five letters in six guesses.

Invariant: the marks are exact, repeated letters included, and a guess that is no word of five letters costs
a turn and tells nothing.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from textgym.envs import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric
from textgym.tasks.wordle.feedback import ABSENT, ELSEWHERE, RIGHT, broken_hint, compare
from textgym.tasks.wordle.words import HiddenWords
from textgym.types import Message

__all__ = ["WordleEnv"]

_WORD = re.compile(r"[A-Za-z]{5}")
_LONGEST = 32
"""Longest text between the tags that is read, in characters."""
_HARD = " Every guess has to keep to what the marks of the earlier ones say; one that does not is lost."


class WordleEnv(MultiTurnEnv):
    """Find a hidden five-letter word from marks.

    ## Description
    The environment hides an English word. After every guess it marks each letter: ``G`` stands in this place,
    ``Y`` stands in another place, ``-`` does not stand in the word, or not as often as it was guessed.

    ## Action Space
    Text with the guess in ``<guess>`` tags, or just the word. Any five letters may be guessed; anything else
    costs a turn. Capitals do not count.

    ## Observation Space
    Text: the rules, later the marks of the last guess and the number of guesses that are left.

    ## Starting State
    A word of an own list of common words. The whole list is visited without replacement.

    ## Rewards
    1 for finding the word (component ``solved``), else 0. Metrics: ``guesses`` counts the turns, and
    ``greens`` is the most letters of one guess that stood in the right place, 0 to 5.

    ## Episode End
    Terminates when the word is found, or when the guesses are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/Wordle-v0", hard=False, max_turns=6, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        hard: Whether a guess has to keep to the marks so far: letters marked ``G`` in their place, letters
            marked ``Y`` somewhere. One that does not costs a turn and is told why.
        max_turns: Guesses.
        split: ``"train"``, ``"test"`` (disjoint words), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        hard: bool = False,
        max_turns: int = 6,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        if split not in ("train", "test", None):
            raise ConfigError(f'split is {split!r}: it must be "train", "test" or None')
        if not isinstance(hard, bool):
            raise ConfigError(f"hard is {hard!r}: it must be True or False")
        rules = (
            f"I have hidden an English word of five letters. You have {max_turns} guesses. After each one I "
            f"mark its letters: {RIGHT} stands in this place of my word, {ELSEWHERE} stands in another "
            f"place, {ABSENT} does not stand in my word, or not as often as you guessed it."
            f"{_HARD if hard else ''} Answer with one word in tags, like <guess>crane</guess>."
        )
        super().__init__(
            HiddenWords(rules, split),
            Rubric([solved, guesses, greens], weights=[1.0, 0.0, 0.0]),
            XMLParser(["guess"], answer_field="guess"),
            max_turns=max_turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )
        self.hard = hard

    def initial_state(self, example: Any) -> dict[str, Any]:
        """The word, and what is known of it."""
        word = str(example.answer)
        if not _WORD.fullmatch(word):
            raise ConfigError(f"answer is {word!r:.60}: it must be a word of five letters a-z")
        return {"word": word.lower(), "clues": [], "solved": False}

    def _guess(self, text: str) -> str | None:
        tagged = self.parser.parse_answer(text)
        guess = (text if tagged is None else tagged).strip()
        return guess.lower() if len(guess) <= _LONGEST and _WORD.fullmatch(guess) else None

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """As soon as the word has been guessed."""
        if messages[-1]["role"] == "assistant":
            self._mark(state)
        return bool(state["solved"])

    def _mark(self, state: dict[str, Any]) -> None:
        """Take the newest guess into the state."""
        guess = self._guess(self.answers[-1])
        state["broken"] = None if guess is None or not self.hard else broken_hint(guess, state["clues"])
        state["guess"] = guess if state["broken"] is None else None
        if state["guess"] is not None:
            state["clues"].append((guess, compare(state["guess"], state["word"])))
            state["solved"] = guess == state["word"]

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """The marks of the newest guess."""
        left = self.max_turns - self.turns
        rest = f"{left} {'guess' if left == 1 else 'guesses'} left."
        if state["broken"] is not None:
            return f"That guess is lost: it {state['broken']}. {rest}"
        if state["guess"] is None:
            return f"That is not one word of five letters in <guess> tags. {rest}"
        guess, marks = state["clues"][-1]
        return f"{' '.join(guess.upper())}\n{' '.join(marks)}\n{rest}"

    def oracle(self) -> str:
        """The word itself."""
        return self.parser.format_answer(self.state["word"])


def solved(state: dict[str, Any]) -> bool:
    """1 if the word was found."""
    return bool(state["solved"])


def guesses(completions: list[str]) -> int:
    """How many guesses were made."""
    return len(completions)


def greens(state: dict[str, Any]) -> int:
    """The most letters of one guess in the right place."""
    return max((marks.count(RIGHT) for _, marks in state["clues"]), default=0)
