"""``textgym list``: the environments, one line each.

Invariant: every registered id has its line; one that cannot be made says why instead of breaking the list.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from textgym.cli import console
from textgym.cli.environment import make, page_of
from textgym.cli.exits import Exit
from textgym.errors import ConfigError
from textgym.registration import registered_ids

__all__ = ["HELP", "add_arguments", "run"]

HELP = "List the environments, one line each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="print a list of JSON objects")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Print the list."""
    entries = [_entry(env_id) for env_id in registered_ids()]
    if arguments.json:
        console.out_json(entries)
        return Exit.OK
    rows = [("ID", "TURNS", "ORACLE", "")]
    for entry in entries:
        turns = "?" if entry["turns"] is None else str(entry["turns"])
        oracle = {None: "?", True: "yes", False: "no"}[entry["oracle"]]
        rows.append((entry["id"], turns, oracle, entry["description"]))
    for line in console.table(rows):
        console.out(line)
    return Exit.OK


def _entry(env_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": env_id, "turns": None, "oracle": None}
    try:
        entry["description"] = page_of(env_id).title
        env = make(env_id, {}, disable_env_checker=True)
    except ConfigError as error:
        return {"description": "", **entry, "error": str(error)}
    inner = env.unwrapped
    entry["turns"] = turns_of(inner)
    entry["oracle"] = has_oracle(inner)
    env.close()
    return entry


def turns_of(env: Any) -> int | None:
    """Most turns of an episode with the present arguments, None if nobody knows."""
    from textgym.envs import SingleTurnEnv

    turns = getattr(env, "max_turns", None)
    if turns is None and isinstance(env, SingleTurnEnv):
        return 1
    return turns if isinstance(turns, int) else None


def has_oracle(env: Any) -> bool:
    """Whether the environment defines an oracle."""
    from textgym.envs import TextEnv

    oracle = getattr(type(env), "oracle", None)
    return oracle is not None and oracle is not TextEnv.oracle
