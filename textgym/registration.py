"""The ids of this package in Gymnasium's registry.

Invariant: registering imports nothing but Gymnasium, because every entry point is a string; registering
twice is harmless; no id has ``max_episode_steps``, for TimeLimit would end an episode behind the
environment's back, unscored.
"""

from __future__ import annotations

import gymnasium as gym

__all__ = ["NAMESPACE", "register_envs", "registered_ids"]

NAMESPACE = "textgym"
"""Namespace of all ids: ``textgym/Math-v0``."""

_ENTRY_POINTS = {
    "Code-v0": "textgym.tasks.code.env:CodeEnv",
    "CodeMath-v0": "textgym.tasks.code_math.env:CodeMathTaskEnv",
    "Countdown-v0": "textgym.tasks.countdown.env:CountdownEnv",
    "DoubleCheck-v0": "textgym.tasks.double_check:DoubleCheckTaskEnv",
    "Echo-v0": "textgym.tasks.echo:EchoEnv",
    "GuessNumber-v0": "textgym.tasks.guess_number:GuessNumberEnv",
    "Math-v0": "textgym.tasks.math.env:MathEnv",
    "QA-v0": "textgym.tasks.qa.env:QAEnv",
    "SQL-v0": "textgym.tasks.sql.env:SQLEnv",
    "Search-v0": "textgym.tasks.search.env:SearchEnv",
    "ToolMath-v0": "textgym.tasks.tool_math.env:ToolMathEnv",
    "Tutor-v0": "textgym.tasks.tutor:TutorEnv",
    "Wordle-v0": "textgym.tasks.wordle.env:WordleEnv",
}


def register_envs() -> None:
    """Register every id that is not registered yet."""
    for name, entry_point in _ENTRY_POINTS.items():
        env_id = f"{NAMESPACE}/{name}"
        if env_id not in gym.registry:
            gym.register(
                id=env_id, entry_point=entry_point, vector_entry_point=f"textgym.vector.entry_points:{name}"
            )


def registered_ids() -> list[str]:
    """The ids of this namespace, sorted; those of plug-ins that registered into it included."""
    return sorted(env_id for env_id, spec in gym.registry.items() if spec.namespace == NAMESPACE)
