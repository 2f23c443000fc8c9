"""Training rows: the exact tokens of a trajectory, cut into prompt and completion, one row a segment.

Every trainer's format is made from these rows. Invariant: a row is a slice of the record, without a copy; what
contradicts itself or is not known is refused with the name of the field, never repaired, and text is
never made into tokens here. This module reads a trajectory and changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.errors import ConfigError, NotTrainable
from textgym.rollouts.trajectory import Trajectory
from textgym.tokens import TokenSegment, TokenSpan, TokenStream
from textgym.tokens.arrays import FloatArray, IdArray, MaskArray, bad_logprobs
from textgym.types import FinishReason

__all__ = ["TokenRow", "token_rows"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenRow:
    """One sequence to train on: a prompt, then all answers with the context in between."""

    key: str
    """Which trajectory: ``group/sample``."""
    segment: int
    """Which of its segments."""
    prompt_ids: IdArray
    """What the policy saw before its first answer in this segment, int32 of shape ``(p,)``."""
    completion_ids: IdArray
    """From where its first answer begins to where its last one ends, int32 of shape ``(c,)``. The context between
    answers is in it; where the first or last answer is empty, context stands at that end too."""
    mask: MaskArray
    """1 where ``completion_ids`` was sampled, uint8 of shape ``(c,)``."""
    logprobs: FloatArray | None
    """Log-probabilities (nats), 0.0 where ``mask`` is 0, float32 of shape ``(c,)``; None if unknown."""
    spans: tuple[TokenSpan, ...]
    """Where each answer lies in ``completion_ids``."""
    turns: tuple[int, ...]
    """Which step of the trajectory each span is."""
    rewards: tuple[float, ...]
    """Reward of each of these steps."""
    finish_reasons: tuple[FinishReason, ...]
    """Why each of these answers ended, so that those that were cut can be masked."""
    reward: float
    """Return of the whole trajectory, group rewards included."""

    @property
    def ids(self) -> IdArray:
        """Prompt and completion together, a copy."""
        return np.concatenate((self.prompt_ids, self.completion_ids))

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON types; arrays become lists."""
        return {
            "key": self.key,
            "segment": self.segment,
            "prompt_ids": self.prompt_ids.tolist(),
            "completion_ids": self.completion_ids.tolist(),
            "mask": self.mask.tolist(),
            "logprobs": None if self.logprobs is None else self.logprobs.tolist(),
            "spans": [[span.prompt_end, span.completion_end] for span in self.spans],
            "turns": list(self.turns),
            "rewards": list(self.rewards),
            "finish_reasons": [reason.value for reason in self.finish_reasons],
            "reward": self.reward,
        }


def token_rows(
    trajectory: Trajectory, *, logprobs: Literal["required", "optional"] = "required"
) -> Iterator[TokenRow]:
    """The training rows of a trajectory, one for each segment in which something was sampled, in order.

    Args:
        trajectory: A finished trajectory with exact tokens.
        logprobs: Whether rows without log-probabilities will do.

    Returns:
        The rows; most trajectories have one. They are checked, all of them, before the first is handed out.

    Raises:
        NotTrainable: The trajectory failed, holds text alone or no sampled token, or contradicts itself.
        ConfigError: ``logprobs`` is neither word.
    """
    if logprobs not in ("required", "optional"):
        raise ConfigError(f"logprobs is {logprobs!r}: it must be 'required' or 'optional'")
    key = f"{trajectory.group_id}/{trajectory.sample}"
    stream = trajectory.tokens
    if trajectory.error is not None or trajectory.reward is None:
        raise _refusal(key, "error", trajectory.error, "a failed episode has no reward and trains nothing")
    if stream is None:
        raise _refusal(
            key,
            "tokens",
            None,
            "only the text is known, and text does not tell which tokens were sampled: take a policy that tells "
            "them (OpenAIPolicy(…, tokens=True) against vLLM or SGLang, or rollout(tokenizer=…))",
        )
    if logprobs == "required" and not stream.has_logprobs:
        raise _refusal(
            key,
            "tokens.logprobs",
            None,
            "the policy told no log-probabilities: ask its server for them, or take logprobs='optional'",
        )
    _check_arrays(key, stream)
    _check_steps(key, trajectory, stream)
    if not np.isfinite(trajectory.reward):
        raise _refusal(key, "reward", trajectory.reward, "it must be finite")
    if not stream.mask.any():
        raise _refusal(
            key, "tokens.mask", "0 everywhere", "no token was sampled, so there is nothing to train"
        )
    return iter([*_rows(key, trajectory, stream)])


