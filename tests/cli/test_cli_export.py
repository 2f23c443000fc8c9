"""``textgym export``: the records, the choice of episodes and fields, and the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Cli, Result, start

import textgym
from textgym import MultiTurnEnv, Run, SingleTurnEnv, Trajectory
from textgym.errors import ConfigError
from textgym.rollouts.plain_records import DEFAULT_FIELDS, FIELDS, plain_record, select

ODD = "é \u202e \x7f \x85 \u2028"


class Asks(MultiTurnEnv):
    """Says once more, and knows a worked example."""

    def __init__(self) -> None:
        rows = [{"question": f"{n}?", "answer": str(n)} for n in range(4)]
        shown = [{"question": "9?", "answer": "9"}]
        super().__init__(rows, few_shot_examples=shown, system_prompt="Count.")

    def env_response(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> str:
        return "Once more."

    def is_completed(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> bool:
        return self.turns == 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of four rows: one solved, two not, one failed."""

    def answer(observation: str) -> str:
        if observation.endswith("3?"):
            raise ValueError("tired")
        if observation == "Once more.":
            return "1"
        return "\ud800" if observation.endswith("2?") else ODD

    textgym.rollout(Asks(), answer, out=tmp_path / "run", max_concurrency=1)
    return tmp_path / "run"


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.code == 0, result.err
    assert result.out.endswith("\n")
    return [json.loads(line) for line in result.out.removesuffix("\n").split("\n")]


