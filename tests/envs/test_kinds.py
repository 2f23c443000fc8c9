"""SingleTurnEnv and MultiTurnEnv: what the kinds add to the contract."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.error import ResetNeeded

import textgym
from textgym import MultiTurnEnv, Rubric, SingleTurnEnv, StopReason, XMLParser
from textgym.errors import ConfigError, DatasetError, EnvError, RewardError

ROWS = [{"prompt": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(1, 6)]


class Hints(MultiTurnEnv):
    """The tutor of the verifiers seed, in plain and in async hooks."""

    def env_response(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> Any:
        if messages[-1]["content"] == state["answer"]:
            return "Correct! Well done.", {"completed": True}
        attempt = state.get("attempts", 0) + 1
        return f"Hint {attempt}", {"attempts": attempt}

    def is_completed(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> bool:
        return state.get("completed", False) or state.get("attempts", 0) >= 3


class AsyncHints(Hints):
    """The same with coroutines that really wait."""

    async def env_response(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> Any:
        await asyncio.sleep(0.001)
        return super().env_response(messages, state)

    async def is_completed(self, messages: list[dict[str, Any]], state: dict[str, Any]) -> bool:
        await asyncio.sleep(0.001)
        return super().is_completed(messages, state)

    async def initial_state(self, example: Any) -> dict[str, Any]:
        await asyncio.sleep(0.001)
        return {"asked": example["prompt"]}


def play(env: Any, *actions: str) -> list[tuple[Any, ...]]:
    return [env.step(action) for action in actions]


def test_without_rubric_the_parsed_answer_is_compared() -> None:
    env = SingleTurnEnv(ROWS, parser=XMLParser(["think", "answer"]))
    env.reset(options={"index": 0})
    _, reward, terminated, truncated, info = env.step("<think>1+1</think><answer> 2 </answer>")
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info == {
        "messages": [],
        "example_id": env.example.id,
        "rewards": {"exact_match": 1.0},
        "answer": "2",
        "stop_reason": "completed",
    }
    env.reset(options={"index": 0})
    assert env.step("2")[4]["stop_reason"] == StopReason.FORMAT


def test_prompts_templates_and_worked_examples() -> None:
    env = SingleTurnEnv(
        [
            {"question": "2+2?", "answer": "4", "task": "sum"},
            {"prompt": [{"role": "user", "content": "as it is"}], "answer": "x"},
            {"prompt": "plain text", "answer": "y", "task": "sum"},
        ],
        system_prompt="Be brief.",
        few_shot_examples=[{"question": "1+1?", "answer": "2"}],
        task_templates={"sum": "Add {question} now, {not a field}"},
    )
    obs, info = env.reset(options={"index": 0})
    assert [m["role"] for m in info["messages"]] == ["system", "user", "assistant", "user"]
    assert obs == ("Be brief.\n\nUser: 1+1?\n\nAssistant: 2\n\nUser: Add 2+2? now, {not a field}")
    obs, info = env.reset(options={"index": 1})
    assert (obs, len(info["messages"])) == ("as it is", 1)
    assert env.reset(options={"index": 2})[1]["messages"][-1]["content"] == "plain text"


def test_a_finite_dataset_is_visited_without_replacement() -> None:
    env = SingleTurnEnv(ROWS)
    env.reset(seed=3)
    first = [env.example.id] + [env.reset()[1]["example_id"] for _ in range(4)]
    second = [env.reset()[1]["example_id"] for _ in range(5)]
    assert len(set(first)) == len(set(second)) == 5
    assert first != second
    env.reset(seed=3)
    assert [env.reset()[1]["example_id"] for _ in range(9)] == (first + second)[1:]


def test_reset_options() -> None:
    env = SingleTurnEnv(ROWS)
    assert env.reset(options={"example": {"prompt": "Mine?", "answer": "yes"}})[0] == "Mine?"
    for options, message in (
        ({"index": 5}, "0..4"),
        ({"index": "1"}, "whole number"),
        ({"idx": 1}, "'idx' is unknown"),
        ({"index": 1, "example": ROWS[0]}, "one of them"),
    ):
        with pytest.raises(ConfigError, match=message):
            env.reset(options=options)
    with pytest.raises(DatasetError):
        env.reset(options={"example": {"answer": "no question"}})
    with pytest.raises(ResetNeeded):  # a reset that failed leaves no episode behind
        env.step("x")


@pytest.mark.parametrize("kind", [Hints, AsyncHints])
def test_a_conversation(kind: type[Hints]) -> None:
    def episode(env: Hints) -> list[Any]:
        return [env.reset(seed=1, options={"index": 1}), *play(env, "5", "4")]

    async def aepisode(env: Hints) -> list[Any]:
        first = await textgym.areset(env, seed=1, options={"index": 1})
        return [first, await textgym.astep(env, "5"), await textgym.astep(env, "4")]

    env = kind(ROWS, max_turns=5)
    record = episode(env)
    assert [step[0] for step in record[1:]] == ["Hint 1", "Correct! Well done."]
    assert record[-1][1:4] == (1.0, True, False)
    assert [m["content"] for m in env.messages] == [
        "What is 2+2?", "5", "Hint 1", "4", "Correct! Well done."
    ]  # fmt: skip
    assert asyncio.run(aepisode(env)) == record
    wrapped = gym.wrappers.OrderEnforcing(gym.wrappers.PassiveEnvChecker(kind(ROWS, max_turns=5)))
    assert asyncio.run(aepisode(wrapped)) == record
    assert wrapped.step is not None
    with pytest.raises(ResetNeeded):
        env.step("4")


def test_async_hooks_work_inside_a_running_loop() -> None:
    async def main() -> Any:
        env = AsyncHints(ROWS)
        env.reset(options={"index": 1})
        return env.step("4")

    assert asyncio.run(main())[0] == "Correct! Well done."


def test_plain_hooks_start_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from textgym import hooks

    monkeypatch.setattr(hooks._background, "run", pytest.fail)
    before = threading.active_count()
    env = Hints(ROWS)
    env.reset(options={"index": 1})
    play(env, "5", "4")
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("arguments", "reason", "terminated"),
    [
        ({"max_turns": 2}, "max_turns", False),
        ({"max_turns": 2, "turns_are_rule": True}, "out_of_turns", True),
        ({"max_turns": 1}, "out_of_turns", True),
    ],
)
def test_running_out_of_turns(arguments: dict[str, Any], reason: str, terminated: bool) -> None:
    env = Hints(ROWS, **arguments)
    env.reset(options={"index": 1})
    last = play(env, *["wrong"] * arguments["max_turns"])[-1]
    assert last[1:4] == (0.0, terminated, not terminated)
    assert last[4]["stop_reason"] == reason


def test_truncate_scores_once_and_closes() -> None:
    env = Hints(ROWS)
    env.reset(options={"index": 1})
    env.step("4 maybe")
    obs, reward, terminated, truncated, info = env.truncate(StopReason.SECONDS)
    assert (obs, reward, terminated, truncated) == ("", 0.0, False, True)
    assert (info["stop_reason"], info["answer"]) == ("seconds", "4")
    with pytest.raises(ResetNeeded):
        env.truncate(StopReason.SECONDS)
    env.reset()
    for reason in ("completed", "error"):
        with pytest.raises(ConfigError, match="outside limit"):
            env.truncate(reason)
    with pytest.raises(ValueError, match="nonsense"):
        env.truncate("nonsense")
    assert env.step("x")[0] == "Hint 1"  # a refused reason costs nothing


def test_an_overlong_action_forfeits() -> None:
    class Paid(Hints):
        def turn_reward(self, messages: Any, state: Any) -> float:
            return 0.25

    env = Paid(ROWS, max_action=10)
    env.reset(options={"index": 1})
    assert env.step("wrong")[1] == 0.25
    _, reward, terminated, _, info = env.step("x" * 11)
    assert (reward, terminated, info["stop_reason"]) == (-0.25, True, "format")
    assert info["rewards"] == {"forfeit": -0.25}


def test_observations_are_cut_with_a_marker() -> None:
    env = SingleTurnEnv([{"prompt": "x" * 500, "answer": "y"}], max_observation=100)
    obs, info = env.reset()
    assert len(obs) == 100
    assert obs.endswith("[… cut: 500 characters, limit 100]")
    assert info["messages"][0]["content"] == obs


def test_completion_mode_carries_the_text() -> None:
    env = Hints(ROWS, message_type="completion")
    obs, info = env.reset(options={"index": 1})
    assert info["prompt"] == obs == "What is 2+2?"
    assert env.step("5")[4]["prompt"] == "Hint 1"
    with pytest.raises(ConfigError, match="'chat' or 'completion'"):
        Hints(ROWS, message_type="text")


def test_score_rollout_replaces_the_rubric() -> None:
    class Own(SingleTurnEnv):
        def score_rollout(self, completion: str, answer: str) -> dict[str, float]:
            return {"length": len(completion) / 10, "right": completion == answer}

    class Later(Own):
        async def score_rollout(self, completion: str, answer: str) -> dict[str, float]:
            await asyncio.sleep(0)
            return super().score_rollout(completion, answer)

    for kind in (Own, Later):
        env = kind(ROWS)
        env.reset(options={"index": 0})
        assert env.step("2")[4]["rewards"] == {"length": 0.1, "right": 1.0}


def test_a_raising_reward_ends_the_episode_without_a_score() -> None:
    def broken(completion: str) -> float:
        raise KeyError(completion)

    env = SingleTurnEnv(ROWS, Rubric([broken]))
    env.reset(seed=0)
    with pytest.raises(RewardError, match="'broken' raised KeyError"):
        env.step("2")
    with pytest.raises(ResetNeeded):
        env.step("2")


@pytest.mark.parametrize("response", [None, 3, ("a", "b", "c"), [{"content": "no role"}], ("a", 3)])
def test_responses_of_the_wrong_kind_are_named(response: Any) -> None:
    class Odd(Hints):
        def env_response(self, messages: Any, state: Any) -> Any:
            return response

    env = Odd(ROWS)
    env.reset(seed=0)
    with pytest.raises(EnvError, match="Odd.env_response returned"):
        env.step("x")


def test_attributes_and_bad_arguments() -> None:
    assert SingleTurnEnv(ROWS, custom_param="value").custom_param == "value"
    with pytest.raises(ConfigError, match="would hide"):
        SingleTurnEnv(ROWS, oracle=lambda: "x")
    with pytest.raises(ConfigError, match="max_turns is 0"):
        Hints(ROWS, max_turns=0)
    with pytest.raises(ConfigError, match="render_mode is 'rgb'"):
        Hints(ROWS, render_mode="rgb")
    with pytest.raises(DatasetError, match="2 of 3 rows"):
        SingleTurnEnv([{"answer": "1"}, {"prompt": "ok"}, 7])
    with pytest.raises(TypeError, match="action is int 7"):
        env = SingleTurnEnv(ROWS)
        env.reset()
        env.step(7)


def test_copies_go_their_own_way_and_share_the_dataset() -> None:
    env = Hints(ROWS)
    env.reset(seed=1, options={"index": 1})
    env.step("5")
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert twin.step("6")[0] == "Hint 2"
        assert twin.step("4")[0] == "Correct! Well done."
    assert copy.deepcopy(env).dataset is env.dataset
    assert env.step("6")[0] == "Hint 2"
    assert env.state["attempts"] == 2


def test_rendering(capsys: pytest.CaptureFixture[str]) -> None:
    env = Hints(ROWS, render_mode="human")
    env.reset(options={"index": 1})
    assert capsys.readouterr().out == "[user]\nWhat is 2+2?\n\n"
    env.step("5")
    assert capsys.readouterr().out == "[assistant]\n5\n\n[user]\nHint 1\n\n"
    assert env.render() is None
    assert capsys.readouterr().out == ""
