"""Environments: the contract (``TextEnv``), the kinds built on it, and awaitable twins of any env."""

from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.multi_turn import MultiTurnEnv
from textgym.envs.single_turn import SingleTurnEnv
from textgym.envs.text_env import Ending, Opening, Reply, Setting, TextEnv
from textgym.envs.twins import areset, astep, atruncate, is_blocking

__all__ = [
    "DatasetEnv",
    "Ending",
    "MultiTurnEnv",
    "Opening",
    "Reply",
    "Setting",
    "SingleTurnEnv",
    "TextEnv",
    "areset",
    "astep",
    "atruncate",
    "is_blocking",
]
