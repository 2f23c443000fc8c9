"""What the commands write: results on standard output, all else on standard error.

Invariant: text that others wrote (models, servers, data sets, environments) cannot move the cursor, colour
or retitle the terminal: control characters are shown as escapes. No escape sequence is written here.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from textgym.errors import TextgymError
from textgym.jsontext import dumps

__all__ = ["PROGRAM", "error", "flush", "note", "one_line", "out", "out_json", "plain", "session", "table"]

PROGRAM = "textgym"
"""What every line on standard error begins with."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# All control characters but tab and newline; surrogates; marks that turn the direction of writing.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text with everything a terminal would obey shown as an escape.

    Example:
        >>> plain("red: \\x1b[31m")
        'red: \\\\x1b[31m'
    """
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def out(text: str = "") -> None:
    """Write a part of the result."""
    print(plain(text))


def out_json(value: Any) -> None:
    """Write the result, or a record of it, as one JSON object on one line."""
    # As escapes of JSON, so that any reader gets back what `value` holds.
    print(_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", dumps(value).decode()))


def flush() -> None:
    """Send what was written on its way, so that it stands before what follows on standard error."""
    if sys.stdout is not None:  # closed by the caller (`>&-`)
        sys.stdout.flush()


def note(text: str) -> None:
    """Write something that is not the result; without a reader it is lost, and that breaks nothing."""
    try:
        print(plain(text), file=sys.stderr, flush=True)
    except OSError:
        pass


def one_line(text: str, width: int = 300) -> str:
    """The text on one line and not longer than ``width``, for lists of messages."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def table(rows: Iterable[Sequence[str]], gap: str = "  ") -> list[str]:
    """Rows as lines with aligned columns; the last column is as long as it is."""
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*(row[:-1] for row in rows), strict=True)]
    return [
        gap.join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def error(problem: BaseException) -> None:
    """Write what went wrong as one line; the traceback comes before it if ``TEXTGYM_DEBUG=1``."""
    if os.environ.get("TEXTGYM_DEBUG") == "1":
        traceback.print_exception(problem)
    note(f"{PROGRAM}: error: {_message(problem)}")


def _message(problem: BaseException) -> str:
    text = str(problem).strip()
    expected = isinstance(problem, TextgymError | OSError) or type(problem).__module__ == "gymnasium.error"
    if expected and text:
        return text
    frame = traceback.extract_tb(problem.__traceback__)[-1:]
    where = f" at {frame[0].filename}:{frame[0].lineno}" if frame else ""
    return f"{type(problem).__name__}: {text}{where} (TEXTGYM_DEBUG=1 shows the traceback)"


@contextmanager
def session() -> Iterator[None]:
    """Make warnings and log messages one line each, and every text printable, while a command runs."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    handler = _LogLines(logging.WARNING)
    log = logging.getLogger("textgym")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


class _LogLines(logging.Handler):
    """Log records as lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{PROGRAM}: {record.levelname.lower()}: {record.getMessage()}")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    text = _COLOUR.sub("", str(message)).removeprefix("WARN: ")
    note(f"{PROGRAM}: warning: {text}")
