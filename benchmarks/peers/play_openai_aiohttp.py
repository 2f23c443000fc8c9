"""The ``openai`` client as its documentation advises for many requests at once: on aiohttp.

Settings: ``DefaultAioHttpClient``; defaults otherwise.
"""

from __future__ import annotations

import asyncio

from conversation import measure
from openai import AsyncOpenAI, DefaultAioHttpClient
from play_openai import play_all


def play(base_url: str, episodes: int, turns: int, concurrency: int) -> int:
    """All episodes."""

    async def main() -> int:
        client = AsyncOpenAI(base_url=base_url, api_key="none", http_client=DefaultAioHttpClient())
        return await play_all(client, episodes, turns, concurrency)

    return asyncio.run(main())


if __name__ == "__main__":
    measure("openai client on aiohttp", "openai", play)
