"""Tutor-v0: hints that lead and do not tell, and a score that decays."""

from __future__ import annotations

import re

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textgym
from textgym.tasks.math.env import problems
from textgym.tasks.tutor import DECAY, hint


def episode(
    wrong: int, *, solve: bool = True, seed: int = 0, **arguments: int
) -> tuple[float, dict[str, object]]:
    env = gym.make("textgym/Tutor-v0", **arguments)
    env.reset(seed=seed)
    total, info = 0.0, {}
    for turn in range(wrong + solve):
        action = env.unwrapped.oracle() if turn == wrong else r"\boxed{123456789}"
        _, reward, terminated, _, info = env.step(action)
        total += float(reward)
        assert terminated == (turn == wrong or turn == 4)
    return total, info


@pytest.mark.parametrize("wrong", range(5))
def test_the_score_decays(wrong: int) -> None:
    total, info = episode(wrong)
    assert total == pytest.approx(DECAY**wrong)
    assert info["metrics"] == {"attempts": wrong + 1, "hints": wrong}
    assert info["stop_reason"] == "completed"


def test_attempts_run_out() -> None:
    total, info = episode(5, solve=False)
    assert (total, info["stop_reason"]) == (0.0, "out_of_turns")
    assert info["metrics"] == {"attempts": 5.0, "hints": 4.0}


def test_every_solved_episode_is_a_success() -> None:
    for wrong, solved in ((0, True), (4, True), (5, False)):

        def answer(request: textgym.CompletionRequest, wrong: int = wrong) -> str:
            env = request.env.unwrapped
            return str(env.oracle()) if env.turns == wrong else "I do not know."

        policy = textgym.ScriptedPolicy(answer)
        (trajectory,) = textgym.rollout("textgym/Tutor-v0", policy, num_examples=1)
        assert gym.make("textgym/Tutor-v0").unwrapped.success(trajectory) is solved


STEPS = st.lists(st.integers(1000, 9999), min_size=1, max_size=12, unique=True).map(
    lambda values: [f"{value} + 1000 = {value + 1000}" for value in values]
)


@given(STEPS, st.integers(1, 8))
def test_hints_lead_to_the_last_step_and_never_tell_it(steps: list[str], most: int) -> None:
    places = []
    for number in range(1, most + 1):
        text = hint(steps, number, most)
        asked = text.rpartition("what is ")[2].rstrip("?")
        (place,) = (i for i, step in enumerate(steps) if step.startswith(f"{asked} = "))
        assert [step for step in steps if step in text] == steps[:place]
        places.append(place)
    assert places == sorted(places)
    assert places[-1] == len(steps) - 1


@pytest.mark.parametrize("difficulty", [1, 3, 5])
def test_the_tutor_asks_about_the_worked_solution(difficulty: int) -> None:
    env = gym.make("textgym/Tutor-v0", difficulty=difficulty)
    for seed in range(20):
        env.reset(seed=seed)
        steps = env.unwrapped.state["steps"]
        texts = [env.step("no idea")[0] for _ in range(4)]
        assert texts[0].startswith("I see no answer in \\boxed{}. ")
        assert texts[-1].endswith(f"what is {steps[-1].rpartition(' = ')[0]}? 1 attempt left.")
        told = re.compile(rf"(?<![\d/(]){re.escape(steps[-1])}(?![\d/])")
        assert not any(told.search(text) for text in texts)
        assert all(step in texts[-1] for step in steps[:-1] if step != steps[-1])


def test_its_problems_are_split_like_those_of_math() -> None:
    train = {problems(1, ["gcd"], "train")[i].question for i in range(1000)}
    env = gym.make("textgym/Tutor-v0", difficulty=1, kinds=["gcd"], split="test")
    asked = set()
    for seed in range(60):
        env.reset(seed=seed)
        asked.add(env.unwrapped.example.question)
    assert len(asked) > 20
    assert not asked & train
