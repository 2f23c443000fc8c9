"""DoubleCheckEnv: every answer is doubted, and the last one counts.

Invariant: an episode has exactly ``rounds + 1`` turns, whatever is said, and its reward depends on the last answer
alone. The first answer is judged for the metrics only, by the same rubric.
"""

from __future__ import annotations

from typing import Any

from textgym.envs.episode_parts import Ending
from textgym.envs.multi_turn import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.hooks import flow, settle
from textgym.parsers import Parser, XMLParser
from textgym.rewards import Rubric, math_match, mean_format
from textgym.types import Message, StopReason

__all__ = ["DoubleCheckEnv"]


class DoubleCheckEnv(MultiTurnEnv):
    """Answer, be asked "Are you sure?", and answer again.

    The metrics tell whether the second look helps. Of the first and the last answer, ``kept`` is 1 where both are
    right, ``corrected`` where only the last one is, ``spoiled`` where only the first one is. Right is what reaches
    ``success_threshold``, by default the highest return. They cost a second call of the rubric.

    Args:
        dataset: As for ``DatasetEnv``, like all arguments that are not named here.
        rubric: Judges the last answer. By default ``math_match`` as ``correct`` and the mean form of all
            answers as ``format``, with ``weights``.
        parser: Finds the answer in a text; by default ``XMLParser(["think", "answer"])``.
        question: What is said to an answer.
        rounds: How often it is said.
        weights: What ``correct`` and ``format`` earn in the default rubric; the return is between 0 and their
            sum, and 0 makes a metric. None is ``(1.0, 0.0)``; in verifiers 0.1 it was ``(1.0, 0.2)``.
        **kwargs: As for ``DatasetEnv``.

    Raises:
        ConfigError: An argument is unusable.

    Example:
        >>> env = DoubleCheckEnv([{"question": "What is 2+2?", "answer": "4"}])
        >>> _ = env.reset(seed=0)
        >>> env.step("<think>Hm.</think><answer>5</answer>")[0]
        'Are you sure?'
        >>> _, reward, terminated, _, info = env.step("<think>Oh.</think><answer>4</answer>")
        >>> reward, terminated, info["metrics"]
        (1.0, True, {'format': 1.0, 'kept': 0.0, 'corrected': 1.0, 'spoiled': 0.0})
    """

    def __init__(
        self,
        dataset: Any,
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        question: str = "Are you sure?",
        rounds: int = 1,
        weights: tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
            raise ConfigError(f"rounds is {rounds!r}: it must be a whole number of at least 1")
        if not isinstance(question, str) or not question.strip():
            raise ConfigError(f"question is {question!r:.60}: it must be a text to doubt an answer with")
        parser = XMLParser(["think", "answer"]) if parser is None else parser
        if rubric is None:
            rubric = _default_rubric(parser, weights)
        elif weights is not None:
            raise ConfigError(f"weights are {weights!r}, but the rubric has its own: give one of them")
        super().__init__(dataset, rubric, parser, max_turns=rounds + 1, turns_are_rule=True, **kwargs)
        if self.success_threshold is None and weights is not None:
            self.success_threshold = float(weights[0])
        self.question = question
        self.rounds = rounds

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """The doubt, always in the same words."""
        return self.question

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """After the last answer."""
        return self.turns > self.rounds and messages[-1]["role"] == "assistant"

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """Judge the last answer, and the first one for the metrics."""
        ending: Ending = await settle(super().finish(reason))
        right = self._is_right(sum(ending.rewards.values()))
        first = right
        if self.turns > 1:
            score = await self._scorer().flow(self._as_if_first(reason))
            first = self._is_right(score.reward)
        changes = {
            "kept": float(first and right),
            "corrected": float(right and not first),
            "spoiled": float(first and not right),
        }
        return Ending(rewards=ending.rewards, metrics={**ending.metrics, **changes}, info=ending.info)

    def _is_right(self, reward: float) -> bool:
        threshold = self.reward_bounds[1] if self.success_threshold is None else self.success_threshold
        return reward >= threshold - 1e-9

    def _as_if_first(self, reason: StopReason) -> dict[str, Any]:
        """What the rubric would have seen if the first answer had been the last."""
        said = [i for i, message in enumerate(self.messages) if message["role"] == "assistant"]
        first = said[-self.turns]  # those before it are worked examples
        return {
            **self.scoring_arguments(reason),
            "completion": self.answers[0],
            "completions": self.answers[:1],
            "messages": self.messages[: first + 1],
        }


def _default_rubric(parser: Parser, weights: Any) -> Rubric:
    correct, form = _checked_weights((1.0, 0.0) if weights is None else weights)
    rubric = Rubric(parser=parser).add(math_match, correct, "correct")
    return rubric.add(mean_format, form, "format")


def _checked_weights(weights: Any) -> tuple[float, float]:
    plain = isinstance(weights, tuple | list) and len(weights) == 2
    if not plain or any(isinstance(w, bool) or not isinstance(w, int | float) for w in weights):
        raise ConfigError(f"weights are {weights!r:.60}: they must be two numbers, for correct and format")
    correct, form = map(float, weights)
    if not 0 <= form < correct:
        raise ConfigError(
            f"weights are {weights!r}: the first must be above the second, and that at least 0, or a wrong "
            "answer in good form would count as solved"
        )
    return correct, form
