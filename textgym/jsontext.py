"""JSON for text that models wrote: fast, and safe with every string a model can produce.

Invariant: ``loads(dumps(x)) == x`` for JSON-like ``x`` with finite numbers and integers of at most 64 bits
(longer ones come back as floats), lone surrogates and NUL included. The fast codec (orjson) refuses lone
surrogates and longer integers; those documents take the standard library's ASCII form, which every JSON reader
understands.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

__all__ = ["dumps", "loads", "printable"]


def dumps(value: Any) -> bytes:
    """Write one JSON document on one line.

    Args:
        value: JSON types; dict keys are strings.

    Returns:
        UTF-8 bytes without a line break.

    Raises:
        TypeError: A value is no JSON type.
        ValueError: A number is NaN or infinite somewhere in a document the fast codec refused.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


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
