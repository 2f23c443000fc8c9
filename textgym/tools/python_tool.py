"""The tools ``python`` and ``python_executor``: Python code in the sandbox.

Invariant: a coroutine, so that it never blocks an event loop; the code runs in a fresh process that ends with the
call, and only what it prints comes back. How far a result may be trusted and what the process may do is the
business of ``textgym.sandbox``.
"""

from __future__ import annotations

from functools import partial

from textgym.tools.definition import Tool

__all__ = ["python", "python_executor"]

_PATIENCE = 120.0
"""Seconds until a call is given up: the sandbox has a deadline of its own, and calls may have to queue for it."""
_TRACEBACK_LINES = 6


@partial(Tool.from_function, timeout=_PATIENCE)
async def python(code: str) -> str:
    """Run Python code and return what it prints.

    Every call is a program of its own: names do not live on, and only printed values are seen. There is no
    network.

    Args:
        code: The program, like: import math; print(math.comb(10, 3))

    Returns:
        The standard output, and the error if there was one.

    Examples:
        python("print(2 ** 10)") -> "1024"
    """
    from textgym.sandbox import shared

    result = await shared().arun(code)
    output = result.stdout.rstrip("\n")
    if result.ok:
        return output or "(the program printed nothing; print what you want to see)"
    error = _error(result.status.value, result.stderr)
    return f"{output}\n{error}" if output else error


python_executor = Tool.from_function(python.function, name="python_executor", timeout=_PATIENCE)
"""``python`` under another name."""


def _error(status: str, trace: str) -> str:
    """What the model is told of a program that failed."""
    reasons = {
        "timeout": "the program took too long and was stopped",
        "memory": "the program needed too much memory and was stopped",
        "output": "the program wrote too much and was stopped",
        "killed": "the program was stopped",
    }
    lines = trace.rstrip().splitlines()[-_TRACEBACK_LINES:]
    if status in reasons:
        return f"Error: {reasons[status]}"
    return f"Error: {lines[-1]}\n" + "\n".join(lines[:-1]) if lines else "Error: the program failed"
