"""Config files: any flags of a run, as TOML.

    env = "textgym/Math-v0"
    num_examples = 100
    model = "my-model"
    base_url = ["http://localhost:8000/v1"]

    [env_args]
    difficulty = 2

    [sampling]
    temperature = 1.0
    extra = { top_k = 20 }

    [limits]
    turns = 4

Invariant: what is read has the types of the flags, or nothing is returned: an unknown key, a wrong type or
a value given twice is a ``ConfigError`` that names file and key. Nothing is written here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textgym.cli.arguments import Flag, flags_of, is_json
from textgym.cli.suggestions import closest, did_you_mean
from textgym.errors import ConfigError

__all__ = ["read_config"]

_KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def read_config(path: str, command: str) -> dict[str, Any]:
    """Read a config file.

    Args:
        path: The file.
        command: ``eval`` or ``rollout``: whose flags are allowed.

    Returns:
        Values by key of the flag; also ``env``, ``env_args`` and ``sampling_extra``, where given.

    Raises:
        ConfigError: It cannot be read, or holds something unknown or of a wrong type.
    """
    flags = {flag.key: flag for flag in flags_of(command)}
    tables = _tables(path, flags)
    names = ["env", *tables, *flags]
    values: dict[str, Any] = {}

    def put(name: str, key: str, value: Any) -> None:
        if key in values:
            raise ConfigError(f"{path}: {name} is there twice: {key} is the same")
        values[key] = value

    for name, value in _load(path).items():
        if name in tables:
            _expect(isinstance(value, Mapping), path, name, value, "a table")
            tables[name](value, put)
        elif name == "env":
            _expect(isinstance(value, str), path, name, value, _KINDS[str])
            put(name, name, value)
        elif name in flags:
            put(name, name, _typed(path, name, value, flags[name]))
        else:
            raise _unknown(path, name, names)
    return values


_Put = Callable[[str, str, Any], None]


def _tables(path: str, flags: Mapping[str, Flag]) -> dict[str, Callable[[Mapping[str, Any], _Put], None]]:
    """What reads each table."""

    def env_args(table: Mapping[str, Any], put: _Put) -> None:
        for name, value in table.items():
            _expect(is_json(value), path, f"env_args.{name}", value, "a JSON value")
        put("env_args", "env_args", dict(table))

    def part(title: str) -> Callable[[Mapping[str, Any], _Put], None]:
        members = {flag.key: flag for flag in flags.values() if (flag.home or "").startswith(f"{title}.")}
        members |= {str(flag.home).partition(".")[2]: flag for flag in members.values()}

        def read(table: Mapping[str, Any], put: _Put) -> None:
            for name, value in table.items():
                shown = f"{title}.{name}"
                if shown == "sampling.extra":
                    _expect(isinstance(value, Mapping) and is_json(value), path, shown, value, "a table")
                    put(shown, "sampling_extra", dict(value))
                elif name in members:
                    put(shown, members[name].key, _typed(path, shown, value, members[name]))
                else:
                    raise _unknown(path, shown, [f"{title}.{other}" for other in members])

        return read

    return {"env_args": env_args, "sampling": part("sampling"), "limits": part("limits")}


def _load(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror or error}") from error
    except ValueError as error:  # broken TOML, or no UTF-8
        raise ConfigError(f"the config file {path} is no TOML: {error}") from error


def _typed(path: str, name: str, value: Any, flag: Flag) -> Any:
    if flag.many:
        several = value if isinstance(value, list) else [value]
        wanted = f"{_KINDS[flag.kind]} or a list of such"
        _expect(all(_fits(item, flag.kind) for item in several), path, name, value, wanted)
        return several
    _expect(_fits(value, flag.kind), path, name, value, _KINDS[flag.kind])
    if flag.choices:
        _expect(value in flag.choices, path, name, value, f"one of {', '.join(flag.choices)}")
    return value


def _fits(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def _expect(right: bool, path: str, name: str, value: Any, wanted: str) -> None:
    if not right:
        raise ConfigError(f"{path}: {name} is {value!r:.60}: it must be {wanted}")


def _unknown(path: str, name: str, names: list[str]) -> ConfigError:
    hint = did_you_mean(closest(name, names)) or f": it may hold {', '.join(names)}"
    return ConfigError(f"{path}: {name!r} is no key of a config file{hint}".rstrip())
