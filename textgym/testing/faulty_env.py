"""Environments that misbehave on demand, for the fault tests of engines and training loops.

``FaultyEnv`` is a ``TextEnv`` (its waits are coroutines), ``RawFaultyEnv`` a plain ``gymnasium.Env`` that
knows nothing of textgym (its waits block the thread, its infos are empty). Both play the same small game.

Invariant: which episodes misbehave, and when, follows from the arguments, the seed and the actions alone; all
other episodes keep the whole contract, which ``check_text_env`` proves for ``Fault.NONE``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection
from enum import StrEnum
from typing import Any

import gymnasium as gym
from gymnasium.error import ResetNeeded

from textgym import seeding
from textgym.envs.episode_parts import Ending, Opening, Reply, Setting
from textgym.envs.text_env import TextEnv
from textgym.errors import ConfigError, NotForkable
from textgym.rewards import Rubric
from textgym.spaces import Unicode
from textgym.types import StopReason, Transition

__all__ = ["DeliberateFault", "Fault", "FaultyEnv", "RawFaultyEnv"]


class Fault(StrEnum):
    """What goes wrong."""

    NONE = "none"
    """Nothing."""
    RESET_RAISES = "reset-raises"
    """``reset`` raises ``DeliberateFault``."""
    RESET_TYPE = "reset-type"
    """``reset`` returns the number 7 instead of ``(observation, info)``."""
    RESET_HANGS = "reset-hangs"
    """``reset`` waits for ``seconds``."""
    STEP_RAISES = "step-raises"
    """``step`` raises ``DeliberateFault``."""
    STEP_TYPE = "step-type"
    """``step`` returns three values instead of five."""
    STEP_HANGS = "step-hangs"
    """``step`` waits for ``seconds`` and then goes on. A ``FaultyEnv`` can be cancelled meanwhile."""
    STEP_BLOCKS = "step-blocks"
    """``step`` keeps the thread for ``seconds``, and so the event loop, although it claims not to."""
    SLOW = "slow"
    """Every ``reset`` and ``step`` waits for ``seconds``; nothing else is wrong."""
    NAN_REWARD = "nan-reward"
    """The reward is NaN."""
    INF_REWARD = "inf-reward"
    """The reward is infinite."""
    NONE_REWARD = "none-reward"
    """The reward is None."""
    STR_REWARD = "str-reward"
    """The reward is the text ``"much"``."""
    BAD_OBSERVATION = "bad-observation"
    """The observation and ``info["messages"]`` are numbers."""
    ODD_TEXT = "odd-text"
    """The observation holds NUL, a lone surrogate, terminal escapes and right-to-left marks, which is no
    breach of the contract."""
    HUGE_TEXT = "huge-text"
    """The observation has four million characters, more than its space allows."""
    ENDLESS = "endless"
    """The episode never ends."""
    TRUNCATES = "truncates"
    """The environment truncates the episode and gives no reason, as Gymnasium's TimeLimit does."""
    REWARD_RAISES = "reward-raises"
    """A reward function of a rubric, named ``broken_reward``, raises when the episode is judged."""
    UNPICKLABLE_ERROR = "unpicklable-error"
    """``step`` raises an exception that no other process can be told."""
    NOT_FORKABLE = "not-forkable"
    """``copy.deepcopy`` and ``pickle.dumps`` raise ``NotForkable``, and ``metadata`` says so."""


class DeliberateFault(RuntimeError):
    """What a faulty environment raises on purpose."""


_REWARDS = {
    Fault.NAN_REWARD: math.nan,
    Fault.INF_REWARD: math.inf,
    Fault.NONE_REWARD: None,
    Fault.STR_REWARD: "much",
}
_ODD = "odd: \x00 \ud800 \x1b[31m \u202eabc\u202c e\u0301"
_HUGE = 4_000_000


def broken_reward(completion: str) -> float:
    """The reward function of ``REWARD_RAISES``."""
    raise DeliberateFault(f"this reward function is broken (it was given {completion!r:.40})")


