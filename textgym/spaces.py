"""The space of text: ``Unicode``, any string up to a length.

Gymnasium's ``Text`` knows a string by its alphabet; a language model has none. ``Unicode`` is a
``Text`` (so whatever dispatches on ``Text`` accepts it) whose alphabet is all of Unicode, computed
with ``chr`` and ``ord`` instead of stored: its repr, pickle and copies stay small.

Invariant: a string is in the space if and only if its number of code points lies within the bounds,
and such a string comes back unchanged from every encoding of the space: flat array, JSON, pickle
and the shared memory of ``AsyncVectorEnv``. Lone surrogates, NUL and "" are strings like any other.

This module does not clean, normalise, cut or tokenize text; what to do with an over-long text is
the environment's business.
"""

from __future__ import annotations

import copy
import ctypes
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence, Set
from multiprocessing.heap import BufferWrapper
from typing import Any, TypeAlias, overload

import numpy as np
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Text
from gymnasium.spaces.utils import flatten, unflatten
from gymnasium.vector.utils import batch_differing_spaces
from gymnasium.vector.utils import shared_memory as shm
from numpy.typing import NDArray

__all__ = ["MAX_SHARED_BYTES", "SharedTexts", "Unicode"]

MAX_SHARED_BYTES = 1 << 30
"""Most bytes of shared memory one ``Unicode`` leaf of an ``AsyncVectorEnv`` may reserve (1 GiB)."""

_CODE_POINTS = 0x110000
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_SAMPLE_LENGTH = 64
_IMMUTABLE = frozenset({"max_length", "min_length", "dtype", "_shape"})
_BYTES_PER_CODE_POINT = 4  # the most that UTF-8 needs, surrogates (3) included

_SampleMask: TypeAlias = tuple[int | None, NDArray[Any] | None]
_SharedMemory: TypeAlias = tuple["ctypes.Array[ctypes.c_int64]", BufferWrapper]


