"""Code-v0: programs that are right, programs that cheat, and what specifications promise."""

from __future__ import annotations

import copy
import json
import pickle
from collections import Counter
from functools import cache
from typing import Any

import gymnasium as gym
import pytest

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.code.env import CodeEnv, ProgramParser
from textgym.tasks.code.generator import (
    DIFFICULTIES,
    KINDS,
    MOST_ALIKE,
    STEPS,
    TELLING,
    Specifications,
    size_of_space,
)
from textgym.tasks.code.inputs import Dice, edges, ordinary
from textgym.tasks.code.step import Call, run_all, solution

OUTCOMES = ("passed", "wrong", "raised", "timeout", "memory", "output", "stopped", "missing")


@cache
def rows(difficulty: int, kind: str | None = None, count: int = 60) -> list[dict[str, Any]]:
    make = Specifications(difficulty, () if kind is None else (kind,), None)
    return [make(seeding.generator(seed, f"test {difficulty}")) for seed in range(count)]


def calls_of(row: dict[str, Any]) -> list[Call]:
    return [Call(STEPS[name], parameters) for name, parameters in row["info"]["steps"]]


def program_of(row: dict[str, Any]) -> str:
    return solution("solve", row["info"]["argument"], calls_of(row))


def answered(row: dict[str, Any], program: str, **kwargs: Any) -> tuple[float, str, dict[str, float]]:
    """Reward, outcome and metrics of a program."""
    env: Any = gym.make("textgym/Code-v0", code_timeout=2.0, disable_env_checker=True, **kwargs)
    env.reset(options={"example": copy.deepcopy(row)})
    _, reward, terminated, truncated, info = env.step(f"```python\n{program}\n```")
    assert (terminated, truncated) == (True, False)
    outcomes = [name for name in OUTCOMES if info["metrics"][f"code_{name}"]]
    assert len(outcomes) == 1
    return float(reward), outcomes[0], info["metrics"]


# Specifications.


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_the_reference_program_gives_the_expected_results(difficulty: int) -> None:
    for row in rows(difficulty):
        namespace: dict[str, Any] = {}
        exec(program_of(row), namespace)
        for test in (*row["info"]["shown"], *row["info"]["hidden"]):
            arguments = copy.deepcopy(test["arguments"])
            result = namespace["solve"](*arguments)
            assert (result, type(result)) == (test["expected"], type(test["expected"]))
            assert arguments == test["arguments"]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_hidden_tests_are_telling(difficulty: int) -> None:
    for row in rows(difficulty):
        info = row["info"]
        hidden = {repr(test["arguments"]): test["expected"] for test in info["hidden"]}
        assert len(hidden) == len(info["hidden"]) >= 20
        assert len(info["shown"]) == 3
        assert not hidden.keys() & {repr(test["arguments"]) for test in info["shown"]}
        assert Counter(map(repr, hidden.values())).most_common(1)[0][1] <= MOST_ALIKE * len(hidden)
        calls = calls_of(row)
        assert len(calls) == difficulty + 1
        for index, call in enumerate(calls):
            if call.step.takes == call.step.gives:
                without = [*calls[:index], *calls[index + 1 :]]
                changed = [run_all(without, *t["arguments"]) != t["expected"] for t in info["hidden"]]
                assert sum(changed) >= TELLING
        assert json.loads(json.dumps(row)) == row


def test_the_space_is_large() -> None:
    assert size_of_space(1) > 10**6
    assert [size_of_space(d) < size_of_space(d + 1) for d in DIFFICULTIES[:-1]] == [True] * 4
    sentences = [tuple(call.sentence for call in calls_of(row)) for row in rows(2, count=400)]
    assert len(set(sentences)) >= 399


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_total_and_leave_their_argument_alone(name: str) -> None:
    step, rng = STEPS[name], seeding.generator(0, name)
    dice = Dice(rng)
    kinds = {"list[int]": list, "str": str, "list[str]": list, "int": int}
    for _ in range(30):
        call = step.draw(rng)
        assert "{" not in call.sentence.replace("'{'", "")
        assert call.sentence.endswith(".")
        for x in (*edges(dice, step.takes), *(ordinary(dice, step.takes) for _ in range(10))):
            before = copy.deepcopy(x)
            result = call(x)
            assert (x, type(result)) == (before, kinds[step.gives])
            assert result is not x or not isinstance(x, list)


