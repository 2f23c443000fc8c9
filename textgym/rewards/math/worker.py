"""The process that runs math-verify: one JSON object a line in, one out.

It is run by its path (``python -P …/worker.py PARENT_PID``) and imports nothing of textgym, so that it starts fast
and holds nothing worth stealing. Its first line says whether math-verify could be imported. Questions are
``{"gold": …, "answer": …, "seconds": …}``, replies ``{"verdict": "correct" | "wrong" | "unparsable" | "memory"}``.

Invariant: it never outlives its parent. It ends with its standard input; while it computes, the kernel ends it
with its parent (Linux) or soon after the question's time is used up (other Unix). Model text is read by
math-verify's LaTeX grammar only, never by ``parse_expr``, which is ``eval``. Deadlines are the parent's business.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

__all__ = ["main"]

MEMORY_BYTES = 2 * 2**30
"""Address space of the process."""
GRACE_SECONDS = 10
"""Computing time beyond a question's own, should nobody be left to kill the process."""

_EXACT_DIGITS = 15


def main() -> None:
    """Answer questions until standard input ends."""
    _die_with_parent(int(sys.argv[1]))
    _limit("RLIMIT_AS", MEMORY_BYTES)
    _limit("RLIMIT_CORE", 0)
    replies = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # nothing that a library prints gets between the replies
    try:
        judge = _judge()
    except Exception as error:
        _send(replies, {"ready": False, "why": f"{type(error).__name__}: {error}"})
        return
    _send(replies, {"ready": True})
    for line in sys.stdin.buffer:
        question = json.loads(line)
        _limit("RLIMIT_CPU", int(sum(os.times()[:2]) + question["seconds"]) + GRACE_SECONDS)
        verdict = _verdict(judge, question["gold"], question["answer"])
        _send(replies, {"verdict": verdict})
        if verdict == "memory":
            return  # who knows what is left in a state that nobody expects


def _send(stream: Any, reply: dict[str, Any]) -> None:
    stream.write(json.dumps(reply) + "\n")
    stream.flush()


def _verdict(judge: Callable[[str, str], str], gold: str, answer: str) -> str:
    try:
        return judge(gold, answer)
    except MemoryError:
        return "memory"
    except Exception:
        return "unparsable"


def _judge() -> Callable[[str, str], str]:
    """Import math-verify and warm it up.

    Raises:
        Exception: It cannot be imported; mostly an ImportError, for instance where the installed antlr runtime has
            no grammar.
    """
    import_module("logging").disable()
    library = import_module("math_verify")
    config = [library.LatexExtractionConfig()]

    def parse(text: str) -> list[Any]:
        found: list[Any] = library.parse(
            rf"\boxed{{{text}}}", config, fallback_mode="no_fallback", parsing_timeout=None
        )
        return found

    def equal(gold: list[Any], answer: list[Any]) -> bool:
        return bool(library.verify(gold, answer, float_rounding=_EXACT_DIGITS, timeout_seconds=None))

    def judge(gold: str, answer: str) -> str:
        wanted, found = parse(gold), parse(answer)
        if not wanted or not found:
            return "unparsable"
        # Not symmetric: an interval for an inequality is accepted one way round only.
        return "correct" if equal(wanted, found) or equal(found, wanted) else "wrong"

    judge(r"\frac{x^2}{2}", r"\frac{1}{2}x^2")
    return judge


def _limit(name: str, value: int) -> None:
    try:
        resource = import_module("resource")
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, hard))
    except (ImportError, AttributeError, ValueError, OSError):
        pass  # no such limit on this system


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes = import_module("ctypes")
        set_death_signal, kill = 1, 9
        try:
            ctypes.CDLL(None).prctl(set_death_signal, kill)
        except (OSError, AttributeError):
            pass
    if os.name == "posix" and os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()
