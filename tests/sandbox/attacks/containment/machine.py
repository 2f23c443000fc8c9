"""Which backends and users this machine offers to the tests.

Invariant: nothing here decides by a name or a version; a backend is there if it runs code, a user if a process of
theirs runs the interpreter.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from containment.table import limits
from textgym.errors import SandboxUnavailable
from textgym.sandbox import Sandbox

BACKENDS = ("bubblewrap", "namespaces", "landlock")
NOBODY = 65534


@functools.cache
def why_not(backend: str, mode: str = "run") -> str:
    """'' if the backend runs code here in this way, else its error."""
    try:
        with Sandbox(limits=limits(mode), backend=backend) as box:
            result = box.run("print(1)")
    except SandboxUnavailable as error:
        return str(error)
    assert result.ok, result
    return ""


@functools.cache
def interpreter_of_nobody() -> str:
    """An interpreter that an unprivileged user can start, or ''."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        return ""
    for python in (os.path.realpath(sys.executable), "/usr/bin/python3", "/usr/local/bin/python3"):
        asked = [
            *as_nobody(),
            python,
            "-c",
            "import os, sys; print(sys.version_info >= (3, 11) and os.path.exists(sys.executable))",
        ]
        try:
            said = subprocess.run(asked, capture_output=True, text=True, cwd="/")
        except OSError:
            continue
        if said.stdout.strip() == "True":
            return python
    return ""


def table_of_this_user(backend: str, mode: str) -> dict[str, str]:
    """The table of a backend, played in a process of its own, whose children are nobody else's."""
    folder = Path(__file__).parent.parent
    paths = [str(folder), str(Path(sys.modules["textgym"].__file__ or "").parent.parent)]
    command = [sys.executable, "-m", "containment.table", "--backend", backend, "--mode", mode]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    said = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr[-3000:]
    return dict(json.loads(said.stdout))


def as_nobody() -> list[str]:
    """The command that gives every privilege up."""
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]


def table_of_nobody(backend: str, mode: str) -> dict[str, str]:
    """The table of a backend, played by an unprivileged user with a bare interpreter.

    That user sees a copy of the package whose root imports nothing, because the interpreter may lack what the
    other parts of the package need.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        package = Path(sys.modules["textgym"].__file__ or "").parent
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("errors.py", "sandbox"):
            target = copy / "textgym" / name
            target.parent.mkdir(exist_ok=True)
            if (package / name).is_dir():
                shutil.copytree(package / name, target, ignore=ignored)
            else:
                shutil.copy(package / name, target)
        (copy / "textgym" / "__init__.py").write_text("")
        shutil.copytree(Path(__file__).parent, copy / "containment", ignore=ignored)
        (copy / "home").mkdir()
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        (copy / "home").chmod(0o777)
        command = [*as_nobody(), interpreter_of_nobody(), "-m", "containment.table", "--backend", backend]
        environment = {"PATH": os.environ["PATH"], "HOME": str(copy / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
        said = subprocess.run(
            [*command, "--mode", mode], cwd=copy, env=environment, capture_output=True, text=True
        )
    assert said.returncode == 0, said.stderr[-3000:]
    return dict(json.loads(said.stdout))
