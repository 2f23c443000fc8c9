"""A conversation of your own: twenty questions about an animal, scored by how soon it is named."""

from __future__ import annotations

from typing import Any

import textgym
from textgym import MultiTurnEnv, Rubric

ANIMALS = [
    {"prompt": "Guess my animal. Ask, or name it.", "answer": "penguin", "flies": "no", "lives": "ice"},
    {"prompt": "Guess my animal. Ask, or name it.", "answer": "eagle", "flies": "yes", "lives": "rock"},
]


def soon(state: dict[str, Any], completions: list[str]) -> float:
    """1 for the first turn, a tenth less for each later one, 0 without success."""
    return max(1.1 - len(completions) / 10, 0.1) if state.get("named") else 0.0


class AnimalEnv(MultiTurnEnv):
    """Answers questions that mention a column of the row."""

    def __init__(self, dataset: Any = ANIMALS, **kwargs: Any) -> None:
        super().__init__(dataset, Rubric([soon]), max_turns=10, turns_are_rule=True, **kwargs)

    def is_completed(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> bool:
        state["named"] = state["answer"] in messages[-1]["content"]
        return state["named"]

    def env_response(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> str:
        facts = [name for name in ("flies", "lives") if name in messages[-1]["content"]]
        return " ".join(f"{name}: {self.example[name]}." for name in facts) or "I do not know."

    def oracle(self) -> str:
        return f"It is a {self.state['answer']}!"


def curious(request: textgym.CompletionRequest) -> str:
    """Ask once, then conclude."""
    if request.turn == 0:
        return "Tell me whether it flies and where it lives."
    return "A penguin!" if "lives: ice" in request.observation else "An eagle!"


def main() -> None:
    print(textgym.rollout(AnimalEnv, textgym.ScriptedPolicy(curious)).summary())
    run = textgym.rollout(AnimalEnv, textgym.OraclePolicy())
    print([trajectory.reward for trajectory in run])


if __name__ == "__main__":
    main()
