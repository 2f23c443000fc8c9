"""Rules of the further entries of ``info``.

Invariant: the gold answer stays hidden until the end, and Gymnasium's vector environments can hold every
entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from textgym.testing.rules.play import Play
from textgym.testing.rules.rule import Broken, rule, short
from textgym.testing.rules.subject import Subject

__all__: list[str] = []

SHOWN = frozenset({"messages", "assistant_message", "prompt", "tools", "example_id"})
"""Entries that the policy sees anyway, or that name the instance."""
SECRETS = frozenset({"answer", "gold", "solution"})
"""Keys that announce the gold answer."""
RESERVED = frozenset({"final_obs", "final_info"})
"""Keys, besides those with a leading underscore, that vector environments put into ``info``."""


@rule("hidden-answer", "3.3", needs=("playable",))
def hidden_answer(subject: Subject) -> str | None:
    """The gold answer is nowhere in ``info`` before the end."""
    golds = {one.seed: one.last["answer"] for one in subject.plays if "answer" in one.last}
    for one in subject.plays:
        infos = one.infos()
        for index, info in enumerate(infos[:-1] if one.over else infos):
            for path, value in _leaves(info):
                if path[-1] in SECRETS or (path[-1] == "example_id" and value == golds.get(one.seed)):
                    raise Broken(f"{one.at(index)}: info{_path(path)} is {short(value)} before the end")
                if path[0] not in SHOWN and _same_text(value, golds.get(one.seed)):
                    raise Broken(
                        f"{one.at(index)}: info{_path(path)} is the gold answer {short(value)}, before "
                        "the end"
                    )
    return None if golds else "the environment never shows its answer; keys were looked at"


def _same_text(value: Any, gold: Any) -> bool:
    return isinstance(value, str) and isinstance(gold, str) and len(gold) > 1 and value == gold


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path and path[0] in SHOWN:
        if path == ("example_id",):
            yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, dict | list | tuple) and key in SECRETS:
                yield (*path, str(key)), inner
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(index)))
    else:
        yield path, value


@rule("vector-infos", "3.3, 6", needs=("playable",))
def vector_infos(subject: Subject) -> None:
    """Vector environments can hold ``info``: no arrays, ints or reserved keys, and one type for each key."""
    types: dict[tuple[str, ...], tuple[type, str]] = {}
    for one in subject.plays:
        for index, info in enumerate(one.infos()):
            for path, value in _entries(info):
                _check_entry(one, index, path, value)
                seen, where = types.setdefault(path, (type(value), one.at(index)))
                if seen is not type(value):
                    raise Broken(
                        f"{one.at(index)}: info{_path(path)} is {short(value)} "
                        f"({type(value).__name__}) and was a {seen.__name__} after {where}; expected "
                        "one type (leave the key out where there is no value)"
                    )


def _entries(info: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in info.items():
        if isinstance(value, dict):
            yield from _entries(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _check_entry(one: Play, index: int, path: tuple[str, ...], value: Any) -> None:
    where = f"{one.at(index)}: info{_path(path)} is {short(value)} ({type(value).__name__})"
    if path[-1].startswith("_") or path[-1] in RESERVED:
        raise Broken(f"{where}; expected another key, for Gymnasium's vector environments use this one")
    if isinstance(value, np.ndarray | np.generic):
        raise Broken(f"{where}; expected a list or a plain number, for arrays have to keep their shape")
    if type(value) is int:
        raise Broken(f"{where}; expected a float, for an int makes Gymnasium truncate later floats")


def _path(path: tuple[str, ...]) -> str:
    return "".join(f"[{key!r}]" for key in path)
