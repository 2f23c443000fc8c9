"""Runs: what comes back, and how each way of ending is told."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.sandbox import Backend, Sandbox, SandboxLimits, SandboxStatus
from textgym.sandbox.limits import MAX_SECONDS


def test_output_and_input(box: Sandbox) -> None:
    result = box.run(
        "import sys\nprint(input()[::-1])\nprint(len(sys.stdin.read()), file=sys.stderr)", stdin="abc\nxy"
    )
    assert (result.stdout, result.stderr, result.status) == ("cba\n", "2\n", SandboxStatus.OK)
    assert result.ok
    assert 0 < result.seconds < 10


def test_standard_input_is_a_real_descriptor(box: Sandbox) -> None:
    assert box.run("import os\nprint(os.read(0, 9), open(0).read())", stdin="é").stdout == "b'\\xc3\\xa9' \n"
    assert box.run("print(open(0).read().split())", stdin="1 2\n3").stdout == "['1', '2', '3']\n"
    assert "PermissionError" in box.run("import os; os.write(0, b'x')", stdin="abc").stderr


def test_a_traceback_shows_the_code_and_nothing_else(box: Sandbox) -> None:
    result = box.run("def f():\n    return 1 / 0\n\nf()")
    assert result.status is SandboxStatus.ERROR
    lines = result.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if "File" in line] == [
        '  File "<code>", line 4, in <module>',
        '  File "<code>", line 2, in f',
    ]
    assert "    return 1 / 0" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("code", ["def", "x = '\0'", "'\ud800'; raise ValueError", "return"])
def test_code_that_does_not_compile(auto: Sandbox, code: str) -> None:
    result = auto.run(code)
    assert result.status is SandboxStatus.ERROR
    assert result.stderr


@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("exit()", "ok", ""),
        ("import sys; sys.exit(0)", "ok", ""),
        ("raise SystemExit", "ok", ""),
        ("import sys; sys.exit('no luck')", "error", "no luck\n"),
        ("raise SystemExit(3)", "error", ""),
    ],
)
def test_system_exit(auto: Sandbox, ending: str, status: str, said: str) -> None:
    result = auto.run(f"print('before')\n{ending}\nprint('after')")
    assert (result.stdout, result.stderr, result.status) == ("before\n", said, status)


def test_timeout(box: Sandbox) -> None:
    result = box.run("print('begun')\nwhile True: pass", timeout=0.3)
    assert result.status is SandboxStatus.TIMEOUT
    assert result.stdout == "begun\n"
    assert result.stderr == "[timeout: stopped after 0.3 s]\n"
    assert result.seconds >= 0.3


def test_timeout_of_what_ignores_signals_or_never_lets_go(auto: Sandbox) -> None:
    stubborn = "import signal, time\nfor n in (15, 24): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)"
    assert auto.run(stubborn, timeout=0.3).status is SandboxStatus.TIMEOUT
    stopped = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    assert auto.run(stopped, timeout=0.3).status is SandboxStatus.TIMEOUT
    reports = "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')"  # holds the interpreter's lock
    assert auto.run(reports, timeout=0.3).status is SandboxStatus.TIMEOUT


def test_memory(box: Sandbox) -> None:
    result = box.run("x = bytearray(4 << 30)")
    assert result.status is SandboxStatus.MEMORY
    assert result.stderr.endswith("MemoryError\n")
    caught = box.run("try:\n    x = bytearray(4 << 30)\nexcept MemoryError:\n    print('caught')")
    assert (caught.stdout, caught.status) == ("caught\n", SandboxStatus.OK)


def test_memory_in_small_pieces() -> None:
    with Sandbox(SandboxLimits(memory_bytes=128 << 20)) as box:
        assert box.run("x = []\nwhile True: x.append(bytes(1 << 16))").status is SandboxStatus.MEMORY


def test_output_is_bounded(box: Sandbox) -> None:
    result = box.run("import sys\nprint('x' * 1000, file=sys.stderr)\nwhile True: print('y' * 999)")
    assert result.status is SandboxStatus.OUTPUT
    assert len(result.stdout) + 1001 == 64 << 10
    assert result.stderr.splitlines()[-1] == "[output: stopped because it wrote more than 65536 bytes]"
    whole = box.run(f"print('z' * {(64 << 10) - 1})")
    assert whole.ok
    assert len(whole.stdout) == 64 << 10


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(0)", "exit code 0"),
        ("import os; os._exit(7)", "exit code 7"),
        ("import ctypes; ctypes.string_at(0)", "segmentation fault"),
        ("import os; os.abort()", "aborted"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by the system"),
        ("import os; os.close(3)", "exit code"),
    ],
)
def test_ending_without_a_report(box: Sandbox, code: str, said: str) -> None:
    result = box.run(f"print('ALL TESTS PASSED')\n{code}")
    assert result.status is SandboxStatus.KILLED
    assert result.stdout == "ALL TESTS PASSED\n"
    assert said in result.stderr


def test_a_forged_report_is_bounded_and_counts_only_with_a_clean_end(auto: Sandbox) -> None:
    forged = (
        "import json, os, struct, gc\n"
        "def send(data): os.write(3, struct.pack('!I', len(data)) + data)\n"
        "nonce = next(o['nonce'] for o in gc.get_objects() if type(o) is dict and type(o.get('nonce')) is str)\n"
        "send(json.dumps({'nonce': nonce, 'status': 'ok'}).encode())\n"
    )
    assert auto.run(forged + "import time; time.sleep(60)", timeout=0.5).status is SandboxStatus.TIMEOUT
    assert auto.run(forged + "os._exit(1)").status is SandboxStatus.KILLED
    for text in ("[" * 100_000, "null", '{"nonce": 1, "status": []}', "9" * 10_000, "\\xff"):
        assert auto.run(f"import os, struct\nd = b'{text}'\nos.write(3, struct.pack('!I', len(d)) + d)").ok
    flood = "import os\nwhile True: os.write(3, bytes(1 << 16))"
    assert auto.run(flood).status is SandboxStatus.OUTPUT
    assert (
        auto.run("import os\nos.write(3, b'\\xff' * 4)\nos.write(3, bytes(100))").status
        is SandboxStatus.KILLED
    )
    assert auto.run("print(1)").ok


def test_odd_text(auto: Sandbox) -> None:
    result = auto.run(r"""
