"""Numbers in and out: wrappers by which RL loops that know no text train on any text environment.

    env = gym.make("textgym/GuessNumber-v0", high=8)
    env = ChoiceAction(env, [str(n) for n in range(1, 9)])     # Discrete(8)
    env = HashedObservation(HistoryWrapper(env…))              # Box(512,)

Invariant: a wrapped environment is played exactly as its texts say; the wrappers translate, and neither earn nor
end anything themselves. The texts stay in ``info["text"]`` and, of actions, ``info["action_text"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import index
from typing import Any
from zlib import crc32

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, Text

from textgym.errors import ConfigError
from textgym.tokens.byte_tokenizer import ByteTokenizer

__all__ = ["ChoiceAction", "EmbeddedObservation", "HashedObservation", "TokenActions"]

_TERMS = re.compile(r"\w+|[^\w\s]")


def _check_textual(wrapper: Any, env: gym.Env[Any, Any], *names: str) -> None:
    for name in names:
        space = getattr(env, f"{name}_space")
        if not isinstance(space, Text):
            raise ConfigError(
                f"{type(wrapper).__name__} needs an environment whose {name}s are texts, and those of "
                f"{env!r:.60} are {space!r:.60}: put it around the text environment, before other wrappers that "
                f"change {name}s"
            )


def _index(action: Any, count: int) -> int:
    """An action of ``Discrete(count)``, of whatever library, as a plain number."""
    try:
        number = -1 if isinstance(action, bool) else index(action)
    except TypeError:
        number = -1
    if not 0 <= number < count:
        raise ConfigError(f"action is {action!r:.60}: it must be a whole number in 0..{count - 1}")
    return number


class ChoiceAction(gym.ActionWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """The action is the number of a text.

    Args:
        env: An environment whose actions are texts.
        choices: The texts, two or more.
        through_parser: Whether a choice is written as the environment's parser expects an answer (``"B"`` becomes
            ``"<answer>\\nB\\n</answer>"``), where it has a parser.

    Raises:
        ConfigError: There are fewer than two choices, one is no text or no action of the environment, or the
            actions of the environment are no texts.
    """

    def __init__(self, env: gym.Env[Any, Any], choices: Sequence[str], through_parser: bool = True) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, choices=choices, through_parser=through_parser)
        gym.ActionWrapper.__init__(self, env)
        _check_textual(self, env, "action")
        texts = list(choices) if isinstance(choices, Iterable) and not isinstance(choices, str) else []
        if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
            raise ConfigError(f"choices are {choices!r:.80}: they must be two or more texts")
        parser = getattr(env.unwrapped, "parser", None)
        if through_parser and parser is not None:
            texts = [parser.format_answer(text) for text in texts]
        for text in texts:
            if text not in env.action_space:
                raise ConfigError(
                    f"choice {text!r:.60} ({len(text)} characters) is no action of {env!r:.60}, whose actions are "
                    f"{env.action_space!r:.60}"
                )
        self.choices: tuple[str, ...] = tuple(texts)
        self.action_space = Discrete(len(texts))

    def action(self, action: Any) -> str:
        """The text of a number; raises ``ConfigError`` where there is none."""
        return self.choices[_index(action, len(self.choices))]

    def step(self, action: Any) -> Any:
        """Step with the text, which ``info["action_text"]`` shows."""
        text = self.action(action)
        observation, reward, terminated, truncated, info = self.env.step(text)
        return observation, reward, terminated, truncated, {**info, "action_text": text}


class EmbeddedObservation(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """The observation is a vector that a function makes of the text.

    Args:
        env: An environment whose observations are texts.
        embed: ``text -> float32 array`` of shape ``(size,)``.
        size: Length of the vectors.

    Raises:
        ConfigError: ``size`` is not positive, the observations of the environment are no texts, or (in ``reset``
            and ``step``) ``embed`` gave something else than ``size`` numbers.
    """

    def __init__(self, env: gym.Env[Any, Any], embed: Callable[[str], Any], size: int) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, embed=embed, size=size)
        self._wrap(env, embed, size)

    def _wrap(self, env: gym.Env[Any, Any], embed: Callable[[str], Any], size: int) -> None:
        gym.ObservationWrapper.__init__(self, env)
        _check_textual(self, env, "observation")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigError(f"size is {size!r}: it must be a whole number of at least 1")
        self._embed = embed
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float32)

    def observation(self, observation: str) -> Any:
        """The vector of a text, a new array each time."""
        vector = np.array(self._embed(observation), dtype=np.float32)
        if vector.shape != self.observation_space.shape or np.isnan(vector).any():
            raise ConfigError(
                f"embed made {vector!r:.60} of {observation!r:.60}: it must make an array of shape "
                f"{self.observation_space.shape} without NaN"
            )
        return vector

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin with a vector; ``info["text"]`` is the text."""
        text, info = self.env.reset(seed=seed, options=options)
        return self.observation(text), {**info, "text": text}

    def step(self, action: Any) -> Any:
        """Show a vector; ``info["text"]`` is the text."""
        text, reward, terminated, truncated, info = self.env.step(action)
        return self.observation(text), reward, terminated, truncated, {**info, "text": text}


