"""The loop that a careful engineer writes by hand: aiohttp, no framework, no record.

Settings: one session, a connection for each episode under way, ``response.json()``.
"""

from __future__ import annotations

import asyncio

import aiohttp
from conversation import MAX_TOKENS, MODEL, hint, measure, number_of, rules, won


async def episode(session: aiohttp.ClientSession, url: str, number: int, turns: int) -> int:
    messages = [{"role": "user", "content": rules(turns)}]
    for turn in range(1, turns + 1):
        body = {"model": MODEL, "messages": messages, "max_tokens": MAX_TOKENS}
        async with session.post(url, json=body) as reply:
            data = await reply.json()
        answer = data["choices"][0]["message"]["content"]
        messages.append({"role": "assistant", "content": answer})
        if won(answer, number) or turn == turns:
            return turn
        messages.append({"role": "user", "content": hint(answer, number, turns - turn)})
    return turns


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""

    async def main() -> int:
        left = iter(range(episodes))

        async def worker(session: aiohttp.ClientSession) -> int:
            url = f"{base_url}/chat/completions"
            return sum([await episode(session, url, number_of(index), turns) for index in left])

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:
            return sum(await asyncio.gather(*(worker(session) for _ in range(concurrency))))

    return asyncio.run(main())


if __name__ == "__main__":
    measure("raw aiohttp", "aiohttp", play)
