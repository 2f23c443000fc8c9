"""textgym: environments, rewards and complete records.

Settings: ``textgym.rollout`` with ``OpenAIPolicy``; defaults.
"""

from __future__ import annotations

from conversation import HIGH, LOW, MAX_TOKENS, MODEL, measure

import textgym


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""
    run = textgym.rollout(
        "textgym/GuessNumber-v0",
        textgym.OpenAIPolicy(MODEL, base_url=base_url),
        num_examples=episodes,
        env_kwargs={"low": LOW, "high": HIGH, "max_turns": turns},
        max_concurrency=concurrency,
        sampling=textgym.Sampling(max_tokens=MAX_TOKENS),
    )
    if run.errors:
        raise SystemExit(f"{len(run.errors)} episodes failed, the first with {run.errors[0].error}")
    return sum(len(trajectory.steps) for trajectory in run)


if __name__ == "__main__":
    measure("textgym", "textgym", play)
