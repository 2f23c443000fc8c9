"""Mutants of spaces, metadata and ordinary play. Each class breaks the promise that its name tells."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym

from mutants.sound import Sound, right
from textgym.spaces import Unicode


class NarrowText(gym.spaces.Text):
    def __init__(self) -> None:
        super().__init__(100, min_length=0, charset="Say: 0123456789")


class TextObservations(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observation_space = NarrowText()  # type: ignore[assignment]


class TextActions(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.action_space = NarrowText()  # type: ignore[assignment]


class Wordy(Unicode):
    def __repr__(self) -> str:
        return "Unicode" + "!" * 1000


class WordySpace(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.observation_space = Wordy(1000)


class NoForkableKey(Sound):
    metadata: ClassVar[dict[str, Any]] = {k: v for k, v in Sound.metadata.items() if k != "forkable"}


class UnknownWaiver(Sound):
    metadata: ClassVar[dict[str, Any]] = {**Sound.metadata, "waived_rules": ["no-such-rule"]}


class SaysNondeterministic(Sound):
    metadata: ClassVar[dict[str, Any]] = {**Sound.metadata, "deterministic": False}


class SilentOnRewards(Sound):
    __doc__ = "Plays a game."


class EndlessBounds(Sound):
    reward_bounds = (0.0, float("inf"))
    success_threshold = 1.0

    def max_return(self) -> float:
        return 1.0


class RaisesOnPlausible(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        if messages[-1]["content"] == "0":
            raise KeyError("0")
        return super().turn_reward(messages, state)


class FourTuple(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (result[0], result[1], result[2], result[4])


class HasSeedMethod(Sound):
    def seed(self, seed: int) -> None:
        self.seeded = seed


class IntTruncated(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (*result[:3], int(result[3]), result[4]) if right(result) else result
