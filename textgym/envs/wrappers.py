"""Wrappers around text environments: the whole history as observation, budgets, formats.

Invariant: a wrapped environment keeps the contract. Each wrapper works from ``step`` and from ``astep``
alike, limits end an episode through ``truncate`` so that it is scored, and what a wrapper adds to the
reward stands in ``info["rewards"]`` under a name of its own. ``info["messages"]`` stays what the
environment and the policy said.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

from textgym.envs.text_env import TextEnv
from textgym.envs.transcript import cut, transcript
from textgym.errors import ConfigError
from textgym.parsers import Parser
from textgym.rollouts.stepping import areset, astep, atruncate, truncatable
from textgym.types import Message, StopReason, Transition

__all__ = ["BudgetWrapper", "FormatWrapper", "HistoryWrapper", "TextWrapper"]


class TextWrapper(gym.Wrapper[str, str, str, str], gym.utils.RecordConstructorArgs):
    """Base of wrappers that change texts on their way; override the three hooks.

    Args:
        env: A text environment, wrapped or not.
        **arguments: The wrapper's own arguments, recorded so that ``env.spec`` can make it again.

    Raises:
        ConfigError: The environment is no ``TextEnv``, or other wrappers have made numbers of its texts.
    """

    reads_actions = False
    """Whether ``on_action`` needs texts. Observations have to be texts in any case."""

    def __init__(self, env: gym.Env[str, str], **arguments: Any) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, **arguments)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.unwrapped, TextEnv):
            raise ConfigError(
                f"{type(self).__name__} wraps text environments, and {type(env.unwrapped).__name__} is none"
            )
        for name in ("observation", "action") if self.reads_actions else ("observation",):
            space = getattr(env, f"{name}_space")
            if not isinstance(space, gym.spaces.Text):
                raise ConfigError(
                    f"{type(self).__name__} needs {name}s that are texts, and those of {env!r:.60} are "
                    f"{space!r:.60}: put it around the text environment, before what turns {name}s into numbers"
                )

    def on_reset(self, observation: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Change what an episode begins with."""
        return observation, info

    def on_action(self, action: str) -> str:
        """Change an action on its way in."""
        return action

    def on_step(self, transition: Transition) -> Transition:
        """Change what a step gave."""
        return transition

    def limit(self) -> StopReason | None:
        """Whether this wrapper ends the episode now, after a step that did not end it."""
        return None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """As ``TextEnv.reset``."""
        return self.on_reset(*self.env.reset(seed=seed, options=options))

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """As ``TextEnv.areset``."""
        return self.on_reset(*await areset(self.env, seed=seed, options=options))

    def step(self, action: str) -> Transition:
        """As ``TextEnv.step``."""
        transition: Any = self.env.step(self.on_action(action))
        reason = None if transition[2] or transition[3] else self.limit()
        if reason is not None:
            transition = _ended(transition, truncatable(self.env).truncate(reason))
        return self.on_step(transition)

    async def astep(self, action: str) -> Transition:
        """As ``TextEnv.astep``."""
        transition = await astep(self.env, self.on_action(action))
        reason = None if transition[2] or transition[3] else self.limit()
        if reason is not None:
            end = await atruncate(self.env, reason)
            assert end is not None
            transition = _ended(transition, end)
        return self.on_step(transition)

    def truncate(self, reason: StopReason | str) -> Transition:
        """As ``TextEnv.truncate``."""
        return self.on_step(truncatable(self.env).truncate(reason))

    async def atruncate(self, reason: StopReason | str) -> Transition:
        """As ``TextEnv.atruncate``."""
        end = await atruncate(self.env, StopReason(reason))
        assert end is not None
        return self.on_step(end)


def _ended(transition: Transition, end: Transition) -> Transition:
    """A step and the truncation right after it, as one."""
    observation, reward, _, _, info = transition
    _, more, terminated, truncated, last = end
    rewards = dict(info["rewards"])
    for name, value in last["rewards"].items():
        rewards[name] = rewards.get(name, 0.0) + value
    merged = {**info, **last, "rewards": rewards, "messages": info["messages"] + last["messages"]}
    return observation, reward + more, terminated, truncated, merged


