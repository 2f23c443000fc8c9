"""What a person sees of an episode that is played in the terminal.

Invariant: only what the environment itself has told is shown, when it tells it: the messages and the reward
of each step, and at the end why it ended, what it was worth and the gold answer. Nothing here plays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from textgym.envs.transcript import transcript
from textgym.rollouts.stepping import areset, astep
from textgym.rollouts.trajectory import Trajectory
from textgym.types import Transition

__all__ = ["Narrated", "ending"]


class Narrated(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose episodes are told while they are played.

    Args:
        env: Any environment.
        say: Shows a text on lines of its own.
        actions: Whether the actions are shown as well; a person has typed them and need not see them again.
    """

    def __init__(self, env: gym.Env[Any, Any], say: Callable[[str], Any], *, actions: bool) -> None:
        super().__init__(env)
        self._say = say
        self._actions = actions
        self._turns = 0

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode and show its prompt."""
        observation, info = await areset(self.env, seed=seed, options=options)
        self._turns = 0
        self._tell(observation, info)
        return observation, info

    async def astep(self, action: str) -> Transition:
        """Take a turn and show what came of it."""
        if self._actions:
            self._say(transcript([{"role": "assistant", "content": action}]) + "\n")
        transition = await astep(self.env, action)
        observation, reward, _, _, info = transition
        self._turns += 1
        self._say(f"turn {self._turns}: reward {_earned(reward, info.get('rewards') or {})}\n")
        self._tell(observation, info)
        return transition

    def _tell(self, observation: Any, info: Mapping[str, Any]) -> None:
        messages = info.get("messages")
        if messages is None:  # an environment that is not textgym's
            messages = [{"role": "user", "content": observation}] if observation else []
        if messages:
            self._say(transcript(messages) + "\n")


def ending(trajectory: Trajectory) -> str:
    """How a finished episode ended, on one line.

    Args:
        trajectory: One without error.
    """
    turns = len(trajectory.steps)
    parts = [
        f"{trajectory.stop_reason} after {turns} turn{'' if turns == 1 else 's'}",
        f"reward {_earned(trajectory.reward or 0.0, trajectory.rewards)}",
    ]
    if trajectory.metrics:
        parts.append(f"metrics {_pairs(trajectory.metrics)}")
    if trajectory.success is not None:
        parts.append("solved" if trajectory.success else "not solved")
    if trajectory.answer is not None:
        parts.append(f"the answer was {trajectory.answer}")
    return f"— {'; '.join(parts)} —"


def _earned(reward: float, rewards: Mapping[str, float]) -> str:
    return f"{reward:g}" + (f" ({_pairs(rewards)})" if rewards else "")


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())
