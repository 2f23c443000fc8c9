"""Rules of the scale of rewards: bounds, perfect play, empty play.

Invariant: perfect and empty play are looked at on as many seeds as the caller asked for.
"""

from __future__ import annotations

import math
from typing import Any

from textgym.testing.rules.play import MAX_TURNS, Play, Script, finish, fixed, play, scripts_for
from textgym.testing.rules.rule import Broken, Untested, Waived, rule, short
from textgym.testing.rules.subject import Subject, has

__all__: list[str] = []

TOLERANCE = 1e-6


@rule("return-in-bounds", "3.9", needs=("reward-type", "reward-bounds"))
def return_in_bounds(subject: Subject) -> None:
    """Every finished episode, and every one cut off midway, returns something within ``reward_bounds``."""
    low, high = subject.make().get_wrapper_attr("reward_bounds")
    cut = []
    for one in subject.references:
        env = subject.make()
        cut.append(finish(env, play(env, one.seed, fixed(one.actions[: len(one.turns) // 2]))))
    for one in [*(one for one in subject.plays if one.over), *(one for one in cut if one.over)]:
        if one.total < low - TOLERANCE or one.total > high + TOLERANCE:
            raise Broken(
                f"the episode up to {one.at(len(one.turns))} returned {one.total:g}; expected "
                f"{low:g} to {high:g}"
            )


@rule("empty-earns-floor", "3.9", needs=("reward-type", "reward-bounds", "action-space"))
def empty_earns_floor(subject: Subject) -> str:
    """Empty answers alone earn the lowest return."""
    env = subject.make()
    low = env.get_wrapper_attr("reward_bounds")[0]
    for seed in subject.seeds:
        record = finish(env, play(env, seed, scripts_for(env)["empty"]))
        if record.error:
            raise Broken(record.error)
        if abs(record.total - low) > TOLERANCE:
            raise Broken(
                f"{len(record.turns)} empty answers after reset(seed={seed}) returned "
                f"{record.total:g}; expected the lowest, {low:g}"
            )
    return f"{len(subject.seeds)} seeds"


@rule("oracle-plays", "3.9", needs=("playable",), attributes=("oracle",))
def oracle_plays(subject: Subject) -> str:
    """``oracle()`` gives a text in every turn of a perfect game and raises nothing."""
    script, env = subject.oracle_script(), subject.make()
    for seed in subject.seeds:
        record = play(env, seed, script)
        if record.script_error:
            raise Broken(
                f"oracle() raised {record.script_error} in turn {len(record.turns)} after reset(seed={seed})"
            )
        strange = [action for action in record.actions if not isinstance(action, str)]
        if strange:
            raise Broken(f"oracle() gave {short(strange[0])} after reset(seed={seed}); expected a str")
        if not record.over and len(record.turns) < MAX_TURNS:
            raise Broken(
                record.error
                or f"oracle() gave None in turn {len(record.turns)} after reset(seed={seed}); expected "
                "an action until the end"
            )
    return f"{len(subject.seeds)} seeds"


@rule("max-return", "3.9", needs=("playable", "reward-bounds"), attributes=("max_return",))
def max_return(subject: Subject) -> None:
    """``max_return()`` lies within ``reward_bounds`` for every instance."""
    env = subject.make()
    low, high = env.get_wrapper_attr("reward_bounds")
    for seed in subject.seeds:
        env.reset(seed=seed)
        value = env.get_wrapper_attr("max_return")()
        if value is None:
            raise Waived("max_return() is None: chance decides what perfect play returns")
        fits = isinstance(value, int | float) and math.isfinite(value)
        if not fits or not low - TOLERANCE <= value <= high + TOLERANCE:
            raise Broken(
                f"max_return() after reset(seed={seed}) is {short(value)}; expected {low:g} to {high:g}"
            )


@rule(
    "oracle-maximal",
    "3.9",
    needs=("oracle-plays", "reward-type", "max-return"),
    attributes=("oracle", "max_return"),
)
def oracle_maximal(subject: Subject) -> str:
    """The oracle attains ``max_return()`` of its instance."""
    script, env = subject.oracle_script(), subject.make()
    for seed in subject.seeds:
        record = Play(seed)
        env.reset(seed=seed)
        wanted = env.get_wrapper_attr("max_return")()
        if wanted is None:
            raise Waived("max_return() is None: chance decides what perfect play returns")
        record = finish(env, play(env, seed, script))
        if abs(record.total - wanted) > TOLERANCE:
            raise Broken(
                f"the oracle's answers {short(record.actions)} after reset(seed={seed}) returned "
                f"{record.total:g}; expected max_return() = {wanted:g}"
            )
    return f"{len(subject.seeds)} seeds"


@rule(
    "success",
    "3.9",
    needs=("oracle-plays", "empty-earns-floor"),
    attributes=("success", "oracle"),
)
def success(subject: Subject) -> str | None:
    """``success(trajectory)`` is True of perfect play and False of empty answers."""
    _judge(subject, "empty", scripts_for(subject.make())["empty"], False)
    env = subject.make()
    env.reset(seed=0)
    known = not has(env, "max_return") or env.get_wrapper_attr("max_return")() is not None
    if not known or env.get_wrapper_attr("oracle")() is None:
        return "empty play only, for perfect play is not known"
    _judge(subject, "perfect", subject.oracle_script(), True)
    return None


def _judge(subject: Subject, name: str, script: Script, wanted: bool) -> None:
    env = subject.make()
    for seed in subject.seeds:
        record = finish(env, play(env, seed, script))
        judged = env.get_wrapper_attr("success")(_trajectory(env, record))
        if judged is not wanted:
            raise Broken(
                f"success() of {name} play after reset(seed={seed}), which returned "
                f"{record.total:g}, is {short(judged)}; expected {wanted}"
            )


def _trajectory(env: Any, record: Play) -> Any:
    try:
        from textgym.rollouts.trajectory import Step, Trajectory
    except ImportError as error:
        raise Untested(f"textgym.rollouts cannot be imported: {error}") from error
    from textgym.types import StopReason

    steps = [
        Step(
            observation=str(record.observation),
            action=turn.action or "",
            reward=turn.reward,
            rewards=dict(turn.info.get("rewards") or {}),
            metrics=dict(turn.info.get("metrics") or {}),
            terminated=turn.terminated,
            truncated=turn.truncated,
        )
        for turn in record.turns
    ]
    return Trajectory(
        env_id=str(env),
        seed=record.seed,
        example_id=str(record.info.get("example_id", "")),
        messages=list(env.get_wrapper_attr("messages")) if has(env, "messages") else [],
        steps=steps,
        reward=record.total,
        answer=record.last.get("answer"),
        stop_reason=StopReason(record.last.get("stop_reason") or "env_truncated"),
    )
