"""Rules of seeds: what one reset draws, and what follows from it.

Invariant: numpy's own generator, seeded as Gymnasium seeds it, is the yardstick for what was drawn.
"""

from __future__ import annotations

from typing import Any

from gymnasium.utils.seeding import np_random

from textgym.testing.rules.play import PLAUSIBLE, Play, play, scripts_for
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject

__all__: list[str] = []

WHEN = "deterministic"
FOLLOWERS = 3
"""Unseeded resets after the seeded one."""


@rule("one-draw-per-reset", "3.6", needs=("playable",))
def one_draw_per_reset(subject: Subject) -> None:
    """``reset`` draws exactly one number from ``np_random``, and ``step`` none, whatever is played."""
    for name, script in scripts_for(subject.make()).items():
        env = subject.make()
        for episode in range(FOLLOWERS):
            env.reset(seed=5 if episode == 0 else None)
            _check_draws(env, episode + 1, f"reset number {episode + 1} from seed 5")
            turn = 0
            while turn < 20:
                try:
                    action = script(env, turn)
                except Exception:  # the oracle's own trouble is another rule's
                    break
                _, _, terminated, truncated, _ = env.step(action)
                turn += 1
                if terminated or truncated or episode == 1:
                    break
            _check_draws(env, episode + 1, f"{turn} steps of {name} play in episode {episode + 1}")


def _check_draws(env: Any, count: int, where: str) -> None:
    generator = env.unwrapped.np_random.bit_generator
    drawn = next((n for n in range(20) if _position(generator, n)), None)
    if drawn != count:
        what = f"{drawn} numbers" if drawn is not None else "another number of times, or of other seeds,"
        raise Broken(
            f"after {where} np_random has drawn {what}; expected {count}, one for each reset (draw an "
            "episode seed and derive everything from it)"
        )


def _position(generator: Any, count: int) -> bool:
    reference, _ = np_random(5)
    if count:
        reference.integers(1 << 53, size=count)
    state = generator.state
    expected: Any = reference.bit_generator.state
    return bool(state["state"] == expected["state"]) if type(state) is dict else False


@rule("unseeded-continues", "3.6", needs=("same-example-id",), waived_unless=WHEN)
def unseeded_continues(subject: Subject) -> str | None:
    """``reset()`` after ``reset(seed=…)`` goes on in the sequence of that seed and does not restart it."""
    sequences = [_sequence(subject.make(), 0) for _ in range(2)]
    if sequences[0] != sequences[1]:
        raise Broken(
            f"reset(seed=0) and {FOLLOWERS} resets without a seed gave the examples "
            f"{short(sequences[0])} in one instance and {short(sequences[1])} in another"
        )
    if len({_sequence(subject.make(), seed)[0] for seed in range(20)}) < 3:
        return "there are too few instances to tell a restart"
    if all(len(set(_sequence(subject.make(), seed))) == 1 for seed in range(5)):
        raise Broken(
            f"reset(seed=s) and {FOLLOWERS} resets without a seed gave the same example each, for s "
            "from 0 to 4; expected the sequence to go on"
        )
    return None


def _sequence(env: Any, seed: int) -> list[Any]:
    return [env.reset(seed=s)[1].get("example_id") for s in (seed, *[None] * FOLLOWERS)]


@rule("unseeded-instances-differ", "3.6", needs=("example-id",))
def unseeded_instances_differ(subject: Subject) -> None:
    """Fresh instances that are never seeded do not all play the same."""
    seeded = {subject.make().reset(seed=seed)[1].get("example_id") for seed in range(20)}
    if len(seeded) < 15:
        raise Untested("there are too few instances to tell")
    seen = {subject.make().reset()[1].get("example_id") for _ in range(8)}
    if len(seen) == 1:
        raise Broken(
            f"8 fresh instances gave the example {short(seen.pop())} at reset() without a seed; "
            "expected fresh randomness"
        )


@rule("group-stays-together", "3.6", needs=("same-example-id",), waived_unless=WHEN)
def group_stays_together(subject: Subject) -> None:
    """Members of a group meet the same instances over several episodes, whatever they played."""
    sequences: dict[str, list[Any]] = {}
    scripts = scripts_for(subject.make())
    for name, turns in [*((name, 1000) for name in scripts), ("nobody", 0), ("the first turn", 1)]:
        env = subject.make()
        script = scripts.get(name, next(iter(scripts.values())))
        ids = sequences.setdefault(name, [])
        for episode in range(FOLLOWERS):
            seed = 7 if episode == 0 else None
            if turns > 1:
                ids.append(play(env, seed, script).info.get("example_id"))
            else:
                ids.append(env.reset(seed=seed)[1].get("example_id"))
                if turns:
                    env.step(script(env, 0))
    first = next(iter(sequences))
    for name, ids in sequences.items():
        if ids != sequences[first]:
            raise Broken(
                f"from seed 7 on, {FOLLOWERS} episodes played by {first} were {short(sequences[first])} "
                f"and by {name} {short(ids)}; expected the same examples"
            )


@rule("any-seed", "3.6", needs=("playable",))
def any_seed(subject: Subject) -> None:
    """Seeds of any size that Gymnasium takes are taken."""
    action = PLAUSIBLE[0]
    for seed in (0, 2**31 - 1, 2**32, 2**53 - 1, 2**63, 2**64 + 1):
        record = Play(seed)
        try:
            env = subject.make()
            env.reset(seed=seed)
            if subject.plays[0].turns and isinstance(subject.plays[0].turns[0].action, str):
                env.step(action)
        except Exception as error:
            raise Broken(f"{record.at(0)} raised {type(error).__name__}: {error}") from error
