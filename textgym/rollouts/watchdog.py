"""The watchdog of the event loop: it names what blocks it, once.

All episodes of a process share one loop, so a hook or a policy that sleeps or computes for long holds up every
other episode, and nothing would show but a slow run. A thread looks on: when the loop has not come round for
``LAG_SECONDS``, it says in whose function the loop's thread has been meanwhile, and what would help.

Invariant: it only watches. It stops nothing, changes no result, and costs a timer of the loop four times per
``LAG_SECONDS``. One function is named once per rollout, and only if it took at least half of the time. A machine
that has too much to do, or that stood still, makes the loop late as well: that time does not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Self

__all__ = ["LAG_SECONDS", "LoopWatch", "Section"]

log = logging.getLogger(__name__)

LAG_SECONDS = 0.5
"""How long the loop may be held up before somebody is named."""


@dataclass(frozen=True, slots=True)
class Section:
    """What the engine is doing while one of its own functions is on the stack."""

    what: str
    """Whose code runs, for instance ``environment textgym/Math-v0``."""
    remedy: str
    """What to do about it."""


class LoopWatch:
    """Watches the running loop while the ``with`` block lasts.

    Args:
        sections: Code of the engine's functions -> what runs below them; the innermost one on the stack counts.
        other: What to say where none of them is on the stack.
    """

    def __init__(self, sections: Mapping[CodeType, Section], other: Section) -> None:
        self._sections, self._other = sections, other
        self._patience = LAG_SECONDS
        self._named: set[str] = set()
        self._over = threading.Event()
        self._timer: asyncio.Handle | None = None
        self._caller: CodeType | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._running = _Running(threading.get_native_id())
        self._seen = time.monotonic()
        self._timer = self._loop.call_soon(self._beat)
        self._thread = threading.Thread(target=self._watch, name="textgym-watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        self._seen = time.monotonic()
        self._caller = sys._getframe(1).f_code
        self._timer = self._loop.call_later(self._patience / 4, self._beat)

    def _watch(self) -> None:
        seen, held, pause = self._seen, 0.0, self._patience / 4
        shares: dict[tuple[Section, str], float] = {}
        while not self._over.wait(pause):
            span = self._running.since_last(pause)
            if self._seen != seen:
                seen, held = self._seen, min(span, time.monotonic() - self._seen)
                shares.clear()
            else:
                held += span
            pause = self._patience / (4 if held < self._patience / 2 else 25)
            if held < self._patience / 2:
                continue
            # What is seen now counts for the whole time since the last look: code that does not let go of the
            # interpreter lock is seen once, when it does.
            if (found := self._culprit()) is not None:
                shares[found] = shares.get(found, 0.0) + min(span, held)
            if held >= self._patience:
                for (section, function), seconds in shares.items():
                    if seconds >= held / 2:
                        self._name(section, function, held)

    def _culprit(self) -> tuple[Section, str] | None:
        """Whose function the loop's thread is in: the outermost one that is not the engine's or a library's."""
        frame: FrameType | None = sys._current_frames().get(self._watched)
        stack = []
        while frame is not None and frame.f_code is not self._caller:
            stack.append(frame.f_code)
            frame = frame.f_back
        if frame is None:  # the loop waits
            return None
        section, function = self._other, None
        for code in reversed(stack):
            inside = self._sections.get(code)
            if inside is not None:
                section, function = inside, None
            elif function is None and _is_theirs(code):
                function = f"{code.co_qualname} ({code.co_filename}:{code.co_firstlineno})"
        return None if function is None else (section, function)

    def _name(self, section: Section, function: str, held: float) -> None:
        if function in self._named:
            return
        self._named.add(function)
        log.warning(
            "%s: %s has held up the event loop for %.1f s, and every other episode with it. %s",
            section.what,
            function,
            held,
            section.remedy,
        )


class _Running:
    """Measures how long a thread could have run: not while it waited for a processor, nor while all stood still.

    Args:
        thread: The system's number of the thread.
    """

    def __init__(self, thread: int) -> None:
        self._path = f"/proc/self/task/{thread}/schedstat"
        self._last = self._read()

    def since_last(self, asked: float) -> float:
        """Seconds since the last call.

        Args:
            asked: How long the caller meant to sleep. What is beyond it counts as far as the process computed:
                it was stopped, or the interpreter's lock was held.
        """
        last, self._last = self._last, self._read()
        span, computed, queued = (now - before for now, before in zip(self._last, last, strict=True))
        return span - max(0.0, queued, span - asked - computed)

    def _read(self) -> tuple[float, float, float]:
        queued = 0
        with contextlib.suppress(OSError, ValueError, IndexError), open(self._path, "rb") as file:
            queued = int(file.read().split()[1])  # nanoseconds; only Linux tells
        return time.monotonic(), time.process_time(), queued / 1e9


_TEXTGYM = Path(__file__).parents[1]


def _folder(path: Path) -> str:
    return str(path) + os.sep


_THEIRS = (_folder(_TEXTGYM / "tasks"), _folder(_TEXTGYM / "testing"))
_STANDARD = _folder(Path(sysconfig.get_path("stdlib")))
_INSTALLED = "site-packages"
_DEPENDENCIES = frozenset(
    {
        *(
            "aiohappyeyeballs",
            "aiohttp",
            "aiosignal",
            "anyio",
            "attr",
            "frozenlist",
            "gymnasium",
            "httpcore2",
        ),
        *("httpx", "httpx2", "jinja2", "multidict", "numpy", "openai", "orjson", "pettingzoo", "propcache"),
        *("tokenizers", "transformers", "uvloop", "yarl"),
    }
)
"""Packages that the engine itself calls: their functions are nobody's hook."""


def _is_theirs(code: CodeType) -> bool:
    """Whether a function is an environment's, a policy's or a caller's, and not machinery."""
    path = code.co_filename
    if (
        path.startswith("<frozen")
        or code.co_name == "<module>"
        or code.co_qualname.startswith("__create_fn__")
    ):
        return False
    if path.startswith(_folder(_TEXTGYM)):
        return path.startswith(_THEIRS)
    _, installed, inside = path.rpartition(_INSTALLED + os.sep)
    if installed:
        return inside.split(os.sep)[0] not in _DEPENDENCIES
    return not path.startswith(_STANDARD)
