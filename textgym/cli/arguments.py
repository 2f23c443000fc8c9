"""The flags that ``textgym eval`` and ``textgym rollout`` share, as one table.

Invariant: a flag, its key in a config file, its type and its help text are written once, here; a flag that
was not given leaves no trace in the parsed namespace, so that ``settings.py`` can tell. Nothing here knows
what the values are for.
"""

from __future__ import annotations

import argparse
import json
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError

__all__ = ["FLAGS", "Flag", "add_env_arguments", "add_flags", "env_arguments", "flags_of", "is_json"]


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of a run."""

    key: str
    """Its name in a config file and in the namespace: the long flag with underscores."""
    kind: type
    """Type of its value: int, float, str, or bool for a switch."""
    group: str
    """Heading in the help."""
    help: str
    """What it does."""
    metavar: str | None = None
    """Name of the value in the help."""
    short: str | None = None
    """One-letter form."""
    many: bool = False
    """Whether it may be repeated (a list in a config file)."""
    choices: tuple[str, ...] = ()
    """Allowed values; empty for all."""
    home: str | None = None
    """``table.name``, where a table of a config file may hold it as well."""
    only: str | None = None
    """The one command that has it; None for both."""

    @property
    def long(self) -> str:
        """The flag as it is typed."""
        return "--" + self.key.replace("_", "-")


_LITERALS = {"None": None, "True": True, "False": False}
_TOML_BEGINS = "\"'[{+-.0123456789"

_WORK = "what to play"
_WHO = "who plays (one of --policy and --model)"
_SAMPLING = "sampling"
_LIMITS = "limits of an episode, which is scored as it stands"
_RUN = "the run"
_OUTPUT = "output"

FLAGS: tuple[Flag, ...] = (
    Flag(
        "num_examples", int, _WORK, "task instances; a finite data set is taken whole by default", "N", "-n"
    ),
    Flag("group_size", int, _WORK, "samples of each (1)", "G", "-g"),
    Flag("seed", int, _WORK, "seed of the run (0)", "S"),
    Flag(
        "policy",
        str,
        _WHO,
        "no model: the perfect answer, random text, or you at the keyboard",
        choices=("oracle", "random", "human"),
    ),
    Flag("model", str, _WHO, "name of a model behind a server that speaks OpenAI's protocol", "M"),
    Flag(
        "base_url", str, _WHO, "root of its API, http://host:8000/v1; repeatable for more", "URL", many=True
    ),
    Flag("api_key_env", str, _WHO, "environment variable that holds the key (OPENAI_API_KEY)", "NAME"),
    Flag("timeout", float, _WHO, "for one completion, all attempts together (600)", "SEC"),
    Flag("tokens", bool, _WHO, "ask for token ids and log-probabilities, to train on"),
    Flag("temperature", float, _SAMPLING, "at least 0", "T", home="sampling.temperature"),
    Flag("top_p", float, _SAMPLING, "nucleus mass in (0, 1]", "P", home="sampling.top_p"),
    Flag("max_tokens", int, _SAMPLING, "most tokens of one completion", "N", home="sampling.max_tokens"),
    Flag("stop", str, _SAMPLING, "text that ends it; repeatable", "TEXT", many=True, home="sampling.stop"),
    Flag("max_turns", int, _LIMITS, "most completions", "N", home="limits.turns"),
    Flag("max_completion_tokens", int, _LIMITS, "most tokens sampled", "N", home="limits.completion_tokens"),
    Flag(
        "max_total_tokens",
        int,
        _LIMITS,
        "most read and sampled in all calls",
        "N",
        home="limits.total_tokens",
    ),
    Flag("max_context_tokens", int, _LIMITS, "longest conversation", "N", home="limits.context_tokens"),
    Flag("max_seconds", float, _LIMITS, "longest wall time", "SEC", home="limits.seconds"),
    Flag("max_concurrency", int, _RUN, "most episodes at a time (256; with --policy human 1)", "N"),
    Flag("workers", int, _RUN, "processes to play in (1); each gets a share of the episodes at a time", "K"),
    Flag("out", str, _RUN, "run directory: every finished episode is on disk at once", "RUN"),
    Flag("resume", bool, _RUN, "go on with --out: play only what is missing or failed"),
    Flag(
        "on_error",
        str,
        _RUN,
        "a failed episode is counted apart (record, the default) or ends the run",
        choices=("record", "raise"),
    ),
    Flag("dry_run", bool, _RUN, "check everything, show the first prompt, probe the server; play nothing"),
    Flag("min_reward", float, _RUN, "exit with 3 if the mean reward is lower", "X", only="eval"),
    Flag("min_pass_at_1", float, _RUN, "exit with 3 if pass@1 is lower", "X", only="eval"),
    Flag("json", bool, _OUTPUT, "print the result as one JSON object"),
    Flag("quiet", bool, _OUTPUT, "show no progress and no hints"),
)
"""Every flag but ``--env-arg`` and ``--config``, in the order of the help."""


def flags_of(command: str) -> list[Flag]:
    """The flags of one command."""
    return [flag for flag in FLAGS if flag.only in (None, command)]


def add_flags(parser: argparse.ArgumentParser, command: str) -> None:
    """Add everything that a command which plays takes."""
    parser.set_defaults(command=command)
    parser.add_argument("env", nargs="?", metavar="ID", help="id of the environment, see `textgym list`")
    groups: dict[str, Any] = {}
    for flag in flags_of(command):
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group)
            if flag.group == _WORK:
                add_env_arguments(groups[flag.group])
        _add(groups[flag.group], flag)
    groups[_RUN].add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="TOML file with any of these flags as keys (num_examples = 100), `env`, and the tables "
        "[env_args], [sampling], [limits]; flags win",
    )


def _add(group: Any, flag: Flag) -> None:
    names = [flag.short, flag.long] if flag.short else [flag.long]
    how: dict[str, Any] = {"dest": flag.key, "default": argparse.SUPPRESS, "help": flag.help}
    if flag.kind is bool:
        how["action"] = "store_true"
    else:
        how.update(type=flag.kind, metavar=flag.metavar, action="append" if flag.many else "store")
        if flag.choices:
            how["choices"] = flag.choices
    group.add_argument(*names, **how)


def add_env_arguments(parser: Any) -> None:
    """Add ``-a key=value``."""
    parser.add_argument(
        "-a",
        "--env-arg",
        dest="env_args",
        action="append",
        metavar="KEY=VALUE",
        default=argparse.SUPPRESS,
        help="argument of the environment; repeatable. Values are JSON or TOML (2, true, [1, 2]), else text",
    )


def env_arguments(pairs: Iterable[str]) -> dict[str, Any]:
    """``key=value`` texts as keyword arguments; the last value of a key wins.

    Raises:
        ConfigError: One has no key or no ``=``.

    Example:
        >>> env_arguments(["difficulty=2", "kinds=['stock']", "split=test", "limit=null"])
        {'difficulty': 2, 'kinds': ['stock'], 'split': 'test', 'limit': None}
    """
    arguments = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigError(f"-a {pair!r}: it must be KEY=VALUE, like -a difficulty=2")
        arguments[name.strip()] = _value(value)
    return arguments


def _value(text: str) -> Any:
    """What a value on the command line stands for; text that is nothing else stands for itself."""
    if text in _LITERALS:
        return _LITERALS[text]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if text[:1] not in _TOML_BEGINS or "\n" in text or "#" in text:
            return text
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except (ValueError, RecursionError):
            return text
    return value if is_json(value) else text


def is_json(value: Any) -> bool:
    """Whether a value survives JSON: no dates, and all numbers finite."""
    if isinstance(value, dict):
        return all(map(is_json, value.values()))
    if isinstance(value, list):
        return all(map(is_json, value))
    return isinstance(value, bool | int | str | None) or (isinstance(value, float) and math.isfinite(value))
