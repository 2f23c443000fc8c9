"""Wrappers with numbers in and out: Gymnasium's checker, exact translation, and what they refuse."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st

from textgym.envs.classic import ChoiceAction, EmbeddedObservation, HashedObservation, TokenActions
from textgym.envs.wrappers import HistoryWrapper
from textgym.errors import ConfigError
from textgym.tokens.byte_tokenizer import ByteTokenizer

NUMBERS = [str(number) for number in range(1, 9)]


def guess() -> Any:
    return gym.make("textgym/GuessNumber-v0", high=8)


def chosen() -> Any:
    return HashedObservation(ChoiceAction(guess(), NUMBERS), size=64)


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version")
@pytest.mark.parametrize("make", [chosen, lambda: TokenActions(guess(), context=32, max_tokens=9)])
def test_gymnasiums_checker_has_nothing_to_say(make):
    check_env(make(), skip_render_check=True)


def test_a_choice_is_stepped_as_the_parsers_text():
    env, plain = ChoiceAction(guess(), NUMBERS), guess()
    env.reset(seed=3)
    plain.reset(seed=3)
    number = int(plain.unwrapped.state["number"])
    for action in (number % 8, (number + 1) % 8, number - 1):
        text = plain.unwrapped.parser.format_answer(NUMBERS[action])
        *shown, info = env.step(action)
        *expected, expected_info = plain.step(text)
        assert shown == expected
        assert info == {**expected_info, "action_text": text}
    assert ChoiceAction(guess(), ["a", "b"], through_parser=False).action(np.int64(1)) == "b"


def test_vectors_do_not_depend_on_anything_but_the_text():
    env = HashedObservation(guess(), size=128)
    vector, info = env.reset(seed=0)
    assert vector.dtype == np.float32
    assert vector.shape == (128,)
    assert abs(float(np.linalg.norm(vector)) - 1) < 1e-6
    assert np.array_equal(vector, env.observation(info["text"]))
    assert np.array_equal(env.observation("One two"), env.observation("one  TWO"))
    assert not np.array_equal(env.observation("one two"), env.observation("two one"))
    assert not HashedObservation(guess()).observation("").any()
    flat = HashedObservation(guess(), pairs=False)
    assert np.array_equal(flat.observation("one two"), flat.observation("two one"))


def test_any_function_embeds():
    env = EmbeddedObservation(guess(), lambda text: [len(text), 1.0], 2)
    vector, info = env.reset(seed=0)
    assert vector.tolist() == [len(info["text"]), 1.0]
    assert vector in env.observation_space


@given(st.text(max_size=20))
def test_tokens_spell_the_same_episode(text):
    tokenizer = ByteTokenizer()
    env, plain = TokenActions(guess(), max_tokens=200), guess()
    env.reset(seed=1)
    plain.reset(seed=1)
    ids = tokenizer.encode(text, add_special_tokens=True)
    for token in ids[:-1]:
        _, reward, terminated, truncated, info = env.step(token)
        assert (reward, terminated, truncated, info) == (0.0, False, False, {})
    _, *shown, info = env.step(ids[-1])
    assert info.pop("action_text") == tokenizer.decode(ids)
    observation, *expected, expected_info = plain.step(tokenizer.decode(ids))
    assert info.pop("text") == observation
    assert [*shown, info] == [*expected, expected_info]


def test_the_window_holds_the_newest_ids_of_the_conversation():
    env = TokenActions(guess(), context=16, max_tokens=2)
    window, info = env.reset(seed=0)
    assert window.tolist() == list(info["text"].encode())[-16:]
    window, *_ = env.step(55)
    assert window[-1] == 55
    window, *_, info = env.step(56)  # max_tokens: stepped as it is
    assert info["action_text"] == "78"
    assert bytes(window.tolist()).decode().endswith(info["text"][-16:])
    wide = TokenActions(guess(), context=4096)
    window, info = wide.reset(seed=0)
    assert window[0] == 256
    assert ByteTokenizer().decode(window) == info["text"]


def test_specs_make_them_again():
    env = chosen()
    again = gym.make(env.spec)
    assert again.reset(seed=5)[0].tolist() == env.reset(seed=5)[0].tolist()
    assert again.step(2)[1:4] == env.step(2)[1:4]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ChoiceAction(guess(), ["a"]), "two or more texts"),
        (lambda: ChoiceAction(guess(), "ab"), "two or more texts"),
        (lambda: ChoiceAction(guess(), ["a", 1]), "two or more texts"),
        (lambda: HashedObservation(guess(), size=0), "size is 0"),
        (lambda: TokenActions(guess(), max_tokens=0), "max_tokens is 0"),
        (lambda: TokenActions(guess(), context=True), "context is True"),
        (lambda: TokenActions(guess(), tokenizer=object()), "eos_token_id"),
    ],
)
def test_arguments_are_checked(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


def test_an_id_outside_the_vocabulary_is_refused():
    env = TokenActions(guess())
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=r"0\.\.256"):
        env.step(257)


def test_history_reaches_the_vector():
    env = HashedObservation(HistoryWrapper(guess()), size=256)
    first, _ = env.reset(seed=0)
    second, *_ = env.step("<guess>1</guess>")
    assert not np.array_equal(first, second)
