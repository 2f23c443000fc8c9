"""Rows: what a caller writes down for one task instance, read into an ``Example``.

A row is a dict with a ``prompt`` (text, or a list of messages) or a ``question``, and maybe
``answer``, ``task``, ``info`` and ``id``; every other key goes to ``info``. A None under one of the
six names counts as absent, because tables fill missing cells with it.

Invariant: a row that is accepted shares no list or dict with the caller, and rows of equal content
get equal ids in every process. This module never repairs a row: it reads it or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from textgym import seeding
from textgym.errors import ConfigError, DatasetError
from textgym.types import Example, Message

__all__ = ["as_example", "checked_columns", "content_key", "has_own_id", "renamed"]

_NAMES = ("prompt", "question", "answer", "task", "info", "id")
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


def as_example(row: Any) -> Example:
    """Read one row.

    Args:
        row: A dict as in the module's docstring, or an ``Example``, which is checked and returned.

    Returns:
        The example. Its ``id`` is the row's, as text, or else made from all of its content. Numpy
        numbers and arrays become Python numbers and lists, so that the example can go to JSON.

    Raises:
        DatasetError: The row is malformed.

    Example:
        >>> example = as_example({"question": "2+2?", "answer": "4", "level": 1})
        >>> example.question, example.answer, example.info
        ('2+2?', '4', {'level': 1})
    """
    try:
        return _read(row)
    except RecursionError:
        raise DatasetError("its values are nested too deeply, or hold themselves") from None


def renamed(row: Any, columns: Mapping[str, str]) -> Any:
    """The row with its own column names replaced by ours.

    Args:
        row: A row dict, or anything else, which is returned as it is.
        columns: Our name -> the row's name, for instance ``{"answer": "solution"}``.

    Raises:
        DatasetError: The row lacks a named column, or has one of its own under our name.

    Example:
        >>> renamed({"problem": "2+2?", "level": 1}, {"question": "problem"})
        {'question': '2+2?', 'level': 1}
    """
    if not columns or not isinstance(row, Mapping):
        return row
    for ours, theirs in columns.items():
        if theirs not in row:
            raise DatasetError(
                f"it has no key {theirs!r}, which columns names for {ours!r}; its keys are "
                f"{', '.join(map(str, row)) or 'none'}"
            )
    taken = set(columns.values())
    rest = {key: value for key, value in row.items() if key not in taken}
    for name in columns.keys() & rest.keys():
        raise DatasetError(
            f"it has a key {name!r} besides {columns[name]!r}, which columns puts there: give that one "
            f'another name too, columns={{…, "own_{name}": "{name}"}}'
        )
    return {ours: row[theirs] for ours, theirs in columns.items()} | rest


def checked_columns(columns: Any) -> dict[str, str]:
    """The argument ``columns``, checked; None means no renaming.

    Raises:
        ConfigError: It is no mapping from text to text.
    """
    if columns is None:
        return {}
    if not isinstance(columns, Mapping) or not all(
        isinstance(name, str) for pair in columns.items() for name in pair
    ):
        raise ConfigError(
            f"columns is {columns!r:.80}: it must be a dict from textgym's name to the name in the data, "
            'like {"question": "problem", "answer": "solution"}'
        )
    return dict(columns)


def content_key(example: Example) -> str:
    """Stable key of everything an example holds but its id: equal content, equal key.

    Raises:
        DatasetError: The content has values without a stable text form, so that the row needs an
            id.
    """
    return _key(
        {
            "prompt": example.prompt,
            "question": example.question,
            "answer": example.answer,
            "task": example.task,
            "info": example.info,
        }
    )


def has_own_id(row: Any, example: Example) -> bool:
    """Whether the id of an example is the row's own rather than made from its content."""
    if isinstance(row, Example):
        return example.id != content_key(example)
    return row.get("id") is not None


def _read(row: Any) -> Example:
    if isinstance(row, Example):
        return _checked(row)
    if type(row) is not dict and not isinstance(row, Mapping):
        raise DatasetError(
            f"it is {type(row).__name__} {row!r:.60}: a row is a dict with a prompt or a question"
        )
    odd = [key for key in row if not isinstance(key, str)]
    if odd:
        raise DatasetError(f"its key {odd[0]!r:.60} is {type(odd[0]).__name__}: keys are strings")
    content = {
        "prompt": _prompt(row.get("prompt")),
        "question": _text("question", row.get("question")),
        "answer": _plain(row.get("answer")),
        "task": _text("task", row.get("task")) or "default",
        "info": _info(row),
    }
    if content["prompt"] is None and content["question"] is None:
        raise DatasetError(f"it has neither 'prompt' nor 'question'; its keys are {', '.join(row) or 'none'}")
    identifier = _identifier(row.get("id"))
    return Example(id=_key(content) if identifier is None else identifier, **content)


