"""Policies: whatever answers an observation. See ``policy.py`` for the one protocol.

``OpenAIPolicy`` brings aiohttp with it, and ``TransformersPolicy`` torch, so they are imported when they are
first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textgym.policies.human import HumanPolicy
from textgym.policies.policy import FunctionPolicy, Policy, PolicyLike, as_policy, policy_name
from textgym.policies.scripted import OraclePolicy, RandomPolicy, ScriptedPolicy

if TYPE_CHECKING:
    from textgym.policies.openai import OpenAIPolicy
    from textgym.policies.transformers import TransformersPolicy

__all__ = [
    "FunctionPolicy",
    "HumanPolicy",
    "OpenAIPolicy",
    "OraclePolicy",
    "Policy",
    "PolicyLike",
    "RandomPolicy",
    "ScriptedPolicy",
    "TransformersPolicy",
    "as_policy",
    "policy_name",
]


_HOMES = {"OpenAIPolicy": "textgym.policies.openai", "TransformersPolicy": "textgym.policies.transformers"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