class HistoryWrapper(TextWrapper):
    """The observation is the whole conversation, for policies that keep no memory.

    Args:
        env: A text environment.
        max_characters: Longest observation; older text is left out from the front, with a marker. None is the
            bound of the observation space.

    Raises:
        ConfigError: The bound is not positive.
    """

    def __init__(self, env: gym.Env[str, str], max_characters: int | None = None) -> None:
        super().__init__(env, max_characters=max_characters)
        bound: int = env.observation_space.max_length  # type: ignore[attr-defined]
        if max_characters is not None and not 1 <= max_characters <= bound:
            raise ConfigError(f"max_characters is {max_characters}: it must be in 1..{bound}")
        self._most = max_characters or bound

    def on_reset(self, observation: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Begin with the transcript of the prompt."""
        return self._history(), info

    def on_step(self, transition: Transition) -> Transition:
        """Show everything that was said."""
        return (self._history(), *transition[1:])

    def _history(self) -> str:
        inner: Any = self.unwrapped
        text = transcript(inner.messages)
        if len(text) <= self._most:
            return text
        marker = "[… earlier text left out]\n"
        keep = self._most - len(marker)
        return marker + text[-keep:] if keep > 0 else cut(text, self._most)


class BudgetWrapper(TextWrapper):
    """Ends an episode when the policy has used up its turns or characters, and tells it what is left.

    Args:
        env: A text environment.
        turns: Most actions (reason ``max_turns``).
        characters: Most characters of all actions together (reason ``completion_tokens``).
        announce: Whether the newest environment message says what is left.

    Raises:
        ConfigError: There is no budget, or one is not positive.
    """

    reads_actions = True

    def __init__(
        self,
        env: gym.Env[str, str],
        turns: int | None = None,
        characters: int | None = None,
        announce: bool = True,
    ) -> None:
        super().__init__(env, turns=turns, characters=characters, announce=announce)
        if turns is None and characters is None:
            raise ConfigError("a budget needs turns, characters or both")
        for name, value in (("turns", turns), ("characters", characters)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least 1")
        self.turns, self.characters, self.announce = turns, characters, announce
        self._turns = self._characters = 0

    def on_reset(self, observation: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Begin with the whole budget."""
        self._turns = self._characters = 0
        return self._announced(observation, info)

    def on_action(self, action: str) -> str:
        """Count the action."""
        if isinstance(action, str):
            self._turns += 1
            self._characters += len(action)
        return action

    def limit(self) -> StopReason | None:
        """The budget that is used up."""
        if self.turns is not None and self._turns >= self.turns:
            return StopReason.MAX_TURNS
        if self.characters is not None and self._characters >= self.characters:
            return StopReason.COMPLETION_TOKENS
        return None

    def on_step(self, transition: Transition) -> Transition:
        """Say what is left, as long as the episode goes on."""
        observation, reward, terminated, truncated, info = transition
        if not terminated and not truncated:
            observation, info = self._announced(observation, info)
        return observation, reward, terminated, truncated, info

    def _announced(self, observation: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        if not self.announce or not info["messages"]:
            return observation, info
        left = []
        if self.turns is not None:
            left.append(f"{self.turns - self._turns} turns")
        if self.characters is not None:
            left.append(f"{max(self.characters - self._characters, 0)} characters")
        notice = f"\n\n[{' and '.join(left)} left]"
        bound: int = self.observation_space.max_length  # type: ignore[attr-defined]
        last: Message = info["messages"][-1]
        said = {**last, "content": f"{last.get('content') or ''}{notice}"}
        info = {**info, "messages": [*info["messages"][:-1], said]}
        if "prompt" in info:
            info["prompt"] = cut(info["prompt"] + notice, bound)
        return cut(observation + notice, bound), info


class FormatWrapper(TextWrapper):
    """Asks for a format around every action, hands on what is inside, and pays for keeping it.

    Args:
        env: A text environment.
        parser: Finds the action in the policy's text; a text that it cannot read is handed on as it is.
        weight: What a perfectly kept format earns over the whole episode's turns on average (component
            ``format``); 0 pays nothing.

    Raises:
        ConfigError: The weight is negative.
    """

    reads_actions = True

    def __init__(self, env: gym.Env[str, str], parser: Parser, weight: float = 0.1) -> None:
        super().__init__(env, parser=parser, weight=weight)
        if weight < 0:
            raise ConfigError(f"weight is {weight}: it must be at least 0")
        self.parser, self.weight = parser, weight
        self._scores: list[float] = []

    def on_reset(self, observation: str, info: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Forget the scores of the last episode."""
        self._scores = []
        return observation, info

    def on_action(self, action: str) -> str:
        """The parsed action, or the text itself."""
        if not isinstance(action, str):
            return action
        inner: Any = self.unwrapped
        if inner._episode is None:
            raise ResetNeeded("no episode is running: call reset() before step()")
        self._scores.append(self.parser.format_score(action))
        found = self.parser.parse_answer(action)
        return action if found is None else found

    def on_step(self, transition: Transition) -> Transition:
        """Pay for the format at the end."""
        observation, reward, terminated, truncated, info = transition
        if not (terminated or truncated) or not self.weight:
            return transition
        earned = self.weight * sum(self._scores) / len(self._scores) if self._scores else 0.0
        info = {**info, "rewards": {**info["rewards"], "format": earned}}
        return observation, reward + earned, terminated, truncated, info
