"""From JSON values to what a function's type hints ask for.

Invariant: a value that fits the hint's schema comes out as the hint's type where JSON has none of its own
(enum members, dataclasses, pydantic models, tuples, sets, whole floats for int); every other value comes out as
it is. Checking is not done here.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin

from textgym.tools.schema import ARRAYS, OBJECTS, bare_hint, fields_of, is_model, schema_of
from textgym.tools.validation import fault

__all__ = ["value_of"]

_BUILT: dict[Any, Any] = {set: set, frozenset: frozenset, tuple: tuple}


def value_of(hint: Any, value: Any) -> Any:
    """The value as the hint wants it.

    Args:
        hint: A resolved type hint.
        value: A JSON value.

    Example:
        >>> value_of(tuple[int, float], [1.0, 2])
        (1, 2)
    """
    hint = bare_hint(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if origin is Union or origin is types.UnionType:
        return _of_union(arguments, value)
    if isinstance(value, list):
        return _of_list(origin or hint, arguments, value)
    if isinstance(value, dict):
        return _of_object(hint, origin, arguments, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        fitting = (member for member in hint if member.value == value and type(member.value) is type(value))
        return next(fitting, value)
    return value


def _of_union(members: tuple[Any, ...], value: Any) -> Any:
    for member in members:
        definitions: dict[str, Any] = {}
        schema = schema_of(member, definitions)
        if fault(value, {**schema, "$defs": definitions}) is None:
            return value_of(member, value)
    return value


def _of_list(kind: Any, arguments: tuple[Any, ...], value: list[Any]) -> Any:
    if kind is tuple:
        if len(arguments) == 2 and arguments[1] is ...:
            return tuple(value_of(arguments[0], item) for item in value)
        hints = [*arguments, *[Any] * (len(value) - len(arguments))]
        return tuple(value_of(hint, item) for hint, item in zip(hints, value, strict=False))
    if kind not in ARRAYS:
        return value
    items = [value_of(arguments[0], item) for item in value] if arguments else value
    return _BUILT.get(kind, list)(items)


def _of_object(hint: Any, origin: Any, arguments: tuple[Any, ...], value: dict[str, Any]) -> Any:
    if origin in OBJECTS and len(arguments) == 2:
        return {key: value_of(arguments[1], item) for key, item in value.items()}
    if is_model(hint):
        return hint.model_validate(value)
    fields = fields_of(hint)
    if fields is None:
        return value
    made: Mapping[str, Any] = {name: value_of(fields[0].get(name, Any), item) for name, item in value.items()}
    return made if typing.is_typeddict(hint) else hint(**made)
