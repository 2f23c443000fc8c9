"""Rewards: what an episode is worth. ``Rubric`` combines functions; the other files hold functions."""

from textgym.rewards.math import number_match, read_number
from textgym.rewards.rubric import RewardFunction, Rubric, Score
from textgym.rewards.text import exact_match, prefix_match

__all__ = [
    "RewardFunction",
    "Rubric",
    "Score",
    "exact_match",
    "number_match",
    "prefix_match",
    "read_number",
]
