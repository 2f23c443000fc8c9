"""``textgym eval ID``: play a policy, print how good it is.

Invariant: standard output is ``str(run.summary())`` (or one JSON object). ``job.py`` does the work; this
file says what the command is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from textgym.cli.arguments import add_flags

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Play a policy and say how good it is"

EPILOG = """\
examples:
  textgym eval textgym/Math-v0 --policy oracle -n 20
  textgym eval textgym/Math-v0 -a difficulty=2 --model M --base-url http://localhost:8000/v1 -n 100 -g 4
  textgym eval --config eval.toml --out runs/math --resume

exit codes: 0 done, 1 the run failed, 2 wrong usage, 3 a --min-… was not met, 130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.epilog = EPILOG
    parser.usage = "textgym eval ID (--policy P | --model M --base-url URL) [flags]"
    add_flags(parser, "eval")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Do it; returns the exit code. Raises as ``job.run_job`` does."""
    from textgym.cli.job import run_job

    return run_job(arguments, words)
