"""``textgym eval`` and ``rollout`` without a model: summaries, thresholds, run directories, dry runs."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from command_line import Cli, without_time

import textgym
from textgym import MultiTurnEnv, Run, SingleTurnEnv

ECHO = "textgym/Echo-v0"
ORACLE = ("--policy", "oracle")


class Faulty(MultiTurnEnv):
    """Breaks in every episode whose number is a multiple of ``every``."""

    def __init__(self, every: int = 2) -> None:
        rows = [{"question": f"Number {i}", "answer": str(i)} for i in range(12)]
        super().__init__(rows, max_turns=1)
        self.every = every

    def is_completed(self, messages: Any, state: Any) -> bool:
        number = int(state["answer"])
        if number % self.every == 0:
            raise KeyError(f"broken\nin {'two' if number % 4 == 2 or self.every == 1 else 'four'}")
        return True


class Unjudged(gym.Env[str, str]):
    """Text, but no textgym environment: nobody knows success."""

    observation_space = action_space = textgym.Unicode(100)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "?", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", 1.0, True, False, {}


class Mute(SingleTurnEnv):
    """Has no answer, and so no oracle."""

    def __init__(self) -> None:
        super().__init__([{"question": "Why?", "answer": None}])


@pytest.fixture
def own_ids() -> Iterator[None]:
    own = {"own/Faulty-v0": Faulty, "own/Unjudged-v0": Unjudged, "own/Mute-v0": Mute}
    for env_id, env in own.items():
        gym.register(env_id, env)
    yield
    for env_id in own:
        gym.registry.pop(env_id)


def test_the_summary_of_the_oracle(cli: Cli, golden: Callable[[str, str], None]) -> None:
    result = cli("eval", "textgym/GuessNumber-v0", *ORACLE, "-n", 8, "-g", 2, "--quiet")
    assert (result.code, result.err) == (0, "")
    golden("eval-oracle.txt", without_time(result.out))


def test_what_is_printed_is_the_summary_of_what_is_kept(cli: Cli) -> None:
    result = cli("eval", ECHO, "--policy", "random", "-n", 6, "-g", 2, "--out", "runs/x", "-a", "turns=2")
    assert result.code == 0
    run = Run.load("runs/x")
    assert result.out == f"{run.summary()}\n"
    assert run.config["env_kwargs"] == {"turns": 2}
    assert result.err.splitlines()[-1] == "run: runs/x"
    assert result.err.startswith("12/12 · reward 0.")


def test_json(cli: Cli) -> None:
    result = cli("eval", ECHO, *ORACLE, "-n", 3, "--json", "--out", "x", "--seed", 7)
    assert result.code == 0
    assert result.json == {
        "exit_code": 0,
        "error": None,
        "summary": Run.load("x").summary().to_dict(),
        "planned": 3,
        "owed": 0,
        "failures": [],
        "missed": [],
        "out": "x",
        "resume": None,
    }
    assert Run.load("x").config["seed"] == 7


def test_the_same_seed_plays_the_same(cli: Cli) -> None:
    outs = [cli("eval", ECHO, "--policy", "random", "-n", 9, "--seed", seed).out for seed in (3, 3, 4)]
    tasks = []
    for seed in (3, 3, 4):
        path = f"run-{len(tasks)}"
        cli("rollout", ECHO, "--policy", "random", "-n", 9, "--seed", seed, "--out", path)
        tasks.append([(t.example_id, t.completion) for t in Run.load(path)])
    assert without_time(outs[0]) == without_time(outs[1])
    assert tasks[0] == tasks[1] != tasks[2]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["eval"], "which environment? textgym eval ID; `textgym list` shows the ids"),
        (["eval", ECHO], "who plays? choose --policy oracle, --policy random, --policy human, or --model M "),
        (["eval", ECHO, "--base-url", "http://x/v1"], "--base-url needs the name of the model"),
        (["eval", ECHO, *ORACLE, "--model", "m"], "--policy oracle and --model m exclude each other"),
        (["eval", ECHO, *ORACLE, "--base-url", "http://x"], "--base-url means nothing to --policy oracle"),
        (["eval", ECHO, *ORACLE], "num_examples is needed: textgym/Echo-v0 makes its tasks without end"),
        (["eval", ECHO, *ORACLE, "-n", "0"], "num_examples is 0: it must be a whole number of at least 1"),
        (["eval", ECHO, *ORACLE, "-n", "1", "-g", "0"], "group_size is 0"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--seed", "-1"], "seed is -1"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--max-turns", "0"], "limits.turns is 0"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--top-p", "2"], "sampling.top_p is 2.0"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--max-concurrency", "0"], "max_concurrency is 0"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--min-pass-at-1", "2"], "--min-pass-at-1 is 2: it must be"),
        (["eval", ECHO, *ORACLE, "-n", "1", "-a", "lenght=2"], f"{ECHO} has no argument 'lenght': did you"),
        (["eval", ECHO, *ORACLE, "-n", "1", "--resume"], "--resume goes on with a run directory: say which"),
        (["eval", ECHO, "--model", "m", "-n", "1"], "there is no API key"),
        (["eval", ECHO, "--model", "m", "--base-url", "localhost", "-n", "1"], "base_url is 'localhost'"),
        (["eval", ECHO, "--model", "m", "--api-key-env", "NO_KEY", "-n", "1"], "--api-key-env names NO_KEY"),
        (["eval", ECHO, "--policy", "orcale"], "argument --policy: invalid choice: 'orcale'"),
        (["rollout", ECHO, *ORACLE, "-n", "1"], "textgym rollout keeps what it plays: say where with --out"),
        (["rollout", ECHO, "--min-reward", "1"], "there is no flag --min-reward"),
    ],
)
def test_a_wrong_input_is_one_line_and_nothing_is_written(
    cli: Cli, words: list[str], error: str, tmp_path: Path
) -> None:
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith(error)
    assert result.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("own_ids")
def test_the_oracle_of_an_environment_without_one(cli: Cli) -> None:
    result = cli("eval", "own/Mute-v0", *ORACLE)
    assert result.code == 2
    assert result.error == "the oracle policy needs an environment with an oracle; this one has none"


@pytest.mark.parametrize(
    ("words", "code", "missed"),
    [
        (["oracle", "--min-reward", "1", "--min-pass-at-1", "1"], 0, []),
        (["random", "--min-reward", "0.5"], 3, ["the reward is 0.000, below --min-reward 0.5"]),
        (["random", "--min-pass-at-1", "0.1"], 3, ["pass@1 is 0.000, below --min-pass-at-1 0.1"]),
        (["random", "--min-reward", "-1"], 0, []),
    ],
)
def test_thresholds(cli: Cli, words: list[str], code: int, missed: list[str]) -> None:
    result = cli("eval", ECHO, "-n", 4, "--policy", *words)
    assert result.code == code
    assert re.findall(r"^textgym: (.*)$", result.err, re.MULTILINE) == missed
    assert "reward" in result.out
    assert cli("eval", ECHO, "-n", 4, "--json", "--policy", *words).json["missed"] == missed


@pytest.mark.usefixtures("own_ids")
@pytest.mark.filterwarnings("ignore")
def test_a_threshold_on_what_nobody_knows(cli: Cli) -> None:
    result = cli("eval", "own/Unjudged-v0", "--policy", "random", "-n", 3, "--min-pass-at-1", 0.0)
    assert result.code == 3
    assert "pass@1 is unknown" in result.err


@pytest.mark.usefixtures("own_ids")
def test_failed_episodes_are_shown_by_kind_and_owed(cli: Cli) -> None:
    result = cli("eval", "own/Faulty-v0", *ORACLE, "--out", "x")
    assert result.code == 0
    assert "12 in 12 groups, 6 errors" in result.out
    lines = result.err.splitlines()
    assert lines[1:] == [
        "6 of 12 episodes failed and are in no mean:",
        "  3 x env error in turn 1: KeyError: 'broken\\nin four'",
        "  3 x env error in turn 1: KeyError: 'broken\\nin two'",
        "run: x",
        "play the 6 that are missing: textgym eval own/Faulty-v0 --policy oracle --out x --resume",
    ]
    again = cli("eval", "own/Faulty-v0", *ORACLE, "--out", "x", "--resume", "--json")
    assert again.json["owed"] == 6
    assert again.json["failures"][0]["episodes"] == 3
    assert again.json["resume"].endswith("--resume --json")


@pytest.mark.usefixtures("own_ids")
@pytest.mark.parametrize("more", [["-n", "1"], ["--on-error", "raise"], []])
def test_a_run_that_only_fails_is_a_failure(cli: Cli, more: list[str]) -> None:
    result = cli("eval", "own/Faulty-v0", *ORACLE, "-a", "every=1", *more)
    assert result.code == 1
    assert "KeyError" in result.err
    assert "no valid episode" in result.out
    if more != ["-n", "1"]:
        assert "KeyError" in result.error
        assert result.err.count("KeyError") == 1  # said once, not again in a list


def test_a_directory_that_cannot_be_written(cli: Cli) -> None:
    Path("file").touch()
    for more in ([], ["--resume"], ["--dry-run"]):
        result = cli("eval", ECHO, *ORACLE, "-n", 2, "--out", "file/x", *more)
        assert (result.code, result.out) == (1, "")
        assert result.error.startswith("cannot write the run directory file/x: ")
        assert result.err.count("\n") == 1


def test_a_directory_that_holds_a_run(cli: Cli) -> None:
    words = ["rollout", ECHO, *ORACLE, "-n", 2, "--out", "x"]
    assert cli(*words).code == 0
    before = Path("x/episodes.jsonl").read_bytes()
    for more in ([], ["--dry-run"]):
        result = cli(*words, *more)
        assert (result.code, result.out) == (1, "")
        assert result.error.startswith("x holds a run already: ")
        assert result.err.count("\n") == 1
    assert cli(*words, "--resume").code == 0
    assert Path("x/episodes.jsonl").read_bytes() == before


def test_resuming_with_another_configuration_is_refused_with_the_difference(cli: Cli) -> None:
    words = ["rollout", ECHO, *ORACLE, "--out", "x"]
    assert cli(*words, "-n", 2).code == 0
    result = cli(*words, "-n", 2, "--seed", 3, "--resume")
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith("x holds a run with another configuration")
    assert '-  "seed": 0\n+  "seed": 3' in result.err
    result = cli(*words, "-n", 2, "--seed", 3, "--resume", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert result.error.endswith("seed was 0 and is 3")


def test_a_run_can_be_made_longer(cli: Cli) -> None:
    words = ["rollout", ECHO, *ORACLE, "--out", "x"]
    assert cli(*words, "-n", 2).code == 0
    before = Path("x/episodes.jsonl").read_bytes()
    assert cli(*words, "-n", 3, "--resume", "--dry-run").code == 0
    assert "3 in 3 groups" in cli(*words, "-n", 3, "--resume").out
    assert Path("x/episodes.jsonl").read_bytes().startswith(before)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(cli: Cli, tmp_path: Path) -> None:
    words = ["eval", ECHO, "--policy", "random", "-n", 5, "-g", 2, "--out", "runs/x", "-a", "length=2"]
    result = cli(*words, "--dry-run", "--max-seconds", 9)
    assert result.code == 0
    assert result.err == "dry run: nothing was played or written\n"
    assert "10 = 5 examples x 2 samples, 256 at a time" in result.out
    assert "length 2" in result.out
    assert "seconds 9.0" in result.out
    assert "[user]\nSay: " in result.out
    assert list(tmp_path.iterdir()) == []
    shown = cli(*words, "--dry-run", "--json").json
    assert shown["episodes"] == 10
    assert shown["prompt"][0]["content"].startswith("Say: ")
    assert shown["present"] == 0
    assert cli(*words).code == 0
    first = Run.load("runs/x")[0].messages[0]["content"]
    assert first == shown["prompt"][0]["content"]
    assert cli(*words, "--dry-run", "--json", "--resume").json["present"] == 10


def test_a_person_plays(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('0000\n"""\n1\n2\n"""\n'))
    result = cli("eval", ECHO, "--policy", "human", "-n", 2, "--out", "x")
    assert result.code == 0
    assert result.out == f"{Run.load('x').summary()}\n"
    assert [t.completion for t in Run.load("x")] == ["0000", "1\n2"]
    assert "Say: " in result.err
    assert re.search(r"— completed, reward 0\.\d+, the answer was \d{4} —", result.err)


def test_a_person_who_leaves(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    result = cli("eval", ECHO, "--policy", "human", "-n", 2)
    assert result.code == 1
    assert "the input ended before the episode did" in result.err


def test_a_run_of_a_config_file_alone(cli: Cli) -> None:
    Path("x.toml").write_text(f'env = "{ECHO}"\npolicy = "oracle"\nnum_examples = 2\nout = "run"\n')
    result = cli("rollout", "--config", "x.toml", "--json")
    assert result.code == 0
    assert json.loads(result.out)["summary"]["episodes"] == len(Run.load("run")) == 2
