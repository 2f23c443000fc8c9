"""Rewards: what an episode is worth. ``Rubric`` combines functions; the other files hold functions."""

from textgym.rewards.function import RewardFunction, Role, gate, group_reward
from textgym.rewards.math import MathOutcome, math_match, number_match, read_number, verify_math
from textgym.rewards.rubric import Rubric, Score
from textgym.rewards.text import exact_match, mean_format, prefix_match

__all__ = [
    "MathOutcome",
    "RewardFunction",
    "Role",
    "Rubric",
    "Score",
    "exact_match",
    "gate",
    "group_reward",
    "math_match",
    "mean_format",
    "number_match",
    "prefix_match",
    "read_number",
    "verify_math",
]
