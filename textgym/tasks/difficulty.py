"""``check_difficulty``: the five levels that tasks come in.

Invariant: a level is one of the numbers that a task names; ``True`` is none. What a level means is each
task's own business.
"""

from __future__ import annotations

from collections.abc import Collection

from textgym.errors import ConfigError

__all__ = ["check_difficulty"]


def check_difficulty(difficulty: object, levels: Collection[int]) -> None:
    """Refuse what is no level of a task.

    Args:
        difficulty: What was given.
        levels: The levels that there are.

    Raises:
        ConfigError: It is none of them.
    """
    if isinstance(difficulty, bool) or difficulty not in levels:
        allowed = ", ".join(map(str, levels))
        raise ConfigError(f"difficulty is {difficulty!r}: it must be one of {allowed}")
