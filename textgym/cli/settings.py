"""Settings: what a run is to do, from flags, config file and defaults together.

Invariant: flags win over the file, the file over the defaults, and a combination that makes no sense is a
``ConfigError`` before an environment, a server or the disk is touched.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from textgym.cli.arguments import FLAGS, env_arguments
from textgym.cli.config_file import read_config
from textgym.cli.environment import resolve_id
from textgym.errors import ConfigError

if TYPE_CHECKING:
    from textgym.rollouts import Limits
    from textgym.types import Sampling

__all__ = ["DEFAULT_CONCURRENCY", "Settings", "settings_of"]

DEFAULT_CONCURRENCY = 256
"""Episodes at a time."""

_WHO_PLAYS = "choose --policy oracle, --policy random, --policy human, or --model M --base-url URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything about one run of ``eval`` or ``rollout``; the fields are the flags."""

    env: str
    """The resolved id."""
    env_args: dict[str, Any]
    """Arguments of the environment."""
    sampling: Sampling
    """How to sample."""
    limits: Limits
    """Limits of an episode."""
    num_examples: int | None
    """Task instances; None takes a finite data set whole."""
    group_size: int
    """Samples of each."""
    seed: int
    """Seed of the run."""
    policy: str | None
    """``oracle``, ``random`` or ``human``, or None for a model."""
    model: str | None
    """Name of a model, or None."""
    base_url: tuple[str, ...]
    """Servers; empty for the policy's own default."""
    api_key: str | None = field(repr=False)
    """The key itself, from the environment variable."""
    timeout: float
    """Seconds for one completion."""
    tokens: bool
    """Whether to ask for token ids."""
    max_concurrency: int
    """Episodes at a time."""
    workers: int
    """Processes to play in."""
    out: str | None
    """The run directory."""
    resume: bool
    """Go on with it."""
    on_error: str
    """``record`` or ``raise``."""
    dry_run: bool
    """Play nothing."""
    json: bool
    """Print JSON."""
    quiet: bool
    """Show no progress and no hints."""
    min_reward: float | None = None
    """Threshold of the mean reward."""
    min_pass_at_1: float | None = None
    """Threshold of pass@1."""


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Resolve what was asked for.

    Args:
        arguments: What ``arguments.add_flags`` has parsed.

    Raises:
        ConfigError: Something is unknown, missing or contradictory.
    """
    given = _merged(arguments)
    if given.get("env") is None:
        raise ConfigError(f"which environment? textgym {arguments.command} ID; `textgym list` shows the ids")
    env = resolve_id(given.pop("env"))
    _check_who(given)
    if arguments.command == "rollout" and "out" not in given:
        raise ConfigError("textgym rollout keeps what it plays: say where with --out RUN")
    if given.get("resume") and "out" not in given:
        raise ConfigError("--resume goes on with a run directory: say which one with --out RUN")
    human = given.get("policy") == "human"
    return Settings(
        env=env,
        env_args=given.pop("env_args", {}),
        sampling=_sampling(given),
        limits=_limits(given),
        num_examples=given.get("num_examples"),
        group_size=given.get("group_size", 1),
        seed=given.get("seed", 0),
        policy=given.get("policy"),
        model=given.get("model"),
        base_url=tuple(given.get("base_url", ())),
        api_key=_key(given.get("api_key_env")),
        timeout=given.get("timeout", 600.0),
        tokens=given.get("tokens", False),
        max_concurrency=given.get("max_concurrency", 1 if human else DEFAULT_CONCURRENCY),
        workers=given.get("workers", 1),
        out=given.get("out"),
        resume=given.get("resume", False),
        on_error=given.get("on_error", "record"),
        dry_run=given.get("dry_run", False),
        json=given.get("json", False),
        quiet=given.get("quiet", False),
        min_reward=given.get("min_reward"),
        min_pass_at_1=given.get("min_pass_at_1"),
    )


def _merged(arguments: argparse.Namespace) -> dict[str, Any]:
    flags = {name: value for name, value in vars(arguments).items() if value is not None}
    path = flags.pop("config", None)
    flags["env_args"] = env_arguments(flags.pop("env_args", ()))
    given = read_config(path, arguments.command) if path is not None else {}
    if "policy" in flags or "model" in flags:  # who plays is one choice: a flag replaces all of the file's
        given = {name: value for name, value in given.items() if name not in _instead(flags)}
    return {**given, **flags, "env_args": {**given.get("env_args", {}), **flags["env_args"]}}


def _instead(flags: Mapping[str, Any]) -> tuple[str, ...]:
    return ("policy",) if "model" in flags else ("model", "base_url")


def _check_who(given: Mapping[str, Any]) -> None:
    policy, model = given.get("policy"), given.get("model")
    if policy is None and model is None:
        if "base_url" in given:
            raise ConfigError("--base-url needs the name of the model that is to play there: --model M")
        raise ConfigError(f"who plays? {_WHO_PLAYS}")
    if policy is not None and model is not None:
        raise ConfigError(f"--policy {policy} and --model {model} exclude each other: {_WHO_PLAYS}")
    if policy is not None and "base_url" in given:
        raise ConfigError(f"--base-url means nothing to --policy {policy}: {_WHO_PLAYS}")
    least = given.get("min_pass_at_1")
    if least is not None and not 0.0 <= least <= 1.0:
        raise ConfigError(f"--min-pass-at-1 is {least:g}: it must be a number from 0 to 1")


def _sampling(given: Mapping[str, Any]) -> Sampling:
    from textgym.types import Sampling

    return Sampling(extra=given.get("sampling_extra", {}), **_part("sampling", given))


def _limits(given: Mapping[str, Any]) -> Limits:
    from textgym.rollouts import Limits

    return Limits(**_part("limits", given))


def _part(table: str, given: Mapping[str, Any]) -> dict[str, Any]:
    homes = {flag.key: flag.home.split(".") for flag in FLAGS if flag.home is not None}
    return {homes[key][1]: given[key] for key in homes if key in given and homes[key][0] == table}


def _key(name: str | None) -> str | None:
    """The API key from the environment variable that was named, or None to leave it to the policy."""
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise ConfigError(f"--api-key-env names {name}, which is not set: export {name}=…")
    return key
