"""The same as a user without any rights, where these tests run as root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import textgym

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0,
    reason="the tests themselves run without rights, or not on Linux",
)

NOBODY = 65534

SCRIPT = """
import json, os, sys, types
root = types.ModuleType("textgym")  # the package's other dependencies may be out of this user's reach
root.__path__ = [sys.argv[1]]
sys.modules["textgym"] = root
from textgym.sandbox import Sandbox, SandboxLimits
from textgym.sandbox.backend import AUTOMATIC
from textgym.sandbox.probe import trial
CODE = '''
import os, threading
def refused(f, *a):
    try: f(*a)
    except OSError: return True
    except RuntimeError: return "no threads"
    return False
print([refused(f, *a) for f, *a in (
    (open, "/etc/passwd"), (os.listdir, "/tmp"), (os.fork,), (os.kill, 1, 0), (open, "/tmp/x", "w"),
    (os.setuid, 0))])
print(refused(threading.Thread(target=int).start) in (False, "no threads"))
'''
found = {"user": os.getuid()}
for backend in AUTOMATIC:
    why = trial(backend)
    if why:
        found[backend] = why
        continue
    with Sandbox(backend=backend) as box:
        session = box.session()
        session.run("x = 1")
        found[backend] = [box.run(CODE).stdout, session.run("print(x)").stdout, box.run("bytes(1 << 40)").status,
                          box.run("while True: pass", timeout=0.2).status]
    if backend != "landlock":
        with Sandbox(SandboxLimits(scratch_bytes=1 << 20), backend=backend) as box:
            found[backend].append(box.run("open('a', 'w').write('b'); print(open('a').read())").stdout)
print(json.dumps(found))
"""


def python_of_nobody() -> str:
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        code = "import sys; print(sys.version_info >= (3, 11))"
        if not os.path.exists(path):
            continue
        try:
            done = subprocess.run(
                [path, "-I", "-c", code],
                user=NOBODY,
                group=NOBODY,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if done.stdout.strip() == b"True":
            return path
    pytest.skip("no Python 3.11 that a user without rights can run")


def test_as_nobody() -> None:
    python = python_of_nobody()
    folder = Path("/tmp") / f"textgym-nobody-{os.getpid()}"  # pytest's own folders are closed to others
    shutil.copytree(
        Path(textgym.__file__).parent, folder / "textgym", ignore=shutil.ignore_patterns("__pycache__")
    )
    try:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        done = subprocess.run(
            [python, "-B", "-c", SCRIPT, str(folder / "textgym")],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(folder)
    found = json.loads(done.stdout or "null")
    assert found is not None, done.stderr
    assert found.pop("user") == NOBODY
    worked = {backend: said for backend, said in found.items() if isinstance(said, list)}
    if not worked:
        pytest.skip(f"no backend works without rights here: {found}")
    for said in worked.values():
        assert said[:4] == [f"{[True] * 6}\nTrue\n", "1\n", "memory", "timeout"]
        assert said[4:] in ([], ["b\n"])
