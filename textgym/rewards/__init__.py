"""Rewards: what an episode is worth. ``Rubric`` combines functions; the other files hold functions."""

from textgym.rewards.function import RewardFunction, Role, gate, group_reward
from textgym.rewards.math import number_match, read_number
from textgym.rewards.rubric import Rubric, Score
from textgym.rewards.text import exact_match, prefix_match

__all__ = [
    "RewardFunction",
    "Role",
    "Rubric",
    "Score",
    "exact_match",
    "gate",
    "group_reward",
    "number_match",
    "prefix_match",
    "read_number",
]
