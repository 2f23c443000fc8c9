"""The three growing arrays under a token stream.

Invariant: a view that was handed out keeps its content. Tokens are written after the end, never
before it, and when room runs out the arrays are replaced by larger ones, not resized. This module
does not check what it is given and knows neither segments nor steps.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from textgym.tokens.arrays import FloatArray, IdArray, MaskArray

__all__ = ["TokenBuffers"]

_FIRST_CAPACITY = 256
_Scalar = TypeVar("_Scalar", bound=np.generic)


class TokenBuffers:
    """Ids, mask and log-probabilities of equal length, with room to grow.

    Args:
        ids: First content, int32 of shape ``(n,)``. The arrays may be read-only: having no room
            left, they are replaced at the first append and never written to.
        mask: uint8 of shape ``(n,)``.
        logprobs: float32 of shape ``(n,)``.
    """

    __slots__ = ("_ids", "_logprobs", "_mask", "size")

    def __init__(self, ids: IdArray, mask: MaskArray, logprobs: FloatArray) -> None:
        self._ids, self._mask, self._logprobs = ids, mask, logprobs
        self.size = ids.size

    def append(self, ids: IdArray, mask: int, logprobs: FloatArray | float) -> None:
        """Write tokens after the end; amortised O(1) for each of them.

        Args:
            ids: int32 of shape ``(k,)``.
            mask: Mask value of all of them.
            logprobs: float32 of shape ``(k,)``, or one value for all.
        """
        if not ids.size:
            return
        start, end = self.size, self.size + ids.size
        if end > self._ids.size:
            self._grow(max(end, self._ids.size + self._ids.size // 4, _FIRST_CAPACITY))
        self._ids[start:end] = ids
        self._mask[start:end] = mask
        self._logprobs[start:end] = logprobs
        self.size = end

    def _grow(self, capacity: int) -> None:
        self._ids, self._mask, self._logprobs = (
            _grown(self._ids, self.size, capacity),
            _grown(self._mask, self.size, capacity),
            _grown(self._logprobs, self.size, capacity),
        )

    def ids(self, start: int = 0, end: int | None = None) -> IdArray:
        """Read-only view of the ids in ``[start, end)``, by default of all."""
        return _view(self._ids, start, self.size if end is None else end)

    def mask(self) -> MaskArray:
        """Read-only view of the mask."""
        return _view(self._mask, 0, self.size)

    def logprobs(self) -> FloatArray:
        """Read-only view of the log-probabilities."""
        return _view(self._logprobs, 0, self.size)

    @property
    def nbytes(self) -> int:
        """Memory held, spare capacity included, in bytes."""
        return self._ids.nbytes + self._mask.nbytes + self._logprobs.nbytes


def _view(array: npt.NDArray[_Scalar], start: int, end: int) -> npt.NDArray[_Scalar]:
    view = array[start:end]
    view.flags.writeable = False
    return view


def _grown(array: npt.NDArray[_Scalar], size: int, capacity: int) -> npt.NDArray[_Scalar]:
    grown = np.empty(capacity, array.dtype)
    grown[:size] = array[:size]
    return grown
