"""JSON for text that models wrote: fast, and safe with every string a model can produce.

Invariant: ``loads(dumps(x)) == x`` for JSON-like ``x`` with finite numbers and integers of at most 64 bits
(longer ones come back as floats), lone surrogates and NUL included. The fast codec (orjson) refuses lone
surrogates and longer integers; those documents take the standard library's ASCII form, which every JSON reader
understands.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson

__all__ = ["dumps", "loads", "printable"]


def dumps(value: Any, odd: Callable[[Any], Any] | None = None) -> bytes:
    """Write one JSON document on one line.

    Args:
        value: JSON types and numpy numbers; dict keys are strings.
        odd: Makes JSON of what is none of these; without it, that is an error.

    Returns:
        UTF-8 bytes without a line break.

    Raises:
        TypeError: A value is no JSON type.
        ValueError: A number is NaN or infinite somewhere in a document the fast codec refused.
    """
    try:
        return orjson.dumps(value, odd, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_odd(odd)).encode("ascii")


def _odd(odd: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if odd is None:
        return None

    def written(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else odd(value)

    return written


def loads(data: bytes | str) -> Any:
    """Read one JSON document; NaN and Infinity are read as floats.

    Args:
        data: UTF-8 bytes or text.

    Returns:
        The document.

    Raises:
        ValueError: The data is no JSON, or no UTF-8 (``json.JSONDecodeError`` and
            ``UnicodeDecodeError`` are both ValueErrors).
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def printable(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, so that it can be encoded and sent.

    Example:
        >>> printable("a\\ud800b")
        'a�b'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