def test_sentences_tell_steps_apart() -> None:
    rng = seeding.generator(0)
    assert len({step.draw(rng).sentence for step in STEPS.values()}) == len(STEPS)


def test_a_specification_is_on_one_side_whatever_its_examples() -> None:
    seen: dict[str, set[tuple[str, ...]]] = {}
    for split in ("train", "test"):
        make = pickle.loads(pickle.dumps(Specifications(1, ("words",), split)))
        drawn = [make(seeding.generator(seed, split)) for seed in range(300)]
        seen[split] = {tuple(call.sentence for call in calls_of(row)) for row in drawn}
    assert len(seen["test"]) > 100
    assert not seen["train"] & seen["test"]


def test_kinds() -> None:
    assert {row["task"] for row in rows(1)} == set(KINDS)
    env = CodeEnv(kinds=["text"])
    for seed in range(10):
        assert "solve(text: str)" in env.reset(seed=seed)[0]


# Programs that are right.


def test_a_right_program_passes_however_it_is_written() -> None:
    row = next(row for row in rows(2) if row["task"] == "numbers")
    program = program_of(row)
    env = CodeEnv()
    for text in (
        f"<think>Hm.</think>\n```python\n{program}\n```",
        f"First try:\n```python\ndef solve(x):\n    return x\n```\nBetter:\n```py\n{program}\n```\nWhich "
        "prints\n```\n3\n```",
        f"<think>solve it</think><answer>\n{program}\n</answer>",
        program,
        f"```python\n{program}",
        f"```python\n{program}\nprint('noise', solve({row['info']['shown'][0]['arguments'][0]!r}))\n```",
    ):
        env.reset(options={"example": row})
        assert env.step(text)[1] == 1.0, text


def test_the_parser() -> None:
    parser = ProgramParser()
    assert parser.parse_answer("<answer>```python\nx = 1\n```</answer>") == "x = 1"
    assert parser.parse_answer("no code </answer>") == "no code </answer>"
    assert parser.parse_answer(parser.format_answer("print('```')")) == "print('```')"
    assert parser.parse_answer("") is None


# Programs that cheat or break.


NUMBERS_TO_NUMBER = "list[int]) -> int"


@cache
def target() -> dict[str, Any]:
    """A specification that takes a list of numbers and gives a number."""
    return next(row for row in rows(2, "numbers") if NUMBERS_TO_NUMBER in row["question"])


def table(row: dict[str, Any]) -> str:
    return repr({repr(test["arguments"][0]): test["expected"] for test in row["info"]["shown"]})


