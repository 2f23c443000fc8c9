"""The vector entry points of all ids: ``textgym.vector.entry_points:Math-v0`` makes ``textgym/Math-v0``.

Gymnasium calls a vector entry point without telling it the id, so the id is the attribute's name.

Invariant: any attribute that is the name of a registered id exists, so that ids need no list here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym

from textgym.registration import NAMESPACE
from textgym.vector.group_vector_env import GroupVectorEnv

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    env_id = f"{NAMESPACE}/{name}"
    if env_id not in gym.registry:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}: no id {env_id} is registered")
    return partial(GroupVectorEnv, env_id)
