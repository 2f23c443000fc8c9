"""Mutants of seeds and of the space of instances. Each class breaks the promise that its name tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mutants.sound import ROWS, Asked, Sound
from textgym.envs import Setting


class _Begins(Sound):
    given: int | None = None

    def bend_setting(self, setting: Setting) -> Setting:
        return setting

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.given = seed if seed is not None else self.given
        return super().reset(seed=seed, options=options)

    async def areset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.given = seed if seed is not None else self.given
        return await super().areset(seed=seed, options=options)

    def begin(self, setting: Setting) -> Any:
        return super().begin(self.bend_setting(setting))


class DrawsTwice(Sound):
    def bend_reset(self, result: Any) -> Any:
        self.np_random.random()
        return result


class DrawsInSteps(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        self.np_random.random()
        return result


class RepeatsTheFirst(_Begins):
    def bend_setting(self, setting: Setting) -> Setting:
        return replace(setting, seed=setting.order_seed)


class DefaultSeed(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is None and self._np_random is None:
            seed = 0
        return super().reset(seed=seed, options=options)


class FollowsTheActions(_Begins):
    played = 0

    def bend_setting(self, setting: Setting) -> Setting:
        self.played = self.played if setting.position else 0
        return replace(setting, seed=setting.seed + self.played)

    def bend_step(self, action: str, result: Any) -> Any:
        self.played += 1
        return result


class SmallSeedsOnly(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None and seed >= 1 << 63:
            raise OverflowError("seed is too large")
        return super().reset(seed=seed, options=options)


class OneInstance(_Begins):
    def bend_setting(self, setting: Setting) -> Setting:
        return replace(setting, seed=0)


class AddsToTheSeed(_Begins):
    def bend_setting(self, setting: Setting) -> Setting:
        if self.given is None:
            return setting
        return replace(setting, seed=self.given + setting.position)


class NoSplit(Sound):
    def __init__(self, split: str | None = "train", **kwargs: Any) -> None:
        super().__init__(split=None, alphabet="01", length=6, turns=1, **kwargs)


class SplitsById(Sound):  # the same instances under other names
    def __init__(self, split: str | None = "train", **kwargs: Any) -> None:
        super().__init__(split="train", **kwargs)
        self.prefix = split

    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "example_id": f"{self.prefix}-{result[1]['example_id']}"}


class WithReplacement(Asked):
    def begin(self, setting: Setting) -> Any:
        return super().begin(replace(setting, order_seed=setting.seed, position=0))


class SameOrderEveryEpoch(Asked):
    def begin(self, setting: Setting) -> Any:
        return super().begin(replace(setting, position=setting.position % len(ROWS)))


class GroupsRepeatRows(Asked):
    def example_index(self, run_seed: int, group: int) -> int | None:
        return (run_seed + group) % 2
