"""Job: one request on its way through the decoder, and what comes out of it.

Invariant: everything that decides how a job goes on is in the job itself (its ids, its plan, the state of
its own random generator), so that it can leave a batch between any two tokens and go on in another one.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from textgym.policies.decoding.growing_text import GrowingText
from textgym.policies.decoding.plan import SamplingPlan
from textgym.types import FinishReason

__all__ = ["Job", "Sampled", "Token"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One sampled token."""

    id: int
    """Its id."""
    logprob: float
    """Its log-probability (nats) in the distribution that it was drawn from."""
    top: tuple[tuple[int, float], ...] = ()
    """The most likely ids with their log-probabilities, as many as were asked for."""
    text: str = ""
    """The text that has become certain with it, where the job reports its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A finished completion."""

    ids: tuple[int, ...]
    """The sampled ids, the one that ended it included."""
    logprobs: tuple[float, ...]
    """Their log-probabilities, nats."""
    tops: tuple[tuple[tuple[int, float], ...], ...]
    """Per token the most likely alternatives; empty where none were asked for."""
    finish_reason: FinishReason
    """``stop`` or ``length``."""
    stop: str | int | None
    """The stop string or the id that ended it, or None."""
    text: str | None
    """The text, cut before a stop string; None where nobody had to look at it."""
    rest: str
    """The last piece of it, for jobs that report their tokens."""
    policy_version: int
    """Version of the weights that sampled the first token."""


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A request that is waiting or being decoded."""

    prompt: list[int]
    """The ids to continue."""
    plan: SamplingPlan
    """How to sample."""
    seed: int | None
    """Seed of its generator, or None for a fresh one."""
    text: GrowingText | None = None
    """Follows the text, for stop strings and for ``watch``."""
    top: int = 0
    """How many alternatives to report a token."""
    watch: Callable[[Token], Any] | None = None
    """Called with every token, in the decoder's thread."""
    future: Future[Sampled] = field(default_factory=Future)
    """Resolves to the result; cancelling it takes the job out of its batch."""
    ids: list[int] = field(default_factory=list)
    """What has been sampled."""
    logprobs: list[float] = field(default_factory=list)
    """Likewise."""
    tops: list[tuple[tuple[int, float], ...]] = field(default_factory=list)
    """Likewise."""
    generator: Any = None
    """The torch generator, made when decoding begins."""
    version: int | None = None
    """Version of the weights that sampled the first token."""
    stop: str | int | None = None
    """What ended it."""

    def take(self, token: Token) -> FinishReason | None:
        """Add a sampled token.

        Args:
            token: The token.

        Returns:
            Why the completion is finished, or None if it goes on.
        """
        self.ids.append(token.id)
        self.logprobs.append(token.logprob)
        if self.top:
            self.tops.append(token.top)
        plan, reason = self.plan, None
        if token.id in plan.stop_ids:
            self.stop, reason = token.id, FinishReason.STOP
        text = self.text
        piece = text.add(token.id) if text is not None else ""
        if text is not None and text.stopped is not None:
            self.stop, reason = text.stopped, FinishReason.STOP
        if reason is None and len(self.ids) >= plan.max_tokens:
            reason = FinishReason.LENGTH
        if self.watch is not None:
            self.watch(Token(id=token.id, logprob=token.logprob, top=token.top, text=piece))
        return reason

    def result(self, reason: FinishReason) -> Sampled:
        """What the future resolves to."""
        text, rest = None, ""
        if self.text is not None:
            rest, text = self.text.finish(), self.text.text
            if self.text.stopped is not None and reason is FinishReason.LENGTH:
                self.stop, reason = self.text.stopped, FinishReason.STOP
        assert self.version is not None
        return Sampled(
            ids=tuple(self.ids),
            logprobs=tuple(self.logprobs),
            tops=tuple(self.tops),
            finish_reason=reason,
            stop=self.stop,
            text=text,
            rest=rest,
            policy_version=self.version,
        )
