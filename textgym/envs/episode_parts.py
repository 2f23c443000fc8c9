"""What passes between ``TextEnv`` and its hooks: ``Setting``, ``Opening``, ``Reply`` and ``Ending``.

Invariant: plain values that nobody changes once they are made. (They are not frozen, because making a frozen one
takes three times as long, and every turn makes some.) A hook gets the setting and gives the others; ``TextEnv``
makes observations, rewards and infos of them, and nothing here knows how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textgym import seeding
from textgym.types import Message, StopReason

__all__ = ["Ending", "Opening", "Reply", "Setting"]


@dataclass(slots=True, kw_only=True)
class Setting:
    """What an episode is made from."""

    seed: int
    """The episode seed: the only source of randomness."""
    order_seed: int
    """Episode seed of the last seeded reset; fixes the order in which a dataset is visited."""
    position: int
    """How many episodes began since then."""
    options: Mapping[str, Any]
    """The caller's ``reset`` options."""

    def rng(self, stream: str = "") -> np.random.Generator:
        """A generator of this episode; different streams are independent."""
        return seeding.generator(self.seed, stream)


@dataclass(slots=True, kw_only=True)
class Opening:
    """How an episode begins."""

    example_id: str
    """Stable key of the task instance."""
    messages: Sequence[Message]
    """The whole prompt: system, few-shot examples, question. At least one message."""
    tools: Sequence[dict[str, Any]] | None = None
    """JSON schemas of the tools on offer."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """How an environment answers one action."""

    messages: Sequence[Message] = ()
    """New messages of the environment, not the policy's own."""
    rewards: Mapping[str, float] = field(default_factory=dict)
    """Component name -> reward of this step."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Component name -> value that earns nothing."""
    stop: StopReason | None = None
    """Why the episode ends here, or None if it goes on."""


@dataclass(slots=True, kw_only=True)
class Ending:
    """What the end of an episode adds."""

    rewards: Mapping[str, float] = field(default_factory=dict)
    """Component name -> final reward."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Component name -> value that earns nothing."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of the last ``info``, such as the gold answer."""
