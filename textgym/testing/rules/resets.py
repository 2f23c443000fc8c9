"""Rules of what ``reset`` returns.

Invariant: a rule looks at one property and is silent about values that another rule already refuses.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from textgym.testing.rules.play import Play, Turn, difference, fixed, has, scripts_for
from textgym.testing.rules.rule import Broken, Untested, rule, short
from textgym.testing.rules.subject import Subject

__all__ = ["message_fault"]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


@rule("reset-returns", "3.2", needs=("playable",))
def reset_returns(subject: Subject) -> None:
    """The observation of ``reset`` is a text that is not empty."""
    for one in subject.plays:
        if type(one.observation) is not str or not one.observation:
            raise Broken(
                f"{one.at(0)} returned the observation {short(one.observation)} "
                f"({type(one.observation).__name__}); expected a str that is not empty"
            )


@rule("reset-messages", "3.2", needs=("playable",))
def reset_messages(subject: Subject) -> None:
    """``info["messages"]`` of ``reset`` is a list of plain chat messages, and not empty."""
    for one in subject.plays:
        messages = one.info.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Broken(
                f"{one.at(0)}: info['messages'] is {short(messages)}; expected a list of messages "
                "{'role': …, 'content': …} with the whole prompt"
            )
        for message in messages:
            fault = message_fault(message)
            if fault:
                raise Broken(f"{one.at(0)}: info['messages'] holds {fault}")


def message_fault(message: Any) -> str | None:
    """What is wrong with a chat message, or None."""
    if type(message) is not dict:
        return f"{short(message)} ({type(message).__name__}); expected plain dicts"
    if message.get("role") not in ROLES:
        return f"a message with the role {short(message.get('role'))}; expected one of the chat roles"
    if "content" not in message or not isinstance(message["content"], str | list | None):
        return f"{short(message)}; expected 'content' to be there, a text"
    try:
        json.dumps(message)
    except (TypeError, ValueError) as error:
        return f"{short(message)}, which is no JSON: {error}"
    return None


@rule("example-id", "3.2", needs=("playable",))
def example_id(subject: Subject) -> None:
    """``info["example_id"]`` is a text that names the instance: equal ids, equal prompts."""
    prompts: dict[str, Play] = {}
    for one in subject.plays:
        key = one.info.get("example_id")
        if type(key) is not str or not key:
            raise Broken(f"{one.at(0)}: info['example_id'] is {short(key)}; expected a str that is not empty")
        first = prompts.setdefault(key, one)
        if first.observation != one.observation:
            raise Broken(
                f"{first.at(0)} and {one.at(0)} have the example_id {short(key)} and different "
                f"prompts: {short(first.observation)} and {short(one.observation)}"
            )


@rule("same-example-id", "3.2, 3.6", needs=("example-id",), waived_unless="deterministic")
def same_example_id(subject: Subject) -> None:
    """The same seed gives the same ``example_id`` in every instance."""
    ids: dict[int | None, Any] = {}
    for one in subject.plays:
        key = one.info.get("example_id")
        if ids.setdefault(one.seed, key) != key:
            raise Broken(
                f"{one.at(0)} gave the example_id {short(key)} in one instance and "
                f"{short(ids[one.seed])} in another; expected a stable key"
            )


@rule("fresh-infos", "3.2", needs=("playable",), waived_unless="deterministic")
def fresh_infos(subject: Subject) -> None:
    """What was returned belongs to the caller: changing it changes nothing, and it does not change."""
    reference = _longest(subject)
    env = subject.make()
    observed, script = Play(reference.seed), fixed(reference.actions)
    observed.observation, info = env.reset(seed=reference.seed)
    kept = [(copy.deepcopy(info), info)]
    while len(observed.turns) < len(reference.turns):
        turn = reference.turns[len(observed.turns)]
        result = env.step(script(env, len(observed.turns)))
        observed.turns.append(Turn(turn.action, *result))
        for before, after in kept:
            found = difference(before, after)
            if found:
                raise Broken(
                    f"an info changed after it was returned, with {observed.at(len(observed.turns))}: {found}"
                )
        kept.append((copy.deepcopy(result[4]), result[4]))
    _vandalise(subject, reference)


def _vandalise(subject: Subject, reference: Play) -> None:
    env = subject.make()
    observed = Play(reference.seed)
    observed.observation, info = env.reset(seed=reference.seed)
    observed.info = copy.deepcopy(info)
    for turn in reference.turns:
        held = copy.deepcopy(_held(env))
        _spoil(info)
        found = difference(held, _held(env), "env.messages")
        if found:
            raise Broken(f"{observed.at(len(observed.turns))}: changing the returned info changed {found}")
        try:
            result = env.step(turn.action)
        except Exception as error:
            raise Broken(
                f"step raised {type(error).__name__}: {error} after the caller changed the info that "
                "the call before had returned"
            ) from error
        info = result[4]
        observed.turns.append(Turn(turn.action, *(*result[:-1], copy.deepcopy(info))))
    found = observed.differs_from(reference)
    if found:
        raise Broken(f"after the caller changed a returned info: {found}")


def _held(env: Any) -> Any:
    return env.get_wrapper_attr("messages") if has(env, "messages") else None


def _spoil(info: dict[str, Any]) -> None:
    for message in info.get("messages") or ():
        if isinstance(message, dict):
            message.update(role="vandal", content="changed by the caller")
    for value in info.values():
        if isinstance(value, dict | list):
            value.clear()
    info.clear()


def _longest(subject: Subject) -> Play:
    found = max(subject.references, key=lambda one: len(one.turns))
    if not found.turns:
        raise Untested("no episode has a step")
    return found


@rule("unseeded-reset", "3.2", needs=("playable",))
def unseeded_reset(subject: Subject) -> None:
    """A fresh environment can be reset without a seed."""
    script = next(iter(scripts_for(subject.make()).values()))
    error = subject.play(None, script).error
    if error:
        raise Broken(error)
