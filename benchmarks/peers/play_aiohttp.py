"""The loop that a careful engineer writes by hand: aiohttp, no framework, no record.

Settings: one session, a connection for each episode under way, ``response.json()``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won

TOKENS = {"return_token_ids": True, "logprobs": True, "top_logprobs": 0}


class Loop:
    """The loop and how it sends and reads.

    Args:
        base_url: The server.
        tokens: Whether it asks for ids and log-probabilities.
        loads: How replies are decoded.
    """

    def __init__(self, base_url: str, tokens: bool = False, loads: Callable[[str], Any] = json.loads) -> None:
        self.url = f"{base_url}/chat/completions"
        self.more = TOKENS if tokens else {}
        self.loads = loads

    async def episode(self, session: aiohttp.ClientSession, number: int, turns: int) -> int:
        """Play one, and tell its turns."""
        messages = [{"role": "user", "content": rules(turns)}]
        for turn in range(1, turns + 1):
            body = {"model": MODEL, "messages": messages, "max_tokens": MAX_TOKENS, **self.more}
            async with session.post(self.url, json=body) as reply:
                data = await reply.json(loads=self.loads)
            answer = data["choices"][0]["message"]["content"]
            messages.append({"role": "assistant", "content": answer})
            if won(answer, number) or turn == turns:
                return turn
            messages.append({"role": "user", "content": hint(answer, number, turns - turn)})
        return turns

    async def play(self, episodes: int, turns: int, concurrency: int) -> int:
        """Play all, and tell their turns."""
        left = iter(range(episodes))

        async def worker(session: aiohttp.ClientSession) -> int:
            return sum([await self.episode(session, number_of(index), turns) for index in left])

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
            return sum(await asyncio.gather(*(worker(session) for _ in range(concurrency))))


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""
    return asyncio.run(Loop(base_url).play(episodes, turns, concurrency))


if __name__ == "__main__":
    measure("raw aiohttp", "aiohttp", play)
