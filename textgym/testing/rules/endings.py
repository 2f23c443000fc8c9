"""Rules of how episodes end, and of calls outside of an episode.

Invariant: an episode ends exactly once, for one reason, and is scored once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gymnasium.error import ResetNeeded

from textgym.envs.text_env import TextEnv
from textgym.testing.rules.play import Play, play, scripts_for
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject
from textgym.types import TERMINAL, StopReason

__all__ = ["expect_reset_needed"]


@rule("stop-reason", "3.3", needs=("playable",))
def stop_reason(subject: Subject) -> None:
    """``info["stop_reason"]`` is there exactly at the end, as the text of a ``StopReason``."""
    for one in subject.plays:
        for index, info in enumerate(one.infos()):
            reason = info.get("stop_reason")
            over = one.over and index == len(one.turns)
            if not over and "stop_reason" in info:
                raise Broken(f"{one.at(index)}: info['stop_reason'] is {short(reason)} before the end")
            if over and (type(reason) is not str or reason not in set(StopReason)):
                raise Broken(
                    f"{one.at(index)} ended the episode with info['stop_reason'] {short(reason)}; "
                    f"expected one of {', '.join(StopReason)}, as a plain str"
                )


@rule("one-ending", "3.4", needs=("playable",))
def one_ending(subject: Subject) -> None:
    """An episode is never terminated and truncated at once."""
    for one in subject.plays:
        if one.over and one.turns[-1].terminated and one.turns[-1].truncated:
            raise Broken(f"{one.at(len(one.turns))} returned terminated=True and truncated=True")


@rule("reason-fits-flags", "3.4", needs=("stop-reason", "one-ending"))
def reason_fits_flags(subject: Subject) -> None:
    """``terminated`` goes with a reason by which the task itself ends, ``truncated`` with a limit."""
    for one in subject.finished:
        reason, turn = StopReason(one.last["stop_reason"]), one.turns[-1]
        if bool(turn.terminated) is not (reason in TERMINAL):
            right = "terminated" if reason in TERMINAL else "truncated"
            raise Broken(
                f"{one.at(len(one.turns))} ended with the reason {reason.value!r} and terminated="
                f"{turn.terminated}, truncated={turn.truncated}; expected {right}=True"
            )


@rule("first-step-terminates", "3.4", needs=("playable",))
def first_step_terminates(subject: Subject) -> None:
    """An episode that ends with its first action terminates; nothing outside limited it."""
    single = [one for one in subject.finished if len(one.turns) == 1]
    if not single:
        raise Untested("no episode ended with its first action")
    for one in single:
        if not one.turns[0].terminated:
            raise Broken(f"{one.at(1)} ended the episode and returned terminated=False")


@rule("scored-once", "3.4", needs=("playable",))
def scored_once(subject: Subject) -> None:
    """However an episode ends, it is judged once."""
    if not isinstance(subject.make().unwrapped, TextEnv):
        raise Untested("only the finish() of a TextEnv can be counted")
    for name, script in scripts_for(subject.make()).items():
        for limit in (True, False):
            env = subject.make()
            count = _counted(env)
            if limit:
                env.reset(seed=0)
                env.get_wrapper_attr("truncate")("max_turns")
            elif not play(env, 0, script).over:
                continue
            if not count[0]:
                raise Untested("its own finish() is not what judges: it hands episodes on to others")
            if count[0] > 1:
                how = "truncate('max_turns')" if limit else f"{name} play to the end"
                raise Broken(f"reset(seed=0) and {how} called finish() {count[0]} times; expected 1")


def _counted(env: Any) -> list[int]:
    bare, count = env.unwrapped, [0]
    judge = bare.finish

    def finish(reason: StopReason) -> Any:
        count[0] += 1
        return judge(reason)

    bare.finish = finish
    return count


@rule("step-before-reset", "3.7", needs=("gymnasium-env",))
def step_before_reset(subject: Subject) -> None:
    """``step`` before the first ``reset`` raises ``ResetNeeded``."""
    env = subject.make()
    expect_reset_needed(lambda: env.step(_any_action(env)), "step before the first reset")


@rule("step-after-end", "3.7", needs=("playable",))
def step_after_end(subject: Subject) -> None:
    """``step`` after the end raises ``ResetNeeded``, and a ``reset`` helps."""
    one = subject.finished[0]
    env = subject.make()
    _replay(env, one)
    for _ in range(2):
        expect_reset_needed(lambda: env.step(one.actions[-1]), f"step after {one.at(len(one.turns))}")
    env.reset(seed=one.seed)
    env.step(one.actions[0])


@rule("error-ends-episode", "3.7", needs=("playable",))
def error_ends_episode(subject: Subject) -> None:
    """When the environment itself raises in ``step``, the episode is over until the next ``reset``."""
    env: Any = subject.make()
    if not isinstance(env.unwrapped, TextEnv):
        raise Untested("an error can only be provoked in the respond() of a TextEnv")
    env.reset(seed=0)
    bare: Any = env.unwrapped
    called = [False]
    bare.respond = _raising(called)
    try:
        env.step(_any_action(env))
    except ZeroDivisionError:
        pass
    else:
        if not called[0]:
            raise Untested("its own respond() is not what answers: it hands actions on to others")
        raise Broken("an error of respond() did not come out of step; expected it to be raised")
    del bare.respond
    expect_reset_needed(lambda: env.step(_any_action(env)), "step after a step that raised")
    env.reset(seed=0)
    env.step(_any_action(env))


def _raising(called: list[bool]) -> Callable[[str], Any]:
    def respond(action: str) -> Any:
        called[0] = True
        raise ZeroDivisionError("provoked by the check")

    return respond


def expect_reset_needed(call: Callable[[], Any], name: str) -> None:
    """Make a call that has to be refused.

    Raises:
        Broken: It was not, or with another error.
    """
    try:
        result = call()
    except ResetNeeded:
        return
    except Exception as error:
        raise Broken(
            f"{name} raised {type(error).__name__}: {short(str(error))}; expected ResetNeeded"
        ) from error
    raise Broken(f"{name} returned {short(result)}; expected gymnasium.error.ResetNeeded")


def _any_action(env: Any) -> Any:
    return next(iter(scripts_for(env).values()))(env, 0)


def _replay(env: Any, one: Play) -> None:
    env.reset(seed=one.seed)
    for action in one.actions:
        env.step(action)
