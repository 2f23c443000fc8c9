"""Wrappers with numbers in and out: Gymnasium's checker, exact translation, and what they refuse."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.envs.classic import ChoiceAction, EmbeddedObservation, HashedObservation, TokenActions
from textgym.envs.wrappers import BudgetWrapper, FormatWrapper, HistoryWrapper
from textgym.errors import ConfigError
from textgym.parsers import ThinkParser
from textgym.tokens.byte_tokenizer import ByteTokenizer
from textgym.vector import GroupVectorEnv

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


@settings(deadline=None)
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
        (lambda: ChoiceAction(guess(), None), "two or more texts"),
        (lambda: ChoiceAction(guess(), ["a", "b" * 70_000]), "is no action of"),
        (lambda: ChoiceAction(guess(), ["1</guess>", "2"]), "cannot be written"),
        (lambda: HashedObservation(guess(), size=0), "size is 0"),
        (lambda: TokenActions(guess(), max_tokens=0), "max_tokens is 0"),
        (lambda: TokenActions(guess(), context=True), "context is True"),
        (lambda: TokenActions(guess(), tokenizer=object()), "eos_token_id"),
    ],
)
def test_arguments_are_checked(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


@pytest.mark.parametrize("make", [lambda: TokenActions(guess()), lambda: ChoiceAction(guess(), NUMBERS)])
@pytest.mark.parametrize("action", [-1, 257, 1.7, True, "1", None, np.array([1]), np.float32(1)])
def test_what_is_no_number_of_an_action_is_refused_and_played_by_nobody(make, action):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=r"it must be a whole number in 0\.\.(256|7)"):
        env.step(action)
    assert env.unwrapped.turns == 0
    env.step(np.array(4))
    env.step(np.int32(3))


@pytest.mark.parametrize("ends", ["in the middle of an answer", "at its end"])
def test_no_token_is_taken_outside_an_episode(ends):
    env = TokenActions(gym.make("textgym/Echo-v0"), max_tokens=2)
    with pytest.raises(ResetNeeded):
        env.step(3)
    env.reset(seed=0)
    env.step(65)
    assert env.step(65 if ends.startswith("in") else 256)[2] is True
    with pytest.raises(ResetNeeded):
        env.step(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ChoiceAction(gym.make("CartPole-v1"), NUMBERS),
        lambda: HashedObservation(gym.make("CartPole-v1")),
        lambda: TokenActions(gym.make("CartPole-v1")),
        lambda: HashedObservation(HashedObservation(guess())),
        lambda: ChoiceAction(ChoiceAction(guess(), NUMBERS), NUMBERS),
        lambda: ChoiceAction(TokenActions(guess()), NUMBERS),
        lambda: TokenActions(ChoiceAction(guess(), NUMBERS)),
        lambda: HistoryWrapper(HashedObservation(guess())),
        lambda: BudgetWrapper(HashedObservation(guess()), turns=2),
        lambda: BudgetWrapper(ChoiceAction(guess(), NUMBERS), turns=2),
        lambda: FormatWrapper(ChoiceAction(guess(), NUMBERS), ThinkParser()),
    ],
)
def test_an_order_of_wrappers_that_cannot_work_is_refused(make):
    with pytest.raises(ConfigError, match=r"(observation|action)s (that )?are texts"):
        make()


@pytest.mark.parametrize("vector", [[1, 2, 3], [[1, 2]], [float("nan"), 1], None])
def test_an_embedding_of_another_form_is_refused(vector):
    env = EmbeddedObservation(guess(), lambda text: vector, 2)
    with pytest.raises(ConfigError, match=r"it must make an array of shape \(2,\) without NaN"):
        env.reset(seed=0)


def test_an_embedding_may_reuse_its_array():
    buffer = np.zeros(1, np.float32)

    def embed(text: str) -> Any:
        buffer[0] = len(text)
        return buffer

    env = EmbeddedObservation(guess(), embed, 1)
    first, info = env.reset(seed=0)
    env.step("<guess>1</guess>")
    assert first.tolist() == [len(info["text"])]


@pytest.mark.parametrize("mode", list(AutoresetMode), ids=lambda mode: mode.value)
def test_a_loop_in_the_shape_of_cleanrls_learns(mode):
    """A linear softmax policy by REINFORCE: numpy in, numpy out, ends counted by RecordEpisodeStatistics."""
    rng = np.random.default_rng(0)

    def make() -> Any:
        env = gym.make("textgym/GuessNumber-v0", high=2, max_turns=1)
        env = ChoiceAction(env, ["1", "2", "3", "4"])  # two of them never win
        return HashedObservation(env, size=8)

    envs = RecordEpisodeStatistics(GroupVectorEnv(make, num_envs=16, autoreset_mode=mode))
    weights = np.zeros((8, envs.single_action_space.n))
    observations, _ = envs.reset(seed=1)
    returns, recorded = [], []
    for _ in range(250):
        logits = observations @ weights
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        actions = np.array([rng.choice(4, p=row) for row in chances])
        following, rewards, terminations, truncations, infos = envs.step(actions)
        ends = terminations | truncations
        advantages = (rewards - 0.5) * ends
        weights += 0.3 * observations.T @ ((np.eye(4)[actions] - chances) * advantages[:, None])
        returns += rewards[ends].tolist()  # an episode has one turn
        if "episode" in infos:
            recorded += infos["episode"]["r"][infos["_episode"]].tolist()
        observations = following
        if mode is AutoresetMode.DISABLED:
            observations, _ = envs.reset(options={"reset_mask": ends})
    assert envs.episode_count == len(returns) == (2000 if mode is AutoresetMode.NEXT_STEP else 4000)
    if mode is not AutoresetMode.SAME_STEP or not gym.__version__.startswith(("1.1.", "1.2.")):
        assert recorded == returns  # those Gymnasiums forget the reward before they count the end
    assert np.mean(returns[-500:]) > 0.42, (
        "1 or 2 wins every second game, 3 or 4 none; by chance that is 0.25"
    )


def test_history_reaches_the_vector():
    env = HashedObservation(HistoryWrapper(guess()), size=256)
    first, _ = env.reset(seed=0)
    second, *_ = env.step("<guess>1</guess>")
    assert not np.array_equal(first, second)
