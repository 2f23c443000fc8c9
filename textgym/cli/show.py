"""``textgym show ID``: one environment, as its reader and its player see it.

Invariant: what is printed follows from the id, the arguments and the seed.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import gymnasium as gym

from textgym.cli import console
from textgym.cli.arguments import add_env_arguments, env_arguments
from textgym.cli.environment import Argument, Page, make, page_of, resolve_id
from textgym.cli.exits import Exit
from textgym.errors import ConfigError, EnvError, TextgymError

__all__ = ["HELP", "add_arguments", "run"]

HELP = "Show an environment: its page, a prompt, the answer"
_WIDTH = 100
_ARGUMENTS = "## Arguments"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("env", metavar="ID", help="id of the environment, see `textgym list`")
    add_env_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which instance to show (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Print the page."""
    if arguments.seed < 0:
        raise ConfigError(f"--seed is {arguments.seed}: it must be at least 0")
    env_id = resolve_id(arguments.env)
    kwargs = env_arguments(getattr(arguments, "env_args", ()))
    page = page_of(env_id)
    env = make(env_id, kwargs)
    try:
        facts = _facts(env, arguments.seed)
    finally:
        env.close()
    if arguments.json:
        console.out_json(
            {
                "id": env_id,
                "env_args": kwargs,
                "title": page.title,
                "description": page.body,
                "arguments": [{"signature": a.signature, "description": a.text} for a in page.arguments],
                "seed": arguments.seed,
                **facts,
            }
        )
    else:
        _print(env_id, page, facts, arguments.seed)
    return Exit.OK


def _facts(env: gym.Env[Any, Any], seed: int) -> dict[str, Any]:
    inner: Any = env.unwrapped
    try:
        observation, info = env.reset(seed=seed)
        oracle = inner.oracle() if hasattr(inner, "oracle") else None
    except TextgymError:
        raise
    except Exception as error:
        raise EnvError(f"reset(seed={seed}) of {env.spec and env.spec.id} failed: {error!r}") from error
    return {
        "observation_space": repr(env.observation_space),
        "action_space": repr(env.action_space),
        "reward_bounds": getattr(inner, "reward_bounds", None),
        "example_id": info.get("example_id"),
        "prompt": observation if isinstance(observation, str) else repr(observation),
        "oracle": oracle,
    }


def _print(env_id: str, page: Page, facts: dict[str, Any], seed: int) -> None:
    bounds, oracle = facts["reward_bounds"], facts["oracle"]
    spaces = [("observation", facts["observation_space"]), ("action", facts["action_space"])]
    if bounds is not None:
        spaces.append(("reward", f"{bounds[0]:g} to {bounds[1]:g} an episode"))
    sections = [
        f"# {env_id}\n{page.title}".rstrip(),
        _with_arguments(page),
        "\n".join(["## Spaces", *console.table(spaces)]),
        f"## Prompt (seed {seed})\n{facts['prompt']}",
        f"## Oracle (seed {seed})\n{'none' if oracle is None else oracle}",
    ]
    console.out("\n\n".join(sections))


def _with_arguments(page: Page) -> str:
    """The body of the page, with the list of arguments at the end of its section on them."""
    listed = "\n".join(map(_argument, page.arguments)) or "none"
    sections = re.split(r"^(?=## )", _single(page.body), flags=re.MULTILINE)
    where = next((i for i, text in enumerate(sections) if text.startswith(_ARGUMENTS)), None)
    if where is None:
        sections.append(f"{_ARGUMENTS}\n{listed}")
    else:
        sections[where] = f"{sections[where].rstrip()}\n\n{listed}"
    return "\n\n".join(section.strip() for section in sections if section.strip())


def _single(text: str) -> str:
    """Code between single backticks, as Markdown has it."""
    return re.sub(r"(?<!`)``(?!`)", "`", text)


def _argument(argument: Argument) -> str:
    text = f"`{argument.signature}`: {_single(argument.text)}".rstrip(": ")
    return textwrap.fill(text, _WIDTH, initial_indent="- ", subsequent_indent="  ")
