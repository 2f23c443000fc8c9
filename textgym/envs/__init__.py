"""Environments: the contract (``TextEnv``) and the kinds built on it."""

from textgym.envs.chain import ChainEnv
from textgym.envs.code_math import CODE_MATH_PROMPT, CodeMathEnv
from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.double_check import DoubleCheckEnv
from textgym.envs.episode_parts import Ending, Opening, Reply, Setting
from textgym.envs.mixture import MixtureEnv
from textgym.envs.multi_turn import MultiTurnEnv
from textgym.envs.single_turn import SingleTurnEnv
from textgym.envs.smol_tool_env import SmolToolEnv
from textgym.envs.stateful_tool_env import StatefulToolEnv
from textgym.envs.text_env import TextEnv
from textgym.envs.tool_env import TOOL_SYSTEM_PROMPT, ToolEnv

__all__ = [
    "CODE_MATH_PROMPT",
    "TOOL_SYSTEM_PROMPT",
    "ChainEnv",
    "CodeMathEnv",
    "DatasetEnv",
    "DoubleCheckEnv",
    "Ending",
    "MixtureEnv",
    "MultiTurnEnv",
    "Opening",
    "Reply",
    "Setting",
    "SingleTurnEnv",
    "SmolToolEnv",
    "StatefulToolEnv",
    "TextEnv",
    "ToolEnv",
]
