"""Values of ``-a key=value``."""

from __future__ import annotations

from typing import Any

import pytest

from textgym.cli.arguments import FLAGS, env_arguments
from textgym.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("-2.5", -2.5),
        ("1e3", 1000.0),
        ("1_000", 1000),
        ("true", True),
        ("True", True),
        ("null", None),
        ("None", None),
        ("test", "test"),
        ('"2"', "2"),
        ("'2'", "2"),
        ("[1, 2]", [1, 2]),
        ("['a', 'b']", ["a", "b"]),
        ('{"a": 1}', {"a": 1}),
        ("{a = 1}", {"a": 1}),
        ("", ""),
        (" ", " "),
        ("a=b", "a=b"),
        ("007", "007"),
        ("1 # 2", "1 # 2"),
        ("2026-01-01", "2026-01-01"),
        ("[2026-01-01]", "[2026-01-01]"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("inf", "inf"),
        ("+inf", "+inf"),
        ("1e999", "1e999"),
        ("1\nb = 2", "1\nb = 2"),
        ("[" * 100_000, "[" * 100_000),
        ("naïve 🙂", "naïve 🙂"),
    ],
)
def test_a_value_is_json_or_toml_or_itself(text: str, value: Any) -> None:
    (parsed,) = env_arguments([f"key={text}"]).values()
    assert parsed == value
    assert type(parsed) is type(value)


def test_the_last_value_of_a_key_wins() -> None:
    assert env_arguments(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}


@pytest.mark.parametrize("pair", ["key", "=1", "a b=1", "-x=1"])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="must be KEY=VALUE"):
        env_arguments([pair])


def test_every_flag_is_described_once() -> None:
    keys = [flag.key for flag in FLAGS]
    assert len(set(keys)) == len(keys)
    assert all(flag.help and (flag.metavar or flag.kind is bool or flag.choices) for flag in FLAGS)