class _Plan:
    """Decides where the fault strikes.

    Args:
        fault: What goes wrong.
        at_step: In which step of an episode, counted from 1.
        seconds: How long waits take.
        seeds: Seeds of ``reset`` whose episodes misbehave; None for all.
        probability: Share of the episodes that misbehave, decided by the seed of each.
        trigger: A text that an action must hold; None for any action.

    Raises:
        ConfigError: An argument is outside its range.
    """

    def __init__(
        self,
        fault: Fault | str,
        at_step: int,
        seconds: float,
        seeds: Collection[int] | None,
        probability: float,
        trigger: str | None,
    ) -> None:
        if fault not in set(Fault):
            raise ConfigError(f"fault is {fault!r}: it must be one of {', '.join(Fault)}")
        if isinstance(at_step, bool) or not isinstance(at_step, int) or at_step < 1:
            raise ConfigError(f"at_step is {at_step!r}: it must be a whole number of at least 1")
        if not 0 <= probability <= 1:
            raise ConfigError(f"probability is {probability!r}: it must be a number in [0, 1]")
        self.fault = Fault(fault)
        self.at_step = at_step
        self.seconds = seconds
        self.seeds = None if seeds is None else frozenset(seeds)
        self.probability = probability
        self.trigger = trigger
        self.struck = False

    def begin(self, seed: int | None, episode_seed: int) -> None:
        """Decide whether the coming episode misbehaves."""
        chosen = self.seeds is None or seed in self.seeds
        chance = seeding.mix(episode_seed, "fault") / (1 << seeding.SEED_BITS)
        self.struck = chosen and chance < self.probability

    def strikes(self, fault: Fault, step: int | None = None, action: str = "") -> bool:
        """Whether a fault strikes now; ``step`` is None at reset and at the end."""
        if fault is not self.fault or not self.struck:
            return False
        if step is None:
            return True
        return step == self.at_step and (self.trigger is None or self.trigger in action)


def _spoiled(plan: _Plan, step: int, action: str, result: Transition) -> Any:
    """The result of a step, with what the fault does to it."""
    observation, reward, terminated, truncated, info = result
    for fault, value in _REWARDS.items():
        if plan.strikes(fault, step, action):
            return observation, value, terminated, truncated, info
    if plan.strikes(Fault.STEP_TYPE, step, action):
        return observation, reward, terminated
    if plan.strikes(Fault.BAD_OBSERVATION, step, action):
        return 42, reward, terminated, truncated, {**info, "messages": 42}
    if plan.strikes(Fault.HUGE_TEXT, step, action):
        text = "x" * _HUGE
        return text, reward, terminated, truncated, {**info, "messages": [{"role": "user", "content": text}]}
    if plan.strikes(Fault.TRUNCATES, step, action):
        info = {key: value for key, value in info.items() if key != "stop_reason"}
        return observation, reward, False, True, info
    return result


def _raise_in_step(plan: _Plan, step: int, action: str) -> None:
    if plan.strikes(Fault.STEP_RAISES, step, action):
        raise DeliberateFault(f"step {step} raises on purpose")
    if plan.strikes(Fault.UNPICKLABLE_ERROR, step, action):
        error = DeliberateFault(f"step {step} raises what cannot be pickled")
        error.args = (*error.args, lambda: None)
        raise error
    if plan.strikes(Fault.STEP_BLOCKS, step, action):
        time.sleep(plan.seconds)


def _refuse_copies(plan: _Plan) -> None:
    if plan.fault is Fault.NOT_FORKABLE:
        raise NotForkable("this environment holds a live session, or pretends to: it cannot be copied")


def _next_prompt(plan: _Plan, step: int, action: str) -> str:
    return _ODD if plan.strikes(Fault.ODD_TEXT, step, action) else f"Turn {step + 1}: say ok."


