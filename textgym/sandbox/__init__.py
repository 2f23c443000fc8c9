"""Running Python that nobody trusts."""

from __future__ import annotations

from textgym.errors import SandboxUnavailable
from textgym.sandbox.backend import Backend
from textgym.sandbox.limits import SandboxLimits
from textgym.sandbox.probe import ProbeRow, probe
from textgym.sandbox.result import CallOutcome, SandboxResult, SandboxStatus
from textgym.sandbox.sandbox import Sandbox, SandboxSession, shared
from textgym.sandbox.settings import DEFAULT_MODULES

__all__ = [
    "DEFAULT_MODULES",
    "Backend",
    "CallOutcome",
    "ProbeRow",
    "Sandbox",
    "SandboxLimits",
    "SandboxResult",
    "SandboxSession",
    "SandboxStatus",
    "SandboxUnavailable",
    "probe",
    "shared",
]
