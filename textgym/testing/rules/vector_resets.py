"""Rules of vector environments: seeds, options and partial resets.

Invariant: a rule plays instances of its own, and says which call showed what.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode

from textgym.testing.rules.play import difference
from textgym.testing.rules.rule import Broken, Untested, short, vector_rule
from textgym.testing.rules.vector_subject import VectorSubject

__all__: list[str] = []


@vector_rule("same-seed", "shapes")
def same_seed(subject: VectorSubject) -> None:
    """The same seed, a list or one number, and the same actions give the same of everything."""
    for seed in (None, 5):
        one, two = (subject.played(seed=seed) for _ in range(2))
        for call, (first, second) in enumerate(zip(one, two, strict=False)):
            if not data_equivalence(first, second):
                kind = "a list of seeds" if seed is None else f"seed={seed}"
                raise Broken(f"call {call} after reset with {kind}: {difference(first, second, 'it')}")


@vector_rule("options-kept", "shapes")
def options_kept(subject: VectorSubject) -> None:
    """``reset`` leaves the caller's options as they are."""
    envs = subject.make()
    envs.reset(seed=list(subject.seeds))
    mask = np.arange(subject.count) == 0
    options = {"reset_mask": mask.copy()}
    envs.reset(options=options)
    if set(options) != {"reset_mask"} or not np.array_equal(options["reset_mask"], mask):
        raise Broken(
            f"reset(options={{'reset_mask': …}}) left {short(options)}; wrappers would take it for whole"
        )


@vector_rule("bad-mask", "shapes")
def bad_mask(subject: VectorSubject) -> None:
    """A mask that is no bool array of ``num_envs`` with a True is refused."""
    count = subject.count
    bad: list[Any] = [[True] * count, np.ones(count), np.ones(count + 1, np.bool_), np.zeros(count, np.bool_)]
    for mask in bad:
        envs = subject.make()
        envs.reset(seed=list(subject.seeds))
        try:
            envs.reset(options={"reset_mask": mask})
        except (TypeError, ValueError):
            continue
        raise Broken(f"reset_mask={short(mask)} was taken; expected TypeError or ValueError")


@vector_rule("partial-reset", "shapes", "same-seed")
def partial_reset(subject: VectorSubject) -> None:
    """``reset_mask`` begins the named members anew; the others keep their observation, have no info and go on."""
    if subject.mode is not AutoresetMode.DISABLED:
        raise Untested(f"its mode is {subject.mode.value}")
    envs, untouched = subject.make(), subject.make()
    begun = subject.listed(envs, envs.reset(seed=list(subject.seeds))[0])
    untouched.reset(seed=list(subject.seeds))
    mask = np.arange(subject.count) % 2 == 0
    observations, infos = envs.reset(seed=list(subject.seeds), options={"reset_mask": mask})
    for index, (before, now) in enumerate(zip(begun, subject.listed(envs, observations), strict=True)):
        if not data_equivalence(before, now):
            what = "begun anew with the same seed" if mask[index] else "not named by the mask"
            raise Broken(f"member {index}, {what}, shows {short(now)}; expected {short(before)}")
    for key, value in infos.items():
        if key.startswith("_") and isinstance(value, np.ndarray) and value[~mask].any():
            raise Broken(f"infos[{key!r}] is {short(value)} after a reset of {short(mask)}")
    for turn in range(2):
        returned, expected = (each.step(subject.actions(each, turn)) for each in (envs, untouched))
        over = np.logical_or(expected[2], expected[3])
        _compare_others(subject, envs, mask, returned, expected)
        if over.all():
            return
        envs.reset(options={"reset_mask": mask | over})
        if over.any():
            untouched.reset(options={"reset_mask": over.copy()})
        mask = mask | over


def _compare_others(
    subject: VectorSubject, envs: Any, mask: np.ndarray, returned: Any, expected: Any
) -> None:
    """Members that no mask has named show what they show where nobody was reset."""
    shown, wanted = (subject.listed(envs, batch) for batch in (returned[0], expected[0]))
    for index in np.flatnonzero(~mask):
        observed = (shown[index], *(values[index] for values in returned[1:4]))
        if not data_equivalence(observed, (wanted[index], *(values[index] for values in expected[1:4]))):
            raise Broken(
                f"member {index} shows {short(observed)} after others were reset by a mask; without that it shows "
                f"{short(wanted[index])}"
            )
