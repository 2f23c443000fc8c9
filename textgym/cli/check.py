"""``textgym check ID``: does an environment keep the contract?

Invariant: exit code 0 means that every rule held or was waived by name; the checks themselves are those of
``textgym.testing.check_text_env``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textgym.cli import console
from textgym.cli.arguments import add_env_arguments, env_arguments
from textgym.cli.environment import check_arguments, resolve_id
from textgym.cli.exits import Exit

if TYPE_CHECKING:
    from textgym.testing import CheckReport

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Check that an environment keeps the contract"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("env", metavar="ID", help="id of the environment, see `textgym list`")
    add_env_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and no processes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Check and print the report."""
    env_id = resolve_id(arguments.env)
    kwargs = env_arguments(getattr(arguments, "env_args", ()))
    check_arguments(env_id, kwargs)

    from textgym.testing import check_text_env

    report = check_text_env(env_id, env_kwargs=kwargs, quick=arguments.quick, raise_on_failure=False)
    if arguments.json:
        console.out_json(_plain(report))
    else:
        console.out(str(report))
    return Exit.OK if report.ok else Exit.FAILED


def _plain(report: CheckReport) -> dict[str, Any]:
    return {
        "env": report.env,
        "env_args": dict(report.env_kwargs),
        "ok": report.ok,
        "seconds": report.seconds,
        "results": [
            {
                "rule": result.rule,
                "status": result.status.value,
                "detail": result.detail,
                "promise": result.promise,
            }
            for result in report.results
        ],
    }
