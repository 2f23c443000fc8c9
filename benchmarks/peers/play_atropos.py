"""Atropos: a ``BaseEnv`` whose ``collect_trajectory`` plays the episode through its server manager.

Settings: groups of one, collected by ``collect_trajectories``, as many at once as the concurrency, which is
the cheapest way to run it: its loop over the trainer's HTTP server, its queue and wandb are left out, and so
are tokens, which this server does not send. A word-level tokenizer made on the spot, because ``BaseEnv``
wants one. Logging off; defaults otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from typing import Any

os.environ["WANDB_MODE"] = "disabled"
os.environ["HF_HUB_OFFLINE"] = "1"

from atroposlib.envs.base import APIServerConfig, BaseEnv, BaseEnvConfig
from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

logging.disable(logging.WARNING)


class GuessNumber(BaseEnv):
    """The environment."""

    turns = 1

    async def setup(self) -> None:
        """Nothing to prepare."""

    async def evaluate(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to evaluate."""

    async def get_next_item(self) -> None:
        """Items are handed to ``collect_trajectories``."""

    async def collect_trajectory(self, item: Any) -> tuple[Any, list[Any]]:
        """One episode."""
        messages = [{"role": "user", "content": rules(self.turns)}]
        reward = 0.0
        for turn in range(1, self.turns + 1):
            reply = await self.server.chat_completion(messages=messages, n=1, max_tokens=MAX_TOKENS)
            answer = reply.choices[0].message.content
            messages.append({"role": "assistant", "content": answer})
            reward = float(won(answer, item))
            if reward or turn == self.turns:
                break
            messages.append({"role": "user", "content": hint(answer, item, self.turns - turn)})
        return {"tokens": [], "masks": [], "scores": reward, "messages": messages}, []


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""

    async def main(folder: str) -> int:
        env = GuessNumber(
            BaseEnvConfig(group_size=1, use_wandb=False, tokenizer_name=folder),
            [APIServerConfig(model_name=MODEL, base_url=base_url, api_key="none")],
        )
        env.turns = turns
        left = iter(range(episodes))
        played = 0

        async def worker() -> None:
            nonlocal played
            for index in left:
                group, _ = await env.collect_trajectories(number_of(index))
                group = await env.postprocess_histories(group)
                played += sum(message["role"] == "assistant" for message in group["messages"][0])

        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return played

    with tempfile.TemporaryDirectory() as folder:
        bare = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        PreTrainedTokenizerFast(tokenizer_object=bare, unk_token="?").save_pretrained(folder)
        return asyncio.run(main(folder))


if __name__ == "__main__":
    measure("Atropos", "atroposlib", play)
