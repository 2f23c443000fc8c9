"""Arguments that are numbers, checked. Invariant: a value of another kind is an error and never converted."""

from __future__ import annotations

from typing import Any

import numpy as np

from textgym.errors import ConfigError

__all__ = ["checked_share", "whole_number"]


def checked_share(value: Any) -> float:
    """A share of the instances, in (0, 1).

    Raises:
        ConfigError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ConfigError(f"test_share is {value!r:.60}: it must be a number between 0 and 1")
    return float(value)


def whole_number(name: str, value: Any) -> int:
    """A whole number under a name, for the error.

    Raises:
        ConfigError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ConfigError(f"{name} is {value!r:.60}: it must be a whole number")
    return int(value)
