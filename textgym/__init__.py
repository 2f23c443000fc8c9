"""textgym: Gymnasium text environments for training and evaluating language models with RL.

Importing registers the ids (with string entry points) and loads nothing heavy: every public name is
imported the first time it is used. Read ``textgym/envs/text_env.py`` for the contract of an environment,
``textgym/rollouts`` for how episodes are played and recorded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textgym.registration import register_envs

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from textgym.datasets import Dataset, GeneratedDataset, as_dataset, mix
    from textgym.envs import (
        TOOL_SYSTEM_PROMPT,
        ChainEnv,
        CodeMathEnv,
        DatasetEnv,
        DoubleCheckEnv,
        MixtureEnv,
        MultiTurnEnv,
        SingleTurnEnv,
        SmolToolEnv,
        StatefulToolEnv,
        TextEnv,
        ToolEnv,
    )
    from textgym.errors import TextgymError
    from textgym.parsers import (
        BoxedParser,
        CodeParser,
        JSONParser,
        Parser,
        ThinkParser,
        ToolCallParser,
        XMLParser,
    )
    from textgym.policies import (
        HumanPolicy,
        OpenAIPolicy,
        OraclePolicy,
        Policy,
        RandomPolicy,
        ScriptedPolicy,
        TransformersPolicy,
    )
    from textgym.rewards import Rubric
    from textgym.rewards.calculator import RewardCalculator
    from textgym.rewards.judge import JudgeRubric
    from textgym.rollouts import (
        Group,
        Limits,
        Run,
        Scheduling,
        Summary,
        Trajectory,
        areset,
        arollout,
        astep,
        atruncate,
        rollout,
        token_rows,
    )
    from textgym.sandbox import Sandbox, SandboxLimits, SandboxResult, SandboxStatus
    from textgym.spaces import Unicode
    from textgym.tokens import ChatTemplate, TokenStream
    from textgym.tools import (
        Tool,
        ToolOutcome,
        ToolProvider,
        ToolResult,
        Toolset,
        calculator,
        python_executor,
        tool,
    )
    from textgym.types import (
        Completion,
        CompletionRequest,
        Example,
        FinishReason,
        Message,
        Sampling,
        StopReason,
        ToolCall,
        Usage,
    )
    from textgym.vector import GroupVectorEnv

_HOMES = {
    "BoxedParser": "textgym.parsers",
    "ChainEnv": "textgym.envs",
    "ChatTemplate": "textgym.tokens",
    "CodeMathEnv": "textgym.envs",
    "CodeParser": "textgym.parsers",
    "Completion": "textgym.types",
    "CompletionRequest": "textgym.types",
    "Dataset": "textgym.datasets",
    "DatasetEnv": "textgym.envs",
    "DoubleCheckEnv": "textgym.envs",
    "Example": "textgym.types",
    "FinishReason": "textgym.types",
    "GeneratedDataset": "textgym.datasets",
    "Group": "textgym.rollouts",
    "GroupVectorEnv": "textgym.vector",
    "HumanPolicy": "textgym.policies",
    "JSONParser": "textgym.parsers",
    "JudgeRubric": "textgym.rewards.judge",
    "Limits": "textgym.rollouts",
    "Message": "textgym.types",
    "MixtureEnv": "textgym.envs",
    "MultiTurnEnv": "textgym.envs",
    "OpenAIPolicy": "textgym.policies",
    "OraclePolicy": "textgym.policies",
    "Parser": "textgym.parsers",
    "Policy": "textgym.policies",
    "RandomPolicy": "textgym.policies",
    "RewardCalculator": "textgym.rewards.calculator",
    "Rubric": "textgym.rewards",
    "Run": "textgym.rollouts",
    "Sampling": "textgym.types",
    "Sandbox": "textgym.sandbox",
    "SandboxLimits": "textgym.sandbox",
    "SandboxResult": "textgym.sandbox",
    "SandboxStatus": "textgym.sandbox",
    "Scheduling": "textgym.rollouts",
    "ScriptedPolicy": "textgym.policies",
    "SingleTurnEnv": "textgym.envs",
    "SmolToolEnv": "textgym.envs",
    "StatefulToolEnv": "textgym.envs",
    "StopReason": "textgym.types",
    "Summary": "textgym.rollouts",
    "TOOL_SYSTEM_PROMPT": "textgym.envs",
    "TextEnv": "textgym.envs",
    "TextgymError": "textgym.errors",
    "ThinkParser": "textgym.parsers",
    "TokenStream": "textgym.tokens",
    "Tool": "textgym.tools",
    "ToolCall": "textgym.types",
    "ToolCallParser": "textgym.parsers",
    "ToolEnv": "textgym.envs",
    "ToolOutcome": "textgym.tools",
    "ToolProvider": "textgym.tools",
    "ToolResult": "textgym.tools",
    "Toolset": "textgym.tools",
    "Trajectory": "textgym.rollouts",
    "TransformersPolicy": "textgym.policies",
    "Unicode": "textgym.spaces",
    "Usage": "textgym.types",
    "XMLParser": "textgym.parsers",
    "areset": "textgym.rollouts",
    "arollout": "textgym.rollouts",
    "as_dataset": "textgym.datasets",
    "astep": "textgym.rollouts",
    "atruncate": "textgym.rollouts",
    "calculator": "textgym.tools",
    "mix": "textgym.datasets",
    "python_executor": "textgym.tools",
    "rollout": "textgym.rollouts",
    "token_rows": "textgym.rollouts",
    "tool": "textgym.tools",
}
"""Public name -> module that defines it."""

__all__ = [
    "TOOL_SYSTEM_PROMPT",
    "BoxedParser",
    "ChainEnv",
    "ChatTemplate",
    "CodeMathEnv",
    "CodeParser",
    "Completion",
    "CompletionRequest",
    "Dataset",
    "DatasetEnv",
    "DoubleCheckEnv",
    "Example",
    "FinishReason",
    "GeneratedDataset",
    "Group",
    "GroupVectorEnv",
    "HumanPolicy",
    "JSONParser",
    "JudgeRubric",
    "Limits",
    "Message",
    "MixtureEnv",
    "MultiTurnEnv",
    "OpenAIPolicy",
    "OraclePolicy",
    "Parser",
    "Policy",
    "RandomPolicy",
    "RewardCalculator",
    "Rubric",
    "Run",
    "Sampling",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "SandboxStatus",
    "Scheduling",
    "ScriptedPolicy",
    "SingleTurnEnv",
    "SmolToolEnv",
    "StatefulToolEnv",
    "StopReason",
    "Summary",
    "TextEnv",
    "TextgymError",
    "ThinkParser",
    "TokenStream",
    "Tool",
    "ToolCall",
    "ToolCallParser",
    "ToolEnv",
    "ToolOutcome",
    "ToolProvider",
    "ToolResult",
    "Toolset",
    "Trajectory",
    "TransformersPolicy",
    "Unicode",
    "Usage",
    "XMLParser",
    "__version__",
    "areset",
    "arollout",
    "as_dataset",
    "astep",
    "atruncate",
    "calculator",
    "mix",
    "python_executor",
    "rollout",
    "token_rows",
    "tool",
]

register_envs()


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'textgym' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