import os, sys
print('\ud800', '\0', '\x1b[31m', 'é')
sys.stdout.flush()
os.write(1, b'\xff\xfe')
""")
    assert result.stdout == "\\ud800 \0 \x1b[31m é\n��"
    assert result.ok


@settings(max_examples=20, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_goes_in_and_comes_out(auto: Sandbox, text: str) -> None:
    result = auto.run(
        f"import sys\nsys.stdout.write({text!r} + sys.stdin.buffer.read().decode())", stdin=text
    )
    assert result.stdout == text * 2


def test_runs_are_alike_and_know_nothing_of_each_other(auto: Sandbox) -> None:
    code = "import random\nprint(random.random(), list({'a', 'b', 'c', 'd'}), globals().get('x'))\nx = 1"
    first = auto.run(code)
    assert first.ok
    assert [auto.run(code).stdout for _ in range(3)] == [first.stdout] * 3
    assert Sandbox().run(code).stdout == first.stdout


def test_threads_and_exit_functions_come_to_their_end(box: Sandbox) -> None:
    code = (
        "import atexit, time\natexit.register(print, 'bye')\n"
        "try:\n    import threading\n"
        "    threading.Thread(target=lambda: (time.sleep(0.05), print('thread'))).start()\n"
        "except RuntimeError:\n    print('thread')\nprint('main')"
    )
    result = box.run(code)
    assert sorted(result.stdout.split()) == ["bye", "main", "thread"]
    assert result.stdout.endswith("bye\n")


def test_the_standard_library_can_be_imported_and_installed_packages_cannot(box: Sandbox) -> None:
    code = (
        "import asyncio, csv, email.message, hashlib, sqlite3, unittest, xml.etree.ElementTree\nprint('in')"
    )
    assert box.run(code).stdout == "in\n"
    loop = "import asyncio\nasync def f(): return await asyncio.sleep(0.01, 5)\nprint(asyncio.run(f()))"
    assert box.run(loop).stdout == "5\n"
    for name in ("textgym", "numpy", "pytest", "pip"):
        assert f"No module named '{name}'" in box.run(f"import {name}").stderr


def test_a_package_that_was_asked_for(backend: str) -> None:
    with Sandbox(backend=backend, modules=("sortedcontainers",)) as box:
        assert (
            box.run("import sortedcontainers\nprint(list(sortedcontainers.SortedList([2, 1])))").stdout
            == "[1, 2]\n"
        )


def test_64_at_once_on_one_loop(auto: Sandbox) -> None:
    async def both() -> list[str]:
        runs = [auto.arun(f"import time; time.sleep(0.01); print({n})") for n in range(64)]
        return [result.stdout for result in await asyncio.gather(*runs)]

    assert asyncio.run(both()) == [f"{n}\n" for n in range(64)]


def test_from_many_threads(auto: Sandbox) -> None:
    found: dict[int, str] = {}

    def run(n: int) -> None:
        for _ in range(5):
            found[n] = auto.run(f"print({n})").stdout

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: f"{n}\n" for n in range(8)}


def test_the_clock_does_not_run_in_the_queue() -> None:
    with Sandbox(workers=1) as box:

        async def many() -> list[SandboxStatus]:
            runs = [box.arun("import time; time.sleep(0.2)", timeout=0.8) for _ in range(6)]
            return [result.status for result in await asyncio.gather(*runs)]

        assert asyncio.run(many()) == [SandboxStatus.OK] * 6


def test_cancelling_ends_the_run() -> None:
    with Sandbox(workers=1) as box:

        async def scenario() -> str:
            task = asyncio.create_task(box.arun("import time; time.sleep(60)", timeout=100))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return (await box.arun("print('next')")).stdout

        assert asyncio.run(scenario()) == "next\n"


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "1"])
def test_a_timeout_that_is_none(auto: Sandbox, timeout: float) -> None:
    with pytest.raises(ConfigError, match="timeout is"):
        auto.run("1", timeout=timeout)


def test_call(box: Sandbox) -> None:
    result = box.call(
        "def f(x, y=1):\n    x.append(y)\n    return x",
        "f",
        [[[1]], [[1], 2.5], [[], True], [[], None], [[], {"a": "é"}], [5]],
    )
    assert result.status is SandboxStatus.OK
    assert [outcome.value for outcome in result.values] == [
        [1, 1],
        [1, 2.5],
        [True],
        [None],
        [{"a": "é"}],
        None,
    ]
    assert [type(outcome.value[-1]) for outcome in result.values[:3]] == [int, float, bool]
    assert [outcome.ok for outcome in result.values] == [True] * 5 + [False]
    assert result.values[5].error == "AttributeError: 'int' object has no attribute 'append'"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return (1, (2,))", [1, [2]]),
        ("return float('inf')", float("inf")),
        ("return 10 ** 40", 10**40),
        ("return '\\0é'", "\0é"),
        ("class L(list):\n        def __bool__(self): return False\n    return L([1])", [1]),
        ("class L(list):\n        def __iter__(self): return iter('no')\n    return L([1])", [1]),
        ("class T(tuple):\n        def __getitem__(self, n): return 'no'\n    return T([1])", [1]),
        ("from collections import Counter; return Counter('aab')", {"a": 2, "b": 1}),
        ("import enum\n    class E(enum.IntEnum):\n        A = 3\n    return E.A", 3),
        ("class S(str):\n        def __str__(self): return 'no'\n    return S('yes')", "yes"),
        ("class D(dict):\n        def items(self): return [('no', 0)]\n    return D(yes=1)", {"yes": 1}),
    ],
)
def test_values_of_calls(auto: Sandbox, body: str, value: object) -> None:
    outcome = auto.call(f"def f():\n    {body}", "f", [[]]).values[0]
    assert (outcome.ok, outcome.value, outcome.error) == (True, value, "")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return {1: 2}", "dict key of type int"),
        ("return {1, 2}", "the result has a set"),
        ("return b''", "the result has a bytes"),
        ("return ['\\ud800']", "no Unicode"),
        ("return {'\\ud800': 1}", "no Unicode"),
        ("raise ValueError('\\ud800')", "ValueError: \\ud800"),
        ("x = []\n    x.append(x)\n    return x", "nested deeper"),
        ("return 10 ** 5000", "Exceeds the limit"),
        ("raise KeyError('k')", "KeyError: 'k'"),
        ("raise SystemExit", "SystemExit"),
        ("return f()", "RecursionError"),
        ("class E(Exception):\n        def __str__(self): return 1 / 0\n    raise E", "E"),
    ],
)
def test_calls_that_fail_are_outcomes(auto: Sandbox, body: str, error: str) -> None:
    result = auto.call(f"def f():\n    {body}", "f", [[]])
    assert result.status is SandboxStatus.OK
    assert not result.values[0].ok
    assert error in result.values[0].error


def test_nan_survives(auto: Sandbox) -> None:
    (outcome,) = auto.call("def f(x): return [x, x != x]", "f", [[float("nan")]]).values
    assert str(outcome.value[0]) == "nan"
    assert outcome.value[1] is True


def test_calls_that_were_not_reached(auto: Sandbox) -> None:
    result = auto.call("def f(x):\n    while x: pass\n    return x", "f", [[0], [1], [0]], timeout=0.4)
    assert result.status is SandboxStatus.TIMEOUT
    assert [(outcome.ok, outcome.error) for outcome in result.values] == [
        (True, ""),
        (False, "not called: timeout"),
        (False, "not called: timeout"),
    ]
    for code in ("1 / 0", "x = 1", "f = 3", ""):
        failed = auto.call(code, "f", [[]])
        assert failed.status is SandboxStatus.ERROR
        assert failed.values[0].error == "not called: error"


def test_the_encoder_is_not_the_code_s(auto: Sandbox) -> None:
    code = (
        "import json\njson.dumps = json.JSONEncoder.encode = lambda *a, **k: '\"forged\"'\ndef f(): return 1"
    )
    assert auto.call(code, "f", [[]]).values[0].value == 1


def test_results_are_bounded(auto: Sandbox) -> None:
    assert auto.call("def f(n): return 'x' * n", "f", [[1000], [2 << 20]]).status is SandboxStatus.OUTPUT


def test_arguments_have_to_be_json(auto: Sandbox) -> None:
    for wrong in ([[{1, 2}]], [5], [[object()]]):
        with pytest.raises(ConfigError, match="JSON"):
            auto.call("", "f", wrong)  # type: ignore[arg-type]


texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=20, deadline=None)
@given(values=st.lists(json_values, min_size=1, max_size=6))
def test_any_json_value_comes_back_as_it_was(auto: Sandbox, values: list[object]) -> None:
    result = auto.call("def f(x): return x", "f", [[value] for value in values])
    assert [json.dumps(outcome.value) for outcome in result.values] == [json.dumps(value) for value in values]


@pytest.mark.parametrize("seconds", [1e6 + 1, 2_200_000, 1e10, 10**400, math.inf, math.nan, True])
def test_deadlines_that_nothing_can_wait_for_are_refused(auto: Sandbox, seconds: float) -> None:
    with auto.session() as session:
        session.run("x = 1")
        with pytest.raises(ConfigError, match="timeout is"):
            auto.run("pass", timeout=seconds)
        with pytest.raises(ConfigError, match=r"SandboxLimits\.seconds is"):
            SandboxLimits(seconds=seconds)
        assert session.run("print(x)").stdout == "1\n"


def test_the_longest_deadline_can_be_waited_for(backend: Backend) -> None:
    with Sandbox(SandboxLimits(seconds=MAX_SECONDS), backend=backend) as box:
        assert box.run("import time; time.sleep(0.1); print(1)").stdout == "1\n"


@pytest.mark.parametrize("limits", [{"seconds": 1}, "landlock", 5, False])
def test_limits_that_are_none(limits: Any) -> None:
    with pytest.raises(ConfigError, match="limits is"):
        Sandbox(limits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_bytes", 2**70),
        ("scratch_bytes", 2**80),
        ("open_files", 2**40),
        ("threads", True),
        ("output_bytes", 0),
    ],
)
def test_limits_out_of_bounds(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"SandboxLimits.{name} is"):
        SandboxLimits(**{name: value})  # type: ignore[arg-type]


def test_which_bound_was_broken_is_told() -> None:
    with Sandbox(SandboxLimits(output_bytes=2000, result_bytes=3000)) as box:
        many = box.call("def f(x): return 'y' * x", "f", [[2 * 10**6]])
        assert many.stderr == "[output: stopped because its values took more than 3000 bytes]\n"
        assert many.status is SandboxStatus.OUTPUT
        loud = box.run("print('y' * 10**5)")
        assert loud.stderr == "[output: stopped because it wrote more than 2000 bytes]\n"
