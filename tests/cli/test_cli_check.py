"""``textgym check``: the report, and its exit code."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from command_line import Cli

from textgym import SingleTurnEnv


def test_an_environment_that_keeps_the_contract(cli: Cli) -> None:
    result = cli("check", "textgym/Echo-v0", "-a", "length=2", "--quick")
    assert result.code == 0
    assert "textgym/Echo-v0" in result.out
    assert cli("check", "textgym/Echo-v0", "--quick", "--json").json["ok"] is True


class Moody(SingleTurnEnv):
    """Pays by chance."""

    def __init__(self) -> None:
        super().__init__([{"question": "?", "answer": "!"}])
        self.paid = 0

    def score_rollout(self, completion: str) -> Any:
        Moody.count = getattr(Moody, "count", 0) + 1
        return float(Moody.count % 2)


def test_one_that_breaks_it(cli: Cli) -> None:
    gym.register("own/Moody-v0", Moody)
    try:
        result = cli("check", "own/Moody-v0", "--quick")
        assert result.code == 1
        assert cli("check", "own/Moody-v0", "--quick", "--json").json["ok"] is False
    finally:
        gym.registry.pop("own/Moody-v0")


def test_wrong_usage(cli: Cli) -> None:
    assert cli("check", "Echo").error.endswith("did you mean 'textgym/Echo-v0'?")
    result = cli("check", "textgym/Echo-v0", "-a", "no=1")
    assert (result.code, result.out) == (2, "")
