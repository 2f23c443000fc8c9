# ruff: noqa: E501 (a snippet keeps its lines)
"""Two pieces of code in one sandbox: neither sees, reaches or disturbs the other, at the same time or afterwards."""

from __future__ import annotations

import asyncio
import re
import sys
import uuid
from collections.abc import Iterator

import pytest

if sys.platform != "linux":
    pytest.skip("the sandbox is built on Linux", allow_module_level=True)

from containment.attack import TOOLS
from containment.machine import BACKENDS, why_not
from containment.table import limits

from textgym.sandbox import Sandbox, SandboxResult

VICTIM = """
import os, signal
heard = []
for number in set(range(1, 65)) - {9, 19, 18, 32, 33, 17, 27}:
    try:
        signal.signal(number, lambda n, f: heard.append(n))
    except (OSError, ValueError):
        pass
secret = TOKEN
os.environ["SECRET"] = TOKEN
reader, writer = os.pipe()
os.write(writer, TOKEN.encode())
try:
    open("mine", "w").write(TOKEN)
    os.mkfifo("fifo")
except OSError:
    pass
print(os.getpid(), os.getppid(), os.getcwd(), reader, writer)
"""

UNHARMED = """
try:
    file = open("mine").read() == TOKEN and os.stat("mine").st_mode & 0o777
except FileNotFoundError:
    file = None
print(heard, secret == TOKEN, os.read(reader, 100) == TOKEN.encode())
os.write(writer, TOKEN.encode())
"""

HUNT = """
import re
def hunt(data):
    for found in re.findall(b"SIBLING-[0-9a-f]{32}", data):
        print("GOT", found.decode())
"""

AGAINST = {
    "files of the process": HUNT
    + """
for pid in (PID, PARENT, os.getpid(), 1):
    for name in ("environ", "mem", "maps", "cmdline", "stack", "auxv", "fd/%d" % READER, "cwd/mine", "root/" + CWD + "/mine",
                 "map_files", "task/%d/environ" % pid, "fdinfo/%d" % READER):
        try:
            hunt(open(f"/proc/{pid}/{name}", "rb").read(1 << 20))
            if pid == PID:
                print("GOT opened", name)
        except OSError:
            pass
""",
    "files of the work folder": HUNT
    + """
for path in (CWD, os.path.dirname(CWD) or "/", "/tmp", "/dev/shm", "."):
    for folder, folders, names in os.walk(path):
        for name in names[:200]:
            try:
                if name == "mine":
                    hunt(open(os.path.join(folder, name), "rb").read())
                    open(os.path.join(folder, name), "w").write("spoilt")
            except OSError:
                pass
        if folder.count("/") > 3:
            folders.clear()
""",
    "signals": TOOLS
    + """
for number in (10, 12, 15, 1, 2, 14, 28, 9, 19):
    for pid in (PID, -PID):
        try:
            os.kill(pid, number)
            print("GOT signal", number)
        except OSError as error:
            pass
    for what in ((200, PID, number), (234, PID, PID, number), (129, PID, number, (ctypes.c_int32 * 32)(number, 0, -1)),
                 (424, call(434, PID, 0)[0], number, 0, 0)):
        if call(*what)[0] == 0:
            print("GOT", what[0])
""",
    "signals to everybody": """
try:
    os.kill(-1, 9)
except OSError as error:
    print(error)
""",
    "signals to the group": """
for group in (0, os.getpgid(0)):
    try:
        os.killpg(group, 10) if group else os.kill(0, 10)
    except OSError as error:
        print(error)
""",
    "tracing": TOOLS
    + """
for request in (16, 0x4206):
    if call(101, request, PID, 0, 0)[0] == 0:
        print("GOT", request)
data = ctypes.create_string_buffer(64)
here = (ctypes.c_uint64 * 2)(ctypes.addressof(data), 64)
there = (ctypes.c_uint64 * 2)(id(os.__dict__), 64)
for number in (310, 311):
    if call(number, PID, here, 1, there, 1, 0)[0] > 0:
        print("GOT memory", number)
if call(438, call(434, PID, 0)[0], READER, 0)[0] >= 0:
    print("GOT a descriptor")
""",
    "settings": """
import resource
for action in (lambda: os.setpriority(os.PRIO_PROCESS, PID, 19), lambda: os.sched_setaffinity(PID, [0]),
               lambda: resource.prlimit(PID, resource.RLIMIT_NOFILE, (5, 5)),
               lambda: resource.prlimit(PID, resource.RLIMIT_NOFILE),
               lambda: os.setpriority(os.PRIO_PGRP, 0, 0),
               lambda: os.setpriority(os.PRIO_USER, 0, 0) or os.setpriority(os.PRIO_USER, 0, 19)):
    try:
        print("did", action())
    except OSError as error:
        print(error)
""",
    "the template": TOOLS
    + """
for number in (15, 2, 1, 10, 9):
    for pid in {PARENT, os.getppid()} - {0}:
        try:
            os.kill(pid, number)
            print("signal", number)
        except OSError as error:
            pass
        call(101, 0x4206, pid, 0, 0)
        call(424, call(434, pid, 0)[0], number, 0, 0)
for pid in {PARENT, os.getppid()} - {0}:
    for name in ("mem", "environ", "fd/0", "fd/3", "fd/4"):
        try:
            open(f"/proc/{pid}/{name}", "rb")
            print("GOT", name)
        except OSError:
            pass
""",
    "descriptors": HUNT
    + """
for fd in range(3, 256):
    try:
        os.set_blocking(fd, False)
        hunt(os.read(fd, 1000))
    except OSError:
        pass
""",
    "shared memory": TOOLS
    + """
for kind, number in (("shm", 29), ("msg", 68), ("sem", 64)):
    made, error = call(number, 77, 4096 if kind == "shm" else 0o1666, 0o1666)
    if made >= 0:
        print("GOT", kind)
""",
}
"""What one piece of code does to another, whose pid, parent, folder and descriptors it knows."""


