"""Wordle-v0: marks by an independent definition, the list, and a solver that only reads the marks."""

from __future__ import annotations

import re
from importlib.resources import files

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textgym
from textgym.tasks.wordle.feedback import broken_hint, compare
from textgym.tasks.wordle.words import words

LETTERS = st.text(alphabet="abc", min_size=5, max_size=5) | st.text(
    alphabet="abcdefgh", min_size=5, max_size=5
)


@given(LETTERS, LETTERS)
def test_marks_by_definition(guess: str, answer: str) -> None:
    marks = compare(guess, answer)
    assert [mark == "G" for mark in marks] == [a == b for a, b in zip(guess, answer, strict=True)]
    for letter in set(guess):
        places = [i for i in range(5) if guess[i] == letter]
        told = [i for i in places if marks[i] != "-"]
        # As many are marked as the answer holds; of those in wrong places, the leftmost ones.
        assert len(told) == min(len(places), answer.count(letter))
        wrong = [i for i in places if guess[i] != answer[i]]
        yellow = [i for i in wrong if marks[i] == "Y"]
        assert yellow == wrong[: len(yellow)]


@pytest.mark.parametrize(
    ("guess", "answer", "marks"),
    [
        ("crane", "crane", "GGGGG"),
        ("speed", "abide", "--Y-Y"),
        ("speed", "erase", "Y-YY-"),
        ("speed", "steal", "G-G--"),
        ("allow", "loyal", "YYYY-"),
        ("sissy", "essay", "Y-G-G"),
        ("eerie", "these", "Y---G"),
    ],
)
def test_known_marks(guess: str, answer: str, marks: str) -> None:
    assert compare(guess, answer) == marks


def test_the_list() -> None:
    listed = files("textgym.tasks.wordle").joinpath("words.txt").read_text("utf-8").splitlines()
    assert len(listed) >= 1200
    assert listed == sorted(set(listed))
    assert all(re.fullmatch("[a-z]{5}", word) for word in listed)
    train, test = words("train"), words("test")
    assert sorted(train + test) == listed
    assert len(test) > 150


def play(answer: str, *said: str, hard: bool = False) -> list[tuple[str, float, bool, dict[str, float]]]:
    env = gym.make("textgym/Wordle-v0", hard=hard)
    env.reset(options={"example": {"prompt": "Guess.", "answer": answer}})
    seen = []
    for text in said:
        observation, reward, terminated, _, info = env.step(text)
        seen.append((observation, float(reward), terminated, info.get("metrics", {})))
    return seen


def test_marks_are_shown() -> None:
    first, second = play("abide", "<guess>Speed</guess>", "abide")
    assert first == ("S P E E D\n- - Y - Y\n5 guesses left.", 0.0, False, {})
    assert second == ("", 1.0, True, {"guesses": 2.0, "greens": 5.0})


@pytest.mark.parametrize(
    "said",
    ["", "abides", "abid", "ab1de", "abide or speed", "<guess></guess>", "<guess>a b i d e</guess>", "аbide",
     "ABİDE", "a" * 10**6, "<guess>abide speed</guess>", "abide\0", "\ud800" * 5, "<guess>abide"],
)  # fmt: skip
def test_other_texts_cost_a_turn_and_tell_nothing(said: str) -> None:
    (seen,) = play("abide", said)
    if len(said) > 65_536:
        assert seen[1:3] == (0.0, True)
    else:
        assert seen == (
            "That is not one word of five letters in <guess> tags. 5 guesses left.",
            0.0,
            False,
            {},
        )


def test_six_guesses() -> None:
    *_, last = play("abide", *["speed"] * 6)
    assert last == ("", 0.0, True, {"guesses": 6.0, "greens": 0.0})


def test_hard_mode() -> None:
    lost, kept = play("abide", "amble", "speed", hard=True)[1], play("abide", "amble", "abide", hard=True)[1]
    assert lost[0] == "That guess is lost: it must have A as letter 1. 4 guesses left."
    assert kept[1] == 1.0
    assert play("abide", "amble", "speed", "speed")[1][0].startswith("S P E E D\n")


@given(st.sampled_from(words()), st.lists(st.sampled_from(words()), max_size=5))
def test_the_answer_always_keeps_to_the_hints(answer: str, guesses: list[str]) -> None:
    assert broken_hint(answer, [(guess, compare(guess, answer)) for guess in guesses]) is None


def solver(observation: str, memory: list[str]) -> str:
    """Filters the list by the marks."""
    if "hidden" in observation:
        memory[:] = words()
        return "<guess>raise</guess>"
    guess, marks, _ = (line.replace(" ", "").lower() for line in observation.split("\n"))
    memory[:] = [word for word in memory if compare(guess, word).lower() == marks]
    return f"<guess>{memory[len(memory) // 2]}</guess>"


@pytest.mark.parametrize("hard", [False, True])
def test_a_solver_that_reads_the_marks(hard: bool) -> None:
    env = gym.make("textgym/Wordle-v0", hard=hard)
    wins, most = 0, 80
    for seed in range(most):
        observation, _ = env.reset(seed=seed)
        memory: list[str] = []
        done, reward = False, 0.0
        while not done:
            observation, reward, done, _, _ = env.step(solver(observation, memory))
        wins += reward == 1.0
    assert wins > 0.9 * most


def test_the_whole_list_is_visited() -> None:
    run = textgym.rollout("textgym/Wordle-v0", textgym.OraclePolicy(), env_kwargs={"split": "test"})
    assert len({trajectory.example_id for trajectory in run}) == len(run) == len(words("test"))
    assert run.summary().reward == 1.0
    assert not any(word in run[0].example_id for word in words())
