"""One episode: a policy and an environment take turns until one of them, or a limit, ends it.

Invariant: whatever happens, exactly one trajectory comes out. What breaks inside becomes its ``error``, with
the boundary that failed and no reward; only errors that no other episode could escape (a refused key, a
wrong configuration) are raised. This module runs one episode; it does not schedule or store any.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, SupportsFloat

import gymnasium as gym

from textgym import seeding
from textgym.errors import (
    AuthenticationFailed,
    ConfigError,
    ContextOverflow,
    EnvError,
    PolicyError,
    RewardError,
)
from textgym.jsontext import dumps
from textgym.policies.policy import Policy, as_completion
from textgym.rollouts.limits import Limits, Spent
from textgym.rollouts.stepping import Stepper, atruncate
from textgym.rollouts.token_prompts import TokenPrompts
from textgym.rollouts.trajectory import Boundary, Failure, Step, Trajectory
from textgym.tokens import ChatTemplate, TokenStream
from textgym.types import Completion, CompletionRequest, Message, Sampling, StopReason

__all__ = ["ASKS_POLICY", "EpisodeTask", "action_text", "judged", "run_episode"]

_LEAST_SECONDS = 0.001
_REASONS = {reason.value: reason for reason in StopReason}
SAMPLING_SEED_BITS = 31
"""Sampling seeds are below 2**31, which every server accepts."""


@dataclass(slots=True, kw_only=True)
class EpisodeTask:
    """Which episode to run; not frozen, because making a frozen one takes three times as long."""

    env_id: str
    """What the record says of the environment."""
    env_kwargs: dict[str, Any]
    """Likewise."""
    seed: int | None
    """Seed of the reset; equal within a group."""
    options: dict[str, Any] | None
    """Options of the reset; equal within a group."""
    group_id: int
    """Index of the group."""
    sample: int
    """Index of the member."""
    sampling_seed: int
    """Seed from which the seeds of the completions are mixed; differs within a group."""
    group_key: str
    """Key of the group, for policies that keep a group on one server."""
    policy: str = ""
    """What the record says of the policy."""


async def run_episode(
    env: gym.Env[Any, Any] | Stepper,
    policy: Policy,
    task: EpisodeTask,
    sampling: Sampling,
    limits: Limits,
    template: ChatTemplate | None = None,
) -> Trajectory:
    """Run one episode to its end.

    Args:
        env: The environment, or its stepper; nobody else steps it meanwhile.
        policy: Who plays.
        task: Which episode.
        sampling: How to sample.
        limits: Outside limits.
        template: Renders the ids that the policy is to continue; None where its server renders.

    Returns:
        The trajectory; if something broke, one with ``error`` and no reward.

    Raises:
        AuthenticationFailed: The model server refuses the key.
        ConfigError: Something is configured wrongly, which every episode would meet.
    """
    stepper = env if isinstance(env, Stepper) else Stepper(env)
    episode = _Episode(stepper, policy, task, sampling, limits, template)
    try:
        await episode.play()
        return episode.record()
    except (AuthenticationFailed, ConfigError):
        raise
    except asyncio.CancelledError as error:
        current = asyncio.current_task()
        if current is None or current.cancelling():
            raise
        episode.fail(error)  # somebody cancelled a task inside a hook or a policy, and not this episode
    except Exception as error:
        episode.fail(error)
    return episode.record()


def action_text(completion: Completion) -> str:
    """What the environment is stepped with: the text, then native tool calls in canonical form."""
    if not completion.tool_calls:
        return completion.text
    calls = [
        f'<tool_call>{{"name": {dumps(call.name).decode()}, "arguments": '
        f"{call.arguments if call.arguments.strip() else '{}'}}}</tool_call>"
        for call in completion.tool_calls
    ]
    return "\n".join([completion.text, *calls] if completion.text else calls)


@dataclass(slots=True)
class _Episode:
    """The moving parts of one episode."""

    stepper: Stepper
    policy: Policy
    task: EpisodeTask
    sampling: Sampling
    limits: Limits
    template: ChatTemplate | None
    boundary: Boundary = Boundary.ENV
    started: float = field(default_factory=time.monotonic)
    messages: list[Message] = field(default_factory=list)
    sampled: list[int] = field(default_factory=list)
    prompt: str | None = None
    tools: list[dict[str, Any]] | None = None
    steps: list[Step] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    tokens: TokenStream | None = None
    tokens_known: bool = True
    token_prompts: TokenPrompts | None = None
    asked_ids: Any = None
    rewards: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    example_id: str = ""
    answer: str | None = None
    stop_reason: StopReason = StopReason.ERROR
    error: Failure | None = None
    policy_version: int | str | None = None
    reasoning: dict[int, str] = field(default_factory=dict)

    async def play(self) -> None:
        task, limits, spent = self.task, self.limits, self.spent
        bounded = limits.seconds is not None
        beginning = self.stepper.reset(seed=task.seed, options=task.options)
        begun = await (self._in_time("reset", beginning) if bounded else beginning)
        observation, info = self._parts("reset", begun, "(observation, info)", 2)
        self.example_id = str(info.get("example_id", ""))
        self.tools = info.get("tools")
        self._hear(observation, info)
        if self.template is not None:
            self._begin_tokens(self.template)
        while True:
            spent.seconds = time.monotonic() - self.started
            reason = limits.reached(spent)
            if reason is None:
                reason = await self._turn(observation if isinstance(observation, str) else "")
            if reason is not None:
                await self._truncate(reason)
                return
            step = self.steps[-1]
            self.boundary = Boundary.ENV
            taken = self.stepper.step(step.action)
            transition = await (self._in_time("step", taken) if bounded else taken)
            observation, info = self._take(step, transition)
            if step.terminated or step.truncated:
                self._end(step, info)
                return
            self._hear(observation, info)

    async def _in_time(self, call: str, awaitable: Awaitable[Any]) -> Any:
        """What the environment's call gives, unless it hangs beyond the caller's limit on seconds."""
        assert self.limits.seconds is not None
        left = self.limits.seconds - (time.monotonic() - self.started)
        try:
            async with asyncio.timeout(max(left, _LEAST_SECONDS)) as clock:
                return await awaitable
        except TimeoutError:
            if not clock.expired():
                raise
            raise EnvError(
                f"{self.task.env_id}.{call} was not done when limits.seconds={self.limits.seconds:g} had passed"
            ) from None

    def _parts(self, call: str, result: Any, parts: str, count: int) -> Any:
        if not isinstance(result, tuple) or len(result) != count or not isinstance(result[-1], dict):
            raise EnvError(
                f"{self.task.env_id}.{call} returned {result!r:.80}: it must return the tuple {parts} with a dict "
                "at the end"
            )
        return result

    def _hear(self, observation: Any, info: dict[str, Any]) -> None:
        new = info.get("messages")
        if new is None:  # an environment that is not textgym's
            if not isinstance(observation, str):
                raise EnvError(
                    f"observation is {type(observation).__name__} and info has no messages: a policy "
                    "needs text; wrap the environment so that its observations are str"
                )
            new = [{"role": "user", "content": observation}] if observation else []
        self.messages.extend(self._checked(new))
        prompt = info.get("prompt")
        if prompt is not None:
            self.prompt = (self.prompt or "") + prompt

    def _checked(self, messages: Any) -> Sequence[Message]:
        good = isinstance(messages, list | tuple)
        for message in messages if good else ():
            good = good and isinstance(message, dict)
        if good:
            return messages  # type: ignore[no-any-return]
        raise EnvError(
            f"info['messages'] of {self.task.env_id} is {messages!r:.80}: it must be a list of message dicts"
        )

    async def _turn(self, observation: str) -> StopReason | None:
        """Ask the policy once; a reason if it could not even be asked within the limits."""
        if self.token_prompts is not None:
            self.asked_ids = self.token_prompts.ids(self.tokens, self.messages, self.prompt, self.tools)
            if self.limits.context_tokens is not None and len(self.asked_ids) >= self.limits.context_tokens:
                return StopReason.CONTEXT_TOKENS
        self.boundary = Boundary.POLICY
        began = time.monotonic()
        request = self._request(observation)
        try:
            if self.limits.seconds is None:
                completion = await self.policy.complete(request)
            else:
                left = self.limits.seconds - (began - self.started)
                async with asyncio.timeout(max(left, 0.0)) as clock:
                    completion = await self.policy.complete(request)
        except ContextOverflow:
            return StopReason.CONTEXT_TOKENS
        except TimeoutError:
            if self.limits.seconds is not None and clock.expired():
                return StopReason.SECONDS
            raise
        completion = as_completion(completion, self.task.policy)
        self._said(observation, completion, time.monotonic() - began)
        return None

    def _request(self, observation: str) -> CompletionRequest:
        task, turn = self.task, self.spent.turns
        sampling, left = self.sampling, self._left()
        if left is not None and (sampling.max_tokens is None or sampling.max_tokens > left):
            sampling = replace(sampling, max_tokens=left)
        seed = seeding.mix(task.sampling_seed, turn) >> (seeding.SEED_BITS - SAMPLING_SEED_BITS)
        return CompletionRequest(
            messages=list(self.messages),
            observation=observation,
            prompt=self.prompt,
            tools=self.tools,
            prompt_ids=self.asked_ids,
            sampling=sampling,
            seed=seed,
            group=task.group_key,
            sample=task.sample,
            turn=turn,
            env=self.stepper.env,
        )

    def _left(self) -> int | None:
        """Most tokens that the next answer may have by the caller's limits, or None."""
        left, room = self.limits.completion_tokens, self.limits.context_tokens
        if left is None and room is None:
            return None
        if left is not None:
            left -= self.spent.completion_tokens
        if room is not None and self.asked_ids is not None:
            room -= len(self.asked_ids)
            left = room if left is None else min(left, room)
        return left

    def _begin_tokens(self, template: ChatTemplate) -> None:
        if self.tools and template.bridges.tool and self.limits.turns != 1:
            raise ConfigError(
                f"{self.task.env_id} has tools, and the chat template of the tokenizer cannot put a tool message "
                f"after an answer: {template.bridges.tool} (another tokenizer or chat_template would do, "
                "limits=Limits(turns=1), or no tokenizer)"
            )
        self.token_prompts = TokenPrompts(template)

    def _said(self, observation: str, completion: Completion, latency: float) -> None:
        action = action_text(completion)
        step = Step(
            observation=observation,
            action=action,
            finish_reason=completion.finish_reason,
            usage=completion.usage,
            latency=round(latency, 6),
        )
        self._record_tokens(step, completion)
        spent, usage = self.spent, completion.usage
        sampled = usage.completion_tokens
        if sampled is None and completion.token_ids is not None:
            sampled = len(completion.token_ids)
        spent.turns += 1
        spent.completion_tokens += sampled or 0
        read = usage.prompt_tokens
        if read is None and completion.prompt_token_ids is not None:
            read = len(completion.prompt_token_ids)
        spent.context_tokens = (read or 0) + (sampled or 0)
        spent.total_tokens += spent.context_tokens
        if completion.reasoning is not None:
            self.reasoning[len(self.messages)] = completion.reasoning
        if self.policy_version is None:  # of several, the oldest: that is how stale the episode is
            self.policy_version = completion.policy_version
        self.sampled.append(len(self.messages))
        self.messages.append({"role": "assistant", "content": action})
        if self.prompt is not None:
            self.prompt += action
        if self.token_prompts is not None:
            self.token_prompts.said(len(self.messages), self.prompt, completion.tool_calls)
        self.steps.append(step)

    def _record_tokens(self, step: Step, completion: Completion) -> None:
        if not self.tokens_known:
            return
        if completion.token_ids is None or completion.prompt_token_ids is None:
            self.tokens_known, self.tokens = False, None  # half a record would be a wrong one
            self.token_prompts = self.asked_ids = None
            for earlier in self.steps:
                earlier.prompt_end = earlier.completion_end = None
            return
        if self.tokens is None:
            self.tokens = TokenStream()
        try:
            self.tokens.observe(
                completion.prompt_token_ids, completion.token_ids, completion.logprobs, asked=self.asked_ids
            )
        except ValueError as error:
            raise PolicyError(f"the policy's tokens cannot be recorded: {error}") from error
        span = self.tokens.steps[-1]
        step.prompt_end, step.completion_end = span.prompt_end, span.completion_end

    def _take(self, step: Step, transition: Any) -> tuple[Any, dict[str, Any]]:
        parts = "(observation, reward, terminated, truncated, info)"
        observation, reward, terminated, truncated, info = self._parts("step", transition, parts, 5)
        step.terminated, step.truncated = bool(terminated), bool(truncated)
        said = info.get("assistant_message")
        if isinstance(said, dict):  # with native tool calls and the ids that the environment's answers name
            self.messages[self.sampled[-1]] = said
        self._earn(step, reward, info)
        return observation, info

    def _earn(self, step: Step | None, reward: Any, info: dict[str, Any]) -> None:
        try:
            reward = float(reward)
        except (TypeError, ValueError):
            reward = math.nan
        if not math.isfinite(reward):
            raise EnvError(
                f"{self.task.env_id} gave a reward that is no finite number (seed {self.task.seed}, turn "
                f"{self.spent.turns}): an environment must return a float"
            )
        rewards = info.get("rewards")
        if rewards is None:
            rewards = {"reward": reward} if reward else {}
        metrics = info.get("metrics") or {}
        for name, value in (*rewards.items(), *metrics.items()):
            # Checking the protocol is slow, and nearly every value is a float.
            if not (type(value) is float or isinstance(value, SupportsFloat)) or not math.isfinite(value):
                raise EnvError(f"{self.task.env_id} gave {name!r} the value {value!r:.60}: it must be finite")
        for name, value in rewards.items():
            self.rewards[name] = self.rewards.get(name, 0.0) + float(value)
        self.metrics.update(metrics)
        if step is not None:
            step.reward += reward
            for name, value in rewards.items():
                step.rewards[name] = step.rewards.get(name, 0.0) + float(value)
            step.metrics.update(metrics)

    async def _truncate(self, reason: StopReason) -> None:
        self.boundary = Boundary.ENV
        transition = await atruncate(self.stepper.env, reason)
        step = self.steps[-1] if self.steps else None
        info: dict[str, Any] = {}
        if transition is not None:
            info = transition[4]
            self._earn(step, transition[1], info)
        if step is not None:
            step.truncated = True
        self.stop_reason = reason
        self.messages.extend(info.get("messages") or ())
        self.answer = info.get("answer")

    def _end(self, step: Step, info: dict[str, Any]) -> None:
        given = info.get("stop_reason")
        reason = _REASONS.get(given) if isinstance(given, str) else None
        if reason is None:  # none, or a word of an environment that is not textgym's
            reason = StopReason.COMPLETED if step.terminated else StopReason.ENV_TRUNCATED
        self.stop_reason = reason
        if messages := info.get("messages"):
            self.messages.extend(self._checked(messages))
        self.answer = info.get("answer")

    def fail(self, error: BaseException) -> None:
        boundary = Boundary.REWARD if isinstance(error, RewardError) else self.boundary
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        self.stop_reason = StopReason.ERROR
        self.error = Failure(
            boundary=boundary,
            type=type(error).__name__,
            message=str(error),
            turn=self.spent.turns,
            where=" > ".join(f"{f.filename}:{f.lineno} {f.name}" for f in frames),
            status=getattr(error, "status", None),
        )

    def record(self) -> Trajectory:
        task = self.task
        messages = [{**message, "sampled": False} for message in self.messages]
        for index in self.sampled:
            messages[index]["sampled"] = True
        for index, reasoning in self.reasoning.items():
            messages[index]["reasoning_content"] = reasoning
        reward = None
        if self.error is None:
            reward = float(sum([step.reward for step in self.steps]))
            if not self.steps:
                reward = float(sum(self.rewards.values()))
        trajectory = Trajectory(
            env_id=task.env_id,
            env_kwargs=task.env_kwargs,
            seed=task.seed,
            example_id=self.example_id,
            group_id=task.group_id,
            sample=task.sample,
            messages=messages,
            steps=self.steps,
            tokens=self.tokens,
            reward=reward,
            rewards=self.rewards,
            metrics=self.metrics,
            answer=self.answer,
            stop_reason=self.stop_reason,
            error=self.error,
            policy=task.policy,
            policy_version=self.policy_version,
            seconds=round(time.monotonic() - self.started, 6),
        )
        judge = self.stepper.success
        if self.error is None and judge is not None:
            trajectory.success = judged(judge(trajectory))
        return trajectory


ASKS_POLICY = _Episode._turn.__code__
"""Code of the function below which the policy runs, for whoever reads stacks."""


def judged(success: Any) -> bool | None:
    """What an environment's ``success`` said, as a record keeps it.

    Raises:
        EnvError: It is a coroutine: ``success`` must be a plain method.
    """
    if success is None or type(success) is bool:
        return success
    if asyncio.iscoroutine(success):
        success.close()
        raise EnvError("success(trajectory) is a coroutine function: it must be a plain method")
    return bool(success)
