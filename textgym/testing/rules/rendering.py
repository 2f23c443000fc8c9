"""Rules of ``render``: the conversation as text, printed, or not at all.

Invariant: what is printed by ``human`` is caught here and does not reach the terminal.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import Any

import gymnasium as gym

from textgym.testing.rules.play import Play, Turn
from textgym.testing.rules.rule import Broken, rule, short
from textgym.testing.rules.subject import Subject

__all__: list[str] = []


@rule("render-ansi", "3.11", needs=("playable",))
def render_ansi(subject: Subject) -> None:
    """``render_mode="ansi"``: ``render`` returns the conversation so far."""
    subject.needs_parameter("render_mode")
    for one in _samples(subject):
        env = subject.make(render_mode="ansi")
        for where, contents in _replayed(env, one):
            text = env.render()
            if not isinstance(text, str):
                raise Broken(f"render() after {where} returned {short(text)}; expected a str")
            _contains(text, contents, f"render() after {where}")


@rule("render-human", "3.11", needs=("playable",))
def render_human(subject: Subject) -> None:
    """``render_mode="human"`` prints the conversation, and ``render`` returns None."""
    subject.needs_parameter("render_mode")
    for one in _samples(subject):
        env = subject.make(render_mode="human")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for where, contents in _replayed(env, one):
                result = env.render()
                if result is not None:
                    raise Broken(f"render() after {where} returned {short(result)}; expected None")
                _contains(printed.getvalue(), contents, f"what was printed after {where}")
        count = printed.getvalue().count(str(one.observation))
        if count > 1 and len(one.observation) > 20:
            raise Broken(f"the prompt was printed {count} times; expected what is new, once")


@rule("render-none", "3.11", needs=("playable",))
def render_none(subject: Subject) -> None:
    """Without a render mode ``render`` warns and returns None."""
    env = subject.make()
    if env.render_mode is not None:
        env = subject.make(render_mode=None)
    env.reset(seed=0)
    level, gym.logger.min_level = gym.logger.min_level, gym.logger.WARN
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = env.render()
    finally:
        gym.logger.min_level = level
    if result is not None or not caught:
        raise Broken(
            f"render() without a render mode returned {short(result)} with {len(caught)} warnings; "
            "expected None and a warning"
        )


def _samples(subject: Subject) -> list[Play]:
    longest = max(subject.references, key=lambda one: len(one.turns))
    return [longest]


def _replayed(env: Any, one: Play) -> Any:
    """Play an episode and tell after each call what has been said so far."""
    record = Play(one.seed)
    record.observation, info = env.reset(seed=one.seed)
    contents = _contents(info)
    yield record.at(0), contents
    for action in one.actions:
        result = env.step(action)
        record.turns.append(Turn(action, *result))
        said = result[4].get(
            "assistant_message", {"content": action}
        )  # without the calls, in the native protocol
        contents += [said["content"]] if isinstance(action, str) else []
        contents += _contents(result[4])
        yield record.at(len(record.turns)), contents


def _contents(info: dict[str, Any]) -> list[str]:
    found = (message.get("content") for message in info.get("messages") or ())
    return [content for content in found if isinstance(content, str)]


def _contains(text: str, contents: list[str], what: str) -> None:
    position = 0
    for content in contents:
        found = text.find(content, position)
        if found < 0:
            raise Broken(f"{what} does not show {short(content)} in its place: {short(text)}")
        position = found + len(content)
