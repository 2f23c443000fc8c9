"""Running code that nobody trusts, in the process that was confined for it.

Invariant: what is reported is a claim. Everything in this process can be changed by the code it runs, so that
the pool believes a report only as far as it bounds it, and holds it against how the process ended. Nothing
secret is ever
here: no expected answer, no environment variable, no code of another call.

A request is one byte with two descriptors (request, standard input) over a socket; the request is a JSON file.
A report is a length of four bytes and a JSON object that repeats the request's nonce.
"""

from __future__ import annotations

import atexit
import io
import json
import linecache
import os
import random
import socket
import struct
import sys
import threading
import traceback
import types
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import Any

__all__ = ["MAX_DEPTH", "Channel", "Interpreter"]

MAX_DEPTH = 100
"""Deepest nesting of a value that is handed back."""

_decode = json.JSONDecoder().decode
_encode_text = encode_basestring_ascii
_ECHOED_BYTES = 500


class Channel:
    """The socket to the pool.

    Args:
        descriptor: A connected stream socket.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)

    def request(self) -> tuple[dict[str, Any], int] | None:
        """The next request and the descriptor of its standard input, or None at the end."""
        data, descriptors, _, _ = socket.recv_fds(self._socket, 1, 2)
        if not data or len(descriptors) != 2:
            return None
        with open(descriptors[0], encoding="utf-8") as file:
            return _decode(file.read()), descriptors[1]

    def send(self, report: str) -> None:
        """Send one JSON object."""
        data = report.encode("utf-8", "backslashreplace")
        self._socket.sendall(struct.pack("!I", len(data)) + data)


class Interpreter:
    """Runs one request after another in one ``__main__`` module.

    Args:
        send: Takes a report.
        lasting: Whether more requests may follow (a session).
    """

    def __init__(self, send: Callable[[str], None], *, lasting: bool) -> None:
        random.seed(0)  # the same code prints the same numbers in every run; a fork seeds anew
        self._send = send
        self._lasting = lasting
        self._main = types.ModuleType("__main__")
        self._runs = 0

    def answer(self, request: dict[str, Any], stdin: int) -> None:
        """Run the code of a request and report how that went."""
        streams = self._open_streams(stdin)
        sys.modules["__main__"] = self._main
        nonce = request["nonce"]
        status = self._execute(request["code"])
        if status == "ok" and request["kind"] == "call":
            status = self._call(nonce, request["name"], request["arguments"])
        if not self._lasting:
            _finish()
        _flush(sys.stdout, sys.stderr, *streams)
        self._send(f'{{"nonce": {_encode_text(nonce)}, "status": "{status}"}}')

    def _open_streams(self, stdin: int) -> tuple[io.TextIOWrapper, ...]:
        os.dup2(stdin, 0)
        os.close(stdin)
        # Lines are written as they end, so that what was printed before a crash or a deadline is there.
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8", "replace")
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(1, "w", closefd=False)),
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        )
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
            "utf-8",
            "backslashreplace",
            line_buffering=True,
        )
        return sys.stdout, sys.stderr

    def _execute(self, code: str) -> str:
        self._runs += 1
        name = f"<run {self._runs}>" if self._lasting else "<code>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        try:
            exec(compile(code, name, "exec", dont_inherit=True), self._main.__dict__)
        except SystemExit as error:
            return _exit_status(error)
        except BaseException as error:
            return _told(error)
        return "ok"

    def _call(self, nonce: str, name: str, arguments: list[str]) -> str:
        function = self._main.__dict__.get(name)
        if not callable(function):
            sys.stderr.write(f"NameError: the code defines no function {name!r}\n")
            return "error"
        for place, text in enumerate(arguments):
            try:
                outcome = f'"ok": true, "value": {_encoded(function(*_decode(text)))}'
            except BaseException as error:
                outcome = f'"ok": false, "error": {_encode_text(_line(error))}'
            self._send(f'{{"nonce": {_encode_text(nonce)}, "place": {place}, {outcome}}}')
        return "ok"


def _exit_status(error: SystemExit) -> str:
    code = error.code
    if code is None or (isinstance(code, int) and code == 0):
        return "ok"
    if not isinstance(code, int):
        sys.stderr.write(f"{code}\n")
    return "error"


def _told(error: BaseException) -> str:
    """Write the traceback of an error, without the frames of this file; its status."""
    try:
        behind = error.__traceback__.tb_next if error.__traceback__ is not None else None
        traceback.print_exception(type(error), error, behind)
    except BaseException:
        try:
            sys.stderr.write(f"{type(error).__name__}\n")
        except BaseException:
            pass  # the code closed or replaced it
    return "memory" if isinstance(error, MemoryError) else "error"


def _line(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception_only(type(error), error)).strip()[-_ECHOED_BYTES:]
        return text.encode("utf-8", "backslashreplace").decode()
    except BaseException:
        return type(error).__name__


def _finish() -> None:
    """What Python does at the end of a program: wait for threads, call what was registered for it."""
    try:
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
    except BaseException as error:
        _told(error)


def _flush(*streams: Any) -> None:
    for stream in streams:
        try:
            stream.flush()
        except BaseException:
            pass  # closed or replaced by the code


def _encoded(value: Any) -> str:
    """A value as JSON text.

    Raises:
        TypeError: It is not made of JSON's types.
        ValueError: It is nested too deeply, or an integer has too many digits.
    """
    written: list[str] = []
    _write(value, written.append, 0)
    return "".join(written)


def _write(value: Any, write: Callable[[str], None], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"the result is nested deeper than {MAX_DEPTH}")
    if value is None or value is True or value is False:
        write("null" if value is None else "true" if value else "false")
    elif isinstance(value, str):
        write(_text(value))
    elif isinstance(value, int):
        write(int.__repr__(value))
    elif isinstance(value, float):
        write(_float(float.__float__(value)))
    elif isinstance(value, (list, tuple)):
        # What a class of the code's own makes of its length, truth or items does not count.
        items = list.copy(value) if isinstance(value, list) else tuple.__getitem__(value, slice(None))
        write("[")
        for place, item in enumerate(items):
            write(", " if place else "")
            _write(item, write, depth + 1)
        write("]")
    elif isinstance(value, dict):
        write("{")
        for place, (key, item) in enumerate(dict.items(value)):
            if not isinstance(key, str):
                raise TypeError(f"the result has a dict key of type {type(key).__name__}: JSON has only str")
            write(f"{', ' if place else ''}{_text(key)}: ")
            _write(item, write, depth + 1)
        write("}")
    else:
        raise TypeError(f"the result has a {type(value).__name__}: only JSON values can be handed back")


def _text(value: str) -> str:
    """A string as JSON text.

    Raises:
        ValueError: It has half of a character, which no file or message in UTF-8 can hold.
    """
    exact = str.__str__(value)
    try:
        exact.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the result has a text that is no Unicode: {error.reason}") from None
    return _encode_text(exact)


def _float(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return float.__repr__(value)