class Unicode(Text):
    """Any Unicode string whose number of code points lies within two inclusive bounds.

    Args:
        max_length: Most code points of a text, at least 0.
        min_length: Fewest code points of a text, 0 to ``max_length``.
        seed: Seed or generator of :meth:`sample`.

    Raises:
        TypeError: A bound is not an integer.
        ValueError: A bound is out of range.

    Example:
        >>> space = Unicode(8)
        >>> space
        Unicode(8)
        >>> "" in space, "naïve 🙂" in space, "a longer text" in space, b"bytes" in space
        (True, True, False, False)
        >>> Unicode(8) == Unicode(8), Unicode(8) == Unicode(8, min_length=1)
        (True, False)
    """

    def __init__(
        self,
        max_length: int = 65_536,
        *,
        min_length: int = 0,
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.max_length = _bound("max_length", max_length)
        self.min_length = _bound("min_length", min_length)
        if self.min_length > self.max_length:
            raise ValueError(
                f"min_length must be at most max_length ({self.max_length}), got {self.min_length}"
            )
        # Text.__init__ is passed over: it stores tables of its charset (Unicode: 46 MB pickled).
        super(Text, self).__init__(dtype=str, seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string within the bounds; takes the same time for every length."""
        return isinstance(x, str) and self.min_length <= len(x) <= self.max_length

    def sample(self, mask: _SampleMask | None = None, probability: _SampleMask | None = None) -> str:
        """Draw a short text: printable ASCII, at most 64 characters unless more are asked for.

        Args:
            mask: ``(length, allowed)``. ``length`` fixes the number of characters; None draws it.
                ``allowed`` holds 0 or 1 for each code point (``int8[k]``, k up to 1,114,112); code
                points from k on are not allowed. None allows printable ASCII.
            probability: ``(length, weights)``, the same with the probability of each code point
                (``float64[k]``, sum 1). Only one of the two arguments may be given.

        Returns:
            A text of this space. If no character is allowed it is "", as for ``Text``.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: An argument has the wrong value, or no character is allowed although
                ``min_length`` is not 0.

        Example:
            >>> digits = np.array([chr(i).isdigit() for i in range(128)], dtype=np.int8)
            >>> Unicode(8).sample(mask=(3, digits)).isdigit()
            True
        """
        if mask is not None and probability is not None:
            raise ValueError("sample takes mask or probability, got both")
        length, weights = self._choice("mask", mask, "biu")
        if probability is not None:
            length, weights = self._choice("probability", probability, "f")
        if weights is not None and not weights.any():
            if self.min_length:
                raise ValueError(f"mask[1] allows no character, but {self} has no empty text")
            return ""
        if length is None:
            longest = min(self.max_length, max(self.min_length, _SAMPLE_LENGTH))
            length = int(self.np_random.integers(self.min_length, longest + 1))
        if weights is None:
            return _text(self.np_random.integers(0x20, 0x7F, size=length))
        allowed = np.flatnonzero(weights)
        share = weights[allowed] / weights[allowed].sum(dtype=np.float64)
        return _text(self.np_random.choice(allowed, size=length, p=share))

    def __deepcopy__(self, memo: dict[int, Any]) -> Unicode:
        """A copy with a generator of its own; environments are copied often, and this takes a tenth."""
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            known = name in _IMMUTABLE or value is None
            vars(twin)[name] = value if known else copy.deepcopy(value, memo)
        return twin

    def _choice(self, name: str, given: Any, kinds: str) -> tuple[int | None, NDArray[Any] | None]:
        """Both halves of the argument ``name`` of :meth:`sample`, checked."""
        length, weights = (None, None) if given is None else _pair(name, given)
        if length is not None:
            length = _bound(f"{name}[0]", length)
            if not self.min_length <= length <= self.max_length:
                raise ValueError(f"{name}[0] must be a length that {self} allows, got {length}")
        if weights is None:
            return length, None
        if not isinstance(weights, np.ndarray) or weights.dtype.kind not in kinds:
            got = getattr(weights, "dtype", type(weights).__name__)
            wanted = "float64" if kinds == "f" else "int8"
            raise TypeError(f"{name}[1] must be None or an array of {wanted}, got {got}")
        if weights.ndim != 1 or len(weights) > _CODE_POINTS:
            raise ValueError(f"{name}[1] must have shape (k,) with k <= {_CODE_POINTS}, got {weights.shape}")
        if kinds == "f" and not ((weights >= 0).all() and np.isclose(weights.sum(), 1)):
            raise ValueError(f"{name}[1] must be non-negative and sum to 1, got {weights}")
        if kinds != "f" and not np.isin(weights, (0, 1)).all():
            raise ValueError(f"{name}[1] may hold only 0 and 1, got {weights}")
        return length, weights

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str | list[int]]:
        r"""Convert texts to JSON values.

        Args:
            sample_n: Texts of this space.

        Returns:
            For each text the text itself, or its list of code points if it holds a surrogate: JSON
            joins a high and a low surrogate to one character, and strict codecs refuse both.

        Example:
            >>> Unicode(8).to_jsonable(["é", "\ud83d\ude42"])
            ['é', [55357, 56898]]
        """
        return [str(x) if _is_utf8(x) else list(map(ord, x)) for x in sample_n]

    def from_jsonable(self, sample_n: Iterable[str | list[int]]) -> list[str]:
        """Convert what :meth:`to_jsonable` made, also after a round trip through JSON, to texts.

        Args:
            sample_n: Strings and lists of code points.

        Returns:
            The texts.
        """
        return [x if isinstance(x, str) else "".join(map(chr, x)) for x in sample_n]

    @property
    def characters(self) -> str:
        """The printable ASCII that :meth:`sample` draws from; the whole alphabet is no string."""
        return _PRINTABLE

    @property
    def character_set(self) -> _CodePoints:  # type: ignore[override]  # not stored
        """All 1,114,112 code points as a set, of which none is stored."""
        return _ALL

    @property
    def character_list(self) -> _CodePoints:  # type: ignore[override]  # not stored
        """All 1,114,112 code points as a sequence, of which none is stored."""
        return _ALL

    def character_index(self, char: str) -> np.int32:
        """The code point of a character, which is its position in :attr:`character_list`."""
        return np.int32(ord(char))

    def __repr__(self) -> str:
        bounds = f"{self.max_length}, min_length={self.min_length}"
        return f"Unicode({bounds if self.min_length else self.max_length})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Unicode):
            return False
        return (self.min_length, self.max_length) == (other.min_length, other.max_length)

    def __hash__(self) -> int:
        return hash(("Unicode", self.min_length, self.max_length))


class _Lookup(Sequence[str]):
    """A sequence that computes its items from their positions."""

    __slots__ = ()

    def _item(self, index: int) -> str:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        found = range(len(self))[index]
        return self._item(found) if isinstance(found, int) else tuple(map(self._item, found))

    def __iter__(self) -> Iterator[str]:
        return map(self._item, range(len(self)))


class _CodePoints(_Lookup, Set[str]):
    """Every code point, as the set and the sequence that ``Text`` calls its charset."""

    __slots__ = ()

    def _item(self, index: int) -> str:
        return chr(index)

    def __len__(self) -> int:
        return _CODE_POINTS

    def __contains__(self, x: object) -> bool:
        return isinstance(x, str) and len(x) == 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CodePoints) or Set.__eq__(self, other)

    def __hash__(self) -> int:
        return hash(_CODE_POINTS)

    def __repr__(self) -> str:
        return f"<{_CODE_POINTS} code points>"


_ALL = _CodePoints()


class SharedTexts(_Lookup):
    """The batch of texts in shared memory, decoded when looked at; copies are tuples of ``str``.

    Gymnasium's ``AsyncVectorEnv`` reads its shared memory once, when it is made, and returns copies
    of that one object ever after, so the object has to look up the texts itself. With the default
    ``copy=True`` the caller gets a tuple. With ``copy=False`` the caller gets this object, which
    (like Gymnasium's arrays there) shows the newest observations and changes with the next step;
    between ``step_async`` and ``step_wait`` its content is undefined.

    Args:
        lengths: Number of UTF-8 bytes of each text (``int64[n]``).
        data: The texts; text i starts at byte ``i * stride``.
        stride: Bytes reserved for one text.
    """

    __slots__ = ("_data", "_lengths", "_stride")

    def __init__(self, lengths: ctypes.Array[ctypes.c_int64], data: BufferWrapper, stride: int) -> None:
        self._lengths = lengths
        self._data = data  # itself and not only a view of it: the memory is freed with it
        self._stride = stride

    def _item(self, index: int) -> str:
        start = index * self._stride
        raw = self._data.create_memoryview()[start : start + self._lengths[index]]
        return str(raw, "utf-8", "surrogatepass")

    def __len__(self) -> int:
        return len(self._lengths)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (tuple, list, SharedTexts)):
            return tuple(self) == tuple(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its content changes

    def __copy__(self) -> tuple[str, ...]:
        return tuple(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    def __reduce__(self) -> tuple[type[tuple[str, ...]], tuple[tuple[str, ...]]]:
        return tuple, (tuple(self),)

    def __repr__(self) -> str:
        return f"SharedTexts({list(self)})"


# Gymnasium looks up this one by exact type, so that what it knows for Text is not inherited.
batch_differing_spaces.register(Unicode, batch_differing_spaces.dispatch(Text))


@shm.create_shared_memory.register(Unicode)
def _create_shared_memory(space: Unicode, n: int = 1, ctx: Any = multiprocessing) -> _SharedMemory:
    size = n * space.max_length * _BYTES_PER_CODE_POINT
    if size > MAX_SHARED_BYTES:
        raise CustomSpaceError(
            f"{n} environments with texts of {space} need {size} bytes of shared memory, allowed "
            f"are {MAX_SHARED_BYTES}: disable it with shared_memory=False or lower max_length"
        )
    # ctx.RawArray zeroes the lengths. It would zero the text too and so occupy all its memory; a
    # bare BufferWrapper, which is what lies under a RawArray, only reserves it.
    return ctx.RawArray(ctypes.c_int64, n), BufferWrapper(size)


@shm.read_from_shared_memory.register(Unicode)
def _read_from_shared_memory(space: Unicode, shared_memory: _SharedMemory, n: int = 1) -> SharedTexts:
    lengths, data = shared_memory
    if len(lengths) != n:
        raise ValueError(f"the shared memory holds {len(lengths)} texts, asked for {n}")
    return SharedTexts(lengths, data, space.max_length * _BYTES_PER_CODE_POINT)


@shm.write_to_shared_memory.register(Unicode)
def _write_to_shared_memory(space: Unicode, index: int, value: str, shared_memory: _SharedMemory) -> None:
    _check_text(space, value, f"observation of environment {index}")
    lengths, data = shared_memory
    raw = value.encode("utf-8", "surrogatepass")
    start = index * space.max_length * _BYTES_PER_CODE_POINT
    data.create_memoryview()[start : start + len(raw)] = raw
    lengths[index] = len(raw)


# mypy cannot bind the type variable of the two fallbacks to Unicode, hence the ignores.
@flatten.register(Unicode)
def _flatten(space: Unicode, x: str) -> NDArray[np.int32]:  # type: ignore[misc]
    """Code points as ``int32[max_length]``, padded with 0x110000; ``Text`` would loop over them."""
    _check_text(space, x, "text")
    flat = np.full(space.max_length, _CODE_POINTS, dtype=np.int32)
    flat[: len(x)] = np.frombuffer(x.encode("utf-32-le", "surrogatepass"), dtype="<i4")
    return flat


@unflatten.register(Unicode)
def _unflatten(space: Unicode, x: NDArray[Any]) -> str:  # type: ignore[misc]
    codes = np.asarray(x)  # of any dtype: within a Dict it takes that of its neighbours
    return _text(codes[codes < _CODE_POINTS])


def _text(codes: NDArray[Any]) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _pair(name: str, given: Any) -> tuple[Any, Any]:
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(f"{name} must be a tuple (length or None, array or None), got {given!r}")
    return given


def _bound(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {value!r} ({type(value).__name__})")
    if value < 0:
        raise ValueError(f"{name} must be at least 0, got {value}")
    return int(value)


def _check_text(space: Unicode, value: Any, what: str) -> None:
    """Refuse what has no place in the memory of ``space``."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str, as {space} says, got {type(value).__name__}")
    if len(value) > space.max_length:
        raise ValueError(
            f"{what} has {len(value)} code points, but {space} holds at most {space.max_length}: "
            "cut the text or raise max_length"
        )
