"""Rewards on the shape of answers, against their formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards.shape import (
    cosine_length_reward,
    format_reward,
    keyword_reward,
    overlong_penalty,
    relative_length_reward,
    repetition_penalty,
)


def right(completion: str, answer: str) -> bool:
    return completion.endswith(str(answer))


def test_format_is_the_parsers() -> None:
    reward = format_reward(XMLParser(["think", "answer"]))
    assert reward(completion="<think>\na\n</think>\n<answer>\nb\n</answer>") == 1.0
    assert reward(completion="") == 0.0
    assert reward.__name__ == "format"


def test_overlong_falls_linearly() -> None:
    penalty = overlong_penalty(100, 20, measure=lambda text: len(text.split()))
    assert [penalty("w " * n) for n in (0, 80, 85, 90, 100, 500)] == [0.0, 0.0, -0.25, -0.5, -1.0, -1.0]
    with pytest.raises(ConfigError, match="buffer"):
        overlong_penalty(10, 11)


def test_cosine_prefers_short_right_and_long_wrong_answers() -> None:
    reward = cosine_length_reward(right, 100)
    assert reward("7", "7") == pytest.approx(0.5 + 0.5 * (1 + math.cos(math.pi / 100)) / 2)
    assert reward("x" * 99 + "7", "7") == pytest.approx(0.5)
    assert reward("", "7") == pytest.approx(-1.0)
    assert reward("x" * 500, "7") == pytest.approx(-0.5)
    rights = [reward("x" * n + "7", "7") for n in range(0, 120, 10)]
    wrongs = [reward("x" * n, "7") for n in range(0, 120, 10)]
    assert rights == sorted(rights, reverse=True)
    assert wrongs == sorted(wrongs)
    with pytest.raises(ConfigError, match="max_length is 0"):
        cosine_length_reward(right, 0)


def test_relative_length() -> None:
    reward = relative_length_reward(right)
    texts = ["7", "x7", "xx7", "xxxxx"]
    assert reward(completions=texts, answer="7") == [0.5, 0.25, 0.0, -0.5]
    assert reward(completions=["a", "bb"], answer="7") == [0.0, -0.5]
    assert reward(completions=["7", "7"], answer="7") == [0.0, 0.0]


def test_repetition() -> None:
    penalty = repetition_penalty(2)
    assert penalty("a b c d") == 0.0
    assert penalty("A b a B") == pytest.approx(-1 / 3)
    assert penalty("one") == 0.0
    with pytest.raises(ConfigError, match="ngram=0"):
        repetition_penalty(0)


def test_keywords() -> None:
    reward = keyword_reward(["cat", "big dog"], "c++")
    assert reward("A CAT and a big dog.") == 1.0
    assert reward("concatenate, cats") == 0.0
    assert reward("cat cat cat") == 0.5
    assert reward("c++!") == -1.0
    with pytest.raises(ConfigError, match="no words"):
        keyword_reward()
    with pytest.raises(ConfigError, match="blank"):
        keyword_reward([" "])


@given(st.text(), st.integers(1, 5))
def test_bounds_hold_for_every_text(text: str, n: int) -> None:
    assert -1.0 <= overlong_penalty(10 * n, n)(text) <= 0.0
    assert -1.0 <= cosine_length_reward(right, n)(text, "7") <= 1.0
    assert -1.0 <= repetition_penalty(n)(text) <= 0.0
    assert -1.0 <= keyword_reward(["a"], ["b"])(text) <= 1.0
