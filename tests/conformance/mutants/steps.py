"""Mutants of what ``step`` returns. Each class breaks the promise that its name tells."""

from __future__ import annotations

from typing import Any

import numpy as np

from mutants.sound import Sound


class NumpyText(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (np.str_(result[0]), *result[1:])


class HugeObservation(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return ("x" * 70_000, *result[1:]) if result[2] else result


class NumpyReward(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (result[0], np.float64(result[1]), *result[2:])


class NumpyFlag(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (*result[:2], np.bool_(result[2]), *result[3:])


class RewardsDoNotSum(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["rewards"] = {name: 2 * value for name, value in result[4]["rewards"].items()}
        return result


class IntRewards(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        if not result[1]:
            result[4]["rewards"] = {"echo": 0}
        return result


class NoMessagesInSteps(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        del result[4]["messages"]
        return result


class SecretMessage(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        self.messages.append({"role": "user", "content": "psst"})
        return result


class RewritesAnswers(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        for message in self.messages:
            if message["role"] == "assistant":
                message["content"] = message["content"].split("<|im_end|>")[0]
        return result


class KeepsNumpyText(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        answers = [message for message in self.messages if message["role"] == "assistant"]
        answers[-1]["content"] = action
        return result


class HidesNewText(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return ("(see the messages)", *result[1:])


class LeaksAnswer(Sound):
    def bend_reset(self, result: Any) -> Any:
        return result[0], {**result[1], "state": {"answer": "1"}}


class LeaksAnswerByAnotherName(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["row"] = self.example.answer  # type: ignore[union-attr]
        return result


class IntMetric(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["metrics"] = {"count": 1}
        return result


class ArrayInfo(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["tokens"] = np.zeros(3)
        return result


class TypeChanges(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        result[4]["note"] = "over" if result[2] else None
        return result