def _checked(example: Example) -> Example:
    prompt = _prompt(example.prompt)
    if prompt is None and _text("question", example.question) is None:
        raise DatasetError("the Example has neither a prompt nor a question")
    if _identifier(example.id) != example.id:
        raise DatasetError(f"the Example has the id {example.id!r:.60}: it must be text")
    return example if type(prompt) is type(example.prompt) else replace(example, prompt=prompt)


def _prompt(value: Any) -> str | tuple[Message, ...] | None:
    if value is None or isinstance(value, str):
        return _text("prompt", value)
    if not isinstance(value, list | tuple):
        raise DatasetError(
            f"its prompt is {type(value).__name__} {value!r:.60}: a prompt is text or a list of "
            'messages like {"role": "user", "content": "…"}'
        )
    if not value:
        raise DatasetError("its prompt is an empty list of messages")
    return tuple(_message(position, message) for position, message in enumerate(value))


def _message(position: int, message: Any) -> Message:
    where = f"message {position} of its prompt"
    if not isinstance(message, Mapping):
        raise DatasetError(
            f"{where} is {type(message).__name__} {message!r:.60}: a message is a dict with role and content"
        )
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise DatasetError(f"{where} has the role {role!r:.60}: it must be one of {', '.join(_ROLES)}")
    if content is None and not message.get("tool_calls"):
        raise DatasetError(f"{where} has no content: only a message with tool_calls may lack it")
    if content is not None and not isinstance(content, str | list | tuple):
        raise DatasetError(
            f"the content of {where} is {type(content).__name__} {content!r:.60}: it must be text "
            "or a list of parts"
        )
    # Tables give every message the keys of all messages, with None where it has none.
    return {k: _plain(v) for k, v in message.items() if v is not None or k == "content"}


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise DatasetError(f"its {name} is {type(value).__name__} {value!r:.60}: it must be text")
    if not value.strip():
        raise DatasetError(f"its {name} is blank")
    return str(value)


def _info(row: Mapping[str, Any]) -> dict[str, Any]:
    columns = {key: _plain(value) for key, value in row.items() if key not in _NAMES}
    info = row.get("info")
    if info is None:
        return columns
    if not isinstance(info, Mapping):
        raise DatasetError(
            f"its info is {type(info).__name__} {info!r:.60}: it must be a dict (json.loads reads "
            "one from text)"
        )
    twice = sorted(columns.keys() & info.keys())
    if twice:
        raise DatasetError(f"{twice[0]!r} is both a key of the row and of its info: keep one of them")
    return {**columns, **_plain(info)}


def _identifier(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, np.integer):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DatasetError(
            f"its id is {type(value).__name__} {value!r:.60}: it must be text or a whole number"
        )
    if value == "":
        raise DatasetError("its id is empty: give a text, or no id to have one made from the content")
    return str(value)


def _plain(value: Any) -> Any:
    """The value with containers copied and numpy numbers and arrays as Python ones."""
    if type(value) in _SIMPLE:  # the checks below are slow, and rows are mostly text
        return value
    if isinstance(value, np.generic | np.ndarray):
        items = value.tolist()
        return [_plain(item) for item in items] if isinstance(items, list) else items
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value


def _key(content: dict[str, Any]) -> str:
    present = {name: value for name, value in content.items() if value is not None}
    try:
        return seeding.flat_id(present) or seeding.content_id(_stable(present))
    except (TypeError, ValueError) as error:
        raise DatasetError(f"no id can be made from its content ({error}): give the row an id") from None


def _stable(value: Any) -> Any:
    """The value as JSON types whose text is the same in every process."""
    if type(value) in _SIMPLE or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {key: _stable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_stable(item) for item in value), key=repr)
    text = repr(value)
    if " at 0x" in text:
        raise TypeError(f"{text:.80} has no text form but its address in memory")
    return text
