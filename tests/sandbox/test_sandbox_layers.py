"""Each layer by itself: the filter in a simulator of both machines, the rest in the real thing."""

from __future__ import annotations

import ast
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from textgym.sandbox import Sandbox, SandboxLimits, SandboxStatus, child, jail, unsafe
from textgym.sandbox.jail.seccomp import _ITSELF, Extra, program
from textgym.sandbox.jail.syscalls import ARCHITECTURES, Architecture
from textgym.sandbox.view import view

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def verdict(code: bytes, audit: int, number: int, *arguments: int) -> int:
    """What the kernel would make of a system call: a simulator of classic BPF."""
    filled = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number, audit, 0, *(each % 2**64 for each in filled))
    instructions = list(struct.iter_unpack("=HBBI", code))
    at, loaded = 0, 0
    for _ in range(len(instructions) + 1):
        operation, yes, no, value = instructions[at]
        at += 1
        if operation == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif operation == 0x54:
            loaded &= value
        elif operation == 0x05:
            at += value
        elif operation == 0x15:
            at += yes if loaded == value else no
        elif operation == 0x35:
            at += yes if loaded >= value else no
        else:
            assert operation == 0x06
            return int(value)
    raise AssertionError("the program has no end")


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> Architecture:
    return ARCHITECTURES[request.param]


def test_foreign_calls_kill(machine: Architecture) -> None:
    code = program(machine, [])
    for other in (0x40000003, 0xC000003E, 0xC00000B7, 0):
        if other != machine.audit:
            assert verdict(code, other, machine.numbers["read"]) == KILL
    assert verdict(code, machine.audit, 0x40000000 | machine.numbers["read"]) == KILL


def test_what_is_not_listed_is_refused(machine: Architecture) -> None:
    code = program(machine, list(Extra))
    listed = set(machine.numbers.values())
    for number in set(range(600)) - listed:
        assert verdict(code, machine.audit, number) == EPERM
    assert verdict(code, machine.audit, machine.numbers["clone3"]) == ENOSYS
    for name in ("capset", "pivot_root"):  # made by the zygote, before
        assert verdict(code, machine.audit, machine.numbers[name]) == EPERM


def test_arguments(machine: Architecture) -> None:
    def allowed(name: str, *arguments: int, extras: tuple[Extra, ...] = (Extra.THREADS,)) -> bool:
        found = verdict(program(machine, extras), machine.audit, machine.numbers[name], *arguments)
        assert found in (ALLOW, EPERM)
        return found == ALLOW

    assert allowed("read")
    assert allowed("openat", 0, 0, 0o2000000)
    assert allowed("openat", 0, 0, 0o1 | 0o100 | 0o1000)
    assert not allowed("openat", 0, 0, 0o10000000)
    assert not allowed("openat", 0, 0, 0o1000)
    assert allowed("kill", _ITSELF, 9)
    for pid in (0, -1, 1, _ITSELF + 1, -_ITSELF):
        assert not allowed("kill", pid, 9)
        assert not allowed("tgkill", pid, 1, 9)
    threads = 0x3D0F00
    assert allowed("clone", threads)
    assert not allowed("clone", threads, extras=())
    for flags in (0x11, 0x4111, threads | 0x10000000, threads | 0x20000, 0x01200011, threads & ~0x10000):
        assert not allowed("clone", flags)
    assert allowed("socketpair", 1, 1 | 0o2000000 | 0o4000, 0)
    for family, kind in ((2, 1), (16, 3), (1, 2), (1, 5)):
        assert not allowed("socketpair", family, kind, 0)
    assert allowed("sendto", 5, 1, 1, 0, 0, 0)
    assert not allowed("sendto", 5, 1, 1, 0, 99, 16)
    assert allowed("ioctl", 0, 0x5401)
    assert not allowed("ioctl", 0, 0x5412)
    assert not allowed("ioctl", 0, 0x541C)
    assert allowed("fcntl", 0, 3)
    for command in (8, 10, 1024, 1031, 1033):  # owner, signal, lease, pipe size, seals
        assert not allowed("fcntl", 0, command)
    assert allowed("prctl", 15)
    assert not allowed("prctl", 1)
    assert not allowed("prctl", 4)
    assert allowed("prlimit64", 0, 7)
    assert not allowed("prlimit64", 1, 7)
    assert not allowed("faccessat")
    assert allowed("faccessat", extras=(Extra.VIEW,))
    assert not allowed("mkdirat", extras=(Extra.VIEW,))
    assert allowed("mkdirat", extras=(Extra.SCRATCH,))


