"""The same loop by hand with the ``openai`` client in place of aiohttp.

Settings: one ``AsyncOpenAI`` with its defaults (httpx transport, 100 connections kept alive, 2 retries).
"""

from __future__ import annotations

import asyncio
from typing import Any

from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won
from openai import AsyncOpenAI


async def episode(client: AsyncOpenAI, number: int, turns: int) -> int:
    messages: list[Any] = [{"role": "user", "content": rules(turns)}]
    for turn in range(1, turns + 1):
        reply = await client.chat.completions.create(model=MODEL, messages=messages, max_tokens=MAX_TOKENS)
        answer = reply.choices[0].message.content or ""
        messages.append({"role": "assistant", "content": answer})
        if won(answer, number) or turn == turns:
            return turn
        messages.append({"role": "user", "content": hint(answer, number, turns - turn)})
    return turns


async def play_all(client: AsyncOpenAI, episodes: int, turns: int, concurrency: int) -> int:
    """Play all through a client, and tell their turns."""
    left = iter(range(episodes))

    async def worker() -> int:
        return sum([await episode(client, number_of(index), turns) for index in left])

    async with client:
        return sum(await asyncio.gather(*(worker() for _ in range(concurrency))))


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""

    async def main() -> int:
        client = AsyncOpenAI(base_url=base_url, api_key="none")
        return await play_all(client, episodes, turns, concurrency)

    return asyncio.run(main())


if __name__ == "__main__":
    measure("openai client", "openai", play)
