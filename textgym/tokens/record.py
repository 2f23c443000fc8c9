"""The parts of a token stream as JSON types, and back with every promise of the stream checked.

Invariant: ``unpack(pack(parts)) == parts`` bit for bit, on machines of either byte order; a record
that breaks the layout of a stream is refused, not repaired. This module does not read or write
files.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from textgym.errors import ConfigError
from textgym.tokens.arrays import FloatArray, IdArray, MaskArray, logprob_array, token_array

__all__ = ["Parts", "TokenSegment", "TokenSpan", "pack", "unpack"]


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Where one sampled turn lies in the flat arrays of a stream."""

    prompt_end: int
    """Where its prompt ends and its completion begins."""
    completion_end: int
    """Where its completion ends."""


@dataclass(frozen=True, slots=True)
class TokenSegment:
    """The range ``[start, end)`` of the flat arrays that is one whole sequence."""

    start: int
    """Offset of its first token."""
    end: int
    """Offset after its last token."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """Everything that a stream holds."""

    ids: IdArray
    """Token ids, shape ``(n,)``."""
    mask: MaskArray
    """1 where sampled, shape ``(n,)``."""
    logprobs: FloatArray
    """Log-probabilities, shape ``(n,)``."""
    steps: tuple[TokenSpan, ...]
    """The sampled turns."""
    segments: tuple[TokenSegment, ...]
    """The whole sequences."""
    has_logprobs: bool
    """Whether every sampled token has its log-probability."""
    drifts: int
    """How often the engine conditioned on other ids than it had been asked to continue."""


def pack(parts: Parts) -> dict[str, Any]:
    """The parts as JSON types; arrays as base64 of their little-endian bytes (i4, u1, f4)."""
    return {
        "ids": _encoded(parts.ids),
        "mask": _encoded(parts.mask),
        "logprobs": _encoded(parts.logprobs),
        "steps": [[step.prompt_end, step.completion_end] for step in parts.steps],
        "segments": [[segment.start, segment.end] for segment in parts.segments],
        "has_logprobs": parts.has_logprobs,
        "drifts": parts.drifts,
    }


def unpack(data: Mapping[str, Any]) -> Parts:
    """The parts of a record.

    Args:
        data: What ``pack`` made.

    Raises:
        ConfigError: It is no such record, or its parts contradict each other.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"a token record is a dict, not {type(data).__name__} {data!r:.60}")
    missing = [name for name in Parts.__dataclass_fields__ if name not in data and name != "drifts"]
    if missing:
        raise ConfigError(f"the token record lacks {', '.join(missing)}")
    parts = Parts(
        ids=token_array(_decoded(data, "ids", np.dtype("<i4")), "ids"),
        mask=_decoded(data, "mask", np.dtype("u1")),
        logprobs=_decoded(data, "logprobs", np.dtype("<f4")).astype(np.float32, copy=False),
        steps=tuple(TokenSpan(*pair) for pair in _pairs(data, "steps")),
        segments=tuple(TokenSegment(*pair) for pair in _pairs(data, "segments")),
        has_logprobs=_flag(data, "has_logprobs"),
        drifts=_count(data, "drifts"),
    )
    _check(parts)
    return parts


def _check(parts: Parts) -> None:
    size = parts.ids.size
    if not parts.mask.size == parts.logprobs.size == size:
        raise _broken(f"{size} ids, {parts.mask.size} mask values, {parts.logprobs.size} logprobs")
    bounds = [0, *(segment.end for segment in parts.segments)]
    expected = tuple(TokenSegment(*pair) for pair in pairwise(bounds))
    if parts.segments != expected or bounds[-1] != size or len(set(bounds)) != len(bounds):
        raise _broken(f"the segments {parts.segments} do not cover {size} ids one after another")
    mask = np.zeros(size, np.uint8)
    position = 0
    for step in parts.steps:
        if not position <= step.prompt_end <= step.completion_end <= size:
            raise _broken(f"{step} lies outside of {size} ids or before the end of the step before")
        mask[step.prompt_end : step.completion_end] = 1
        position = step.completion_end
    if not np.array_equal(mask, parts.mask):
        raise _broken("mask is not 1 exactly on the completions of the steps")
    if mask[[segment.start for segment in parts.segments[1:]]].any():
        raise _broken("a completion reaches over the start of a segment")
    logprob_array(parts.logprobs, size, "logprobs")
    if parts.logprobs[mask == 0].any():
        raise _broken("logprobs is not 0.0 where mask is 0")


def _broken(problem: str) -> ConfigError:
    return ConfigError(f"the token record contradicts itself: {problem}")


def _encoded(array: npt.NDArray[Any]) -> str:
    return b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")


def _decoded(data: Mapping[str, Any], field: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    text = data[field]
    try:
        raw = b64decode(text, validate=True)
        return np.frombuffer(raw, dtype)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ConfigError(
            f"{field} of the token record is {text!r:.60}: it must be base64 of {dtype.str} values ({error})"
        ) from error


def _pairs(data: Mapping[str, Any], field: str) -> list[tuple[int, int]]:
    pairs = data[field]
    if not isinstance(pairs, list | tuple) or not all(_is_pair(pair) for pair in pairs):
        raise ConfigError(f"{field} of the token record is {pairs!r:.60}: it must be pairs of offsets")
    return [(pair[0], pair[1]) for pair in pairs]


def _flag(data: Mapping[str, Any], field: str) -> bool:
    value = data[field]
    if not isinstance(value, bool):
        raise ConfigError(f"{field} of the token record is {value!r:.60}: it must be true or false")
    return value


def _count(data: Mapping[str, Any], field: str) -> int:
    value = data.get(field, 0)  # streams that were recorded before drifts were counted lack it
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{field} of the token record is {value!r:.60}: it must be a count")
    return value


def _is_pair(pair: Any) -> bool:
    return (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(offset, int) and not isinstance(offset, bool) for offset in pair)
    )
