"""Failing closed: no backend is taken for granted, and none is replaced by less."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from textgym.errors import SandboxUnavailable, TextgymError
from textgym.sandbox import Backend, Sandbox, SandboxLimits, probe
from textgym.sandbox.jail import landlock

module = sys.modules["textgym.sandbox.probe"]


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_trials", {})


def test_the_table() -> None:
    rows = {row.feature: row for row in probe()}
    assert list(rows) == [
        "kernel", "system-call filter", "no_new_privs", "Landlock", "user namespaces", "bwrap",
        "backend bubblewrap", "backend namespaces", "backend landlock", "backend auto",
    ]  # fmt: skip
    assert all(row.found for row in rows.values())


def test_nothing_works(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_missing", lambda backend: f"{backend} is missing here")
    with Sandbox() as box:
        with pytest.raises(SandboxUnavailable, match="no code can be run safely here") as caught:
            box.run("print(1)")
        with pytest.raises(SandboxUnavailable):
            _ = box.backend
        with box.session() as session, pytest.raises(SandboxUnavailable):
            session.run("1")
    for backend in ("bubblewrap", "namespaces", "landlock"):
        assert f"{backend}: {backend} is missing here" in str(caught.value)
    assert "options: " in str(caught.value)
    assert isinstance(caught.value, TextgymError)
    assert "unsafe" not in {row.found for row in probe()}


def test_a_backend_that_was_asked_for_is_not_replaced(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_missing", lambda backend: "gone" if backend == "bubblewrap" else "")
    with (
        Sandbox(backend="bubblewrap") as box,
        pytest.raises(SandboxUnavailable, match="bubblewrap: gone; options"),
    ):
        box.run("1")


def test_auto_takes_the_strongest_that_works(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def trial(backend: Backend) -> str:
        tried.append(backend)
        return "" if backend == "landlock" else "no"

    monkeypatch.setattr(module, "trial", trial)
    assert Sandbox().backend is Backend.LANDLOCK
    assert tried == ["bubblewrap", "namespaces", "landlock"]


def test_other_machines(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailable, match="no system-call filter for riscv64"):
        Sandbox().run("1")


def test_other_systems(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxUnavailable, match="it needs Linux"):
        Sandbox().run("1")


def test_no_landlock(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    with pytest.raises(SandboxUnavailable, match="Landlock is missing or off"):
        Sandbox(backend="landlock").run("1")


@pytest.mark.parametrize(
    ("layer", "weakened"),
    [
        ("seccomp.py", ("    set_seccomp, filter_mode = 22, 2\n", "    return\n")),
        (
            "landlock.py",
            ('    syscall("landlock_restrict_self"', '    return\n    syscall("landlock_restrict_self"'),
        ),
    ],
)
def test_a_layer_that_does_nothing_is_noticed(
    untried: None, monkeypatch: pytest.MonkeyPatch, layer: str, weakened: tuple[str, str]
) -> None:
    """Each layer alone: the trial of the backend that stands on it fails without it."""
    from textgym.sandbox import program as program_module

    if landlock.version() == 0:
        pytest.skip("no Landlock here")
    whole = program_module.program("zygote").decode()
    old, new = (repr(text)[1:-1] for text in weakened)
    assert old in whole, layer
    processes = sys.modules["textgym.sandbox.zygote_process"]
    monkeypatch.setattr(processes, "program", lambda main: whole.replace(old, new).encode())
    assert "code in it could" in module.trial(Backend.LANDLOCK)


def test_a_layer_that_fails_stops_the_child(untried: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from textgym.sandbox import program as program_module

    whole = program_module.program("zygote").decode()
    broken = whole.replace("filter_mode = 22, 2", "filter_mode = 22, 77")
    assert broken != whole
    processes = sys.modules["textgym.sandbox.zygote_process"]
    monkeypatch.setattr(processes, "program", lambda main: broken.encode())
    for backend in ("bubblewrap", "namespaces", "landlock"):
        with pytest.raises(SandboxUnavailable, match="no code can be run safely here"):
            Sandbox(backend=backend).run("print('ran')")


def test_a_scratch_directory_needs_a_view(backend: Backend) -> None:
    with Sandbox(SandboxLimits(scratch_bytes=1 << 20, scratch_files=5), backend=backend) as box:
        if backend is Backend.LANDLOCK:
            with pytest.raises(SandboxUnavailable, match="needs a view"):
                box.run("1")
            return
        code = (
            "open('a', 'w').write('x')\nimport os, tempfile\n"
            "print(os.listdir(), tempfile.gettempdir() == os.getcwd())"
        )
        assert box.run(code).stdout == "['a'] True\n"
        assert box.run("import os\nprint(os.listdir())").stdout == "[]\n"
        assert "No space left" in box.run("open('b', 'wb').write(bytes(2 << 20))").stderr
        assert "No space left" in box.run("for n in range(9): open(str(n), 'w')").stderr


def test_a_failing_zygote_says_why(backend: Backend) -> None:
    with Sandbox(backend=backend, modules=("this.is_not",)) as box:
        with pytest.raises(
            SandboxUnavailable, match=r"module 'this.is_not' cannot be imported in the sandbox"
        ):
            box.run("1")


def test_it_can_be_imported_where_unix_is_missing() -> None:
    code = """
        import sys
        for name in ("fcntl", "resource", "pwd", "grp", "termios"):
            sys.modules[name] = None
        import textgym.sandbox
        sys.platform = "win32"
        try:
            textgym.sandbox.Sandbox().run("1")
        except textgym.sandbox.SandboxUnavailable as error:
            print("needs Linux" in str(error))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr
