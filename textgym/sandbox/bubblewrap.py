"""The command that puts a zygote behind bubblewrap.

Invariant: everything is unshared and only the view is bound, read-only; the zygote is the first process of its
pid namespace and dies with the process that started it. Whether this works on a machine is known only by
running it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from textgym.sandbox.view import View

__all__ = ["command", "find_bwrap"]

_UNSHARED = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_KEPT_BY_ROOT = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_SETPCAP")
"""With these the zygote makes each child a user of its own; children have none."""
_INSIDE = "1000"
_FIRST = """
import os, sys
try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
except OSError:
    pass
os.execvpe(sys.argv[1], sys.argv[1:], {n: v for n, v in os.environ.items() if n != "LC_CTYPE"})
"""
"""Becomes bwrap after it has asked to die first when memory is short: inside there is no ``/proc`` for that. Of
``LC_CTYPE`` Python itself makes a variable."""


def find_bwrap() -> str | None:
    """The path of ``bwrap``, or None."""
    return shutil.which(
        "bwrap", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/bin{os.pathsep}/usr/local/bin"
    )


def command(bwrap: str, view: View, scratch: str, program: Sequence[str]) -> list[str]:
    """The command line.

    Args:
        bwrap: Path of the program.
        view: What is to be seen inside.
        scratch: A directory to be made, or "".
        program: What to run inside; an interpreter and its arguments.

    Returns:
        Its words.
    """
    words = [bwrap, *_UNSHARED, "--die-with-parent", "--as-pid-1", "--new-session", "--cap-drop", "ALL"]
    root = os.getuid() == 0
    for name in (*(_KEPT_BY_ROOT if root else ()), *(["CAP_SYS_ADMIN"] if scratch else [])):
        words += ["--cap-add", name]
    if not root:
        words += ["--unshare-user", "--uid", _INSIDE, "--gid", _INSIDE]
    words += ["--hostname", "sandbox"]
    # Named, they can be entered by all users; bwrap keeps those that it adds by itself for the first user.
    shown = (*view.directories, *view.files)
    for parent in sorted({str(each) for path in shown for each in Path(path).parents}):
        words += ["--dir", parent]
    for path in shown:
        words += ["--ro-bind", path, path]
    for path in view.devices:
        words += ["--dev-bind", path, path]
    for path in view.masks:
        words += ["--tmpfs", path, "--remount-ro", path]
    for path, target in view.links:
        words += ["--symlink", target, path]
    if scratch:
        words += ["--dir", scratch]
    return [program[0], "-I", "-S", "-c", _FIRST, *words, "--remount-ro", "/", "--chdir", "/", "--", *program]
