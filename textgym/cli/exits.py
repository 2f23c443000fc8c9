"""Exit codes, and which error leads to which.

====  ==============================================================================================
   0  the command did what it was asked for; failed episodes are reported, for they are data
   1  the run could not go on, or every episode failed; a check failed; doctor found a problem
   2  wrong usage: a flag, an id, an argument, a config file, a run directory of another configuration
   3  ``--min-reward`` or ``--min-pass-at-1`` was not met
 130  interrupted by Ctrl-C (143 by SIGTERM): what had finished is on disk
 141  whoever read the output went away
====  ==============================================================================================

Invariant: an exit code depends on the class of an error only, never on its text.
"""

from __future__ import annotations

from enum import IntEnum

from gymnasium.error import DependencyNotInstalled, DeprecatedEnv, UnregisteredEnv

from textgym.errors import ConfigError, DatasetError, RunMismatch

__all__ = ["Exit", "exit_code"]

_USAGE = (
    ConfigError,
    DatasetError,
    RunMismatch,
    DependencyNotInstalled,
    DeprecatedEnv,
    UnregisteredEnv,
)


class Exit(IntEnum):
    """What the command tells its caller."""

    OK = 0
    """Done."""
    FAILED = 1
    """It could not be done."""
    USAGE = 2
    """It was asked for wrongly."""
    THRESHOLD = 3
    """It was done, and the figures are below what was demanded."""
    INTERRUPTED = 130
    """Somebody pressed Ctrl-C (128 + SIGINT)."""
    TERMINATED = 143
    """Somebody sent SIGTERM (128 + SIGTERM)."""
    BROKEN_PIPE = 141
    """The reader of the output went away (128 + SIGPIPE)."""


def exit_code(error: BaseException) -> Exit:
    """The exit code of a command that ended with an error."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return Exit.BROKEN_PIPE
    return Exit.USAGE if isinstance(error, _USAGE) else Exit.FAILED