def test_plain_records(cli: Cli, folder: Path) -> None:
    result = cli("export", folder)
    assert result.err == "3 episodes, 1 left out\n"
    records = lines(result)
    run = [trajectory for trajectory in Run.load(folder) if trajectory.error is None]
    assert [record["group_id"] for record in records] == [trajectory.group_id for trajectory in run]
    said = sorted(record["messages"][4]["content"] for record in records)
    assert said == sorted([ODD, ODD, "\ud800"])
    record, trajectory = records[0], run[0]
    assert tuple(record) == DEFAULT_FIELDS
    assert record["prompt"] == trajectory.steps[0].observation
    assert record["completion"] == "1"
    assert (record["reward"], record["rewards"]) == (trajectory.reward, trajectory.rewards)
    assert record["stop_reason"] == "completed"
    assert [message["role"] for message in record["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert all(set(message) == {"role", "content"} for message in record["messages"])


def test_which_messages_were_sampled(cli: Cli, folder: Path) -> None:
    record = lines(cli("export", folder, "--sampled", "--fields", "reward, messages,reward"))[0]
    assert list(record) == ["reward", "messages"]
    assert [message["sampled"] for message in record["messages"]] == [False] * 4 + [True, False, True]


@pytest.mark.parametrize(("only", "count", "errors"), [("valid", 3, 0), ("solved", 1, 0), ("all", 4, 1)])
def test_which_episodes(cli: Cli, folder: Path, only: str, count: int, errors: int) -> None:
    records = lines(cli("export", folder, "--only", only, "--fields", "success,reward,error"))
    assert len(records) == count
    assert len([record for record in records if record["error"]]) == errors
    assert all((record["reward"] is None) == bool(record["error"]) for record in records)
    if only == "solved":
        assert records[0]["success"] is True


def test_every_field_is_json(cli: Cli, folder: Path) -> None:
    for record in lines(cli("export", folder, "--only", "all", "--fields", ",".join(FIELDS))):
        assert tuple(record) == tuple(FIELDS)
    assert all(name in cli("export", "--help").out for name in FIELDS)


def test_a_file_holds_what_standard_output_shows(cli: Cli, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "plain.jsonl"
    result = cli("export", folder, "--to", "jsonl", "--out", target)
    assert (result.code, result.out) == (0, "")
    assert result.err == f"3 episodes to {target}, 1 left out\n"
    stored = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert "é \u202e" in target.read_text("utf-8")
    shown = cli("export", folder, "--out", "-")
    assert stored == lines(shown)
    assert not {"\u202e", "\x7f", "\x85"} & set(shown.out)  # a terminal would obey
    assert sorted(os.listdir(tmp_path)) == ["plain.jsonl", "run"]


def test_nothing_is_overwritten_unasked(cli: Cli, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    target.write_text("precious")
    result = cli("export", folder, "--out", target)
    assert (result.code, result.error) == (2, f"{target} exists: --force overwrites it")
    assert target.read_text() == "precious"
    link = tmp_path / "link"
    link.symlink_to(target)
    assert cli("export", folder, "--out", link, "--force").code == 0
    assert link.is_symlink()
    assert len(target.read_bytes().splitlines()) == 3


def test_a_failure_leaves_what_was_there(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "mine"
    target.write_text("precious")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = cli("export", folder, "--out", target, "--force")
    assert (result.code, result.error) == (1, f"cannot write {target}: No space left on device")
    assert target.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["mine", "run"]


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["{run}", "--fields", "mesages"], 2, "there is no field 'mesages': did you mean 'messages'?"),
        (["{run}", "--fields", "xyz"], 2, "there is no field 'xyz': it must be one of messages, prompt,"),
        (["{run}", "--fields", "reward,"], 2, "--fields is 'reward,': it must be names with commas between"),
        (["{run}", "--to", "csv"], 2, "argument --to: invalid choice: 'csv' (choose from"),
        (["{run}", "--only", "good"], 2, "argument --only: invalid choice: 'good' (choose from"),
        (["{run}", "--out", "no/where"], 2, "cannot write no/where: there is no directory "),
        (["{run}", "--out", "."], 2, "cannot write .: it is no ordinary file"),
        (["{run}", "--out", "/dev/null", "--force"], 2, "cannot write /dev/null: it is no ordinary file"),
        (["{run}", "--out", "{run}/run.json", "--force"], 2, "{run}/run.json belongs to the run itself"),
        (["nothing"], 1, "nothing is no run directory: it has no run.json"),
        ([], 2, "the following arguments are required: RUN (see `textgym export --help`)"),
    ],
)
def test_wrong_usage(cli: Cli, folder: Path, words: list[str], code: int, error: str) -> None:
    result = cli("export", *(word.format(run=folder) for word in words))
    assert (result.code, result.out) == (code, "")
    assert result.error.startswith(error.format(run=folder))


def test_a_torn_line_is_told(cli: Cli, folder: Path) -> None:
    episodes = folder / "episodes.jsonl"
    episodes.write_bytes(episodes.read_bytes()[:-20])
    result = cli("export", folder, "--only", "all")
    assert len(lines(result)) == 3
    assert "is torn or damaged" in result.err


def test_solved_needs_to_be_known(tmp_path: Path) -> None:
    run = textgym.rollout(SingleTurnEnv([{"question": "?", "answer": "!"}]), lambda _: "!")
    assert len(select(run, "solved")) == 1
    run[0].success = None
    with pytest.raises(ConfigError, match="which episodes are solved is unknown"):
        select(run, "solved")
    with pytest.raises(ConfigError, match="only is 'some'"):
        select(run, "some")
    with pytest.raises(ConfigError, match="there is no field 'x'"):
        plain_record(run[0], ["x"])
    assert plain_record(Trajectory(env_id="e"))["prompt"] == ""


def test_as_a_process(folder: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "textgym", "export", str(folder), "--out", "x.jsonl"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert len((tmp_path / "x.jsonl").read_bytes().splitlines()) == 3

    process = start("export", folder)
    assert process.stdout is not None
    process.stdout.close()  # a reader that goes away
    with process:
        assert process.wait(60) == 141


def test_training_rows(cli: Cli, tmp_path: Path) -> None:
    def policy(request: textgym.CompletionRequest) -> textgym.Completion:
        prompt = [1, 2, 3, 9] if request.turn else [1]
        return textgym.Completion(text="1", prompt_token_ids=prompt, token_ids=[2, 3], logprobs=[-0.5, -0.1])

    scripted = textgym.ScriptedPolicy(policy)
    run = textgym.rollout(Asks(), scripted, num_examples=2, out=tmp_path / "run")
    rows = lines(cli("export", tmp_path / "run", "--to", "tokens"))
    assert [row["key"] for row in rows] == ["0/0", "1/0"]
    assert rows[0]["prompt_ids"] == [1]
    assert rows[0]["completion_ids"] == [2, 3, 9, 2, 3]
    assert rows[0]["mask"] == [1, 1, 0, 1, 1]
    assert rows[0]["spans"] == [[0, 2], [3, 5]]
    assert rows[0]["reward"] == run[0].reward
    tokens = run[0].tokens
    assert tokens is not None
    assert np.array_equal(np.asarray(rows[0]["logprobs"], np.float32), tokens.logprobs[1:])
    assert cli("export", tmp_path / "run", "--to", "tokens", "--fields", "reward").code == 2


def test_training_rows_of_text_are_refused(cli: Cli, folder: Path) -> None:
    result = cli("export", folder, "--to", "tokens", "--out", folder.parent / "rows.jsonl")
    assert result.code == 1
    assert "trajectory 0/0: tokens is None: only the text is known" in result.err
    assert not (folder.parent / "rows.jsonl").exists()