class HashedObservation(EmbeddedObservation):
    """The observation counts words and pairs of words, hashed to a vector of fixed length 1.

    Each term adds 1 or -1 (one bit of its CRC-32) to one place (the other bits): the hashing trick of Weinberger
    et al., "Feature hashing for large scale multitask learning", 2009. Equal texts have equal vectors in every
    process.

    Args:
        env: An environment whose observations are texts.
        size: Length of the vectors.
        pairs: Whether neighbouring words count as terms too.

    Raises:
        ConfigError: ``size`` is not positive, or the observations of the environment are no texts.
    """

    def __init__(self, env: gym.Env[Any, Any], size: int = 512, pairs: bool = True) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, size=size, pairs=pairs)
        self._wrap(env, self._hashed, size)
        self._size, self._pairs = size, pairs
        self.observation_space = Box(-1.0, 1.0, (size,), np.float32)

    def _hashed(self, text: str) -> Any:
        terms = _TERMS.findall(text.lower())
        if self._pairs:
            terms += [f"{one} {two}" for one, two in pairwise(terms)]
        vector = np.zeros(self._size, dtype=np.float32)
        for term in terms:
            code = crc32(term.encode("utf-8", "surrogatepass"))
            vector[(code >> 1) % self._size] += 1.0 if code & 1 else -1.0
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


class TokenActions(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """One token a step: the text environment is stepped when a text is complete.

    The observation holds the newest ids of the whole conversation, prompts and answers, in order, filled up with
    ``fill_id`` in front. Between two turns of the environment the reward is 0.

    Args:
        env: A text environment.
        tokenizer: ``encode(text, add_special_tokens=False) -> ids``, ``decode(ids) -> text``, ``eos_token_id``
            and a length, as Hugging Face tokenizers have them; by default bytes.
        max_tokens: Most tokens of one answer; then it is stepped as it is.
        context: How many ids an observation holds.

    Raises:
        ConfigError: A number is not positive, the tokenizer has no ``eos_token_id``, or the environment does not
            deal in texts.
    """

    def __init__(
        self, env: gym.Env[Any, Any], tokenizer: Any = None, max_tokens: int = 64, context: int = 512
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self, tokenizer=tokenizer, max_tokens=max_tokens, context=context
        )
        gym.Wrapper.__init__(self, env)
        _check_textual(self, env, "observation", "action")
        for name, value in (("max_tokens", max_tokens), ("context", context)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least 1")
        self.tokenizer = ByteTokenizer() if tokenizer is None else tokenizer
        if getattr(self.tokenizer, "eos_token_id", None) is None:
            raise ConfigError(
                "the tokenizer has no eos_token_id: an answer could never end before max_tokens"
            )
        self.max_tokens, self.context = max_tokens, context
        self.fill_id: int = self.tokenizer.eos_token_id
        size = len(self.tokenizer)
        self.action_space = Discrete(size)
        self.observation_space = Box(0, size - 1, (context,), np.int64)
        self._ids: list[int] = []
        self._answer: list[int] = []
        self._playing = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin with the ids of the prompt; ``info["text"]`` is the prompt."""
        text, info = self.env.reset(seed=seed, options=options)
        self._ids, self._answer, self._playing = self._encoded(text), [], True
        return self._window(), {**info, "text": text}

    def step(self, action: Any) -> Any:
        """Say one more token; at the end of an answer, take the environment's turn."""
        if not self._playing:
            raise ResetNeeded("no episode is running: call reset() before step()")
        token = _index(action, len(self.tokenizer))
        self._ids.append(token)
        self._answer.append(token)
        if token != self.tokenizer.eos_token_id and len(self._answer) < self.max_tokens:
            return self._window(), 0.0, False, False, {}
        ended = token == self.tokenizer.eos_token_id
        answer = self.tokenizer.decode(self._answer[:-1] if ended else self._answer)
        self._answer, self._playing = [], False
        text, reward, terminated, truncated, info = self.env.step(answer)
        self._playing = not (terminated or truncated)
        self._ids += self._encoded(text)
        info = {**info, "text": text, "action_text": answer}
        return self._window(), reward, terminated, truncated, info

    def _encoded(self, text: str) -> list[int]:
        return [int(token) for token in self.tokenizer.encode(text, add_special_tokens=False)]

    def _window(self) -> Any:
        window = np.full(self.context, self.fill_id, dtype=np.int64)
        newest = self._ids[-self.context :]
        self._ids = newest
        if newest:
            window[-len(newest) :] = newest
        return window
