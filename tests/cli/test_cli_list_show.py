"""``textgym list`` and ``textgym show``."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import pytest
from command_line import Cli

from textgym import SingleTurnEnv
from textgym.registration import registered_ids


def test_list(cli: Cli, golden: Callable[[str, str], None]) -> None:
    result = cli("list")
    assert (result.code, result.err) == (0, "")
    golden("list.txt", result.out)


def test_list_as_json(cli: Cli) -> None:
    entries = {entry["id"]: entry for entry in cli("list", "--json").json}
    assert list(entries) == registered_ids()
    assert entries["textgym/Echo-v0"] == {
        "id": "textgym/Echo-v0",
        "turns": 1,
        "oracle": True,
        "description": "Repeat a word, once or several times.",
    }


def test_an_environment_that_cannot_be_made_keeps_its_line(cli: Cli) -> None:
    gym.register("textgym/AAA-v0", entry_point="no_such_module:Env")
    try:
        result = cli("list")
        assert result.code == 0
        assert result.out.splitlines()[1].split() == ["textgym/AAA-v0", "?", "?"]
        error = cli("list", "--json").json[0]["error"]
        assert error == (
            "cannot import textgym/AAA-v0 (no_such_module:Env): ModuleNotFoundError: No module named "
            "'no_such_module'"
        )
    finally:
        gym.registry.pop("textgym/AAA-v0")


def test_show(cli: Cli, golden: Callable[[str, str], None]) -> None:
    result = cli("show", "textgym/Echo-v0", "--seed", 0)
    assert (result.code, result.err) == (0, "")
    golden("show-echo.txt", result.out)


def test_show_follows_arguments_and_seed(cli: Cli) -> None:
    words = ["show", "textgym/Echo-v0", "-a", "length=7", "--json"]
    first, other = cli(*words, "--seed", 1).json, cli(*words, "--seed", 2).json
    assert first["prompt"] == f"Say: {first['oracle']}"
    assert len(first["oracle"]) == 7
    assert first["prompt"] != other["prompt"]
    assert first["env_args"] == {"length": 7}
    assert first["reward_bounds"] == [0.0, 1.0]
    assert first["arguments"][1] == {"signature": "length=4", "description": "Characters of a word."}
    assert cli(*words, "--seed", 1).json == first


@pytest.mark.filterwarnings("ignore")
def test_show_an_environment_that_is_not_ours(cli: Cli) -> None:
    result = cli("show", "CartPole-v1")
    assert result.code == 0
    assert result.out.startswith("# CartPole-v1\n\n## Description")
    assert "- `sutton_barto_reward=False`" in result.out
    assert result.out.endswith("## Oracle (seed 0)\nnone\n")


class Bare(SingleTurnEnv):
    def __init__(self, prompt: str = "red \x1b[31m") -> None:
        super().__init__([{"prompt": prompt, "answer": None}])


class Unwilling(SingleTurnEnv):
    """Never begins."""

    def __init__(self) -> None:
        super().__init__([{"prompt": "x", "answer": "y"}])

    def initial_state(self, example: object) -> None:
        raise KeyError("nothing")


@pytest.fixture
def own_ids() -> object:
    gym.register("own/Bare-v0", Bare)
    gym.register("own/Unwilling-v0", Unwilling)
    yield
    gym.registry.pop("own/Bare-v0")
    gym.registry.pop("own/Unwilling-v0")


@pytest.mark.usefixtures("own_ids")
def test_a_prompt_cannot_steer_the_terminal(cli: Cli) -> None:
    out = cli("show", "own/Bare-v0").out
    assert "\x1b" not in out
    assert "## Prompt (seed 0)\nred \\x1b[31m\n" in out


@pytest.mark.usefixtures("own_ids")
def test_an_environment_that_cannot_begin(cli: Cli) -> None:
    result = cli("show", "own/Unwilling-v0")
    assert result.code == 1
    assert result.error == "reset(seed=0) of own/Unwilling-v0 failed: KeyError('nothing')"
