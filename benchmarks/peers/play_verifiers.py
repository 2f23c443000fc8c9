"""verifiers' classic stack (the last with multi-turn environments in process): ``MultiTurnEnv.generate``.

Settings: groups of one, ``max_concurrent`` episodes, its OpenAI client by ``ClientConfig``; logging and
progress bars off; defaults otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

os.environ["TQDM_DISABLE"] = "1"
os.environ["PEER_KEY"] = "none"

import verifiers as vf
from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won
from datasets import Dataset
from verifiers.types import ClientConfig

logging.disable(logging.WARNING)


class GuessNumber(vf.MultiTurnEnv):
    """The environment."""

    async def env_response(self, messages: Any, state: Any, **kwargs: Any) -> Any:
        """The hint, or nothing once the number is found."""
        answer, number = messages[-1]["content"], int(state["answer"])
        left = self.max_turns - len(state["trajectory"])
        return [{"role": "user", "content": hint(answer, number, left)}]

    @vf.stop
    async def found(self, state: Any) -> bool:
        """Whether the newest answer is the number."""
        if not state["trajectory"]:
            return False
        return won(state["trajectory"][-1]["completion"][-1]["content"], int(state["answer"]))


def reward(completion: Any, answer: str) -> float:
    """1 for the number."""
    return float(won(completion[-1]["content"], int(answer)))


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""
    rows = [
        {"prompt": [{"role": "user", "content": rules(turns)}], "answer": str(number_of(index))}
        for index in range(episodes)
    ]
    env = GuessNumber(dataset=Dataset.from_list(rows), rubric=vf.Rubric(funcs=[reward]), max_turns=turns)
    outputs = asyncio.run(
        env.generate(
            env.get_dataset(),
            client=ClientConfig(api_key_var="PEER_KEY", api_base_url=base_url),
            model=MODEL,
            sampling_args={"max_tokens": MAX_TOKENS},
            max_concurrent=concurrency,
        )
    )
    failed = [output["error"] for output in outputs["outputs"] if output["error"]]
    if failed:
        raise SystemExit(f"{len(failed)} episodes failed, the first with {failed[0]}")
    return sum(int(output["metrics"]["num_turns"]) for output in outputs["outputs"])


if __name__ == "__main__":
    measure("verifiers", "verifiers", play)
