"""Groups for a trainer: advantages from each group of samples the moment it is complete."""

import asyncio
import random
import statistics

import textgym


async def unsteady(observation: str) -> str:
    """Repeats the word, mostly, after a random while."""
    await asyncio.sleep(random.random() / 50)
    word = observation.removeprefix("Say: ")
    return word if random.random() < 0.7 else word[::-1]


async def main() -> None:
    async for group in textgym.arollout("textgym/Echo-v0", unsteady, num_examples=6, group_size=4):
        rewards = [reward for reward in group.rewards if reward is not None]
        mean = statistics.mean(rewards)
        advantages = [f"{reward - mean:+.2f}" for reward in rewards]
        print(f"group {group.id} ({group.example_id}): advantages {' '.join(advantages)}")


if __name__ == "__main__":
    asyncio.run(main())
