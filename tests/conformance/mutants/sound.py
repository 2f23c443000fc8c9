"""Two sound environments, from which the mutants are made.

Invariant: ``check_text_env`` finds nothing wrong with ``Sound`` and ``Asked``.
"""

from __future__ import annotations

from typing import Any

from textgym import SingleTurnEnv
from textgym.tasks.echo import EchoEnv


class Sound(EchoEnv):
    """Keeps the contract, rewards as ``EchoEnv``; the hooks change results on all ways of calling."""

    def __init__(self, turns: int = 2, length: int = 8, **kwargs: Any) -> None:
        super().__init__(turns=turns, length=length, **kwargs)

    def bend_reset(self, result: Any) -> Any:
        return result

    def bend_step(self, action: str, result: Any) -> Any:
        return result

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.bend_reset(super().reset(seed=seed, options=options))

    async def areset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self.bend_reset(await super().areset(seed=seed, options=options))

    def step(self, action: str) -> Any:
        return self.bend_step(action, super().step(action))

    async def astep(self, action: str) -> Any:
        return self.bend_step(action, await super().astep(action))


def right(result: Any) -> bool:
    """Whether the last answer was perfect, which no random or senseless action is."""
    return bool(result[4]["rewards"].get("echo", 0.0) > 0.4)


def with_metric(result: Any, value: float) -> Any:
    """The result with a metric, if the answer was right."""
    if right(result):
        result[4]["metrics"] = {"bent": value}
    return result


ROWS = [{"question": f"What is {n} plus {n}?", "answer": f"{2 * n} in all"} for n in range(20)]


class Asked(SingleTurnEnv):
    """Keeps the contract, over the rows of a finite dataset; a right answer has the reward 1."""

    def __init__(self, render_mode: str | None = None, message_type: str = "chat") -> None:
        super().__init__(ROWS, system_prompt="Be brief.", render_mode=render_mode, message_type=message_type)
