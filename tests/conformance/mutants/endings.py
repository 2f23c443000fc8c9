"""Mutants of the end and of ``truncate``. Each class breaks the promise that its name tells."""

from __future__ import annotations

from typing import Any

from mutants.sound import Sound, right
from textgym import StopReason
from textgym.hooks import drive, settle


class NoStopReason(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        if result[4].get("stop_reason") == "completed":
            del result[4]["stop_reason"]
        return result


class EarlyStopReason(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4].setdefault("stop_reason", "completed")
        return result


class BothFlags(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        if result[4].get("stop_reason") == "completed":
            return (*result[:3], True, result[4])
        return result


class TruncatesWhenCompleted(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        if result[4].get("stop_reason") == "completed":
            return (*result[:2], False, True, result[4])
        return result


class TruncatesFirstStep(Sound):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(turns=1, **kwargs)

    def bend_step(self, action: str, result: Any) -> Any:
        if not right(result):
            return result
        return (*result[:2], False, True, {**result[4], "stop_reason": "max_turns"})


class JudgesTwice(Sound):
    def truncate(self, reason: Any) -> Any:
        result = super().truncate(reason)
        drive(settle(self.finish(StopReason(reason))))
        return result


class StepsBeforeReset(Sound):
    def step(self, action: str) -> Any:
        if self._episode is None and self._ended is None:
            return "", 0.0, True, False, {}
        return super().step(action)


class StepsAfterEnd(Sound):
    over: Any = None

    def bend_reset(self, result: Any) -> Any:
        self.over = None
        return result

    def step(self, action: str) -> Any:
        if self.over is None:
            result = super().step(action)
            self.over = result if result[2] else None
            return result
        return self.over


class SurvivesErrors(Sound):
    def step(self, action: str) -> Any:
        episode = self._episode
        try:
            return super().step(action)
        except ZeroDivisionError:
            self._episode = episode
            raise


class SwallowsErrors(Sound):
    def step(self, action: str) -> Any:
        try:
            return super().step(action)
        except ZeroDivisionError:
            return "", 0.0, True, False, {}


class _Truncates(Sound):
    def bend_truncate(self, turns: int, result: Any) -> Any:
        return result

    def truncate(self, reason: Any) -> Any:
        turns = self.turns
        return self.bend_truncate(turns, super().truncate(reason))

    async def atruncate(self, reason: Any) -> Any:
        turns = self.turns
        return self.bend_truncate(turns, await super().atruncate(reason))


class TruncateTerminates(_Truncates):
    def bend_truncate(self, turns: int, result: Any) -> Any:
        return result if turns else (*result[:2], True, False, result[4])


class TruncateUnscoredMidway(_Truncates):
    def bend_truncate(self, turns: int, result: Any) -> Any:
        return (result[0], None, *result[2:]) if turns else result


class TruncateForgetsReason(_Truncates):
    def bend_truncate(self, turns: int, result: Any) -> Any:
        return (*result[:4], {**result[4], "stop_reason": "max_turns"})


class TruncatesForAnyReason(Sound):
    def truncate(self, reason: Any) -> Any:
        try:
            return super().truncate(reason)
        except ValueError:
            return super().truncate("max_turns")


class TruncatesBeforeReset(Sound):
    def truncate(self, reason: Any) -> Any:
        if self._episode is None and self._ended is None:
            return "", 0.0, False, True, {}
        return super().truncate(reason)
