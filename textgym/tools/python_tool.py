"""The tools ``python`` and ``python_executor``: Python code in the sandbox.

Invariant: a coroutine, so that it never blocks an event loop; the code runs in a fresh process that ends with the
call, and only what it prints comes back. A program that fails is a failed call. How far a result may be trusted
and what the process may do is the business of ``textgym.sandbox``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textgym.cutting import cut
from textgym.tools.definition import Tool
from textgym.tools.result import ToolError, ToolTimeout

if TYPE_CHECKING:
    from textgym.sandbox import SandboxResult

__all__ = ["python", "python_executor"]

_TRACEBACK_LINES = 6
_MAX_PRINTED, _MAX_ERROR = 3000, 900
"""Longest output and longest error, in code points: together below the bound of the tool."""


# No deadline beside that of the sandbox, which counts from when the program begins: the time that a call waits
# for others to end must not become a failure of the one who made it.
@partial(Tool.from_function, timeout=None)
async def python(code: str) -> str:
    """Run Python code and return what it prints.

    Every call is a program of its own: names do not live on, and only printed values are seen. There is no
    network.

    Args:
        code: The program, like: import math; print(math.comb(10, 3))

    Returns:
        The standard output, or the error and what was printed before it.

    Examples:
        python("print(2 ** 10)") -> "1024"
    """
    from textgym.sandbox import shared

    result = await shared().arun(code)
    output = cut(result.stdout.rstrip("\n"), _MAX_PRINTED)
    if result.ok:
        return output or "(the program printed nothing; print what you want to see)"
    error = cut(_error(result), _MAX_ERROR)
    kind = ToolTimeout if result.status.value == "timeout" else ToolError
    raise kind(f"{error}\nPrinted before that:\n{output}" if output else error)


python_executor = Tool.from_function(python.function, name="python_executor", timeout=python.timeout)
"""``python`` under another name."""


def _error(result: SandboxResult) -> str:
    """What the model is told of a program that failed."""
    reason = {
        "timeout": f"the program was stopped after {result.seconds:.0f} seconds",
        "memory": "the program was stopped: it needed too much memory",
        "output": "the program was stopped: it printed too much",
        "killed": "the program was stopped: it ended without a result",
    }.get(result.status.value)
    if reason is not None:
        return reason
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    if not lines:
        return "the program ended with an exit status other than 0"
    return "\n".join([lines[-1], *lines[-_TRACEBACK_LINES:-1]])
