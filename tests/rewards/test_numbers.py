"""Plain numbers, read exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.parsers import BoxedParser
from textgym.rewards import number_match, prefix_match, read_number

NUMBERS = {
    "7": 7, "-7": -7, "+7": 7, "−7": -7, "1,234,567": 1234567, "1{,}000": 1000, "$12.50$": Fraction(25, 2),
    "3/4": Fraction(3, 4), "3 / 4": Fraction(3, 4), r"\frac{3}{4}": Fraction(3, 4),
    r"-\dfrac{3}{4}": Fraction(-3, 4), ".5": Fraction(1, 2), "5.": 5, "½": Fraction(1, 2), "５０": 50,
    "007": 7, " 12 ": 12,
}  # fmt: skip
NO_NUMBERS = [
    "", "12 13", "12 or 13", "1e9", "0x10", "1_000", "1,00", "--5", "1/0", r"\frac{1}{0}", "2²", "1½", "x=3", "٣",
    "9" * 1000, "nan", "inf", "1.2.3",
]  # fmt: skip


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(text: str) -> None:
    assert read_number(text) == NUMBERS[text]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_numbers(text: str) -> None:
    assert read_number(text) is None


@given(st.fractions())
def test_exact_fractions_are_read_back(value: Fraction) -> None:
    assert read_number(str(value)) == value
    assert number_match(rf"so \boxed{{{value}}}", str(value), BoxedParser()) == 1.0


@given(st.text())
def test_total(text: str) -> None:
    read_number(text)
    assert 0.0 <= prefix_match(text, "gold") <= 1.0


def test_prefix_match_pays_every_right_character() -> None:
    scores = [prefix_match("abcd"[:n], "abcd") for n in range(5)]
    assert scores == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert prefix_match("abcdx", "abcd") == 0.8
