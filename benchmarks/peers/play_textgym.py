"""textgym: environments, rewards and complete records.

Settings: ``textgym.rollout`` with ``OpenAIPolicy``; defaults, but for the event loop: where uvloop is
installed it is left alone, for the others run on asyncio's own as well.
"""

from __future__ import annotations

import sys

from conversation import HIGH, LOW, MAX_TOKENS, MODEL, measure

import textgym


def play(base_url: str, episodes: int, turns: int, concurrency: int, tokens: int = 0) -> int:
    """All episodes, with so many ids and log-probabilities a reply, or without."""
    run = textgym.rollout(
        "textgym/GuessNumber-v0",
        textgym.OpenAIPolicy(MODEL, base_url=base_url, tokens=tokens > 0),
        num_examples=episodes,
        env_kwargs={"low": LOW, "high": HIGH, "max_turns": turns},
        max_concurrency=concurrency,
        sampling=textgym.Sampling(max_tokens=MAX_TOKENS),
    )
    if run.errors:
        raise SystemExit(f"{len(run.errors)} episodes failed, the first with {run.errors[0].error}")
    for trajectory in run:
        sampled = 0 if trajectory.tokens is None else int(trajectory.tokens.mask.sum())
        if sampled != tokens * len(trajectory.steps):
            raise SystemExit(f"{sampled} tokens were recorded of {len(trajectory.steps)} x {tokens}")
    return sum(len(trajectory.steps) for trajectory in run)


if __name__ == "__main__":
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    measure("textgym", "textgym", play)