def test_no_socket_or_process_call_is_known_at_all(machine: Architecture) -> None:
    dangerous = "socket connect bind listen sendmsg fork vfork execve ptrace memfd_create unshare mount bpf"
    assert not set(dangerous.split()) & set(machine.numbers)


def test_files_of_the_jail_need_nothing_but_python() -> None:
    for path in Path(jail.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert (
                    name.startswith("textgym.sandbox.jail") or name.split(".")[0] in sys.stdlib_module_names
                ), path


def test_the_view_shows_no_home_and_no_project() -> None:
    shown = view(())
    for path in (*shown.directories, *shown.files):
        assert not str(Path.home()).startswith(path), path
        assert not Path(__file__).is_relative_to(path)
        assert path not in ("/", "/etc", "/usr", "/var", "/proc", "/sys", "/dev", "/tmp")
    assert [path for path in shown.files if path.startswith("/etc")] in ([], ["/etc/ld.so.cache"])


CONFINED = """
import json, os, resource
status = {}
names = ("AS", "CORE", "FSIZE", "NOFILE", "MEMLOCK", "MSGQUEUE", "STACK", "CPU")
print(json.dumps({
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names},
    "cwd": os.getcwd(), "environment": dict(os.environ), "session": os.getsid(0) == os.getpid(),
    "groups": os.getgroups(), "host": os.uname().nodename,
}))
"""


def test_limits_and_surroundings(backend: str) -> None:
    limits = SandboxLimits(seconds=5, memory_bytes=200 << 20, file_bytes=1 << 20, open_files=32)
    with Sandbox(limits, backend=backend) as box:
        found = json.loads(box.run(CONFINED).stdout)
    assert found["limits"]["AS"] == [200 << 20] * 2
    assert found["limits"]["FSIZE"] == [1 << 20] * 2
    assert found["limits"]["NOFILE"] == [32] * 2
    for name in ("CORE", "MEMLOCK", "MSGQUEUE"):
        assert found["limits"][name] == [0, 0]
    assert found["limits"]["STACK"] == [8 << 20] * 2
    assert 5 < found["limits"]["CPU"][1] < 5000
    assert (found["cwd"], found["environment"], found["session"]) == ("/", {}, True)
    if backend != "landlock":
        assert found["host"] == "sandbox"


def test_capabilities_are_gone(box: Sandbox) -> None:
    code = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0), 8)
data = ctypes.create_string_buffer(24)
print(libc.capget(header, data), libc.prctl(39, 0, 0, 0, 0), libc.prctl(21, 0, 0, 0, 0))
import os
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.chown("/", 0, 0), lambda: os.nice(-1)):
    try:
        attempt()
        print("worked")
    except OSError:
        print("refused")
"""
    result = box.run(code)
    assert result.stdout.split() == ["-1", "-1", "-1"] + ["refused"] * 4, result.stderr


def test_threads_are_counted(box: Sandbox) -> None:
    code = """
import threading, time
threading.stack_size(32768)
started = 0
try:
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
        started += 1
except RuntimeError:
    pass
print(started)
"""
    assert int(box.run(code).stdout) in (0, 31)


def _family(pid: int) -> Iterator[int]:
    """A process and what it has started."""
    yield pid
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:
            continue  # it has ended
        if parent == str(pid):
            yield from _family(int(entry.name))


def test_the_sandbox_dies_before_the_trainer_when_memory_is_short(box: Sandbox) -> None:
    with box.session() as session:
        session.run("x = 1")
        family = [each for pid in box.pids() for each in _family(pid)]
        assert len(family) > 1
        assert {Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in family} == {"1000"}


@pytest.mark.parametrize(
    "outcome_of", [child._outcome, lambda report: unsafe._outcome(report, SandboxStatus.OK)]
)
@pytest.mark.parametrize("told", ["why", ["why"], {"a": 1}, None, 5])
def test_only_a_text_is_taken_for_an_error(outcome_of: Any, told: Any) -> None:
    outcome = outcome_of({"ok": False, "error": told})
    assert (outcome.ok, outcome.error) == (False, told if told == "why" else "")
    endless: list[Any] = []
    for _ in range(100_000):
        endless = [endless]
    assert outcome_of({"ok": False, "error": endless}).error == ""
