"""Inspect AI: a ``Task`` whose solver plays the episode with ``generate``, scored by a scorer.

Settings: its OpenAI-compatible provider, ``max_samples`` and ``max_connections`` at the concurrency; no
display, no logging, and neither samples nor model calls written to its log file; defaults otherwise.
"""

from __future__ import annotations

import tempfile
from typing import Any

from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won
from inspect_ai import Task
from inspect_ai import eval as run_eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, get_model
from inspect_ai.scorer import Score, mean, scorer
from inspect_ai.solver import solver


@solver
def guess_number(turns: int) -> Any:
    """Play one episode."""

    async def solve(state: Any, generate: Any) -> Any:
        number = int(state.metadata["number"])
        played = 0
        while True:
            state = await generate(state)
            played += 1
            answer = state.output.completion
            if won(answer, number) or played == turns:
                break
            state.messages.append(ChatMessageUser(content=hint(answer, number, turns - played)))
        state.metadata["played"] = played
        return state

    return solve


@scorer(metrics=[mean()])
def reward() -> Any:
    """1 for the number; the turns are counted beside it."""

    async def score(state: Any, target: Any) -> Score:
        value = float(won(state.output.completion, int(state.metadata["number"])))
        _played.append(state.metadata["played"])
        return Score(value=value)

    return score


_played: list[int] = []


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""
    _played.clear()
    samples = [Sample(input=rules(turns), metadata={"number": number_of(index)}) for index in range(episodes)]
    model = get_model(f"openai-api/mock/{MODEL}", base_url=base_url, api_key="none")
    with tempfile.TemporaryDirectory() as folder:
        (log,) = run_eval(
            Task(dataset=MemoryDataset(samples), solver=guess_number(turns), scorer=reward()),
            model=model,
            display="none",
            log_level="error",
            log_dir=folder,
            log_samples=False,
            log_realtime=False,
            log_model_api=False,
            max_samples=concurrency,
            max_connections=concurrency,
            max_tokens=MAX_TOKENS,
        )
    if log.status != "success":
        raise SystemExit(f"Inspect ended with {log.status}: {log.error}")
    return sum(_played)


if __name__ == "__main__":
    measure("Inspect AI", "inspect-ai", play)
