"""``textgym play``: real processes over pipes and over a terminal; what is shown, and when."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable

import gymnasium as gym
import pytest
from command_line import Cli, Result

import textgym
from textgym import SingleTurnEnv, Trajectory

SEED = 3


def play(*words: object, typed: str = "") -> Result:
    """``textgym play …`` as a process that reads what was typed from a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "textgym", "play", *map(str, words)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def secret() -> str:
    """The number that seed 3 hides."""
    env = gym.make("textgym/GuessNumber-v0")
    env.reset(seed=SEED)
    answer = env.step("give up")[4].get("answer")
    while answer is None:
        answer = env.step("give up")[4].get("answer")
    return str(answer)


def test_a_person_wins(secret: str) -> None:
    wrong = "1" if secret != "1" else "2"
    typed = f'<guess>{wrong}</guess>\n"""\nlet me think\n<guess>{secret}</guess>\n"""\n'
    result = play("textgym/GuessNumber-v0", "--seed", SEED, typed=typed)
    assert result.code == 0
    shown = result.out.split("\n\n")
    assert shown[0].startswith("[user]\nI am thinking of a whole number")
    assert shown[1] == "turn 1: reward 0"
    assert shown[2].startswith(f"[user]\nMy number is higher than {wrong}.")
    assert shown[3] == "turn 2: reward 1 (won 1)"
    assert result.out.splitlines()[-1] == (
        f"— completed after 2 turns; reward 1 (won 1); metrics guesses 2; solved; the answer was {secret} —"
    )
    assert "/oracle shows a perfect action" in result.err


def test_the_record_is_the_one_of_a_rollout(secret: str) -> None:
    typed = f"<guess>{secret}</guess>\n"
    result = play("textgym/GuessNumber-v0", "--seed", SEED, "--json", typed=typed)
    assert result.code == 0
    assert result.out.count("\n") == 1
    assert f"the answer was {secret}" in result.err
    record = Trajectory.from_dict(result.json)
    assert (record.reward, record.policy, record.seed) == (1.0, "human", SEED)
    (same,) = textgym.rollout("textgym/GuessNumber-v0", lambda _: typed.strip(), seed=[SEED])
    assert (record.messages, record.rewards, record.example_id) == (
        same.messages,
        same.rewards,
        same.example_id,
    )


def test_it_is_the_instance_that_show_shows(cli: Cli) -> None:
    prompt = cli("show", "textgym/Math-v0", "--seed", 5, "--json").json["prompt"]
    result = cli("play", "textgym/Math-v0", "--seed", 5, "--policy", "oracle", "--json")
    assert result.json["steps"][0]["observation"] == prompt
    assert result.json["success"] is True


@pytest.mark.parametrize(("typed", "code"), [("", 130), ("<guess>0</guess>\n", 130), ("/quit\n", 0)])
def test_who_leaves_learns_nothing(secret: str, typed: str, code: int) -> None:
    for more in ([], ["--json"]):
        result = play("textgym/GuessNumber-v0", "--seed", SEED, *more, typed=typed)
        assert result.code == code
        assert "answer was" not in result.out + result.err
        assert "won" not in result.out + result.err
        if more:
            assert result.out == ""
    why = "left after 0 turns; the episode is not scored" if code == 0 else "the input ended before"
    assert f"textgym: {why}" in result.err


def test_the_oracle_helps_and_costs_no_turn() -> None:
    first = play("textgym/Echo-v0", "-a", "length=4", typed="/oracle\n/quit\n")
    word = first.out.split("[oracle]\n")[1].splitlines()[0]
    result = play("textgym/Echo-v0", "-a", "length=4", typed=f"/oracle\n {word} \n")
    assert result.code == 0
    assert "completed after 1 turn; reward 1 (echo 1)" in result.out


def test_a_command_between_quotes_is_an_answer() -> None:
    result = play("textgym/Echo-v0", "--json", typed='"""\n/quit\n"""\n')
    assert result.json["messages"][-1] == {"role": "assistant", "content": "/quit", "sampled": True}


def test_watching(cli: Cli) -> None:
    result = cli("play", "textgym/Echo-v0", "-a", "turns=2", "--policy", "oracle")
    assert (result.code, result.err) == (0, "")
    roles = [line for line in result.out.splitlines() if line.startswith("[")]
    assert roles == ["[user]", "[assistant]", "[user]", "[assistant]"]
    assert "turn 1: reward 0.5 (echo 0.5)" in result.out
    again = [cli("play", "textgym/Echo-v0", "--policy", "random").out for _ in range(2)]
    assert again[0] == again[1]
    assert "not solved" in again[0]


class Broken(SingleTurnEnv):
    """Its reward function raises."""

    def __init__(self) -> None:
        super().__init__([{"question": "\x1b[31m?\x7f", "answer": None}])

    def score_rollout(self, completion: str) -> float:
        raise ValueError("no idea")


def test_a_failed_episode(cli: Cli) -> None:
    gym.register("own/Broken-v0", Broken)
    try:
        result = cli("play", "own/Broken-v0", "--policy", "random")
        assert result.code == 1
        assert "reward function 'score_rollout' raised ValueError: no idea" in result.error
        assert "\x1b" not in result.out
        result = cli("play", "own/Broken-v0", "--policy", "random", "--json")
        assert result.json["error"]["type"] == "RewardError"
        assert result.json["messages"][0]["content"] == "\x1b[31m?\x7f"
        assert not {"\x1b", "\x7f"} & set(result.out)
        result = cli("play", "own/Broken-v0", "--policy", "oracle")
        assert (result.code, result.error) == (
            2,
            "the oracle policy needs an environment with an oracle; this one has none",
        )
    finally:
        gym.registry.pop("own/Broken-v0")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["textgym/Ech"], "there is no environment 'textgym/Ech': did you mean 'textgym/Echo-v0'?"),
        (["textgym/Echo-v0", "--seed", "-1"], "--seed is -1: it must be at least 0"),
        (["textgym/Echo-v0", "--polcy", "x"], "there is no flag --polcy: did you mean '--policy'?"),
    ],
)
def test_wrong_usage(cli: Cli, words: list[str], error: str) -> None:
    result = cli("play", *words)
    assert (result.code, result.out) == (2, "")
    assert result.error.startswith(error)


def test_what_is_shown(cli: Cli, golden: Callable[[str, str], None]) -> None:
    golden("play-oracle.txt", cli("play", "textgym/GuessNumber-v0", "--policy", "oracle").out)


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals and terminals")
@pytest.mark.parametrize("leave", ["ctrl-c", "ctrl-d"])
def test_at_a_terminal(leave: str) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as children of a shell have it
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "textgym", "play", "textgym/GuessNumber-v0"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm"},
        )
    finally:
        signal.signal(signal.SIGINT, before)
        os.close(theirs)
    seen = b""
    while b"> " not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, b"nonsense\n")
    while seen.count(b"\n> ") < 2:
        seen += os.read(ours, 4096)
    if leave == "ctrl-c":
        process.send_signal(signal.SIGINT)
    else:
        os.write(ours, b"\x04")
    assert process.wait(10) == 130
    try:
        while read := os.read(ours, 4096):
            seen += read
    except OSError:  # how a terminal says that nobody is left at its other end
        pass
    os.close(ours)
    text = seen.decode().replace("\r\n", "\n")
    assert "turn 1: reward 0\n" in text
    last = "interrupted" if leave == "ctrl-c" else "the input ended before the episode did"
    assert text.endswith(f"\ntextgym: {last}\n")
    assert "Traceback" not in text
