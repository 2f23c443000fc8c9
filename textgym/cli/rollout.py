"""``textgym rollout ID --out RUN``: play a policy and keep every episode, to train on.

Invariant: it differs from ``textgym eval`` in that a run directory is needed and no threshold is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from textgym.cli.arguments import add_flags

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Play a policy and keep every episode"

EPILOG = """\
examples:
  textgym rollout textgym/Echo-v0 --policy oracle -n 32 -g 8 --out runs/echo
  textgym rollout textgym/Math-v0 --model M --base-url http://localhost:8000/v1 --tokens \\
                  -n 100 -g 8 --out runs/math

read it with textgym.Run.load("runs/math"); exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.epilog = EPILOG
    parser.usage = "textgym rollout ID (--policy P | --model M --base-url URL) --out RUN [flags]"
    add_flags(parser, "rollout")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Do it; returns the exit code. Raises as ``job.run_job`` does."""
    from textgym.cli.job import run_job

    return run_job(arguments, words)
