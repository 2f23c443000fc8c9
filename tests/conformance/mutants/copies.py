"""Mutants of vectors, copies and rendering. Each class breaks the promise that its name tells."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import SyncVectorEnv

from mutants.seeds import _Begins
from mutants.sound import Sound
from textgym.envs import Setting
from textgym.envs.transcript import transcript


class ReservedKey(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["final_obs"] = "mine"
        return result


class SharesSequence(_Begins):
    counter: ClassVar[int] = 0

    def bend_setting(self, setting: Setting) -> Setting:
        SharesSequence.counter = SharesSequence.counter + 1 if setting.position else 0
        return replace(setting, seed=setting.order_seed + SharesSequence.counter)


def bad_vector(num_envs: int, **kwargs: Any) -> Any:
    """A vector environment whose members get other seeds."""

    class Shifted(SyncVectorEnv):
        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            return super().reset(seed=[s + 1 for s in seed], options=options)

    return Shifted([lambda: Sound(**kwargs)] * num_envs)


class CopyForgets(Sound):
    def __deepcopy__(self, memo: Any) -> Any:
        return type(self)(turns=self.max_turns)


class CannotPickle(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = lambda: None


class HoldsALock(Sound):
    metadata: ClassVar[dict[str, Any]] = {**Sound.metadata, "forkable": False}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lock = threading.Lock()


class _Copies(Sound):
    def bend_copy(self, twin: Any) -> None:
        pass

    def __deepcopy__(self, memo: Any) -> Any:
        twin = type(self).__new__(type(self))
        for name, value in vars(self).items():
            setattr(twin, name, copy.deepcopy(value, memo))
        self.bend_copy(twin)
        return twin


class CopyReseeds(_Copies):
    def bend_copy(self, twin: Any) -> None:
        twin._np_random = np.random.default_rng()


class CopySharesState(_Copies):  # original and copy write into one dict; the first one wins
    def bend_reset(self, result: Any) -> Any:
        self.said: dict[int, str] = {}
        return result

    def bend_step(self, action: str, result: Any) -> Any:
        first = self.said.setdefault(self.turns, action)
        result[4]["metrics"] = {"first": float(first == action)}
        return result

    def bend_copy(self, twin: Any) -> None:
        if hasattr(self, "said"):
            twin.said = self.said


class CopiesDataset(_Copies):
    def bend_copy(self, twin: Any) -> None:
        twin.dataset = object.__new__(type(self.dataset))
        vars(twin.dataset).update(vars(self.dataset))


class RendersAllButTheLast(Sound):
    def render(self) -> Any:
        if self.render_mode != "ansi":
            return super().render()
        return transcript(self.messages[:-1] if len(self.messages) > 1 else self.messages)


class PrintsNothing(Sound):
    def _show(self) -> None:
        pass


class RendersAlways(Sound):
    def render(self) -> Any:
        return super().render() if self.render_mode else ""


class NoResetNeeded(Sound):  # raises another error than Gymnasium asks for
    def step(self, action: str) -> Any:
        try:
            return super().step(action)
        except ResetNeeded as error:
            raise RuntimeError("reset first") from error
