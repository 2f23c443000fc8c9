"""Config files: any flag as a key, flags win, and every mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from command_line import Cli

from textgym.cli.config_file import read_config

WHOLE = """
env = "textgym/Echo-v0"
num_examples = 3
group_size = 2
seed = 5
policy = "oracle"
max_concurrency = 4
max_seconds = 60
on_error = "raise"
min_reward = 0.5
json = true

[env_args]
length = 3
alphabet = "ab"

[sampling]
temperature = 1
stop = "END"
extra = { top_k = 20 }

[limits]
turns = 4
"""


def test_a_file_holds_everything(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(WHOLE)
    assert read_config(str(path), "eval") == {
        "env": "textgym/Echo-v0",
        "num_examples": 3,
        "group_size": 2,
        "seed": 5,
        "policy": "oracle",
        "max_concurrency": 4,
        "max_seconds": 60,
        "on_error": "raise",
        "min_reward": 0.5,
        "json": True,
        "env_args": {"length": 3, "alphabet": "ab"},
        "temperature": 1,
        "stop": ["END"],
        "sampling_extra": {"top_k": 20},
        "max_turns": 4,
    }


def config_of(cli: Cli, text: str, *words: object) -> dict[str, Any]:
    Path("x.toml").write_text(text)
    result = cli("eval", "--config", "x.toml", "--dry-run", "--json", *words)
    assert result.code == 0, result.err
    config: dict[str, Any] = result.json["config"]
    return config


def test_a_run_takes_it_all(cli: Cli) -> None:
    config = config_of(cli, WHOLE)
    assert config["env"] == "textgym/Echo-v0"
    assert (config["num_examples"], config["group_size"], config["seed"]) == (3, 2, 5)
    assert config["env_kwargs"] == {"length": 3, "alphabet": "ab"}
    assert config["sampling"] == {"temperature": 1, "stop": ["END"], "extra": {"top_k": 20}}
    assert config["limits"] == {"turns": 4, "seconds": 60}


def test_flags_win(cli: Cli) -> None:
    words = ["-n", 7, "--temperature", 0, "--max-turns", 9, "--policy", "random", "-a", "length=1"]
    config = config_of(cli, WHOLE, *words)
    assert config["num_examples"] == 7
    assert config["sampling"]["temperature"] == 0
    assert config["limits"]["turns"] == 9
    assert config["policy"] == "random"
    assert config["env_kwargs"] == {"length": 1, "alphabet": "ab"}


def test_a_flag_says_anew_who_plays(cli: Cli) -> None:
    text = 'env = "textgym/Echo-v0"\nnum_examples = 1\nmodel = "m"\nbase_url = "http://127.0.0.1:1/v1"\n'
    assert config_of(cli, text, "--policy", "oracle")["policy"] == "oracle"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nun_examples = 3", "'nun_examples' is no key of a config file: did you mean 'num_examples'?"),
        ("num-examples = 3", "'num-examples' is no key of a config file: did you mean 'num_examples'?"),
        ("config = 'y.toml'", "'config' is no key of a config file: it may hold env, env_args, sampling, "),
        ("num_examples = '3'", "num_examples is '3': it must be a whole number"),
        ("num_examples = 3.0", "num_examples is 3.0: it must be a whole number"),
        ("num_examples = true", "num_examples is True: it must be a whole number"),
        ("timeout = 'x'", "timeout is 'x': it must be a number"),
        ("resume = 1", "resume is 1: it must be true or false"),
        ("policy = 'orakel'", "policy is 'orakel': it must be one of oracle, random, human"),
        ("base_url = [1]", "base_url is [1]: it must be a text or a list of such"),
        ("env = 3", "env is 3: it must be a text"),
        ("limits = 3", "limits is 3: it must be a table"),
        ("[limits]\nturn = 3", "'limits.turn' is no key of a config file: did you mean 'limits.turns'"),
        ("[sampling]\nturns = 3", "'sampling.turns' is no key of a config file"),
        ("[sampling]\nextra = 3", "sampling.extra is 3: it must be a table"),
        ("max_turns = 3\n[limits]\nturns = 4", "limits.turns is there twice: max_turns is the same"),
        (
            "[env_args]\nday = 2026-01-01",
            "env_args.day is datetime.date(2026, 1, 1): it must be a JSON value",
        ),
    ],
)
def test_a_mistake_is_named(cli: Cli, text: str, error: str) -> None:
    Path("x.toml").write_text(text)
    result = cli("eval", "textgym/Echo-v0", "--config", "x.toml")
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith(f"x.toml: {error}")


def test_what_is_no_file_or_no_toml(cli: Cli, tmp_path: Path) -> None:
    Path("x.toml").write_bytes(b"a = = 1")
    Path("y.toml").write_bytes(b"a = '\xff'")
    errors = [cli("eval", "--config", name) for name in ("none.toml", ".", "x.toml", "y.toml")]
    assert [result.code for result in errors] == [2] * 4
    assert errors[0].error == "cannot read the config file none.toml: No such file or directory"
    assert errors[1].error == "cannot read the config file .: Is a directory"
    assert errors[2].error == "the config file x.toml is no TOML: Invalid value (at line 1, column 5)"
    assert errors[3].error.startswith("the config file y.toml is no TOML: 'utf-8' codec can't decode")


def test_thresholds_are_no_keys_of_a_rollout(cli: Cli) -> None:
    Path("x.toml").write_text("min_reward = 1.0")
    assert "'min_reward' is no key" in cli("rollout", "--config", "x.toml").error
