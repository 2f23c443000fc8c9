"""Policies: whatever answers an observation. See ``policy.py`` for the one protocol.

``OpenAIPolicy`` brings aiohttp with it, so it is imported when it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textgym.policies.human import HumanPolicy
from textgym.policies.policy import FunctionPolicy, Policy, PolicyLike, as_policy, policy_name
from textgym.policies.scripted import OraclePolicy, RandomPolicy, ScriptedPolicy

if TYPE_CHECKING:
    from textgym.policies.openai import OpenAIPolicy

__all__ = [
    "FunctionPolicy",
    "HumanPolicy",
    "OpenAIPolicy",
    "OraclePolicy",
    "Policy",
    "PolicyLike",
    "RandomPolicy",
    "ScriptedPolicy",
    "as_policy",
    "policy_name",
]


def __getattr__(name: str) -> Any:
    if name == "OpenAIPolicy":
        return import_module("textgym.policies.openai").OpenAIPolicy
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
