"""Environments as the command line names them: from what was typed to an id, its arguments, its page.

Invariant: whatever is wrong with an id or its arguments is a ``ConfigError`` that says what is allowed.
Nothing here plays an episode.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import find_highest_version, get_env_id, load_env_creator, parse_env_id

from textgym.cli.suggestions import closest, did_you_mean
from textgym.errors import ConfigError, TextgymError
from textgym.registration import registered_ids

__all__ = ["Argument", "Page", "check_arguments", "make", "making", "page_of", "resolve_id"]

_SECTION = re.compile(r"^(Args|Raises|Returns|Example|Examples|Attributes):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\w+): (.*)$")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an environment."""

    name: str
    """Its name."""
    default: Any
    """Its default; ``inspect.Parameter.empty`` if it has to be given."""
    text: str
    """What the docstring says about it."""

    @property
    def signature(self) -> str:
        """``name=default``, or the bare name."""
        return self.name if self.default is inspect.Parameter.empty else f"{self.name}={self.default!r}"


@dataclass(frozen=True, slots=True)
class Page:
    """What the docstring and the signature of an environment say."""

    title: str
    """First line."""
    body: str
    """The rest, without the sections about the constructor."""
    arguments: tuple[Argument, ...]
    """Arguments of the constructor."""


def resolve_id(text: str) -> str:
    """The id that was meant.

    Args:
        text: An id, with or without version; ``module:id`` imports the module first, also from the
            working directory.

    Returns:
        The id with its version, and with the module if there was one.

    Raises:
        ConfigError: There is none; the message says which was meant perhaps.
    """
    module, colon, name = text.rpartition(":")
    if colon:
        _import(module, text)
    if name not in gym.registry:
        name = _newest(name)
    if name not in gym.registry:
        raise _unknown(text, name)
    return f"{module}{colon}{name}"


def _import(module: str, text: str) -> None:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` has it; the installed script does not
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ConfigError(
            f"cannot import {module!r}, which {text!r} has before the colon: {type(error).__name__}: {error}"
        ) from error


def _newest(name: str) -> str:
    """The id with the highest version, if the name has none and there is one; else the name."""
    try:
        namespace, bare, version = parse_env_id(name)
    except gym.error.Error:
        return name
    highest = find_highest_version(namespace, bare) if version is None else None
    return name if highest is None else get_env_id(namespace, bare, highest)


def _unknown(text: str, name: str) -> ConfigError:
    shown = {_bare(env_id): env_id for env_id in registered_ids()}
    meant = [shown[bare] for bare in closest(_bare(name), shown)]
    hint = did_you_mean(meant) or ": `textgym list` shows all; another package's are written module:id"
    return ConfigError(f"there is no environment {text!r}{hint}".rstrip())


def _bare(env_id: str) -> str:
    """The name without namespace and version, for comparing."""
    name = env_id.rpartition("/")[2]
    return re.sub(r"[-_ ]?v\d+$", "", name.lower()).replace("-", "").replace("_", "")


def _creator(env_id: str) -> Any:
    spec = gym.spec(env_id.rpartition(":")[2])
    entry = spec.entry_point
    if not isinstance(entry, str):
        return entry
    try:
        return load_env_creator(entry)
    except TextgymError:
        raise
    except Exception as error:
        raise ConfigError(f"cannot import {env_id} ({entry}): {type(error).__name__}: {error}") from error


def check_arguments(env_id: str, kwargs: Mapping[str, Any]) -> None:
    """Compare arguments with the signature of the environment, as far as it has one.

    Raises:
        ConfigError: One is unknown or missing; the message lists the allowed ones.
    """
    given = {**gym.spec(env_id.rpartition(":")[2]).kwargs, **kwargs}
    parameters = _parameters(_creator(env_id))
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    names = [p.name for p in parameters]
    for name in kwargs:
        if name not in names:
            hint = did_you_mean(closest(name, names)) or ": "
            allowed = ", ".join(names) or "none"
            raise ConfigError(f"{env_id} has no argument {name!r}{hint}it takes {allowed}")
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in given]
    if missing:
        raise ConfigError(f"{env_id} needs the argument {missing[0]!r}: give it with -a {missing[0]}=…")


def _parameters(creator: Any) -> list[inspect.Parameter]:
    try:
        signature = inspect.signature(creator)
    except (TypeError, ValueError):  # code without a Python signature
        signature = inspect.signature(lambda **_: None)
    return [p for p in signature.parameters.values() if p.kind is not p.VAR_POSITIONAL]


@contextmanager
def making(env_id: str, kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever goes wrong while an environment is made into one clear error.

    Raises:
        ConfigError: As the errors of textgym and Gymnasium, or in place of any other.
    """
    check_arguments(env_id, kwargs)
    try:
        yield
    except (TextgymError, gym.error.Error):
        raise
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in kwargs.items()) or "no arguments"
        raise ConfigError(f"cannot make {env_id} with {given}: {type(error).__name__}: {error}") from error


def make(env_id: str, kwargs: Mapping[str, Any], **more: Any) -> gym.Env[Any, Any]:
    """``gym.make`` with clear errors.

    Args:
        env_id: A resolved id.
        kwargs: Arguments of the environment.
        **more: Arguments of ``gym.make`` itself.

    Raises:
        ConfigError: It cannot be made.
    """
    with making(env_id, kwargs):
        return gym.make(env_id, **more, **kwargs)


def page_of(env_id: str) -> Page:
    """Docstring and signature of an environment.

    Raises:
        ConfigError: Its module cannot be imported.
    """
    creator = _creator(env_id)
    text = inspect.getdoc(creator) or ""
    texts = _argument_texts(text)
    title, _, body = _SECTION.split(text, maxsplit=1)[0].strip().partition("\n")
    if title.startswith("#"):  # a page that begins with its first heading
        title, body = "", f"{title}\n{body}"
    arguments = tuple(
        Argument(p.name, p.default, texts.get(p.name, ""))
        for p in _parameters(creator)
        if p.kind is not p.VAR_KEYWORD
    )
    return Page(title, body.strip(), arguments)


def _argument_texts(text: str) -> dict[str, str]:
    """The entries of the ``Args`` section of a docstring in Google style, each on one line."""
    parts = _SECTION.split(text)
    if "Args" not in parts:
        return {}
    entries: dict[str, str] = {}
    name = ""
    for line in parts[parts.index("Args") + 1].splitlines():
        entry = _ENTRY.match(line)
        if entry is not None:
            name = entry[1]
            entries[name] = entry[2]
        elif line.strip() and name:
            entries[name] += " " + line.strip()
    return entries
