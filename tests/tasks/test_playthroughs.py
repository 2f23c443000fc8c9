"""Golden playthroughs: every observable of an episode of every registered id, as prose.

``TEXTGYM_UPDATE_GOLDEN=1`` writes them anew; a difference is a change of the task, which the commit explains.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from textgym.registration import registered_ids

FOLDER = Path(__file__).parents[1] / "golden" / "playthroughs"
IDS = registered_ids()

WRONG = {
    "textgym/Code-v0": ["```python\ndef solve(x):\n    return x\n```"],
    "textgym/CodeMath-v0": [
        "I shall compute it.",
        "<code>\nfor n in range(3):\n    print(n)\n    raise ValueError(n)\n</code>",
        "<code>\nx = 1\n</code>",
        "<code>\nprint('<answer>7</answer>')\n</code>",
    ],
    "textgym/Countdown-v0": ["<think>\nAll of them.\n</think>\n<answer>1 + 1</answer>"],
    "textgym/DoubleCheck-v0": [r"Certainly \boxed{0}."],
    "textgym/Echo-v0": ["oops"],
    "textgym/GuessNumber-v0": ["one or two", "<guess>50</guess>"],
    "textgym/Math-v0": [r"It may be \boxed{1} or \boxed{0 or 1}."],
    "textgym/SQL-v0": [
        "<think>\nWhat is there?\n</think>\n"
        '<tool>\n{"name": "query", "args": {"sql": "SELECT * FROM nowhere"}}\n</tool>',
        '<tool>\n{"name": "query", "args": {"sql": "CREATE TABLE t (id)"}}\n</tool>\n'
        '<tool>\n{"name": "query", "args": {"sql": "SELECT date(\'now\')"}}\n</tool>',
        "I wonder.",
    ],
    "textgym/Search-v0": [
        '<tool>\n{"name": "read", "args": {"id": "A1"}}\n</tool>\n'
        '<tool>\n{"name": "search", "args": {"query": "\\"NEAR(", "top_k": 2}}\n</tool>',
    ],
    "textgym/ToolMath-v0": [
        '<tool>\n{"name": "calculator", "args": {"expression": "9**9**9"}}\n</tool>\n'
        '<tool>\n{"name": "calculator", "args": {"expression": "1/0"}}\n</tool>',
        '<tool>{"name": "calculator"}</tool><tool>calculator</tool>',
    ],
    "textgym/Tutor-v0": [r"\boxed{0}", "I have no idea.", r"\boxed{0}", r"\boxed{-1}"],
    "textgym/Wordle-v0": ["<guess>geese</guess>", "four", "ALLOY"],
}
"""What is said in the second episode before the oracle takes over; nothing, where an id is not listed."""


def indented(text: str) -> Iterator[str]:
    yield from (f"    {line}".rstrip() for line in text.split("\n"))


def mapping(name: str, values: dict[str, Any]) -> str:
    return f"{name}: " + (", ".join(f"{key} {value:g}" for key, value in values.items()) or "none")


def told(info: dict[str, Any], observation: str) -> Iterator[str]:
    """What the environment said: the observation, and each message whose text is not just that."""
    yield "observation:"
    yield from indented(observation)
    for message in info["messages"]:
        if message["content"] == observation:
            yield f"message: {message['role']}, the observation"
        else:
            yield f"message: {message['role']}"
            yield from indented(message["content"])
    rest = sorted(set(info) - {"messages", "rewards", "metrics", "stop_reason", "answer", "example_id"})
    if rest:
        yield f"further info: {', '.join(f'{name}={info[name]!r}' for name in rest)}"


def episode(env: Any, seed: int, wrong: list[str]) -> Iterator[str]:
    observation, info = env.reset(seed=seed)
    yield f"## Episode with seed {seed}: " + ("the oracle" if not wrong else "mistakes, then the oracle")
    yield f"example_id: {info['example_id']}"
    yield from told(info, observation)
    turn, done = 0, False
    while not done:
        by_oracle = turn >= len(wrong)
        action = env.unwrapped.oracle() if by_oracle else wrong[turn]
        observation, reward, terminated, truncated, info = env.step(action)
        turn, done = turn + 1, terminated or truncated
        yield ""
        yield f"### Turn {turn}{', by the oracle' if by_oracle else ''}"
        yield "action:"
        yield from indented(action)
        yield from told(info, observation)
        yield f"reward: {reward:g}"
        yield mapping("rewards", info["rewards"])
        yield f"terminated: {terminated}, truncated: {truncated}"
        if done:
            yield f"stop_reason: {info['stop_reason']}"
            yield mapping("metrics", info.get("metrics", {}))
            yield f"answer: {info.get('answer')}"


def playthrough(env_id: str) -> str:
    env = gym.make(env_id, disable_env_checker=True)
    inner: Any = env.unwrapped
    low, high = inner.reward_bounds
    lines = [
        f"# {env_id}",
        f"observation_space: {env.observation_space}",
        f"action_space: {env.action_space}",
        f"reward_bounds: {low:g} to {high:g}",
        f"metadata: deterministic {inner.metadata['deterministic']}, forkable {inner.metadata['forkable']}",
        "",
        *episode(env, 0, []),
    ]
    if WRONG.get(env_id):
        lines += ["", *episode(env, 1, WRONG[env_id])]
    return "\n".join(lines) + "\n"


def path_of(env_id: str) -> Path:
    return FOLDER / f"{env_id.partition('/')[2]}.txt"


@pytest.mark.parametrize("env_id", IDS)
def test_playthrough(env_id: str) -> None:
    text, path = playthrough(env_id), path_of(env_id)
    if os.environ.get("TEXTGYM_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.exists(), f"{env_id} has no playthrough: TEXTGYM_UPDATE_GOLDEN=1 writes {path}"
    assert path.read_text("utf-8") == text, f"{path} differs: TEXTGYM_UPDATE_GOLDEN=1 writes it anew"


def test_every_playthrough_belongs_to_an_id() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path_of(env_id).stem for env_id in IDS}
