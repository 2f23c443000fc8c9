"""SingleTurnEnv: one question, one answer.

Invariant: every episode terminates with the first answer that the parser can read, or with the last try;
nothing truncates it but the caller.
"""

from __future__ import annotations

from typing import Any

from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.episode_parts import Reply
from textgym.errors import ConfigError
from textgym.parsers import Parser
from textgym.rewards import Rubric
from textgym.types import StopReason

__all__ = ["SingleTurnEnv"]


class SingleTurnEnv(DatasetEnv):
    """One question and one answer.

    Args:
        dataset: As for ``DatasetEnv``, like all arguments that are not named here.
        rubric: Judges the episode; by default the parsed answer is compared with the gold answer.
        parser: Finds the answer in a text; by default the whole text.
        max_retries: How often an answer that the parser cannot read is asked for again; each try is a turn,
            and the last answer is judged.
        **kwargs: As for ``DatasetEnv``.

    Raises:
        ConfigError: ``max_retries`` is no whole number of at least 0, or as for ``DatasetEnv``.

    Example:
        >>> env = SingleTurnEnv([{"prompt": "What is 2+2?", "answer": "4"}])
        >>> env.reset(seed=0)[0]
        'What is 2+2?'
        >>> observation, reward, terminated, truncated, info = env.step("4")
        >>> reward, terminated, info["rewards"]
        (1.0, True, {'exact_match': 1.0})
    """

    def __init__(
        self,
        dataset: Any,
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        max_retries: int = 0,
        **kwargs: Any,
    ) -> None:
        if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:
            raise ConfigError(f"max_retries is {max_retries!r}: it must be a whole number of at least 0")
        super().__init__(dataset, rubric, parser, **kwargs)
        self.max_retries = max_retries

    def respond(self, action: str) -> Reply:
        """End the episode, or ask again for an answer that cannot be read."""
        if self.parser.parse_answer(action) is not None:
            return Reply(stop=StopReason.COMPLETED)
        if self.turns <= self.max_retries:
            return Reply(messages=[{"role": "user", "content": self.retry_message()}])
        return Reply(stop=StopReason.FORMAT)

    def retry_message(self) -> str:
        """What is said to an answer that cannot be read."""
        shape = getattr(self.parser, "get_format_str", None)
        form = f" Use this form:\n{shape()}" if shape is not None else ""
        return f"Your answer could not be read. Please answer again.{form}"
