"""Rules of what an environment says about itself.

Invariant: these rules play no episode.
"""

from __future__ import annotations

import inspect
import math

from gymnasium.wrappers import TimeLimit

from textgym.testing.rules.rule import REGISTRY, Broken, rule, short
from textgym.testing.rules.subject import Subject, has

__all__: list[str] = []

FLAGS = ("deterministic", "forkable", "blocking")


@rule("metadata", "3.6, 3.8, 3.10", needs=("gymnasium-env",))
def metadata(subject: Subject) -> None:
    """``metadata`` names the render modes ansi and human, their speed, and the flags, as bools."""
    data = subject.metadata
    missing = {"ansi", "human"} - set(data.get("render_modes") or ())
    if missing:
        raise Broken(
            f"metadata['render_modes'] is {short(data.get('render_modes'))}; expected 'ansi' and "
            "'human' among them"
        )
    fps = data.get("render_fps")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or fps <= 0:
        raise Broken(f"metadata['render_fps'] is {short(fps)}; expected a positive number")
    for flag in FLAGS:
        if not isinstance(data.get(flag), bool):
            raise Broken(f"metadata[{flag!r}] is {short(data.get(flag))}; expected True or False")
    if not data["blocking"] and not has(subject.make(), "astep"):
        raise Broken("metadata['blocking'] is False without a coroutine astep; expected True")


@rule("waived-rules", "3.8", needs=("gymnasium-env",))
def waived_rules(subject: Subject) -> None:
    """``metadata["waived_rules"]`` names rules that exist."""
    unknown = sorted(set(subject.waivers) - set(REGISTRY))
    if unknown:
        raise Broken(
            f"metadata['waived_rules'] names {', '.join(unknown)}; expected names of rules as in this report"
        )


@rule("nondeterministic-spec", "3.6", needs=("gymnasium-env",))
def nondeterministic_spec(subject: Subject) -> str | None:
    """``metadata["deterministic"]`` is False exactly if the spec says ``nondeterministic``."""
    flag = subject.metadata.get("deterministic", True) is False
    if subject.spec is None or not subject.by_id:
        return "a factory has no registered spec to compare with"
    if subject.spec.nondeterministic != flag:
        raise Broken(
            f"spec.nondeterministic is {subject.spec.nondeterministic} and metadata['deterministic'] "
            f"is {short(subject.metadata.get('deterministic'))}; expected them to agree"
        )
    return None


@rule("no-time-limit", "3.4", needs=("gymnasium-env",))
def no_time_limit(subject: Subject) -> None:
    """The id has no ``max_episode_steps``, and no TimeLimit ends episodes unscored."""
    steps = subject.spec.max_episode_steps if subject.spec is not None else None
    if steps is not None:
        raise Broken(
            f"spec.max_episode_steps is {steps}; expected None: let the environment count its turns, "
            "or the caller truncate it"
        )
    env = subject.make()
    while hasattr(env, "env"):
        if isinstance(env, TimeLimit):
            raise Broken("a TimeLimit wrapper ends episodes behind the environment's back")
        env = env.env


@rule("documented", "3.9", needs=("gymnasium-env",))
def documented(subject: Subject) -> None:
    """The docstring gives the scale of the rewards."""
    kind = type(subject.make().unwrapped)
    text = inspect.getdoc(kind) or ""
    if "reward" not in text.lower():
        raise Broken(
            f"the docstring of {kind.__name__} says nothing of rewards: {short(text)}; expected what "
            "earns how much"
        )


@rule("reward-bounds", "3.9", needs=("gymnasium-env",), attributes=("reward_bounds",))
def reward_bounds(subject: Subject) -> str:
    """``reward_bounds`` is ``(low, high)``, finite and ordered."""
    bounds = subject.make().get_wrapper_attr("reward_bounds")
    fits = isinstance(bounds, tuple) and len(bounds) == 2
    if not fits or not all(isinstance(b, int | float) and math.isfinite(b) for b in bounds):
        raise Broken(f"reward_bounds is {short(bounds)}; expected two finite numbers (low, high)")
    if bounds[0] >= bounds[1]:
        raise Broken(f"reward_bounds is {short(bounds)}; expected low < high")
    return f"{bounds[0]:g} to {bounds[1]:g}"
