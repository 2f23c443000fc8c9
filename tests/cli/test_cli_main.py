"""The program itself: help, one line for every wrong input, what it loads, and broken pipes."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, start

import textgym
from textgym.cli import console, main
from textgym.cli.exits import Exit, exit_code
from textgym.errors import ConfigError, MissingExtra, ProviderUnreachable, RunAborted, RunLocked, RunMismatch


def test_help_lists_the_commands(cli: Cli, golden: Callable[[str, str], None]) -> None:
    result = cli("--help")
    assert (result.code, result.err) == (0, "")
    golden("help.txt", result.out)


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself(cli: Cli, command: str) -> None:
    result = cli(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"usage: textgym {command} ")
    assert max(map(len, result.out.splitlines())) <= 106


def test_the_version(cli: Cli) -> None:
    assert cli("--version").out == f"textgym {textgym.__version__}\n"


def test_no_command_shows_the_help_and_fails(cli: Cli) -> None:
    result = cli()
    assert (result.code, result.out) == (2, "")
    assert "eval" in result.err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["evl"], "there is no command 'evl': did you mean 'eval'?"),
        (
            ["x"],
            "there is no command 'x': it must be one of list, show, play, check, eval, rollout, export, "
            "serve-model, doctor",
        ),
        (["list", "--jsn"], "there is no flag --jsn: did you mean '--json'? (see `textgym list --help`)"),
        (["list", "more"], "'more' is one word too many (see `textgym list --help`)"),
        (["show"], "the following arguments are required: ID (see `textgym show --help`)"),
        (
            ["eval", "-n", "x"],
            "argument -n/--num-examples: invalid int value: 'x' (see `textgym eval --help`)",
        ),
        (
            ["eval", "--num-ex", "3"],
            "there is no flag --num-ex: did you mean '--num-examples'? (see `textgym eval --help`)",
        ),
        (["show", "Math"], "there is no environment 'Math': did you mean 'textgym/Math-v0'?"),
        (
            ["show", "guess-number"],
            "there is no environment 'guess-number': did you mean 'textgym/GuessNumber-v0'?",
        ),
        (
            ["show", "textgym/Ech-v0"],
            "there is no environment 'textgym/Ech-v0': did you mean 'textgym/Echo-v0'?",
        ),
        (
            ["show", "textgym/Echo-v9"],
            "there is no environment 'textgym/Echo-v9': did you mean 'textgym/Echo-v0'?",
        ),
        (
            ["show", "my/Own-v0"],
            "there is no environment 'my/Own-v0': `textgym list` shows all; another "
            "package's are written module:id",
        ),
        (
            ["show", "???"],
            "there is no environment '???': `textgym list` shows all; another package's are "
            "written module:id",
        ),
        (
            ["show", "no_such_package:X-v0"],
            "cannot import 'no_such_package', which 'no_such_package:X-v0' has "
            "before the colon: ModuleNotFoundError: No module named 'no_such_package'",
        ),
        (
            ["show", "textgym/Echo-v0", "-a", "lenght=3"],
            "textgym/Echo-v0 has no argument 'lenght': did you mean "
            "'length'? it takes turns, length, alphabet, split, render_mode",
        ),
        (
            ["show", "textgym/Echo-v0", "-a", "length=no"],
            "length is 'no': it must be a whole number in 1..4096",
        ),
        (
            ["show", "textgym/Echo-v0", "-a", "length"],
            "-a 'length': it must be KEY=VALUE, like -a difficulty=2",
        ),
        (["show", "textgym/Echo-v0", "--seed", "-1"], "--seed is -1: it must be at least 0"),
    ],
)
def test_a_wrong_input_is_one_line(cli: Cli, words: list[str], error: str) -> None:
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"textgym: error: {error}\n"


def test_an_id_without_version_is_the_newest(cli: Cli) -> None:
    assert cli("show", "textgym/Echo").out == cli("show", "textgym/Echo-v0").out


PLUGIN = """
import gymnasium as gym
from textgym import SingleTurnEnv
class Needs(SingleTurnEnv):
    "Needs an argument."
    def __init__(self, path):
        super().__init__([{"question": open(path).read(), "answer": "4"}])
gym.register("own/Needs-v0", Needs)
gym.register("own/Needs-v1", Needs)
"""


@pytest.mark.filterwarnings("default")
def test_environments_of_another_package(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gymnasium as gym

    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "some_plugin.py").write_text(PLUGIN)
    (tmp_path / "question").write_text("2+2?")
    try:
        result = cli("show", "some_plugin:own/Needs-v0", "-a", "path=question")
        assert result.code == 0
        assert "2+2?" in result.out
        assert "- `path`" in result.out
        assert result.err.startswith("textgym: warning: The environment own/Needs-v0 is out of date.")
        assert "\x1b" not in result.err
        assert cli("show", "own/Needs-v1").error == (
            "own/Needs-v1 needs the argument 'path': give it with -a path=…"
        )
        result = cli("show", "own/Needs-v1", "-a", "path=nothing")
        assert result.code == 2
        assert result.error == (
            "cannot make own/Needs-v1 with path='nothing': FileNotFoundError: [Errno 2] No such file or "
            "directory: 'nothing'"
        )
    finally:
        gym.registry.pop("own/Needs-v0", None)
        gym.registry.pop("own/Needs-v1", None)


def test_the_traceback_is_there_for_those_who_want_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEXTGYM_DEBUG", "1")
    assert main.main(["show", "Math"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("textgym: error: there is no environment")


def test_an_error_of_our_own_says_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textgym.cli.list.registered_ids", lambda: 1 / 0)
    assert main.main(["list"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("textgym: error: ZeroDivisionError: division by zero at ")
    assert err.endswith("(TEXTGYM_DEBUG=1 shows the traceback)\n")
    assert err.count("\n") == 1


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("textgym.cli.list.registered_ids", interrupt)
    assert main.main(["list"]) == 130
    assert capsys.readouterr().err == "textgym: interrupted\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), Exit.USAGE),
        (MissingExtra("x", extra="openai"), Exit.USAGE),
        (RunMismatch("x"), Exit.USAGE),
        (RunLocked("x"), Exit.FAILED),
        (RunAborted("x"), Exit.FAILED),
        (ProviderUnreachable("x"), Exit.FAILED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (BrokenPipeError(), Exit.BROKEN_PIPE),
        (KeyError("x"), Exit.FAILED),
    ],
)
def test_exit_codes(error: BaseException, code: Exit) -> None:
    assert exit_code(error) is code


def test_what_others_wrote_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.out("a\tb\nc\x1b[31m\x07\u202e\ud800é🙂")
    assert capsys.readouterr().out == "a\tb\nc\\x1b[31m\\x07\\u202e\\ud800é🙂\n"


def test_warnings_and_logs_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    with console.session():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("\x1b[33mWARN: beware\x1b[0m", stacklevel=1)
        logging.getLogger("textgym.rollouts.store").warning("line %d is torn", 3)
    logging.getLogger("textgym").warning("not ours any more")
    assert capsys.readouterr().err.startswith("textgym: warning: beware\ntextgym: warning: line 3 is torn\n")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from textgym.cli.main import main; main(['--help'])\n"
        "heavy = {'aiohttp', 'rich', 'openai', 'pettingzoo', 'torch', 'textgym.rollouts', 'textgym.envs'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = start("show", "textgym/Echo-v0")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process:
        assert process.stderr.read() == ""
        assert process.wait(60) == 141
