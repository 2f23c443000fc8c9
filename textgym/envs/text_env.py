"""TextEnv: the contract that every textgym environment keeps, written once.

A subclass says how an episode begins, how it answers an action and what it is worth; this class does the
rest: one episode seed, message deltas, bounds, rewards that explain themselves, one way to end, rendering.
``tests/conformance`` and ``textgym.testing.check_text_env`` prove the rules that the docstrings state.

Invariants: every ``str`` is a legal action; ``info["rewards"]`` sums to the reward; after the end, and
before the first ``reset``, ``step`` raises ``ResetNeeded``; all randomness of an episode comes from one
number drawn from ``np_random``. This class does not know datasets, parsers or rubrics.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded

from textgym import seeding
from textgym.envs.episode_parts import Ending, Opening, Reply, Setting
from textgym.envs.transcript import cut, prompt_text, transcript
from textgym.errors import ConfigError, EnvError
from textgym.first_draws import foreseen
from textgym.hooks import adrive, drive, settle
from textgym.spaces import Unicode
from textgym.types import TERMINAL, Message, StopReason, Transition

__all__ = ["MAX_CHARACTERS", "TextEnv"]

MAX_CHARACTERS = 65_536
"""Default bound of observations and actions, in code points."""


@dataclass(slots=True)
class _Episode:
    """Everything that changes during an episode."""

    example_id: str
    messages: list[Message]
    answers: list[str] = field(default_factory=list)
    total: float = 0.0
    shown: int = 0


class TextEnv(gym.Env[str, str]):
    """An environment whose observations and actions are text.

    Subclasses implement ``begin`` and ``respond`` and, where the end itself is judged, ``finish``; each may
    be a plain method or a coroutine. ``oracle`` gives the action of a perfect policy.

    ``reset`` returns the whole prompt as observation; later observations are the newest environment text.
    ``info["messages"]`` holds the messages that are new since the last call, so that the conversation is
    the concatenation of all of them and the policy's answers.

    Args:
        render_mode: None, ``"ansi"`` (``render`` returns the conversation) or ``"human"`` (printed).
        message_type: ``"chat"``, or ``"completion"``, where ``info["prompt"]`` carries the text to append.
        max_observation: Longest observation and longest message, in code points; longer ones are cut with
            a visible marker.
        max_action: Longest action, in code points; a longer one forfeits the episode (see ``step``).

    Raises:
        ConfigError: An argument is not one of the allowed values.
    """

    metadata: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        "render_modes": ["ansi", "human"],
        "render_fps": 4,
        "deterministic": True,
        "forkable": True,
        "blocking": False,
    }

    observation_space: Unicode
    action_space: Unicode
    reward_bounds: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest return of an episode. An empty answer earns the lowest."""
    success_threshold: float | None = None
    """Return from which an episode counts as solved; None means the highest."""
    reset_options: frozenset[str] = frozenset()
    """Names that ``reset(options=…)`` understands."""

    def __init__(
        self,
        *,
        render_mode: str | None = None,
        message_type: str = "chat",
        max_observation: int = MAX_CHARACTERS,
        max_action: int = MAX_CHARACTERS,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ConfigError(
                f"render_mode is {render_mode!r}: it must be None or one of "
                f"{', '.join(self.metadata['render_modes'])}"
            )
        if message_type not in ("chat", "completion"):
            raise ConfigError(f"message_type is {message_type!r}: it must be 'chat' or 'completion'")
        self.observation_space = Unicode(max_observation)
        self.action_space = Unicode(max_action)
        self.render_mode = render_mode
        self.message_type = message_type
        self.in_group = False
        """Whether somebody plays whole groups and scores them (the rollout engine, a group vector env)."""
        self._episode: _Episode | None = None
        self._ended: _Episode | None = None
        self._order_seed: int | None = None
        self._position = 0
        self._unseeded: int | None = None
        """Seed of a generator whose first number is known and which nobody has asked for yet."""

    # What a subclass says of its task.

    def begin(self, setting: Setting) -> Any:
        """Begin an episode (may be a coroutine function).

        Args:
            setting: Episode seed, position in the dataset's order and options.

        Returns:
            An ``Opening``.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement begin(setting)")

    def respond(self, action: str) -> Any:
        """Answer one action (may be a coroutine function). ``messages`` already ends with it.

        Args:
            action: Any text within the action space.

        Returns:
            A ``Reply``.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement respond(action)")

    def assistant_message(self, action: str, turn: int) -> Message:
        """How an action stands in the conversation: as it is, unless it holds native tool calls.

        Args:
            action: Any text within the action space.
            turn: How many actions the episode has had before.

        Returns:
            A new message. One with more than ``role`` and ``content`` is also
            ``info["assistant_message"]``, so that whoever keeps the conversation can put it in the place of
            the plain action.
        """
        return {"role": "assistant", "content": action}

    def finish(self, reason: StopReason) -> Any:
        """Judge the finished episode, once, however it ended (may be a coroutine function).

        Args:
            reason: Why it ended.

        Returns:
            An ``Ending``.
        """
        return Ending()

    def oracle(self) -> str | None:
        """An action that a perfect policy would take now, or None if the task knows none."""
        return None

    compares_members: bool = False
    """Whether the members of a group are compared when the last one has ended."""

    def group_member(self) -> Mapping[str, Any]:
        """What ``score_group`` needs of the episode that has just ended."""
        raise NotImplementedError(f"{type(self).__name__} does not compare the members of a group")

    async def score_group(self, members: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Compare the members of a finished group.

        Args:
            members: ``group_member()`` of each valid member, with its ``reward`` so far.

        Returns:
            One ``Score`` a member: what it earns on top of its own reward.

        Raises:
            RewardError: The comparison failed, or there are fewer than two members.
        """
        raise NotImplementedError(f"{type(self).__name__} does not compare the members of a group")

    def max_return(self) -> float | None:
        """The highest return that this very instance allows, which the oracle attains; None if not defined."""
        return self.reward_bounds[1]

    def success(self, trajectory: Any) -> bool | None:
        """Whether a finished trajectory counts as solved: what pass@k counts. None if nobody can tell."""
        threshold = self.success_threshold
        threshold = self.reward_bounds[1] if threshold is None else threshold
        return trajectory.reward is not None and trajectory.reward >= threshold - 1e-9

    def fingerprint(self) -> str | None:
        """A digest of the data behind the task instances, or None where arguments and seed tell all."""
        return None

    @property
    def num_examples(self) -> int | None:
        """How many task instances there are, or None where they are made without end."""
        return None

    def example_index(self, run_seed: int, group: int) -> int | None:
        """Which instance group ``group`` of a run takes; None where its seed alone decides."""
        return None

    # What everybody calls.

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Fixes this episode and all that follow; None goes on in the present sequence.
            options: See ``reset_options``.

        Returns:
            The prompt as one text, and ``info`` with ``messages``, ``example_id`` and, where they apply,
            ``prompt`` (completion mode) and ``tools``.

        Raises:
            ConfigError: An option is unknown or unusable.
        """
        return drive(self._reset(seed, options))

    async def areset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """``reset`` for coroutines."""
        return await adrive(self._reset(seed, options))

    def step(self, action: str) -> Transition:
        """Take one turn.

        Args:
            action: What the policy says: any ``str``. One longer than the action space forfeits the
                episode: it terminates with reason ``format`` and its return is the lowest one.

        Returns:
            ``(observation, reward, terminated, truncated, info)``. ``info["rewards"]`` explains the
            reward by component, ``info["stop_reason"]`` is there at the end. ``info["assistant_message"]`` is
            there if the conversation holds the action as something else than a plain message.

        Raises:
            ResetNeeded: No episode is running.
            RewardError: A reward function failed; the episode is over, without a score.
            TypeError: The action is no ``str``.
        """
        return drive(self._step(action))

    async def astep(self, action: str) -> Transition:
        """``step`` for coroutines."""
        return await adrive(self._step(action))

    def truncate(self, reason: StopReason | str) -> Transition:
        """End the running episode because of an outside limit, and score it as it stands.

        Args:
            reason: Which limit; one that truncates.

        Returns:
            The terminal 5-tuple, with ``truncated`` True and an empty observation.

        Raises:
            ResetNeeded: No episode is running.
            ConfigError: The reason is one with which only the task itself ends.
        """
        return drive(self._truncate(reason))

    async def atruncate(self, reason: StopReason | str) -> Transition:
        """``truncate`` for coroutines."""
        return await adrive(self._truncate(reason))

    async def aclose(self) -> None:
        """Wait in a coroutine for what ``close()`` would wait for; call ``close()`` after it."""

    @property
    def np_random(self) -> np.random.Generator:
        """The generator that ``reset`` seeds; it has given one number an episode."""
        self._seed_now()
        return gym.Env.np_random.fget(self)  # type: ignore[attr-defined, no-any-return]

    @np_random.setter
    def np_random(self, value: np.random.Generator) -> None:
        self._unseeded = None
        gym.Env.np_random.fset(self, value)  # type: ignore[attr-defined]

    @property
    def np_random_seed(self) -> int:
        """The seed of ``np_random``; -1 if somebody has set the generator."""
        self._seed_now()
        return gym.Env.np_random_seed.fget(self)  # type: ignore[attr-defined, no-any-return]

    def _seed_now(self) -> None:
        if self._unseeded is not None:
            seed, self._unseeded = self._unseeded, None
            gym.Env.reset(self, seed=seed)
            gym.Env.np_random.fget(self).bit_generator.random_raw()  # type: ignore[attr-defined]

    @property
    def messages(self) -> list[Message]:
        """The conversation of the present or last episode. A live view for hooks: do not change it."""
        episode = self._episode or self._ended
        return [] if episode is None else episode.messages

    @property
    def answers(self) -> list[str]:
        """The actions of the present or last episode, oldest first. A live view: do not change it."""
        episode = self._episode or self._ended
        return [] if episode is None else episode.answers

    @property
    def turns(self) -> int:
        """How many actions the present or last episode has had."""
        return len(self.answers)

    def render(self) -> str | None:
        """The conversation so far as text (``ansi``); None in the other modes."""
        if self.render_mode is None:
            gym.logger.warn(
                "render() was called without a render mode: "
                f'make the environment with render_mode="ansi" ({type(self).__name__})'
            )
            return None
        if self.render_mode == "human":
            self._show()
            return None
        return transcript(self.messages)

    # The flows. They await nothing but `settle`, so that both ways of calling share them.

    def _setting(self, seed: int | None, options: dict[str, Any]) -> Setting:
        """Leave the present episode and draw the one number that the next one is made from."""
        if options and (unknown := options.keys() - self.reset_options):
            raise ConfigError(
                f"reset option {', '.join(map(repr, sorted(unknown)))} is unknown to "
                f"{type(self).__name__}: it understands {', '.join(sorted(self.reset_options)) or 'none'}"
            )
        first = None if seed is None else foreseen(seed)
        if first is None:
            if seed is not None:
                self._unseeded = None
                gym.Env.reset(self, seed=seed)
            first = self.np_random.bit_generator.random_raw()
        else:
            self._unseeded = seed
        episode_seed = first >> (64 - seeding.SEED_BITS)
        if seed is not None or self._order_seed is None:
            self._order_seed, self._position = episode_seed, 0
        else:
            self._position += 1
        self._episode = self._ended = None
        return Setting(
            seed=episode_seed, order_seed=self._order_seed, position=self._position, options=options
        )

    async def _reset(self, seed: int | None, options: dict[str, Any] | None) -> tuple[str, dict[str, Any]]:
        opening = await self._open(self._setting(seed, options or {}))
        messages = opening.messages
        observation = cut(prompt_text(messages), self.observation_space.max_length)
        info: dict[str, Any] = {
            "messages": [{**message} for message in messages],
            "example_id": opening.example_id,
        }
        if self.message_type == "completion":
            info["prompt"] = observation
        if opening.tools is not None:
            info["tools"] = [dict(tool) for tool in opening.tools]
        if self.render_mode == "human":
            self._show()
        return observation, info

    async def _open(self, setting: Setting) -> Opening:
        """Begin an episode in a given setting, which an environment made of others may choose."""
        self._episode = self._ended = None
        opening: Opening = await settle(self.begin(setting))
        messages = self._bounded(opening.messages)
        self._episode = _Episode(opening.example_id, messages, [])
        return Opening(example_id=opening.example_id, messages=tuple(messages), tools=opening.tools)

    async def _step(self, action: str) -> Transition:
        episode = self._episode or self._running()
        if type(action) is not str:
            if not isinstance(action, str):
                raise TypeError(f"action is {type(action).__name__} {action!r:.60}: it must be a str")
            action = str(action)  # numpy's str would travel into records
        if len(action) > self.action_space.max_length:
            return self._forfeit(episode, action)
        said = self.assistant_message(action, len(episode.answers))
        episode.answers.append(action)
        episode.messages.append(said)
        try:
            reply: Reply = await settle(self.respond(action))
            transition = await self._close(reply, episode)
        except BaseException:
            self._end()
            raise
        if len(said) > 2:
            transition[4]["assistant_message"] = copy.deepcopy(said)
        return transition

    async def _truncate(self, reason: StopReason | str) -> Transition:
        episode = self._running()
        reason = StopReason(reason)
        if reason in TERMINAL or reason is StopReason.ERROR:
            raise ConfigError(
                f"truncate reason is {reason.value!r}: an outside limit is one of "
                + ", ".join(r.value for r in StopReason if r not in TERMINAL and r != "error")
            )
        try:
            return await self._close(Reply(stop=reason), episode)
        except BaseException:
            self._end()
            raise

    async def _close(self, reply: Reply, episode: _Episode) -> Transition:
        messages = self._bounded(reply.messages) if reply.messages else []
        episode.messages += messages
        rewards, metrics = {**reply.rewards}, {**reply.metrics}
        extra: Mapping[str, Any] = {}
        if reply.stop is not None:
            ending: Ending = await settle(self.finish(reply.stop))
            for name, value in ending.rewards.items():
                rewards[name] = rewards.get(name, 0.0) + value
            metrics.update(ending.metrics)
            extra = ending.info
        return self._transition(episode, messages, rewards, metrics, reply.stop, extra)

    def _transition(
        self,
        episode: _Episode,
        messages: Sequence[Message],
        rewards: Mapping[str, float],
        metrics: Mapping[str, float],
        stop: StopReason | None,
        extra: Mapping[str, Any],
    ) -> Transition:
        reward = float(sum(rewards.values())) if rewards else 0.0
        if not math.isfinite(reward):
            raise EnvError(
                f"{type(self).__name__} gave the reward {reward} in turn {len(episode.answers)} "
                f"({dict(rewards)}): rewards must be finite"
            )
        episode.total += reward
        observation = "\n\n".join([str(message.get("content") or "") for message in messages])
        if len(observation) > self.observation_space.max_length:
            observation = cut(observation, self.observation_space.max_length)
        info: dict[str, Any] = {
            "messages": [{**message} for message in messages],
            "example_id": episode.example_id,
            "rewards": {name: float(value) for name, value in rewards.items()} if rewards else {},
        }
        if metrics:
            info["metrics"] = {name: float(value) for name, value in metrics.items()}
        if self.message_type == "completion":
            info["prompt"] = observation
        if stop is not None:
            info.update(extra)
            info["stop_reason"] = stop.value
            self._end()
        if self.render_mode == "human":
            self._show()
        terminated = stop is not None and stop in TERMINAL
        return observation, reward, terminated, stop is not None and not terminated, info

    def _forfeit(self, episode: _Episode, action: str) -> Transition:
        limit = self.action_space.max_length
        episode.answers.append(cut(action, limit))
        episode.messages.append({"role": "assistant", "content": episode.answers[-1]})
        lost = self.reward_bounds[0] - episode.total
        return self._transition(episode, (), {"forfeit": lost}, {}, StopReason.FORMAT, {})

    def _running(self) -> _Episode:
        if self._episode is None:
            what = "the episode has ended" if self._ended is not None else "no episode has begun"
            raise ResetNeeded(f"{what}: call reset() before step()")
        return self._episode

    def _end(self) -> None:
        self._ended, self._episode = self._episode or self._ended, None

    def _bounded(self, messages: Sequence[Message]) -> list[Message]:
        limit = self.observation_space.max_length
        return [
            {**message, "content": cut(content, limit)}
            if isinstance(content := message.get("content"), str) and len(content) > limit
            else {**message}
            for message in messages
        ]

    def _show(self) -> None:
        episode = self._episode or self._ended
        if episode is not None and episode.shown < len(episode.messages):
            sys.stdout.write(transcript(episode.messages[episode.shown :]) + "\n\n")
            sys.stdout.flush()
            episode.shown = len(episode.messages)
