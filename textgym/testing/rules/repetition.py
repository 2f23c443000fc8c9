"""Rules of determinism in one thread: the same seed and actions give the same episode.

Invariant: the actions of a repetition are those that were recorded, so that the oracle has no part in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from textgym.testing.rules.play import Play, difference, fixed, moves, play
from textgym.testing.rules.rule import Broken, Untested, rule
from textgym.testing.rules.subject import Subject

__all__ = ["expect_same"]

WHEN = "deterministic"


def expect_same(observed: Play, reference: Play, how: str) -> None:
    """Compare a repetition with its reference.

    Raises:
        Broken: They differ; says where.
    """
    found = observed.differs_from(reference)
    if found:
        raise Broken(f"{how}: {found}")


@rule("no-global-rng", "3.6", needs=("playable",))
def no_global_rng(subject: Subject) -> None:
    """Playing leaves Python's and numpy's global generators as they are."""
    with _global_state():
        for seed, one in enumerate(subject.references):
            _seed_everything(seed)  # an env that seeds them itself must not find its own state
            python, numeric = random.getstate(), np.random.get_state()
            play(subject.make(), one.seed, fixed(one.actions))
            if random.getstate() != python:
                raise Broken(f"the episode of {one.at(0)} changed the state of Python's random module")
            if difference(numeric, np.random.get_state()):
                raise Broken(f"the episode of {one.at(0)} changed the state of numpy.random")


@contextmanager
def _global_state() -> Iterator[None]:
    """Leave the global generators as they were found."""
    python, numeric = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numeric)


def _seed_everything(seed: int) -> None:
    random.seed(1_000_003 + seed)
    np.random.seed(1_000_003 + seed)


@rule("same-seed-same-episode", "3.6", needs=("playable", "no-global-rng"), waived_unless=WHEN)
def same_seed_same_episode(subject: Subject) -> str:
    """The same seed and actions give the same episode in a fresh instance."""
    for one in subject.plays:
        again = play(subject.make(), one.seed, fixed(one.actions))
        if not one.error:
            expect_same(again, one, "in a second instance")
    return f"{len(subject.plays)} episodes"


@rule("global-seed-ignored", "3.6", needs=("same-seed-same-episode",), waived_unless=WHEN)
def global_seed_ignored(subject: Subject) -> None:
    """``random.seed`` and ``numpy.random.seed`` change nothing."""
    with _global_state():
        for one in subject.references:
            for seed in (1, 2):
                _seed_everything(seed)
                again = play(subject.make(), one.seed, fixed(one.actions))
                expect_same(again, one, "after other seeds for random and numpy.random")


@rule("same-instance-twice", "3.6", needs=("same-seed-same-episode",), waived_unless=WHEN)
def same_instance_twice(subject: Subject) -> None:
    """An instance that played something else before plays the same episode."""
    references = subject.references
    env = subject.make()
    for one in references:
        expect_same(play(env, one.seed, fixed(one.actions)), one, "in an instance that had played")
        env.reset(seed=None)  # and an episode that is left unfinished
    for one in reversed(references):
        expect_same(play(env, one.seed, fixed(one.actions)), one, "in an instance that had played")


@rule("interleaved", "3.6", needs=("same-instance-twice",), waived_unless=WHEN)
def interleaved(subject: Subject) -> str:
    """Instances that take turns, each at another point of its episode, do not disturb each other."""
    references = subject.references
    if len(references) < 2:
        raise Untested("there is one episode only")
    tables = [moves(subject.make(), one.seed, fixed(one.actions)) for one in references]
    ended: dict[int, Play] = {}
    for step in range(10_000):
        for index, table in enumerate(tables):
            if index in ended or step < index:  # each begins a step after the one before
                continue
            try:
                next(table)
            except StopIteration as stop:
                ended[index] = stop.value
        if len(ended) == len(tables):
            break
    for index, one in enumerate(references):
        expect_same(ended[index], one, "interleaved with other instances")
    return f"{len(references)} instances"
