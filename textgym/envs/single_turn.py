"""SingleTurnEnv: one question, one answer.

Invariant: every episode terminates with its first action; nothing truncates it but the caller.
"""

from __future__ import annotations

from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.text_env import Reply
from textgym.types import StopReason

__all__ = ["SingleTurnEnv"]


class SingleTurnEnv(DatasetEnv):
    """One question and one answer; arguments as for ``DatasetEnv``.

    Example:
        >>> env = SingleTurnEnv([{"prompt": "What is 2+2?", "answer": "4"}])
        >>> env.reset(seed=0)[0]
        'What is 2+2?'
        >>> observation, reward, terminated, truncated, info = env.step("4")
        >>> reward, terminated, info["rewards"]
        (1.0, True, {'exact_match': 1.0})
    """

    def respond(self, action: str) -> Reply:
        """End the episode; ``format`` is the reason if the parser finds no answer."""
        found = self.parser.parse_answer(action)
        return Reply(stop=StopReason.FORMAT if found is None else StopReason.COMPLETED)
