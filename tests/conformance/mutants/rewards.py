"""Mutants of hostile texts and rewards. Each class breaks the promise that its name tells."""

from __future__ import annotations

import re
import time
from typing import Any

from mutants.sound import Sound


class EncodesText(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        messages[-1]["content"].encode("utf-8")
        return super().turn_reward(messages, state)


class ParsesInts(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        text = messages[-1]["content"]
        state["number"] = int(text) if text.isdigit() else 0
        return super().turn_reward(messages, state)


class SlowOnLongText(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        time.sleep(0.3 if len(messages[-1]["content"]) > 60_000 else 0)
        return super().turn_reward(messages, state)


class HangsOnLongText(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        re.match(r"(a+)+b", messages[-1]["content"])
        return super().turn_reward(messages, state)


class EchoesTheAction(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        return (f"You said {action}. {result[0]}", *result[1:])


class CutsLongActions(Sound):
    def step(self, action: str) -> Any:
        return super().step(action[:1000])

    async def astep(self, action: str) -> Any:
        return await super().astep(action[:1000])


class TruncatesLongActions(Sound):
    def bend_step(self, action: str, result: Any) -> Any:
        if result[4].get("stop_reason") == "format":
            return (*result[:2], False, True, {**result[4], "stop_reason": "max_turns"})
        return result


class PaysForEffort(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        earned = super().turn_reward(messages, state)
        effort = 0.1 if messages[-1]["content"].strip() and not earned["echo"] else 0.0
        return {**earned, "effort": effort}


class Fines(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        fine = -1.0 if messages[-1]["content"] == "0" else 0.0
        return {**super().turn_reward(messages, state), "fine": fine}


class PaysForSilence(Sound):
    def turn_reward(self, messages: Any, state: Any) -> Any:
        bonus = 0.1 if not messages[-1]["content"] else 0.0
        return {**super().turn_reward(messages, state), "bonus": bonus}


class OracleRaises(Sound):
    def oracle(self) -> str:
        return {0: super().oracle()}[self.turns]


class OracleGivesUp(Sound):
    def oracle(self) -> Any:
        return None if self.turns else super().oracle()


class OracleErrs(Sound):
    def oracle(self) -> str:
        return super().oracle()[:-1]

    def success(self, trajectory: Any) -> bool:
        return bool(trajectory.reward > 0.5)


class MaxReturnTooHigh(Sound):
    def max_return(self) -> float:
        return 2.0


class AlwaysSuccess(Sound):
    def success(self, trajectory: Any) -> bool:
        return True
