"""Specifications: steps put together, and tests that tell a right program from a wrong one.

Invariant: a specification belongs to one split, whatever its examples are. Every step matters: leaving out
any one of them changes results of the tests. No result is that of more than ``MOST_ALIKE`` of the tests, so
that a constant fails. Shown inputs are none of the hidden ones. Everything is drawn from the given generator
alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from textgym import seeding
from textgym.errors import ConfigError
from textgym.tasks.code.inputs import Dice, edges, ordinary
from textgym.tasks.code.numbers import NUMBERS
from textgym.tasks.code.prompt import ARGUMENTS, FUNCTION, question
from textgym.tasks.code.step import Call, Step, run_all
from textgym.tasks.code.texts import TEXTS
from textgym.tasks.code.words import WORDS
from textgym.tasks.math.problem import pick

__all__ = ["DIFFICULTIES", "KINDS", "STEPS", "Specifications", "size_of_space"]

Tests: TypeAlias = list[dict[str, Any]]
"""``{"arguments": […], "expected": …}`` each."""

DIFFICULTIES = (1, 2, 3, 4, 5)
"""One step less than a specification has."""
KINDS = {"numbers": "list[int]", "text": "str", "words": "list[str]", "number": "int"}
"""Name -> type of the argument."""
STEPS: dict[str, Step] = {**NUMBERS, **TEXTS, **WORDS}
"""Name -> step."""

SHOWN, ORDINARY = 3, 18
"""How many examples are shown, and how many ordinary inputs are drawn in all."""
MOST_ALIKE = 0.4
"""Largest share of the tests that may have one result."""
TELLING = 2
"""Fewest tests whose results a step has to change."""
LARGEST, LONGEST = 2**53, 2_000
"""Bounds of the results: every JSON reader keeps such numbers, and nobody has to look at longer texts."""
TEST_SHARE = 1 / 8
ATTEMPTS = 2_000


def _options(kind: str, last: bool) -> list[Step]:
    return [step for step in STEPS.values() if step.takes == kind and (last or step.gives != "int")]


_OPTIONS = {(kind, last): _options(kind, last) for kind in KINDS.values() for last in (False, True)}


def size_of_space(difficulty: int) -> int:
    """How many specifications there are, repeated steps and those that are drawn anew not counted out."""
    ways = dict.fromkeys(KINDS.values(), 1)
    for position in range(difficulty + 1):
        following = dict.fromkeys(KINDS.values(), 0)
        for kind, count in ways.items():
            for step in _OPTIONS[kind, position == difficulty]:
                following[step.gives] += count * step.variants
        ways = following
    return sum(ways.values())


@dataclass(frozen=True, slots=True)
class Specifications:
    """Draws specifications as rows; ``info`` holds ``function``, ``shown`` and ``hidden`` tests, and ``steps``.

    Args:
        difficulty: One of ``DIFFICULTIES``.
        kinds: Names from ``KINDS``; empty means all.
        split: ``"train"``, ``"test"``, or None for both.
    """

    difficulty: int
    kinds: tuple[str, ...]
    split: str | None

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw one specification."""
        for _ in range(ATTEMPTS):
            kind = pick(rng, self.kinds or tuple(KINDS))
            calls = _draw(rng, KINDS[kind], self.difficulty + 1)
            if not self._wanted(calls):
                continue
            tests = _tests(rng, calls)
            if tests is not None:
                return self._row(kind, calls, *tests)
        raise ConfigError(
            f"no specification of {', '.join(self.kinds) or 'any kind'} came up in {ATTEMPTS} draws"
        )

    def _wanted(self, calls: list[Call]) -> bool:
        if self.split is None:
            return True
        share = seeding.mix("code", *(call.sentence for call in calls)) / (1 << seeding.SEED_BITS)
        return (share < TEST_SHARE) == (self.split == "test")

    def _row(self, kind: str, calls: list[Call], shown: Tests, hidden: Tests) -> dict[str, Any]:
        examples = [(test["arguments"], test["expected"]) for test in shown]
        return {
            "question": question(calls, examples),
            "task": kind,
            "info": {
                "function": FUNCTION,
                "argument": ARGUMENTS[calls[0].step.takes],
                "shown": shown,
                "hidden": hidden,
                "steps": [call.to_list() for call in calls],
                "difficulty": self.difficulty,
            },
        }


def _draw(rng: np.random.Generator, kind: str, count: int) -> list[Call]:
    calls: list[Call] = []
    for position in range(count):
        used = {call.step.name for call in calls}
        step = pick(rng, _OPTIONS[kind, position == count - 1])
        while step.name in used:
            step = pick(rng, _OPTIONS[kind, position == count - 1])
        calls.append(step.draw(rng))
        kind = calls[-1].step.gives
    return calls


def _tests(rng: np.random.Generator, calls: list[Call]) -> tuple[Tests, Tests] | None:
    """Shown and hidden tests, or None where they would tell too little."""
    kind = calls[0].step.takes
    dice = Dice(rng)
    inputs = [ordinary(dice, kind) for _ in range(ORDINARY)]
    results = [run_all(calls, x) for x in inputs]
    shown = _examples(inputs, results)
    known = {repr(inputs[index]) for index in shown}
    hidden = list({repr(x): x for x in (*inputs, *edges(dice, kind)) if repr(x) not in known}.values())
    outcomes = [run_all(calls, x) for x in hidden]
    if not all(map(_bounded, (*results, *outcomes))):
        return None
    if Counter(map(repr, outcomes)).most_common(1)[0][1] > MOST_ALIKE * len(hidden):
        return None
    if not all(_matters(calls, index, hidden, outcomes) for index in range(len(calls))):
        return None
    return (
        [{"arguments": [inputs[index]], "expected": results[index]} for index in shown],
        [{"arguments": [x], "expected": y} for x, y in zip(hidden, outcomes, strict=True)],
    )


def _examples(inputs: Sequence[Any], results: Sequence[Any]) -> list[int]:
    """Which inputs are shown: short ones, with different results as far as there are some."""
    order = sorted(range(len(inputs)), key=lambda index: (not results[index], len(repr(inputs[index]))))
    fresh = list({repr(results[index]): index for index in reversed(order)}.values())[::-1]
    return [*fresh, *(index for index in order if index not in fresh)][:SHOWN]


def _matters(calls: list[Call], index: int, inputs: list[Any], outcomes: list[Any]) -> bool:
    step = calls[index].step
    if step.takes != step.gives:
        return True
    without = [*calls[:index], *calls[index + 1 :]]
    changed = (run_all(without, x) != y for x, y in zip(inputs, outcomes, strict=True))
    return bool(sum(changed) >= TELLING)


def _bounded(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) <= LARGEST
    if isinstance(value, str):
        return len(value) <= LONGEST
    return len(value) <= LONGEST and all(map(_bounded, value))