@pytest.fixture(scope="module", params=BACKENDS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    if reason := why_not(request.param):
        pytest.skip(reason)
    mode = "run" if why_not(request.param, "scratch") else "scratch"
    with Sandbox(limits=limits(mode), backend=request.param) as box:
        yield box


@pytest.mark.parametrize("by", ["run", "session"])
@pytest.mark.parametrize("attack", AGAINST)
def test_a_session_is_out_of_reach_of_its_siblings(box: Sandbox, attack: str, by: str) -> None:
    token = f"SIBLING-{uuid.uuid4().hex}"
    with box.session() as victim:
        told = victim.run(f"TOKEN = {token!r}\n{VICTIM}")
        assert told.ok, told
        pid, parent, folder, reader, writer = told.stdout.split()
        head = (
            f"import os\nPID, PARENT, CWD, READER, WRITER = {pid}, {parent}, {folder!r}, {reader}, {writer}\n"
        )
        code = head + AGAINST[attack] + "\nprint('done')"
        sibling = box if by == "run" else box.session()

        async def together() -> SandboxResult:
            await_it = victim.arun("import time; time.sleep(0.3)")
            return (await asyncio.gather(await_it, sibling.arun(code)))[1]

        result = asyncio.run(together())
        if sibling is not box:
            sibling.close()
        assert token not in result.stdout + result.stderr
        assert "GOT" not in result.stdout, result.stdout
        assert "done" in result.stdout or result.status in ("killed", "error"), result
        after = victim.run(UNHARMED)
        assert after.stdout == "[] True True\n", after


LEAVE = {
    "a file": ("open('left', 'w').write('x')", "import os; print(not os.path.exists('left'))"),
    "files in temporary folders": (
        "import os\nfor d in ('/tmp', '/dev/shm', '/var/tmp'):\n  try: open(d + '/left', 'w').write('x')\n  except OSError: pass",
        "import os; print(not any(os.path.exists(d + '/left') for d in ('/tmp', '/dev/shm', '/var/tmp')))",
    ),
    "a module": ("import sys, types; sys.modules['left'] = types.ModuleType('left')", "import sys; print('left' not in sys.modules)"),
    "a patched module": ("import json; json.dumps = None", "import json; print(json.dumps is not None)"),
    "patched builtins": ("import builtins; builtins.len = None", "print(len([1]) == 1)"),
    "a name": ("left = 1", "print('left' not in globals())"),
    "a name in main": ("import __main__; __main__.left = 1", "import __main__; print(not hasattr(__main__, 'left'))"),
    "the environment": ("import os; os.environ['LEFT'] = 'x'", "import os; print('LEFT' not in os.environ)"),
    "a place": ("import os; os.chdir('/')", "import os; print(True)"),
    "a path": ("import sys; sys.path.insert(0, '/left')", "import sys; print('/left' not in sys.path)"),
    "a limit": ("import sys; sys.setrecursionlimit(50)", "import sys; print(sys.getrecursionlimit() >= 1000)"),
    "a lower limit of the kernel": (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9))",
        "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 9)",
    ),
    "a signal handler": ("import signal; signal.signal(10, print)", "import signal; print(signal.getsignal(10) is signal.SIG_DFL)"),
    "a thread": (
        "import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "import threading; print(threading.active_count() == 1)",
    ),
    "a timer": ("import signal; signal.alarm(1)", "import signal; print(signal.alarm(0) == 0)"),
    "an end": ("import atexit; atexit.register(print, 'left')", "print(True)"),
    "a hook": ("import sys; sys.excepthook = sys.displayhook = None", "import sys; print(sys.excepthook is sys.__excepthook__)"),
    "an open file": ("import os; [os.dup(0) for _ in range(20)]", "import os\ntry:\n  os.fstat(20)\n  print(False)\nexcept OSError: print(True)"),
    "a niceness": ("import os; os.nice(5)", "import os\ntry: print(os.getpriority(os.PRIO_PROCESS, 0) < 5)\nexcept PermissionError: print(True)"),
    "a seed": ("import random; random.seed(1)", "import random; print(random.random() != 0.13436424411240122)"),
}  # fmt: skip
"""What a run leaves behind, and how the next one would see it."""


