"""Search-v0: worlds hold their facts, questions lead to one answer, and nothing tells it but the articles."""

from __future__ import annotations

import pickle
from typing import Any

import gymnasium as gym
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.search.env import LEVELS, same_name
from textgym.tasks.search.questions import ask
from textgym.tasks.search.world import Corpus

WORLD = Corpus(11, 200)


def test_every_fact_stands_in_its_article() -> None:
    index = WORLD.search.index
    assert len(index) == len(list(WORLD)) == 200
    for entity in WORLD:
        document = index[entity.id]
        assert document.title == entity.name
        for value in entity.facts.values():
            assert value in document.text
        assert "{" not in document.text


def test_names_are_unique_and_resemble_each_other() -> None:
    names = [entity.name for entity in WORLD]
    assert len(set(names)) == len(names)
    people = [entity.name.split()[1] for entity in WORLD if entity.kind == "person"]
    assert len({name[:2] for name in people}) < len(people) / 2


@pytest.mark.parametrize("level", LEVELS)
def test_corpora_are_too_large_for_a_prompt(level: int) -> None:
    words = sum(len(document.text.split()) for document in Corpus(3, LEVELS[level][1]).search.index.documents)
    assert words > 10_000
    env: Any = gym.make("textgym/Search-v0", difficulty=level, disable_env_checker=True).unwrapped
    assert len(env.reset(seed=0)[0].split()) < 400


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_questions(hops: int) -> None:
    for seed in range(100):
        question = ask(seeding.generator(seed), WORLD, hops)
        assert len(question.path) == len({entity.id for entity in question.path}) == hops
        assert question.path[0].name in question.text
        assert not any(entity.name in question.text for entity in question.path[1:])
        assert question.answer not in question.text
        assert question.answer in question.path[-1].facts.values()
        for before, after in zip(question.path, question.path[1:], strict=False):
            assert after.name in before.facts.values()


def test_answers_cannot_be_guessed() -> None:
    answers = [ask(seeding.generator(seed), Corpus(seed, 200), 2).answer for seed in range(200)]
    assert max(map(answers.count, answers)) < 8


def test_worlds_differ() -> None:
    names = [{entity.name for entity in Corpus(seed, 200) if entity.kind != "city"} for seed in (1, 2)]
    assert len(names[0] & names[1]) < 10
    assert len(pickle.dumps(WORLD)) < 200


@pytest.mark.parametrize(
    ("said", "gold", "same"),
    [
        ("Ulva", "Ulva", True),
        (" the  River ULVA.", "Ulva", True),
        ("Ulva river", "Ulva", True),
        ("“A Key for Rolf Dorinsen”", "A Key for Rolf Dorinsen", True),
        ("Str\u006f\u0308m", "Ström", True),
        ("12,500", "12500", True),
        ("12500 people", "12500", True),
        ("500 m", "500", True),
        ("**1871**", "1871", True),
        ("Ulv", "Ulva", False),
        ("Ulva or Orda", "Ulva", False),
        ("in 1871", "1871", False),
        ("1871 1872", "1871", False),
        ("", "Ulva", False),
        ("the", "Ulva", False),
        ("Emil", "Emil Barek", False),
        ("1,2500", "12500", False),
    ],
)
def test_comparing_names(said: str, gold: str, same: bool) -> None:
    assert same_name(said, gold) == same


@given(st.text(st.characters(exclude_categories=())))
def test_comparing_is_total(said: str) -> None:
    same_name(said, "Ulva")
    same_name(said * 1000, "Ulva")


def test_reading_is_counted() -> None:
    env: Any = gym.make("textgym/Search-v0", difficulty=4, disable_env_checker=True).unwrapped
    env.reset(seed=2)
    reads = [call for call in env.example.info["calls"] if call["name"] == "read"]
    for call in (reads[0], reads[0], {"name": "read", "arguments": {"id": "A1"}}):
        env.step(env.call_parser.format(call["name"], call["arguments"]))
    metrics = env.step(f"<answer>{env.example.answer}</answer>")[4]["metrics"]
    assert metrics["found"] == pytest.approx(1 / 3)
    assert (metrics["tool_calls"], metrics["tool/raised"]) == (3.0, 1.0)


def test_snippets_alone_do_not_tell_all() -> None:
    shown = 0
    for seed in range(30):
        question = ask(seeding.generator(seed), WORLD, 1)
        shown += question.answer in WORLD.search.search(question.path[0].name, 1)
    assert shown < 25


@pytest.mark.parametrize("arguments", [{"difficulty": 0}, {"split": "dev"}, {"protocol": "x"}])
def test_unusable_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        gym.make("textgym/Search-v0", **arguments)


def test_rows_of_ones_own() -> None:
    env: Any = gym.make("textgym/Search-v0").unwrapped
    for info in ({}, {"seed": 1, "size": 10**9}, {"seed": "x", "size": 200}):
        with pytest.raises(ConfigError, match="size"):
            env.reset(options={"example": {"question": "?", "answer": "!", "info": info}})