def _check_turns(turns: int) -> None:
    if isinstance(turns, bool) or not isinstance(turns, int) or turns < 1:
        raise ConfigError(f"turns is {turns!r}: it must be a whole number of at least 1")


class FaultyEnv(TextEnv):
    """A small game of text in which one thing goes wrong.

    Every turn asks for the word ``ok``. A turn that says it earns the reward ``1 / turns`` (component
    ``ok``); after ``turns`` turns the episode terminates.

    Args:
        fault: What goes wrong; by default nothing.
        at_step: In which step of an episode, counted from 1 (faults of ``reset`` and of the end have none).
        turns: Length of an episode. A fault at a later step never strikes.
        seconds: How long waits take.
        seeds: Seeds of ``reset`` whose episodes misbehave; None for all.
        probability: Share of the episodes that misbehave, decided by the episode seed of each, so that the
            same seed misbehaves every time.
        trigger: A text that the action must hold for the fault to strike, so that single members of a
            group misbehave; None for any action. Faults of ``reset`` know no action.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.

    Example:
        >>> env = FaultyEnv("nan-reward", at_step=2, turns=3)
        >>> _ = env.reset(seed=0)
        >>> [env.step("ok")[1] for _ in range(3)]
        [0.3333333333333333, nan, 0.3333333333333333]
    """

    def __init__(
        self,
        fault: Fault | str = Fault.NONE,
        at_step: int = 1,
        *,
        turns: int = 2,
        seconds: float = 3600.0,
        seeds: Collection[int] | None = None,
        probability: float = 1.0,
        trigger: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(render_mode=render_mode)
        _check_turns(turns)
        self.game_turns = turns
        self._plan = _Plan(fault, at_step, seconds, seeds, probability, trigger)
        self._seed: int | None = None
        self._nonce = ""
        if fault == Fault.NOT_FORKABLE:
            self.metadata = {**self.metadata, "forkable": False}  # type: ignore[misc]  # of this one only

    def begin(self, setting: Setting) -> Any:
        """Ask for the first word; may raise or wait."""
        self._plan.begin(self._seed, setting.seed)
        self._nonce = f"{seeding.mix(setting.seed, 'game'):014x}"
        opening = Opening(
            example_id=self._nonce,
            messages=[{"role": "user", "content": f"Game {self._nonce}, turn 1: say ok."}],
        )
        if self._plan.strikes(Fault.RESET_RAISES):
            raise DeliberateFault("reset raises on purpose")
        waits = self._plan.strikes(Fault.RESET_HANGS) or self._plan.strikes(Fault.SLOW)
        return self._later(opening) if waits else opening

    def respond(self, action: str) -> Any:
        """Reward the word and ask for the next one; may raise or wait."""
        _raise_in_step(self._plan, self.turns, action)
        right = action.strip() == "ok" and self.turns <= self.game_turns
        reply = Reply(
            messages=[{"role": "user", "content": _next_prompt(self._plan, self.turns, action)}],
            rewards={"ok": right / self.game_turns},
        )
        if self._plan.strikes(Fault.TRUNCATES, self.turns, action):
            reply = Reply(rewards=reply.rewards, stop=StopReason.ENV_TRUNCATED)
        elif self.turns >= self.game_turns and not self._plan.strikes(Fault.ENDLESS):
            reply = Reply(rewards=reply.rewards, stop=StopReason.COMPLETED)
        waits = self._plan.strikes(Fault.STEP_HANGS, self.turns, action) or self._plan.strikes(Fault.SLOW)
        return self._later(reply) if waits else reply

    async def _later(self, value: Any) -> Any:
        await asyncio.sleep(self._plan.seconds)
        return value

    def finish(self, reason: StopReason) -> Any:
        """Judge the episode; the rubric may be broken."""
        return self._judged() if self._plan.strikes(Fault.REWARD_RAISES) else Ending()

    async def _judged(self) -> Ending:
        score = await Rubric([broken_reward]).score(completion=self.answers[-1] if self.answers else "")
        return Ending(rewards=score.rewards)

    def oracle(self) -> str:
        """The word."""
        return "ok"

    # What TextEnv itself would refuse to return is put into its results.

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode, maybe badly."""
        self._seed = seed
        return self._opened(super().reset(seed=seed, options=options))

    async def areset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """``reset`` for coroutines."""
        self._seed = seed
        return self._opened(await super().areset(seed=seed, options=options))

    def _opened(self, result: Any) -> Any:
        return 7 if self._plan.strikes(Fault.RESET_TYPE) else result

    def step(self, action: str) -> Any:
        """Take one turn, maybe badly."""
        return _spoiled(self._plan, self.turns + 1, action, super().step(action))

    async def astep(self, action: str) -> Any:
        """``step`` for coroutines."""
        return _spoiled(self._plan, self.turns + 1, action, await super().astep(action))

    def __reduce_ex__(self, protocol: Any) -> Any:
        _refuse_copies(self._plan)
        return super().__reduce_ex__(protocol)


class RawFaultyEnv(gym.Env[str, str]):
    """The same game as a plain environment that is not textgym's: empty infos, waits that block.

    Arguments, rewards and faults are those of ``FaultyEnv``; a hang cannot be cancelled, only left behind in
    its thread.

    Args:
        fault: What goes wrong; by default nothing.
        at_step: In which step, counted from 1.
        turns: Length of an episode.
        seconds: How long waits take.
        seeds: Seeds of ``reset`` whose episodes misbehave; None for all.
        probability: Share of the episodes that misbehave.
        trigger: A text that the action must hold.
        render_mode: None or ``"ansi"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012  # Gymnasium's own form

    def __init__(
        self,
        fault: Fault | str = Fault.NONE,
        at_step: int = 1,
        *,
        turns: int = 2,
        seconds: float = 3600.0,
        seeds: Collection[int] | None = None,
        probability: float = 1.0,
        trigger: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        _check_turns(turns)
        self.observation_space = Unicode()
        self.action_space = Unicode()
        self.render_mode = render_mode
        self.game_turns = turns
        self.turns: int | None = None
        self._plan = _Plan(fault, at_step, seconds, seeds, probability, trigger)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode; see ``FaultyEnv``."""
        super().reset(seed=seed)
        self._plan.begin(seed, int(self.np_random.integers(1 << seeding.SEED_BITS)))
        self.turns = 0
        if self._plan.strikes(Fault.RESET_RAISES):
            raise DeliberateFault("reset raises on purpose")
        if self._plan.strikes(Fault.RESET_HANGS) or self._plan.strikes(Fault.SLOW):
            time.sleep(self._plan.seconds)
        return 7 if self._plan.strikes(Fault.RESET_TYPE) else ("Turn 1: say ok.", {})

    def step(self, action: str) -> Any:
        """Take one turn; see ``FaultyEnv``."""
        if self.turns is None:
            raise ResetNeeded("no episode is running: call reset() before step()")
        self.turns += 1
        step, plan = self.turns, self._plan
        _raise_in_step(plan, step, action)
        if plan.strikes(Fault.STEP_HANGS, step, action) or plan.strikes(Fault.SLOW):
            time.sleep(plan.seconds)
        over = step >= self.game_turns and not plan.strikes(Fault.ENDLESS)
        reward = (action.strip() == "ok") / self.game_turns
        if over:
            self.turns = None
            if plan.strikes(Fault.REWARD_RAISES):
                broken_reward(action)
        result: Transition = ("" if over else _next_prompt(plan, step, action), reward, over, False, {})
        if plan.strikes(Fault.TRUNCATES, step, action):
            self.turns = None
        return _spoiled(plan, step, action, result)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _refuse_copies(self._plan)
        return super().__reduce_ex__(protocol)

    def render(self) -> Any:
        """How many turns there have been."""
        return None if self.render_mode is None else f"turn {self.turns}"