@pytest.mark.parametrize("what", LEAVE)
def test_a_run_finds_nothing_of_the_last_one(box: Sandbox, what: str) -> None:
    leave, look = LEAVE[what]
    for _ in range(3):
        box.run(leave)
    assert [box.run(look).stdout for _ in range(3)] == ["True\n"] * 3


@pytest.mark.parametrize("what", LEAVE)
def test_a_session_finds_nothing_of_another(box: Sandbox, what: str) -> None:
    leave, look = LEAVE[what]
    with box.session() as first:
        first.run(leave)
        with box.session() as second:
            assert second.run(look).stdout == "True\n"
    with box.session() as third:
        assert third.run(look).stdout == "True\n"


@pytest.mark.parametrize(
    "way", ["raise SystemExit", "import os; os._exit(0)", "import os; os.abort()", "x = bytes(9**12)"]
)
def test_an_end_ends_one_run_alone(box: Sandbox, way: str) -> None:
    async def main() -> None:
        slow = [box.arun("import time; time.sleep(0.5); print('whole')") for _ in range(3)]
        results = await asyncio.gather(*slow, *(box.arun(way) for _ in range(6)))
        assert [result.stdout for result in results[:3]] == ["whole\n"] * 3

    asyncio.run(main())


def test_output_comes_to_whoever_caused_it(box: Sandbox) -> None:
    async def main() -> None:
        codes = [f"for _ in range(200): print('{n:04d}')" for n in range(40)]
        results = await asyncio.gather(*(box.arun(code) for code in codes))
        assert [set(re.findall("[0-9]+", result.stdout)) for result in results] == [
            {f"{n:04d}"} for n in range(40)
        ]

    asyncio.run(main())


def test_threads_of_another_sandbox_do_not_count(box: Sandbox) -> None:
    gate = "import threading; gate = threading.Event()\nn = 0\n"
    start = "for _ in range({}):\n    threading.Thread(target=gate.wait, daemon=True).start()\n    n += 1\n"
    with (
        Sandbox(limits=limits(), backend=box.backend) as one,
        Sandbox(limits=limits(), backend=box.backend) as two,
    ):
        hungry = [one.session() for _ in range(4)]
        modest = [two.session() for _ in range(4)]
        if not one.run(gate + start.format(4)).ok:
            pytest.skip("there are no threads on this machine")
        for session in hungry:
            session.run(
                gate
                + "try:\n"
                + start.format(200).replace("for", "    for").replace("\n  ", "\n      ")
                + "\nexcept RuntimeError: pass"
            )
        results = [session.run(gate + start.format(4)) for session in modest]
        assert all(result.ok for result in results), results[0].stderr
        for session in hungry + modest:
            session.close()
