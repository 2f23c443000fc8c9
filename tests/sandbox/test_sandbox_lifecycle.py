"""Processes: what starts, what ends with what, and what is left behind (nothing)."""

from __future__ import annotations

import asyncio
import copy
import errno
import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from textgym import sandbox
from textgym.errors import ConfigError, SandboxUnavailable
from textgym.sandbox import Backend, Sandbox, SandboxLimits, SandboxResult, SandboxStatus
from textgym.sandbox import child as child_module
from textgym.sandbox import pool as pool_module
from textgym.sandbox.job import Job

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def descendants(pid: int) -> set[int]:
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, found.splitlines())}
    inside = {pid}
    while more := {child for child, parent in parents.items() if parent in inside} - inside:
        inside |= more
    return inside - {pid}


def with_descendants(pids: list[int]) -> set[int]:
    return {each for pid in pids for each in {pid, *descendants(pid)}}


def has_ended(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True


def all_ended(pids: set[int]) -> bool:
    deadline = time.monotonic() + 20
    while not all(map(has_ended, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return all(map(has_ended, pids))


def python(code: str, **kwargs: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, **kwargs
    )  # type: ignore[call-overload]


def test_nothing_starts_before_the_first_use() -> None:
    threads = threading.active_count()
    with Sandbox() as box:
        assert box.pids() == []
        assert threading.active_count() == threads


@linux
def test_nothing_is_left_when_it_is_closed(backend: Backend) -> None:
    box = Sandbox(backend=backend)
    session = box.session()
    session.run("x = 1")
    pids = with_descendants(box.pids())
    assert len(pids) > 1
    box.close()
    assert all_ended(pids)
    with pytest.raises(ConfigError, match="closed"):
        box.run("1")


@linux
def test_nothing_is_left_when_this_process_is_killed(backend: Backend) -> None:
    process = python(f"""
        from textgym.sandbox import Sandbox
        box = Sandbox(backend={backend.value!r})
        session = box.session()
        session.run("x = 1")
        print(box.pids()[0], flush=True)
        box.run("while True: pass", timeout=100)
    """)
    assert process.stdout is not None
    zygote = int(process.stdout.readline())
    deadline = time.monotonic() + 20
    while len(pids := descendants(process.pid)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert zygote in pids
    assert len(pids) >= 3
    process.kill()
    process.wait()
    process.stdout.close()
    assert all_ended(pids)


@linux
def test_an_ordinary_exit_ends_everything() -> None:
    process = python("""
        from textgym import sandbox
        sandbox.shared().session().run("x = 1")
        print(sandbox.shared().pids()[0], flush=True)
        input()
    """, stdin=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    int(process.stdout.readline())
    pids = descendants(process.pid)
    assert pids
    process.communicate("\n")
    assert process.returncode == 0
    assert all_ended(pids)


@linux
def test_no_secret_gets_in(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTGYM_SECRET", "hunter2")
    with Sandbox(backend=box.backend) as fresh:
        assert fresh.run("import os\nprint(dict(os.environ))").stdout == "{}\n"
        for pid in with_descendants(fresh.pids()):
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except PermissionError:
                continue  # it cannot be looked into at all
            assert b"hunter2" not in environment
            assert b"PATH=" not in environment
        found = fresh.run(
            "import gc\nprint(any('hunt' + 'er2' in str(o) for o in gc.get_objects() if type(o) is dict))"
        )
        assert found.stdout == "False\n"


@linux
def test_descriptors_of_this_process_stay_here(box: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with secret.open() as file:
        os.set_inheritable(file.fileno(), True)
        with Sandbox(backend=box.backend) as fresh:
            code = """
                import os
                def is_open(n):
                    try: os.fstat(n)
                    except OSError: return False
                    return True
                print([n for n in range(1000) if is_open(n)])
            """
            assert fresh.run(textwrap.dedent(code)).stdout == "[0, 1, 2, 3]\n"


@linux
def test_a_killed_zygote_is_replaced_and_the_run_repeated() -> None:
    with Sandbox() as box:
        box.run("1")

        async def scenario() -> str:
            task = asyncio.create_task(box.arun("import time; time.sleep(1); print('done')"))
            await asyncio.sleep(0.4)
            for pid in box.pids():
                os.kill(pid, signal.SIGKILL)
            return (await task).stdout

        assert asyncio.run(scenario()) == "done\n"


@linux
def test_a_session_whose_zygote_dies_says_so(backend: Backend) -> None:
    with Sandbox(backend=backend) as box:
        session = box.session()
        session.run("x = 1")
        pids = with_descendants(box.pids())
        os.kill(box.pids()[0], signal.SIGKILL)
        assert all_ended(pids)
        result = session.run("print(globals().get('x'))")
        if result.status is SandboxStatus.KILLED:  # it was begun before the pool had seen the death
            assert "names are gone" in result.stderr
        else:
            assert (result.stdout, result.status) == ("None\n", SandboxStatus.OK)
            assert "the session was lost" in result.stderr
        assert session.run("print(globals().get('x'))").stdout == "None\n"


@linux
def test_a_run_whose_zygote_dies_again_is_killed() -> None:
    with Sandbox() as box:

        async def scenario() -> SandboxStatus:
            task = asyncio.create_task(box.arun("import time; time.sleep(60)", timeout=100))
            killed: set[int] = set()
            while len(killed) < 2:
                await asyncio.sleep(0.4)
                for pid in set(box.pids()) - killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            result = await task
            assert "gone" in result.stderr
            return result.status

        assert asyncio.run(scenario()) is SandboxStatus.KILLED
        assert box.run("print(1)").stdout == "1\n"


@linux
@pytest.mark.parametrize("at", [0, 1])
def test_a_run_that_cannot_begin_leaves_the_others_alone(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_file, made = child_module.memory_file, 0

    def exhausted(data: bytes) -> int:
        nonlocal made
        made += 1
        if made == at + 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return memory_file(data)

    with Sandbox(workers=3) as box:
        session, other = box.session(), box.session()
        session.run("x = 1")
        other.run("x = 2")
        zygotes, descriptors = box.pids(), len(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(child_module, "memory_file", exhausted)
        with pytest.raises(OSError, match="Too many open files"):
            session.run("print(x)")
        after = session.run("print('x' in globals())")
        assert after.stdout == "False\n"
        assert "[the session was lost, a run of it could not begin" in after.stderr
        assert box.run("import time; time.sleep(0.5); print('done')").stdout == "done\n"
        assert other.run("print(x)").stdout == "2\n"
        assert box.pids() == zygotes
        assert len(os.listdir("/proc/self/fd")) == descriptors


@linux
def test_a_process_without_descriptors_gets_errors_and_leaks_none() -> None:
    code = """
        import os, resource
        from textgym.sandbox import Sandbox, probe
        def count():
            return len(os.listdir("/proc/self/fd"))
        probe()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most[1]))
        for spare in range(20):
            box = Sandbox()
            before = count()
            held = []
            try:
                while True:
                    held.append(os.dup(0))
            except OSError:
                pass
            for _ in range(spare):
                os.close(held.pop())
            try:
                said = box.run("print(1)").stdout
            except OSError as error:
                said = type(error).__name__
            for each in held:
                os.close(each)
            late = box.run("print(2)").stdout
            box.close()
            if late != "2\\n" or said not in ("1\\n", "OSError") or count() != before:
                print(spare, said, late, count() - before)
    """
    process = python(code)
    try:
        out, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert out == ""
    assert process.returncode == 0


@linux
def test_a_session_that_cannot_be_confined_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    take = child_module.Child._take_report
    failed: list[int] = []

    def fail(child: child_module.Child, report: dict[str, object]) -> None:
        failed[:] = failed or [child.ordinal]
        take(child, {"failed": "no room"} if child.ordinal == failed[0] else report)

    monkeypatch.setattr(child_module.Child, "_take_report", fail)
    with Sandbox() as box, box.session() as session:
        with pytest.raises(SandboxUnavailable, match="no room"):
            session.run("1")
        assert session.run("print(1)").stdout == "1\n"


@linux
def test_a_fault_of_the_pool_itself_ends_all_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(workers=3) as box:
        session, other = box.session(), box.session()
        session.run("x = 1")
        other.run("x = 2")

        async def scenario() -> list[BaseException | SandboxResult]:
            code = "import time; time.sleep(60)"
            runs = [asyncio.create_task(run(code, timeout=100)) for run in (session.arun, box.arun)]
            await asyncio.sleep(0.5)
            with monkeypatch.context() as broken:
                broken.setattr(child_module.Child, "result", lambda child, status: 1 / 0)
                os.kill(box.pids()[0], signal.SIGKILL)
                return await asyncio.wait_for(asyncio.gather(*runs, return_exceptions=True), 30)

        assert [type(each) for each in asyncio.run(scenario())] == [ZeroDivisionError] * 2
        for each in (session, other):
            after = each.run("print('x' in globals())")
            assert after.stdout == "False\n"
            assert "[the session was lost, the sandbox lost its processes" in after.stderr


def test_a_job_is_settled_once() -> None:
    job = Job(code="", stdin="", seconds=1.0)
    job.fail(ValueError("first"))
    job.fail(ValueError("second"))
    job.succeed(SandboxResult(stdout="", stderr="", status=SandboxStatus.OK, seconds=0.0))
    with pytest.raises(ValueError, match="first"):
        job.future.result()
    cancelled = Job(code="", stdin="", seconds=1.0)
    cancelled.future.cancel()
    for _ in range(2):
        cancelled.fail(ValueError("too late"))
    assert cancelled.future.cancelled()


def test_zygotes_are_replaced_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "MAX_STARTS", 3)
    with Sandbox() as box:
        session = box.session()
        session.run("x = 7")
        seen = set()
        for _ in range(8):
            assert box.run("print(1)").stdout == "1\n"
            seen |= set(box.pids())
        assert len(seen) >= 3
        assert session.run("print(x)").stdout == "7\n"
        assert len(box.pids()) <= 2


@linux
def test_a_forked_process_has_processes_of_its_own() -> None:
    code = """
        import os, sys
        from textgym.sandbox import Sandbox
        box = Sandbox()
        session = box.session()
        session.run("x = 1")
        before = box.pids()
        child = os.fork()
        if child == 0:
            result = session.run("print('x' in globals())")
            fine = box.run("print(5)").stdout == "5\\n" and box.pids() != before
            fine = fine and result.stdout == "False\\n" and "forked" in result.stderr
            del box, session
            sys.exit(0 if fine else 1)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), session.run("print(x)").stdout.strip(), box.pids() == before)
    """
    process = python(code)
    out, _ = process.communicate()
    assert out == "0 1 True\n"


@linux
def test_a_process_that_is_forked_during_the_first_use_has_a_first_use_of_its_own() -> None:
    code = """
        import os, signal, threading
        from textgym.sandbox import Sandbox
        from textgym.sandbox.child import Child
        begun, go_on, begin = threading.Event(), threading.Event(), Child.begin
        def wait(child, job):  # on the thread that the first use tries a backend with
            begin(child, job)
            begun.set()
            go_on.wait()
        Child.begin = wait
        box = Sandbox()
        thread = threading.Thread(target=box.run, args=["1"])
        thread.start()
        begun.wait()
        before = len(os.listdir("/proc/self/fd"))
        if os.fork() == 0:
            signal.alarm(60)
            fewer = len(os.listdir("/proc/self/fd")) < before
            Child.begin = begin
            os._exit(0 if fewer and box.run("print(2)").stdout == "2\\n" else 1)
        _, status = os.wait()
        go_on.set()
        thread.join()
        print(status)
    """
    process = python(code)
    out, _ = process.communicate()
    assert out == "0\n"


@linux
def test_runs_leave_nothing_behind() -> None:
    auto = Sandbox()

    def measured() -> tuple[int, int, int, int]:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return (
            len(with_descendants(auto.pids())),
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            pages * os.sysconf("SC_PAGESIZE"),
        )

    for _ in range(50):
        auto.run("print(1)")
    gc.collect()
    before = measured()
    for _ in range(200):
        assert auto.run("print(1)").ok
    after = measured()
    auto.close()
    assert after[0] == before[0]
    assert after[1] <= before[1] + 3  # tests before may have left threads that open files
    assert after[2] <= before[2] + 3
    assert after[3] - before[3] < 8 << 20


def test_copies_share_and_pickles_carry_the_arguments() -> None:
    box = Sandbox(SandboxLimits(seconds=3), modules=["math"], workers=2)
    assert copy.copy(box) is box
    assert copy.deepcopy([box])[0] is box
    again = pickle.loads(pickle.dumps(box))
    assert again is not box
    assert again.limits == box.limits
    assert repr(again) == repr(box) == "Sandbox(backend='auto', workers=2)"


def test_the_shared_sandbox_is_one() -> None:
    assert sandbox.shared() is sandbox.shared()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"backend": "docker"}, "backend is 'docker'; allowed: auto, bubblewrap"),
        ({"backend": "unsafe"}, "backend is 'unsafe'"),
        ({"workers": 0}, "workers is 0"),
        ({"modules": "math"}, "modules is 'math'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Sandbox(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "limits",
    [
        {"seconds": 0},
        {"seconds": float("inf")},
        {"memory_bytes": 1000},
        {"scratch_bytes": -1},
        {"threads": 0},
    ],
)
def test_wrong_limits(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"SandboxLimits\.\w+ is .*; allowed: "):
        SandboxLimits(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [b"x", None, 1])
def test_code_and_input_are_texts(text: object) -> None:
    with Sandbox() as box, box.session() as session:
        for run in (box.run, session.run):
            with pytest.raises(ConfigError, match=r"code is .*; allowed: a text"):
                run(text)  # type: ignore[arg-type]
            with pytest.raises(ConfigError, match=r"stdin is .*; allowed: a text"):
                run("1", stdin=text)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"code is .*; allowed: a text"):
            box.call(text, "f", [])  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"name of the function is"):
            box.call("", text, [])  # type: ignore[arg-type]


def test_a_module_that_is_not_there() -> None:
    with Sandbox(modules=("no_such_module",)) as box:
        with pytest.raises(ConfigError, match="'no_such_module' for the sandbox is not installed"):
            box.run("1")
