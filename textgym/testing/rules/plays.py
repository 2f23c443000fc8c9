"""Rules of ordinary play: that it works at all, and that Gymnasium's own checkers say nothing.

Invariant: ``playable`` is the rule that nearly all others need, so that an environment which breaks at once
is reported once.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

from textgym.testing.rules.play import play, scripts_for
from textgym.testing.rules.rule import Broken, rule
from textgym.testing.rules.subject import Subject

__all__: list[str] = []

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@rule("playable", "3.2, 3.3", needs=("gymnasium-env",))
def playable(subject: Subject) -> str:
    """``reset`` gives ``(observation, info)`` and ``step`` 5-tuples; ordinary play raises nothing."""
    for one in subject.plays:
        if one.error:
            raise Broken(one.error)
    turns = sum(len(one.turns) for one in subject.plays)
    return f"{len(subject.plays)} episodes, {turns} steps"


@rule("gymnasium-checker", "3", needs=("playable",))
def gymnasium_checker(subject: Subject) -> str | None:
    """Gymnasium's ``check_env`` accepts the environment without a single warning."""
    env = subject.make()
    bare, remark = env.unwrapped, None
    renders = "render_mode" in subject.parameters
    allowed = [] if bare is env else ["is different from the unwrapped version"]
    if renders and (env.spec is None or getattr(bare, "compares_members", False)):
        # By it check_env makes more environments, of the kind that the other rules see.
        bare.spec = EnvSpec(id="textgym-check/Subject-v0", entry_point=subject.maker, order_enforce=False)
    elif env.spec is None:
        allowed.append("Not able to test alternative render modes")
        remark = "without render modes, for the factory takes no render_mode"
    with _recorded() as caught:
        try:
            check_env(env)
        except Exception as error:
            raise Broken(f"check_env raised {type(error).__name__}: {error}") from error
    _none(caught, "check_env", allowed)
    return remark


@rule("passive-checker", "3", needs=("playable",))
def passive_checker(subject: Subject) -> None:
    """What ``gym.make`` puts around the environment sees nothing to warn of."""
    scripts = scripts_for(subject.make())
    for name in scripts.keys() & {"empty", "oracle", "sample"}:
        env = OrderEnforcing(PassiveEnvChecker(subject.make()))
        with _recorded() as caught:
            record = play(env, 0, scripts[name])
        if record.error:
            raise Broken(f"within PassiveEnvChecker: {record.error}")
        _none(caught, f"an episode of {name} play within PassiveEnvChecker", [])


@contextmanager
def _recorded() -> Iterator[list[Any]]:
    level, gym.logger.min_level = gym.logger.min_level, gym.logger.WARN
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield caught
    finally:
        gym.logger.min_level = level


def _none(caught: list[Any], call: str, allowed: list[str]) -> None:
    texts = [inspect.cleandoc(_COLOURS.sub("", str(warning.message))) for warning in caught]
    texts = [text for text in texts if not any(part in text for part in allowed)]
    if texts:
        raise Broken(f"{call} warned: {'; '.join(dict.fromkeys(texts))}")
