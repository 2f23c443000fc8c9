"""Rules of copies: twins for branching, pickles for other processes, specs for records.

Invariant: a copy made at any point of an episode goes on as the original does, and neither disturbs the
other.
"""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from textgym.errors import NotForkable
from textgym.rollouts.stepping import past_watchers
from textgym.testing.rules.play import PLAUSIBLE, Play, Turn, difference, fixed, play
from textgym.testing.rules.repetition import expect_same
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject, as_member

__all__: list[str] = []

FORKABLE = "forkable"


@rule("copy-continues", "3.8", needs=("interleaved",), waived_unless=FORKABLE)
def copy_continues(subject: Subject) -> str:
    """``copy.deepcopy`` at any point of an episode goes on as the original does, and then so does that."""
    return _continue_everywhere(subject, "a deepcopy", copy.deepcopy)


@rule("pickle-continues", "3.8", needs=("interleaved",), waived_unless=FORKABLE)
def pickle_continues(subject: Subject) -> str:
    """The environment can be pickled at any point of an episode and goes on from there."""
    return _continue_everywhere(subject, "a pickled copy", lambda env: pickle.loads(pickle.dumps(env)))


def _continue_everywhere(subject: Subject, name: str, clone: Callable[[Any], Any]) -> str:
    _cloned(clone, subject.make(), f"{name} before the first reset").reset(seed=0)
    points = 0
    for one in subject.references[:: 3 if subject.quick else 1]:
        for turn in {0, 1, len(one.turns) // 2, len(one.turns)}:
            if turn > len(one.turns):
                continue
            env = subject.make()
            env.reset(seed=one.seed)
            for action in one.actions[:turn]:
                env.step(action)
            twin = _cloned(clone, env, f"{name} after {one.at(turn)}")
            for which, player in ((name, twin), ("the original, after its copy was played,", env)):
                _continue(player, one, turn, which)
            points += 1
    return f"at {points} points"


def _cloned(clone: Callable[[Any], Any], env: Any, what: str) -> Any:
    try:
        return clone(env)
    except Exception as error:
        raise Broken(
            f"{what} raised {type(error).__name__}: {short(str(error), 150)}; expected a copy (an "
            "environment over a live session says metadata['forkable'] = False)"
        ) from error


def _continue(env: Any, one: Play, turn: int, which: str) -> None:
    record = Play(one.seed, one.observation, one.info, list(one.turns[:turn]))
    for action in one.actions[turn:]:
        try:
            record.turns.append(Turn(action, *env.step(action)))
        except Exception as error:
            raise Broken(
                f"{which} made after {one.at(turn)} raised {type(error).__name__}: {error} in turn "
                f"{len(record.turns)}"
            ) from error
    expect_same(record, one, f"{which} made after {one.at(turn)}")
    _compare_resets(env, one, which)


def _compare_resets(env: Any, one: Play, which: str) -> None:
    again = play(env, one.seed, fixed(one.actions))
    expect_same(again, one, f"{which} played once more from reset(seed={one.seed})")


@rule("not-forkable", "3.8", needs=("playable",))
def not_forkable(subject: Subject) -> None:
    """Where ``metadata["forkable"]`` is False, ``copy.deepcopy`` in an episode raises ``NotForkable``."""
    if subject.metadata.get("forkable", True) is not False:
        raise Untested("the environment is forkable")
    env = subject.make()
    env.reset(seed=0)
    try:
        copy.deepcopy(env)
    except NotForkable:
        return
    except Exception as error:
        raise Broken(
            f"copy.deepcopy after reset(seed=0) raised {type(error).__name__}: {short(str(error), 150)}; "
            "expected textgym.errors.NotForkable"
        ) from error
    raise Broken("copy.deepcopy after reset(seed=0) gave a copy; expected NotForkable, or forkable = True")


@rule("copy-keeps-sequence", "3.8", needs=("copy-continues",), waived_unless=FORKABLE)
def copy_keeps_sequence(subject: Subject) -> None:
    """The twin and the original draw the same next episodes."""
    env = subject.make()
    env.reset(seed=0)
    twin = copy.deepcopy(env)
    for number in range(3):
        found = difference(env.reset(), twin.reset())
        if found:
            raise Broken(f"reset number {number + 1} of a deepcopy made after reset(seed=0): {found}")


@rule("copy-independent", "3.8", needs=("copy-continues",), waived_unless=FORKABLE)
def copy_independent(subject: Subject) -> None:
    """What happens to the twin, turn by turn, leaves the original as it is."""
    one = max(subject.references, key=lambda play: len(play.turns))
    env = subject.make()
    record = Play(one.seed)
    record.observation, record.info = env.reset(seed=one.seed)
    for turn, action in enumerate(one.actions):
        twin = copy.deepcopy(env)
        other = PLAUSIBLE[(turn + 1) % len(PLAUSIBLE)]
        twin.step(other if isinstance(action, str) else action)
        twin.reset(seed=99)
        record.turns.append(Turn(action, *env.step(action)))
    expect_same(record, one, "with a deepcopy before each turn that plays something else")


@rule("shared-dataset", "3.8", needs=("copy-continues",), waived_unless=FORKABLE)
def shared_dataset(subject: Subject) -> None:
    """Copies share the dataset."""
    env = subject.make()
    if not hasattr(env.unwrapped, "dataset"):
        raise Untested("the environment has no dataset")
    env.reset(seed=0)
    if copy.deepcopy(env).unwrapped.dataset is not env.unwrapped.dataset:
        raise Broken("copy.deepcopy(env) copied env.dataset; expected it to be shared")


@rule("spec-json", "3.8", needs=("same-seed-same-episode",), waived_unless="deterministic")
def spec_json(subject: Subject) -> None:
    """``env.spec`` comes back from JSON and makes an equal environment."""
    spec = subject.spec
    if spec is None or not subject.by_id:
        raise Untested("a factory has no registered spec")
    try:
        json.dumps(spec.kwargs)
    except (TypeError, ValueError) as error:
        raise Untested(f"the arguments are no JSON: {error}") from error
    try:
        restored = EnvSpec.from_json(spec.to_json())
    except Exception as error:
        raise Broken(
            f"EnvSpec.from_json(env.spec.to_json()) raised {type(error).__name__}: {error}; expected a "
            "spec (register the entry point as 'module:Class')"
        ) from error
    for one in subject.references:
        env = as_member(past_watchers(gym.make(restored, disable_env_checker=True)))
        expect_same(play(env, one.seed, fixed(one.actions)), one, "made from the restored spec")
        env.close()
