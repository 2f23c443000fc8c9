"""Levels of difficulty: one check for all tasks that have them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

from textgym.errors import ConfigError
from textgym.tasks.difficulty import check_difficulty

TASKS = ["Code-v0", "CodeMath-v0", "Math-v0", "Search-v0", "SQL-v0", "ToolMath-v0"]


@pytest.mark.parametrize("given", [0, 6, True, None, 1.5, "1"])
def test_what_is_no_level_is_refused_everywhere(given: Any) -> None:
    for task in TASKS:
        with pytest.raises(ConfigError, match=f"difficulty is {given!r}: it must be one of 1, 2, 3, 4, 5"):
            gym.make(f"textgym/{task}", difficulty=given)


def test_levels_pass() -> None:
    for level in (1, 2):
        check_difficulty(level, {1: "easy", 2: "hard"})
    with pytest.raises(ConfigError, match="one of 1, 2$"):
        check_difficulty(3, (1, 2))
