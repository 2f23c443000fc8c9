"""``TokenStream``: the exact token record of one conversation, append-only.

**Layout.** Three flat arrays of equal length n hold everything, in the order in which it was
appended: ``ids``, ``mask`` (1 where the policy sampled the token) and ``logprobs``. A *segment* is
a range ``[start, end)`` of them that is one whole sequence: a prompt and everything that followed,
as a model saw it, from its first token on. The segments lie one after another and cover the arrays:
the first starts at 0, each starts where the one before ends, the last ends at n. Most streams have
one. ``fork`` begins another with a complete new prompt, so a segment is a training row by itself
and never continues the one before it. A *step* is one sampled turn, within one segment: with
``start`` of that segment, its prompt is ``ids[start:prompt_end]`` and its completion
``ids[prompt_end:completion_end]``. Tokens that a fork repeats from an earlier segment are context
there (mask 0), so that no sampled token is trained twice.

Invariant: what has been appended never changes: ids are never re-rendered, re-tokenized, dropped or
overwritten, ``mask`` is 1 exactly on the completions of ``steps``, and ``logprobs`` is 0.0 wherever
``mask`` is 0. A call that raises leaves the stream as it was. Nothing here invents a token, renders
a message or knows a tokenizer. A stream belongs to one episode and is not shared between threads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np

from textgym.errors import ConfigError
from textgym.tokens.arrays import FloatArray, IdArray, MaskArray, logprob_array, token_array
from textgym.tokens.buffers import TokenBuffers
from textgym.tokens.record import Parts, TokenSegment, TokenSpan, pack, unpack

__all__ = ["TokenStream"]


class TokenStream:
    """Append-only record of the token ids of an episode.

    Arrays that it hands out are read-only views without a copy; they keep their content whatever is
    appended later. Appending is O(1) a token in the long run.

    Example:
        >>> stream = TokenStream()
        >>> stream.observe([1, 2, 3], [7, 8], [-0.5, -0.25])
        3
        >>> stream.observe([1, 2, 3, 7, 8, 4], [9], [-1.0])
        1
        >>> stream.ids.tolist(), stream.mask.tolist()
        ([1, 2, 3, 7, 8, 4, 9], [0, 0, 0, 1, 1, 0, 1])
        >>> stream.steps[1]
        TokenSpan(prompt_end=6, completion_end=7)
    """

    __slots__ = ("_buffers", "_drifts", "_has_logprobs", "_starts", "_steps")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self) -> None:
        self._buffers = TokenBuffers(np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.float32))
        self._starts = [0]
        self._steps: list[TokenSpan] = []
        self._has_logprobs = True
        self._drifts = 0

    # What is recorded.

    @property
    def ids(self) -> IdArray:
        """All token ids, int32 of shape ``(n,)``, read-only."""
        return self._buffers.ids()

    @property
    def mask(self) -> MaskArray:
        """1 where the policy sampled the token, else 0; uint8 of shape ``(n,)``, read-only."""
        return self._buffers.mask()

    @property
    def logprobs(self) -> FloatArray:
        """Log-probability (nats) of each sampled token; float32 of shape ``(n,)``, read-only.

        0.0 where ``mask`` is 0, and where the log-probabilities of a turn are unknown; the latter
        is only so if ``has_logprobs`` is False.
        """
        return self._buffers.logprobs()

    @property
    def has_logprobs(self) -> bool:
        """Whether the log-probability of every sampled token is known."""
        return self._has_logprobs

    @property
    def steps(self) -> tuple[TokenSpan, ...]:
        """One span a sampled turn, in order."""
        return tuple(self._steps)

    @property
    def segments(self) -> tuple[TokenSegment, ...]:
        """The whole sequences that the stream holds, in order; none while it is empty."""
        if not self._buffers.size:
            return ()
        ends = [*self._starts[1:], self._buffers.size]
        return tuple(map(TokenSegment, self._starts, ends))

    @property
    def segment_ids(self) -> IdArray:
        """The ids of the current segment, read-only: what the policy continues token by token."""
        return self._buffers.ids(self._starts[-1])

    @property
    def forks(self) -> int:
        """How often a new segment was begun because the prompt did not continue the last one."""
        return len(self._starts) - 1

    @property
    def drifts(self) -> int:
        """How often the engine conditioned on other ids than it had been asked to continue."""
        return self._drifts

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, spare capacity included, in bytes."""
        return self._buffers.nbytes

    def prompt_ids(self, step: int) -> IdArray:
        """Everything that the policy saw before it sampled a step, from its segment's start on.

        Raises:
            IndexError: There is no such step.
        """
        end = self._steps[step].prompt_end
        # A segment begins with a prompt of at least one id, so this start lies before the step's
        # end.
        start = self._starts[bisect_right(self._starts, end - 1) - 1] if end else 0
        return self._buffers.ids(start, end)

    def completion_ids(self, step: int) -> IdArray:
        """What the policy sampled in a step.

        Raises:
            IndexError: There is no such step.
        """
        span = self._steps[step]
        return self._buffers.ids(span.prompt_end, span.completion_end)

    # Recording.

    def append_context(self, ids: Any) -> None:
        """Append tokens that the policy did not sample (mask 0) to the current segment.

        Args:
            ids: Whole numbers in [0, 2**31); nothing happens if there are none.

        Raises:
            ConfigError: They are something else; the stream is unchanged.
        """
        self._buffers.append(token_array(ids, "ids"), 0, 0.0)

    def append_sampled(self, ids: Any, logprobs: Any = None) -> None:
        """Append one turn that the policy sampled (mask 1) to the current segment.

        Args:
            ids: The sampled ids in [0, 2**31). None of them is a turn too, a silent one.
            logprobs: One log-probability (nats, finite, at most 0) for each id, or None if they are
                unknown, which makes ``has_logprobs`` False for good.

        Raises:
            ConfigError: They are something else; the stream is unchanged.
        """
        array = token_array(ids, "ids")
        self._extend_sampled(array, _known(logprobs, array.size))

    def fork(self, prompt_ids: Any) -> None:
        """Begin a new segment with a complete prompt (mask 0) and leave the last one as it is.

        On an empty stream this only appends, for there is nothing to fork from.

        Args:
            prompt_ids: The whole new context, at least one id.

        Raises:
            ConfigError: They are something else; the stream is unchanged.
        """
        self._fork(_prompt(prompt_ids))

    def check_prompt(self, prompt_ids: Any) -> int:
        """Compare the current segment with the prompt that an engine reports.

        Args:
            prompt_ids: The ids that the engine conditioned on.

        Returns:
            Number of ids that the prompt adds to the current segment, or -1 if the segment is not a
            prefix of the prompt.

        Raises:
            ConfigError: They are no token ids.
        """
        return self._extra(_prompt(prompt_ids))

    def observe(self, prompt_ids: Any, sampled_ids: Any, logprobs: Any = None, *, asked: Any = None) -> int:
        """Record one call of the policy: what it conditioned on and what it sampled.

        A prompt that starts with the current segment adds its remainder as context; any other
        prompt forks.

        Args:
            prompt_ids: The ids that the engine conditioned on, at least one.
            sampled_ids: The ids that it sampled.
            logprobs: One log-probability for each sampled id, or None if they are unknown.
            asked: The ids that the engine had been asked to continue, or None if it rendered the prompt
                itself. If they are others than ``prompt_ids``, that counts as a drift.

        Returns:
            Number of context ids that were added to the segment, or -1 for a fork.

        Raises:
            ConfigError: An argument is malformed; the stream is unchanged.
        """
        prompt = _prompt(prompt_ids)
        sampled = token_array(sampled_ids, "sampled_ids")
        known = _known(logprobs, sampled.size)
        drifted = asked is not None and asked is not prompt_ids
        if drifted:
            drifted = not np.array_equal(token_array(asked, "asked"), prompt)
        extra = self._extra(prompt)
        if extra < 0:
            self._fork(prompt)
        else:
            self._buffers.append(prompt[prompt.size - extra :], 0, 0.0)
        self._extend_sampled(sampled, known)
        self._drifts += drifted
        return extra

    def _extra(self, prompt: IdArray) -> int:
        extra = prompt.size - (self._buffers.size - self._starts[-1])
        if extra < 0 or not np.array_equal(prompt[: prompt.size - extra], self.segment_ids):
            return -1
        return extra

    def _fork(self, prompt: IdArray) -> None:
        start = self._buffers.size
        self._buffers.append(prompt, 0, 0.0)
        if start:
            self._starts.append(start)

    def _extend_sampled(self, ids: IdArray, logprobs: FloatArray | None) -> None:
        start = self._buffers.size
        self._buffers.append(ids, 1, 0.0 if logprobs is None else logprobs)
        self._steps.append(TokenSpan(start, self._buffers.size))
        if logprobs is None and ids.size:
            self._has_logprobs = False

    # Storing and copying.

    def to_dict(self) -> dict[str, Any]:
        """The stream as JSON types: ``from_dict`` restores it bit for bit.

        Returns:
            ``ids``, ``mask`` and ``logprobs`` as base64 of their little-endian bytes (int32, uint8,
            float32), ``steps`` and ``segments`` as pairs of offsets, ``has_logprobs`` and ``drifts``.
        """
        return pack(self.__getstate__())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TokenStream:
        """The stream of a record.

        Args:
            data: What ``to_dict`` made.

        Raises:
            ConfigError: It is no such record, or its parts contradict each other.
        """
        stream = cls()
        stream.__setstate__(unpack(data))
        return stream

    # Copies (shallow ones too) and pickles go through these two: views without room to grow, so
    # that original and copy never write to the same place.

    def __getstate__(self) -> Parts:
        return Parts(
            ids=self.ids,
            mask=self.mask,
            logprobs=self.logprobs,
            steps=self.steps,
            segments=self.segments,
            has_logprobs=self._has_logprobs,
            drifts=self._drifts,
        )

    def __setstate__(self, parts: Parts) -> None:
        self._buffers = TokenBuffers(parts.ids, parts.mask, parts.logprobs)
        self._starts = [segment.start for segment in parts.segments] or [0]
        self._steps = list(parts.steps)
        self._has_logprobs = parts.has_logprobs
        self._drifts = parts.drifts

    def __len__(self) -> int:
        """Number of tokens."""
        return self._buffers.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TokenStream):
            return NotImplemented
        return (
            self._steps == other._steps
            and self._starts == other._starts
            and self._has_logprobs == other._has_logprobs
            and self._drifts == other._drifts
            and np.array_equal(self.ids, other.ids)
            and np.array_equal(self.logprobs, other.logprobs)
        )

    def __repr__(self) -> str:
        return (
            f"TokenStream({self._buffers.size} tokens, {int(self.mask.sum())} of them sampled in "
            f"{len(self._steps)} steps, {self.forks} forks)"
        )


def _prompt(ids: Any) -> IdArray:
    array = token_array(ids, "prompt_ids")
    if not array.size:
        raise ConfigError("prompt_ids is empty: a prompt has at least one id")
    return array


def _known(logprobs: Any, length: int) -> FloatArray | None:
    return None if logprobs is None else logprob_array(logprobs, length, "logprobs")
