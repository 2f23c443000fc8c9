"""Checked conversion of what a server or a trainer hands over into token arrays.

Invariant: what comes back is exact or an error: no value is cut, rounded to another id, wrapped
around or made up. This module does not know what the tokens mean.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from textgym.errors import ConfigError

__all__ = [
    "MISSING_LOGPROB",
    "FloatArray",
    "IdArray",
    "MaskArray",
    "bad_logprobs",
    "logprob_array",
    "token_array",
]

IdArray: TypeAlias = npt.NDArray[np.int32]
MaskArray: TypeAlias = npt.NDArray[np.uint8]
FloatArray: TypeAlias = npt.NDArray[np.float32]

MISSING_LOGPROB = -9999.0
"""What vLLM writes where it has no log-probability; never a measured value."""
ROUNDING = 1e-3
"""How far (nats) the rounding of an engine may lift a log-probability above 0; the value is kept as it is."""
_MAX_ID = 2**31 - 1


def token_array(ids: Any, field: str) -> IdArray:
    """Token ids as int32.

    Args:
        ids: Sequence or array of whole numbers in [0, 2**31), one-dimensional.
        field: Name of the argument, for the error.

    Returns:
        int32 array of shape ``(n,)``; the given array itself where it already is one.

    Raises:
        ConfigError: It is anything else, negative ids (padding, -100) included.
    """
    array = _one_dimensional(ids, field, "whole numbers", "iu")
    if array.dtype != np.int32 and array.size and int(array.max()) > _MAX_ID:
        raise _value_error(field, array > _MAX_ID, ids, f"a token id is at most {_MAX_ID}")
    if array.size and int(array.min()) < 0:
        raise _value_error(field, array < 0, ids, "a token id is at least 0")
    return array.astype(np.int32, copy=False)


def logprob_array(logprobs: Any, length: int, field: str) -> FloatArray:
    """Log-probabilities as float32.

    Args:
        logprobs: Sequence or array of ``length`` numbers (nats), finite and, but for rounding, at most 0.
        length: Number of sampled tokens that they belong to.
        field: Name of the argument, for the error.

    Returns:
        float32 array of shape ``(length,)``.

    Raises:
        ConfigError: It is anything else: another length, None or NaN among the numbers, a positive
            number, or -9999.0, which servers write where they know none.
    """
    array = _one_dimensional(logprobs, field, "numbers", "fiu")
    if array.size != length:
        raise ConfigError(
            f"{field} has {array.size} values for {length} sampled ids: there must be one for each "
            "id, or None for all of them if they are unknown"
        )
    with np.errstate(over="ignore"):
        values = array.astype(np.float32, copy=False)
    bad = bad_logprobs(values)
    if bad.any():
        raise _value_error(
            field,
            bad,
            logprobs,
            "a log-probability is a finite number of at most 0; pass None for all of them if some "
            "are unknown",
        )
    return values


def bad_logprobs(values: FloatArray) -> npt.NDArray[np.bool_]:
    """Where an array holds what is no log-probability: not finite, above 0, or the mark of a missing one."""
    bad: npt.NDArray[np.bool_] = ~(np.isfinite(values) & (values <= ROUNDING)) | (values == MISSING_LOGPROB)
    return bad


def _one_dimensional(values: Any, field: str, what: str, kinds: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise _type_error(field, values, what) from error
    if array.ndim == 1 and not array.size:
        return array.astype(np.int32)
    if array.ndim != 1 or array.dtype.kind not in kinds:
        raise _type_error(field, values, what)
    return array


def _type_error(field: str, values: Any, what: str) -> ConfigError:
    return ConfigError(
        f"{field} is {type(values).__name__} {values!r:.60}: it must be a one-dimensional sequence of {what}"
    )


def _value_error(field: str, bad: npt.NDArray[np.bool_], values: Any, rule: str) -> ConfigError:
    position = int(bad.argmax())
    return ConfigError(f"{field}[{position}] is {values[position]!r:.40}: {rule}")
