"""What tests of environments, policies and training loops need: a conformance kit, faults, a mock server.

Invariant: importable without a test framework, and importing this package loads none of its modules; each
name is loaded the first time it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textgym.testing.conformance import (
        CheckReport,
        RuleResult,
        RuleStatus,
        check_text_env,
        check_vector_env,
    )
    from textgym.testing.faulty_env import Fault, FaultyEnv, RawFaultyEnv
    from textgym.testing.mock_server import MockModelServer
    from textgym.testing.toy_tokenizer import ToyTokenizer

__all__ = [
    "CheckReport",
    "Fault",
    "FaultyEnv",
    "MockModelServer",
    "RawFaultyEnv",
    "RuleResult",
    "RuleStatus",
    "ToyTokenizer",
    "check_text_env",
    "check_vector_env",
]

_HOMES = {
    "CheckReport": "textgym.testing.conformance",
    "Fault": "textgym.testing.faulty_env",
    "FaultyEnv": "textgym.testing.faulty_env",
    "MockModelServer": "textgym.testing.mock_server",
    "RawFaultyEnv": "textgym.testing.faulty_env",
    "RuleResult": "textgym.testing.conformance",
    "RuleStatus": "textgym.testing.conformance",
    "ToyTokenizer": "textgym.testing.toy_tokenizer",
    "check_text_env": "textgym.testing.conformance",
    "check_vector_env": "textgym.testing.conformance",
}
"""Public name -> module that defines it."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'textgym.testing' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
