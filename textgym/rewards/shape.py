"""Rewards on the shape of an answer: its format, length, repetition and wording.

Each function here makes a reward function for a ``Rubric``. Invariant: the made functions are total on
every string, take linear time, and stay within the bounds that their docstrings state. They say nothing
about whether an answer is right; give them small weights, or use them as metrics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textgym.errors import ConfigError
from textgym.rewards.function import group_reward

__all__ = [
    "cosine_length_reward",
    "format_reward",
    "keyword_reward",
    "overlong_penalty",
    "relative_length_reward",
    "repetition_penalty",
]

Measure = Callable[[str], int]
"""Length of a text: ``len`` for characters, or a tokenizer's count."""


def format_reward(parser: Any) -> Callable[..., float]:
    """How well an answer keeps a parser's format, in [0, 1].

    Args:
        parser: A ``Parser``; its own definition of the score holds.

    Returns:
        A reward function ``format(completion)``.
    """
    made: Callable[..., float] = parser.get_format_reward_func()
    return made


def overlong_penalty(limit: int, buffer: int, measure: Measure = len) -> Callable[..., float]:
    """Soft punishment of long answers, in [-1, 0].

    0 up to ``limit - buffer``, then falling linearly to -1 at ``limit``, and -1 beyond (Yu et al., "DAPO",
    2025, eq. 13).

    Args:
        limit: Length from which the punishment is whole.
        buffer: Length over which it grows, 1..limit.
        measure: Length of a text, by default in characters.

    Raises:
        ConfigError: The lengths do not fit together.

    Example:
        >>> penalty = overlong_penalty(10, 4)
        >>> [penalty("x" * n) for n in (6, 8, 10, 99)]
        [0.0, -0.5, -1.0, -1.0]
    """
    if not 1 <= buffer <= limit:
        raise ConfigError(f"overlong_penalty got limit={limit} and buffer={buffer}: 1 <= buffer <= limit")

    def overlong(completion: str) -> float:
        return -min(max(measure(completion) - (limit - buffer), 0), buffer) / buffer

    return overlong


def cosine_length_reward(
    correct: Callable[..., bool],
    max_length: int,
    *,
    right: tuple[float, float] = (0.5, 1.0),
    wrong: tuple[float, float] = (-1.0, -0.5),
    measure: Measure = len,
) -> Callable[..., float]:
    """Correctness scaled by length: right answers earn more when short, wrong ones lose less when long.

    ``low + (high - low) * (1 + cos(pi * length / max_length)) / 2``, with the ends of ``wrong`` exchanged
    (Yeo et al., "Demystifying Long Chain-of-Thought Reasoning in LLMs", 2025, section 4).

    Args:
        correct: ``correct(completion, answer) -> bool``.
        max_length: Length at which the cosine ends; longer answers count as this long.
        right: (lowest, highest) reward of a right answer: at ``max_length``, at length 0.
        wrong: (lowest, highest) reward of a wrong one: at length 0, at ``max_length``.
        measure: Length of a text, by default in characters.

    Raises:
        ConfigError: ``max_length`` is not positive.
    """
    if max_length < 1:
        raise ConfigError(f"max_length is {max_length}: it must be at least 1")

    def cosine_length(completion: str, answer: Any) -> float:
        progress = min(measure(completion) / max_length, 1.0)
        wave = (1.0 + math.cos(math.pi * progress)) / 2.0
        low, high = right if correct(completion, answer) else wrong[::-1]
        return low + (high - low) * wave

    return cosine_length


def relative_length_reward(
    correct: Callable[..., bool], measure: Measure = len
) -> Callable[..., list[float]]:
    """Length compared within the group, in [-0.5, 0.5].

    ``0.5 - (length - shortest) / (longest - shortest)``; wrong answers earn that only where it is negative.
    0 if all are equally long (Kimi Team, "Kimi k1.5", 2025, section 2.3.3).

    Args:
        correct: ``correct(completion, answer) -> bool``.
        measure: Length of a text, by default in characters.

    Returns:
        A group function.
    """

    @group_reward
    def relative_length(completions: Sequence[str], answer: Any) -> list[float]:
        lengths = [measure(completion) for completion in completions]
        shortest, spread = min(lengths), max(lengths) - min(lengths)
        rewards = [0.5 - (length - shortest) / spread if spread else 0.0 for length in lengths]
        return [
            reward if correct(completion, answer) else min(0.0, reward)
            for completion, reward in zip(completions, rewards, strict=True)
        ]

    return relative_length


def repetition_penalty(ngram: int = 3, worst: float = -1.0) -> Callable[..., float]:
    """Punishment of repeated word n-grams, between ``worst`` and 0.

    ``worst * (1 - different / all)`` over the n-grams of lower-case words; 0 for texts with fewer than n
    words (Yeo et al., 2025, appendix).

    Args:
        ngram: Words of an n-gram, at least 1.
        worst: The value when nothing is new, at most 0.

    Raises:
        ConfigError: A value is outside its range.

    Example:
        >>> repetition_penalty(2)("so so so so so")
        -0.75
    """
    if ngram < 1 or worst > 0:
        raise ConfigError(f"repetition_penalty got ngram={ngram}, worst={worst}: ngram >= 1, worst <= 0")

    def repetition(completion: str) -> float:
        words = completion.lower().split()
        total = len(words) - ngram + 1
        if total < 1:
            return 0.0
        different = len({tuple(words[i : i + ngram]) for i in range(total)})
        return worst * (1.0 - different / total)

    return repetition


def keyword_reward(wanted: Iterable[str] = (), unwanted: Iterable[str] = ()) -> Callable[..., float]:
    """Share of wanted words that occur, less the share of unwanted ones, in [-1, 1].

    Words are compared whole and without regard to case; saying one often pays no more than once.

    Args:
        wanted: Words or phrases that should occur.
        unwanted: Words or phrases that should not.

    Raises:
        ConfigError: There are no words at all, or one is blank.

    Example:
        >>> keyword_reward(["because", "therefore"], ["sorry"])("Because I say so. Sorry!")
        -0.5
    """
    yes, no = [_words(wanted), _words(unwanted)]
    if not yes and not no:
        raise ConfigError("keyword_reward got no words: give some that are wanted or unwanted")

    def keywords(completion: str) -> float:
        return _share(yes, completion) - _share(no, completion)

    return keywords


def _words(words: Iterable[str]) -> list[re.Pattern[str]]:
    if isinstance(words, str):
        words = [words]
    patterns = []
    for word in words:
        if not word.strip():
            raise ConfigError("keyword_reward got a blank word")
        patterns.append(re.compile(rf"(?<!\w){re.escape(word.strip())}(?!\w)", re.IGNORECASE))
    return patterns


def _share(patterns: list[re.Pattern[str]], text: str) -> float:
    if not patterns:
        return 0.0
    return sum(pattern.search(text) is not None for pattern in patterns) / len(patterns)
