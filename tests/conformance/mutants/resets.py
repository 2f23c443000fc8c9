"""Mutants of ``reset``, its options and the prompt. Each class breaks the promise that its name tells."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mutants.sound import ROWS, Asked, Sound


class NumpyPrompt(Sound):
    def bend_reset(self, result: Any) -> Any:
        return np.str_(result[0]), result[1]


class TupleOfMessages(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "messages": tuple(result[1]["messages"])}


class OneId(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "example_id": "it"}


class RandomId(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "example_id": os.urandom(8).hex()}


class SharedMessages(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "messages": list(self.messages)}


class GrowingMessages(Sound):  # the list of the first info is the conversation itself
    def bend_reset(self, result: Any) -> Any:
        self.told = result[1]["messages"]
        return result

    def bend_step(self, action: str, result: Any) -> Any:
        self.told.append({"role": "assistant", "content": action})
        return result


class NeedsASeed(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is None and self._np_random is None:
            raise RuntimeError("seed me")
        return super().reset(seed=seed, options=options)


class EmptyOptionsDiffer(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if options is not None and seed is not None and not options:
            seed += 1
        return super().reset(seed=seed, options=options)


class TakesAnyOption(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        known = {name: value for name, value in (options or {}).items() if name in self.reset_options}
        return super().reset(seed=seed, options=known)


class IgnoresIndex(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed, options={k: v for k, v in (options or {}).items() if k != "index"})


class AnyIndex(Asked):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if options and "index" in options:
            options = {"index": options["index"] % len(ROWS)}
        return super().reset(seed=seed, options=options)


class IgnoresExample(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed, options={k: v for k, v in (options or {}).items() if k != "example"})


class HidesSystemPrompt(Asked):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        _, info = super().reset(seed=seed, options=options)
        return info["messages"][-1]["content"], info

    async def areset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        _, info = await super().areset(seed=seed, options=options)
        return info["messages"][-1]["content"], info


class NoPromptInSteps(Asked):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode, message_type="completion")

    def step(self, action: str) -> Any:
        result = super().step(action)
        del result[4]["prompt"]
        return result

    async def astep(self, action: str) -> Any:
        result = await super().astep(action)
        del result[4]["prompt"]
        return result


class ToolNames(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "tools": ["search"]}


class CutWithoutMarker(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(length=200, **kwargs)

    def bend_reset(self, result: Any) -> Any:
        whole = f"Say: {self.state['words'][0]}"
        return whole[: self.observation_space.max_length], result[1]


class NeverCuts(Sound):
    def bend_reset(self, result: Any) -> Any:
        return f"Say: {self.state['words'][0]}", result[1]