def _rows(key: str, trajectory: Trajectory, stream: TokenStream) -> Iterable[TokenRow]:
    ends = [segment.end for segment in stream.segments]
    owners = [bisect_left(ends, step.prompt_end) for step in stream.steps]  # segments begin with a prompt
    for number, segment in enumerate(stream.segments):
        turns = tuple(turn for turn, owner in enumerate(owners) if owner == number)
        if stream.mask[segment.start : segment.end].any():
            yield _row(key, number, segment, turns, trajectory, stream)


def _row(
    key: str,
    number: int,
    segment: TokenSegment,
    turns: tuple[int, ...],
    trajectory: Trajectory,
    stream: TokenStream,
) -> TokenRow:
    steps = [stream.steps[turn] for turn in turns]
    begin, end = steps[0].prompt_end, steps[-1].completion_end
    return TokenRow(
        key=key,
        segment=number,
        prompt_ids=stream.ids[segment.start : begin],
        completion_ids=stream.ids[begin:end],
        mask=stream.mask[begin:end],
        logprobs=stream.logprobs[begin:end] if stream.has_logprobs else None,
        spans=tuple(TokenSpan(s.prompt_end - begin, s.completion_end - begin) for s in steps),
        turns=turns,
        rewards=tuple(trajectory.steps[turn].reward for turn in turns),
        finish_reasons=tuple(trajectory.steps[turn].finish_reason for turn in turns),
        reward=float(trajectory.reward or 0.0),
    )


def _check_arrays(key: str, stream: TokenStream) -> None:
    ids, mask, logprobs = stream.ids, stream.mask, stream.logprobs
    for name, array in (("mask", mask), ("logprobs", logprobs)):
        if array.shape != ids.shape:
            problem = f"there are {ids.size} ids, and each needs one value"
            raise _refusal(key, f"tokens.{name}", f"of length {array.size}", problem)
    sampled = np.zeros(ids.size, bool)
    for step in stream.steps:
        sampled[step.prompt_end : step.completion_end] = True
    _check_all(key, "mask", mask, mask == sampled, "it must be 1 exactly where a step was sampled, else 0")
    good = ~bad_logprobs(logprobs)
    _check_all(
        key, "logprobs", logprobs, good, "a log-probability is finite and at most 0, and -9999 is none"
    )
    _check_all(
        key, "logprobs", logprobs, sampled | (logprobs == 0), "it must be 0.0 where nothing was sampled"
    )
    _check_all(key, "ids", ids, ids >= 0, "an id is at least 0")


def _check_all(key: str, name: str, array: Any, good: Any, rule: str) -> None:
    if not good.all():
        position = int(np.argmin(good))
        raise _refusal(key, f"tokens.{name}[{position}]", array[position], rule)


def _check_steps(key: str, trajectory: Trajectory, stream: TokenStream) -> None:
    if len(trajectory.steps) != len(stream.steps):
        problem = f"the tokens have {len(stream.steps)} sampled turns"
        raise _refusal(key, "steps", f"of length {len(trajectory.steps)}", problem)
    for number, (step, span) in enumerate(zip(trajectory.steps, stream.steps, strict=True)):
        for name in ("prompt_end", "completion_end"):
            if getattr(step, name) != getattr(span, name):
                problem = f"the tokens say {getattr(span, name)}"
                raise _refusal(key, f"steps[{number}].{name}", getattr(step, name), problem)
        if not np.isfinite(step.reward):
            raise _refusal(key, f"steps[{number}].reward", step.reward, "it must be finite")


def _refusal(key: str, field: str, value: Any, problem: str) -> NotTrainable:
    return NotTrainable(f"trajectory {key}: {field} is {value}: {problem}", field=field, key=key)
