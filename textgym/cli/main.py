"""The program ``textgym``: finds the command that was asked for and turns its end into an exit code.

Invariants: every wrong input is one line on standard error, ``textgym: error: …``, without a traceback
(``TEXTGYM_DEBUG=1`` shows it); ``main`` returns an exit code and never raises; ``textgym --help`` loads
neither an HTTP client nor a terminal library.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import textgym
from textgym.cli import console
from textgym.cli.exits import Exit, exit_code
from textgym.cli.suggestions import closest, did_you_mean
from textgym.errors import ConfigError

__all__ = ["COMMANDS", "main"]

COMMANDS = ("list", "show", "play", "check", "eval", "rollout", "export", "serve-model", "doctor")
"""The commands, each a module of this package (``-`` is ``_`` there) with ``HELP``, ``add_arguments(parser)`` and
``run(arguments, words)``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        argv: The words after the program's name; None takes those of this process.

    Returns:
        The exit code; ``textgym.cli.exits`` says what it means.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with console.session():
        try:
            code = _dispatch(words)
            console.flush()
        except BrokenPipeError:
            _abandon_output()
            return Exit.BROKEN_PIPE
        except KeyboardInterrupt:
            console.note(f"{console.PROGRAM}: interrupted")
            return Exit.INTERRUPTED
        except Exception as error:
            console.error(error)
            return exit_code(error)
    return code


def _dispatch(words: list[str]) -> int:
    parser, commands = _parsers()
    if not words:
        parser.print_help(sys.stderr)
        return Exit.USAGE
    if not words[0].startswith("-") and words[0] not in COMMANDS:
        hint = did_you_mean(closest(words[0], COMMANDS)) or f": it must be one of {', '.join(COMMANDS)}"
        raise ConfigError(f"there is no command {words[0]!r}{hint}".rstrip())
    try:
        arguments, unknown = parser.parse_known_args(words)
    except SystemExit as leave:  # --help and --version
        return int(leave.code or 0)
    if unknown:
        raise _unknown(unknown[0], commands[words[0]])
    return int(_module(words[0]).run(arguments, words))


def _module(command: str) -> Any:
    return import_module(f"textgym.cli.{command.replace('-', '_')}")


def _parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    how: dict[str, Any] = {"allow_abbrev": False, "formatter_class": _Formatter}
    parser = _Parser(
        prog=console.PROGRAM,
        description="Gymnasium text environments for training and evaluating language models with RL.",
        epilog="`textgym COMMAND --help` explains a command.",
        **how,
    )
    parser.add_argument("--version", action="version", version=f"{console.PROGRAM} {textgym.__version__}")
    several = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    commands: dict[str, argparse.ArgumentParser] = {}
    for name in COMMANDS:
        module = _module(name)
        commands[name] = several.add_parser(name, help=module.HELP, description=f"{module.HELP}.", **how)
        module.add_arguments(commands[name])
    return parser, commands


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with room for long flags."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, 100) - 2
        super().__init__(prog, max_help_position=28, width=width)


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see `{self.prog} --help`)")


def _unknown(word: str, parser: argparse.ArgumentParser) -> ConfigError:
    if not word.startswith("-"):
        return ConfigError(f"{word!r} is one word too many (see `{parser.prog} --help`)")
    flags = [name for action in parser._actions for name in action.option_strings]
    hint = did_you_mean(closest(word.partition("=")[0], flags))
    return ConfigError(f"there is no flag {word}{hint or ' '}(see `{parser.prog} --help`)")


def _abandon_output() -> None:
    """Point standard output at nothing, so that Python does not fail again when it flushes at the end."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    sys.exit(main())
