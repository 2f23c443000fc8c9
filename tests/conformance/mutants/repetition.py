"""Mutants of determinism. Each class breaks the promise that its name tells."""

from __future__ import annotations

import os
import random
import threading
import time
from asyncio import get_running_loop
from typing import Any, ClassVar

import numpy as np

from mutants.sound import Sound, with_metric


class DrawsFromRandom(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        random.random()
        return result


class SeedsNumpy(Sound):
    def bend_reset(self, result: Any) -> Any:
        np.random.seed(0)
        return result


class Nondeterministic(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(os.urandom(1)[0] + time.perf_counter()))


class ReadsNumpyState(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(np.random.get_state()[1][1]))  # type: ignore[index]


class CountsEpisodes(Sound):
    count = 0

    def bend_reset(self, result: Any) -> Any:
        self.count += 1
        return result

    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(self.count))


class SharesClassState(Sound):
    newest: ClassVar[Any] = None

    def bend_reset(self, result: Any) -> Any:
        SharesClassState.newest = self
        return result

    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(SharesClassState.newest is self))


class DependsOnThread(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(threading.current_thread() is threading.main_thread()))


class AstepDiffers(Sound):
    async def astep(self, action: str) -> Any:
        return with_metric(await super().astep(action), 1.0)


class AtruncateDiffers(Sound):
    async def atruncate(self, reason: Any) -> Any:
        result = await super().atruncate(reason)
        return (result[0], 0.5, *result[2:])


class RefusesLoops(Sound):
    def step(self, action: str) -> Any:
        try:
            get_running_loop()
        except RuntimeError:
            return super().step(action)
        raise RuntimeError("not within a loop")


class UsesHash(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return with_metric(result, float(hash("text")))