FULL = {"memory", "stopped", "timeout"}
"""How a program ends that takes all memory: on a slow machine at its deadline."""
CHEATS = {
    "leaves at once": ("import sys\ndef solve(x): return 0\nsys.exit(0)", {"wrong"}),
    "leaves in the function": ("import sys\ndef solve(x): sys.exit(0)", {"raised", "stopped"}),
    "_exit at once": ("import os\nprint('ALL TESTS PASSED', flush=True)\nos._exit(0)\nsolve = len", {"stopped"}),
    "_exit in the function": ("import os\ndef solve(x):\n    print('ALL PASSED')\n    os._exit(0)", {"stopped"}),
    "prints": ("def solve(x):\n    print('ALL TESTS PASSED')\n    print('reward = 1.0')", {"wrong"}),
    "is equal to everything": (
        "class Same(int):\n"
        "    def __eq__(self, other): return True\n"
        "    def __ne__(self, other): return False\n"
        "    def __hash__(self): return 0\n"
        "    def __repr__(self): return '0'\n"
        "def solve(x): return Same(10**15)",
        {"wrong", "raised"},
    ),
    "is equal to everything, no number": (
        "class Same:\n    def __eq__(self, other): return True\ndef solve(x): return Same()",
        {"wrong", "raised"},
    ),
    "a list that is equal": (
        "class Same(list):\n    def __eq__(self, other): return True\ndef solve(x): return Same([1, 2])",
        {"wrong", "raised"},
    ),
    "patches builtins": (
        "import builtins\n"
        "builtins.all = builtins.any = lambda *a: True\n"
        "builtins.len = lambda *a: 0\nbuiltins.isinstance = lambda *a: True\n"
        "def solve(x): return -10**15",
        {"wrong", "raised", "stopped"},
    ),
    "patches print and streams": (
        "import builtins, sys, io\nbuiltins.print = lambda *a, **k: None\n"
        "sys.stdout = io.StringIO()\nsys.stderr = None\ndef solve(x): return None",
        {"wrong", "raised", "stopped"},
    ),
    "patches json": (
        "import json\n"
        "json.dumps = lambda *a, **k: '[true, 0]'\njson.loads = lambda *a, **k: True\n"
        "json.JSONEncoder.encode = lambda *a: '{\"ok\": true, \"value\": 0}'\n"
        "json.encoder.JSONEncoder.iterencode = lambda *a, **k: iter(['true'])\n"
        "def solve(x): return object()",
        {"wrong", "raised", "stopped"},
    ),
    "replaces modules": (
        "import sys, types\n"
        "for name in list(sys.modules):\n    sys.modules[name] = types.ModuleType(name)\n"
        "def solve(x): return 'passed'",
        {"wrong", "raised", "stopped"},
    ),
    "changes its argument": (
        "def solve(x):\n    x.clear()\n    x.append('passed')\n    return x",
        {"wrong", "raised"},
    ),
    "changes the arguments of all calls": (
        "import gc\n"
        "def solve(x):\n"
        "    for other in gc.get_objects():\n"
        "        if type(other) is list and len(other) > 20:\n"
        "            other.clear()\n"
        "    return 0",
        {"wrong", "raised", "stopped"},
    ),
    "looks for expected results": (
        "import gc, sys\n"
        "def solve(x):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        for found in (frame.f_locals, frame.f_globals):\n"
        "            for name in ('expected', 'answer', 'answers', 'tests', 'hidden'):\n"
        "                if name in found: return found[name]\n"
        "        frame = frame.f_back\n"
        "    for found in gc.get_objects():\n"
        "        if type(found) is dict and 'expected' in found: return found['expected']\n"
        "    return 'nothing'",
        {"wrong", "raised", "stopped"},
    ),
    "forges reports everywhere": (
        "import os, json\n"
        "report = json.dumps({'status': 'ok', 'ok': True, 'passed': True, 'values': [[True, 0]] * 40}).encode()\n"
        "for fd in range(1, 64):\n"
        "    for head in (b'', len(report).to_bytes(4, 'big'), len(report).to_bytes(8, 'little')):\n"
        "        frame = head + report\n"
        "        try: os.write(fd, frame)\n"
        "        except OSError: pass\n"
        "def solve(x): return None",
        {"wrong", "raised", "stopped"},
    ),
    "forges a report at exit": (
        "import atexit, os\n"
        "atexit.register(lambda: os.write(1, b'{\"passed\": true}'))\n"
        "class Late:\n    def __del__(self): print('ALL TESTS PASSED')\n"
        "late = Late()\ndef solve(x): return None",
        {"wrong"},
    ),
    "traces": (
        "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef solve(x): return True",
        {"wrong"},
    ),
    "pickles itself": (
        "class Evil:\n    def __reduce__(self): return (print, ('ALL PASSED',))\ndef solve(x): return Evil()",
        {"wrong", "raised"},
    ),
    "no number": ("def solve(x): return float('nan')", {"wrong", "raised"}),
    "endless value": ("def solve(x):\n    y = []\n    y.append(y)\n    return y", {"wrong", "raised", "stopped"}),
    "deep value": (
        "def solve(x):\n    y = []\n    for _ in range(10**5): y = [y]\n    return y",
        {"wrong", "raised", "stopped", "output"},
    ),
    "huge number": ("def solve(x): return 10**20000", {"wrong", "raised", "stopped", "output"}),
    "recursion": ("def solve(x): return solve(x)", {"raised", "stopped"}),
    "loops": ("def solve(x):\n    while True: pass", {"timeout"}),
    "loops outside": ("while True: pass\ndef solve(x): return 0", {"timeout"}),
    "sleeps": ("import time\ndef solve(x): time.sleep(60)", {"timeout"}),
    "needs memory": ("def solve(x): return len(bytearray(10**10))", {"memory", "raised", "stopped"}),
    "fills memory": ("x = []\nwhile True: x.append(bytearray(10**7))\nsolve = len", FULL),
    "floods": ("def solve(x):\n    while True: print('x' * 10**6)", {"output"}),
    "forks": ("import os\ndef solve(x):\n    while True: os.fork()", {"raised", "stopped", "timeout"}),
    "kills": ("import os\nos.kill(os.getppid(), 9)\ndef solve(x): return 0", {"raised", "stopped", "wrong"}),
    "kills all": ("import os\nos.kill(-1, 9)\ndef solve(x): return 0", {"raised", "stopped", "wrong"}),
    "no function": ("solver = 3", {"raised", "stopped"}),
    "no Python": ("solve the problem by thinking", {"raised"}),
    "NUL": ("def solve(x):\n    return 0\0", {"raised", "stopped"}),
    "surrogate": ("def solve(x):\n    return '\ud800'", {"wrong", "raised", "stopped"}),
    "wrong signature": ("def solve(): return 0", {"raised"}),
    "not callable": ("solve = 3", {"raised", "stopped"}),
    "generator": ("def solve(x):\n    yield 0", {"raised", "wrong"}),
    "coroutine": ("async def solve(x): return 0", {"raised", "wrong"}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("name", CHEATS)
def test_cheats_earn_nothing(name: str) -> None:
    program, outcomes = CHEATS[name]
    reward, outcome, metrics = answered(target(), program)
    assert reward == 0.0
    assert outcome in outcomes
    assert metrics["tests"] <= MOST_ALIKE


@pytest.mark.parametrize("kind", KINDS)
def test_hard_coded_results_earn_nothing(kind: str) -> None:
    for row in rows(1, kind, 8):
        known = table(row)
        for program in (
            f"known = {known}\ndef solve(x): return known[repr(x)]",
            f"known = {known}\ndef solve(x): return known.get(repr(x), next(iter(known.values())))",
            f"known = {{hash(k): v for k, v in {known}.items()}}\n"
            "def solve(x): return known.get(hash(repr(x)), 0)",
            "def solve(x): return x",
            f"def solve(x): return {row['info']['shown'][0]['expected']!r}",
        ):
            assert answered(row, program)[0] == 0.0


def test_types_of_results_count() -> None:
    row, program = target(), program_of(target())
    assert answered(row, program)[:2] == (1.0, "passed")
    for change in ("float(solve_(x))", "str(solve_(x))", "[solve_(x)]", "solve_(x) + 0.0"):
        wrapped = program.replace("def solve(", "def solve_(") + f"\n\ndef solve(x): return {change}"
        assert answered(row, wrapped)[:2] == (0.0, "wrong")
    same = (
        program.replace("def solve(", "def solve_(")
        + "\n\nclass N(int): pass\ndef solve(x): return N(solve_(x))"
    )
    assert answered(row, same)[0] == 1.0


def test_the_sandbox_is_as_good_as_before() -> None:
    for name in ("kills all", "fills memory", "patches json"):
        answered(target(), CHEATS[name][0])
        assert answered(target(), program_of(target()))[0] == 1.0


# Rewards and attempts.


def test_partial_credit() -> None:
    row = next(row for row in rows(1, "words") if "int" not in row["question"].split("->")[1][:12])
    careless = program_of(row).replace("    x = words\n", "    x = words\n    assert len(words) > 1\n")
    assert careless != program_of(row)
    reward, outcome, metrics = answered(row, careless, partial=True)
    assert 0.5 < reward == metrics["tests"] < 1.0
    assert outcome == "raised"
    assert answered(row, careless)[0] == 0.0
    assert answered(row, program_of(row), partial=True)[0] == 1.0
    exits = program_of(row) + "\n\nimport os\nos._exit(0)"
    assert answered(row, exits, partial=True)[0] == 0.0


def test_attempts() -> None:
    row = target()
    env = CodeEnv(attempts=4, code_timeout=2.0)
    assert "4 attempts" in env.reset(options={"example": row})[0]
    told, reward, terminated, _, info = env.step("I do not know.")
    assert told.startswith("I see no program that defines solve.")
    assert (reward, terminated, info["rewards"]) == (0.0, False, {})
    told = env.step("def solve(x): return 'no'")[0]
    first = row["info"]["shown"][0]
    assert "passes 0 of 3 examples and 0 of" in told
    assert f"returned 'no', which is wrong; it has to return {first['expected']}" in told
    assert "2 attempts left" in told
    told = env.step("def solve(x):\n    while True: pass")[0]
    assert "It ran for too long and was stopped." in told
    _, reward, terminated, _, info = env.step(env.oracle())
    assert (reward, terminated, info["stop_reason"], info["metrics"]["attempts"]) == (
        1.0,
        True,
        "completed",
        4.0,
    )


def test_expected_results_of_hidden_tests_are_never_told() -> None:
    row = copy.deepcopy(target())
    for test in row["info"]["hidden"]:
        test["expected"] = 987654321
    env = CodeEnv(attempts=5, code_timeout=2.0)
    env.reset(options={"example": row})
    knows = f"known = {table(row)}\n"
    for rest in ("def solve(x): return known.get(repr(x), 0)", "def solve(x): return known[repr(x)]",
                 "def solve(x): return known[repr(x)] if repr(x) in known else exit()",
                 "def solve(x):\n    while repr(x) not in known: pass\n    return known[repr(x)]"):  # fmt: skip
        told = env.step(f"```python\n{knows}{rest}\n```")[0]
        assert "987654321" not in told
        assert "left." in told
    _, _, _, _, info = env.step("nothing")
    assert "987654321" not in repr(info)


def test_feedback_is_bounded() -> None:
    env = CodeEnv(attempts=3, code_timeout=2.0)
    env.reset(options={"example": target()})
    assert len(env.step("def solve(x): return 'x' * 10**5")[0]) < 2_000
    assert len(env.step("def solve(x): raise ValueError('x' * 10**5)")[0]) < 2_000


def test_a_row_of_ones_own() -> None:
    hidden = [{"arguments": [a, b], "expected": {"sum": a + b}} for a in range(3) for b in range(3)]
    row = {
        "question": "Write add(a, b), which returns {'sum': a + b}.",
        "answer": "def add(a, b):\n    return {'sum': a + b}",
        "info": {"function": "add", "shown": [], "hidden": hidden},
    }
    env = CodeEnv()
    env.reset(options={"example": row})
    assert env.step(env.oracle() or "")[1] == 1.0
    for info, message in (
        ({"function": "a b", "shown": [], "hidden": hidden}, "name of the function"),
        ({"function": "add", "shown": 3, "hidden": hidden}, "shown=3"),
        ({"function": "add", "shown": [], "hidden": [{"arguments": 1}]}, "hidden="),
        ({"function": "add", "shown": [], "hidden": []}, "at least one"),
    ):
        with pytest.raises(ConfigError, match=message):
            env.reset(options={"example": {**row, "info": info}})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [({"difficulty": 6}, "difficulty is 6"), ({"attempts": 0}, "attempts is 0"),
     ({"kinds": "lists"}, "kinds holds"), ({"code_timeout": 0}, "code_timeout is 0"),
     ({"code_timeout": float("inf")}, "code_timeout is inf"), ({"split": "dev"},
     "split is")],
)  # fmt: skip
def test_unusable_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CodeEnv(**kwargs)
