"""From Python type hints to JSON Schema.

Invariant: where ``transformers.utils.get_json_schema`` accepts a hint, the schema is equal to its one
(``nullable`` for None, sorted type lists for unions of plain types, ``anyOf`` for others, ``prefixItems`` for
tuples); tests compare them. Beyond that it speaks of sequences, sets, TypedDicts, dataclasses, pydantic models and
``Annotated``. A hint without a JSON form is a ``ConfigError``: a model cannot be told what to write.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from textgym.errors import ConfigError

__all__ = ["ARRAYS", "OBJECTS", "bare_hint", "fields_of", "is_model", "note_of", "schema_of"]

_PLAIN: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
    list: "array",
    tuple: "array",
    dict: "object",
}
_SCALARS: dict[type, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
}
ARRAYS = frozenset(
    {
        list,
        set,
        frozenset,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Iterable,
        collections.abc.Collection,
        collections.abc.Set,
    }
)
"""Generic types of which a JSON array is the form (tuples aside)."""
OBJECTS = frozenset({dict, collections.abc.Mapping, collections.abc.MutableMapping})
"""Generic types of which a JSON object is the form."""


def schema_of(hint: Any, definitions: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON Schema of a type hint.

    Args:
        hint: A resolved type hint.
        definitions: Takes the ``$defs`` that pydantic models refer to; the caller puts them into the root of the
            whole schema.

    Returns:
        A fresh schema.

    Raises:
        ConfigError: The hint has no JSON form.

    Example:
        >>> schema_of(list[int] | None)
        {'type': 'array', 'items': {'type': 'integer'}, 'nullable': True}
    """
    return _schema(hint, {} if definitions is None else definitions, ())


def bare_hint(hint: Any) -> Any:
    """The hint without ``Annotated``, ``NewType``, ``Required`` and named aliases around it."""
    while True:
        if get_origin(hint) in (Annotated, typing.Required, typing.NotRequired):
            hint = get_args(hint)[0]
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def note_of(hint: Any) -> str:
    """The first text in ``Annotated[T, "text"]``, or ""."""
    while get_origin(hint) in (typing.Required, typing.NotRequired):
        hint = get_args(hint)[0]
    if get_origin(hint) is not Annotated:
        return ""
    notes = [getattr(note, "description", note) for note in get_args(hint)[1:]]
    return next((note for note in notes if isinstance(note, str)), "")


def is_model(hint: Any) -> bool:
    """Whether the hint is a pydantic model (or anything with its two methods)."""
    return isinstance(hint, type) and hasattr(hint, "model_json_schema") and hasattr(hint, "model_validate")


def fields_of(hint: Any) -> tuple[dict[str, Any], list[str]] | None:
    """Field -> hint, and the required fields, of a dataclass or TypedDict; None for anything else."""
    if typing.is_typeddict(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        # __required_keys__ does not see through annotations that are texts.
        optional = {name for name, kind in hints.items() if get_origin(kind) is typing.NotRequired}
        needed = {name for name, kind in hints.items() if get_origin(kind) is typing.Required}
        needed |= hint.__required_keys__ - optional
        return hints, [name for name in hints if name in needed]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = [field for field in dataclasses.fields(hint) if field.init]
        absent = dataclasses.MISSING
        bare = [f.name for f in fields if f.default is absent and f.default_factory is absent]
        return {field.name: hints[field.name] for field in fields}, bare
    return None


def _schema(hint: Any, definitions: dict[str, Any], within: tuple[Any, ...]) -> dict[str, Any]:
    hint = bare_hint(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is None:
        return _of_class(hint, definitions, within)
    if origin is Union or origin is types.UnionType:
        return _of_union(arguments, definitions, within)
    if origin is Literal:
        return _of_values(list(arguments), hint)
    if origin is tuple:
        return _of_tuple(arguments, definitions, within)
    if origin in ARRAYS:
        items = {"items": _schema(arguments[0], definitions, within)} if arguments else {}
        return {"type": "array", **items}
    if origin in OBJECTS:
        schema: dict[str, Any] = {"type": "object"}
        if len(arguments) == 2:
            schema["additionalProperties"] = _schema(arguments[1], definitions, within)
        return schema
    raise _no_form(hint)


def _of_class(hint: Any, definitions: dict[str, Any], within: tuple[Any, ...]) -> dict[str, Any]:
    if hint is Any:
        return {}
    if hint is None:
        return {"type": "null"}
    try:
        plain = _PLAIN.get(hint)
    except TypeError:
        plain = None
    if plain is not None:
        return {"type": plain}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _of_values([member.value for member in hint], hint)
    if hint in ARRAYS:
        return {"type": "array"}
    if hint in OBJECTS:
        return {"type": "object"}
    if is_model(hint):
        schema: dict[str, Any] = hint.model_json_schema()
        for name, definition in schema.pop("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise ConfigError(f"two different models are called {name!r}: rename one of them")
        return schema
    fields = fields_of(hint)
    if fields is None:
        raise _no_form(hint)
    if hint in within:
        raise ConfigError(f"type {hint.__name__} holds itself: write the JSON schema of this tool by hand")
    return _of_fields(fields, definitions, (*within, hint))


def _of_fields(
    fields: tuple[dict[str, Any], list[str]], definitions: dict[str, Any], within: tuple[Any, ...]
) -> dict[str, Any]:
    properties = {}
    for name, hint in fields[0].items():
        properties[name] = _schema(hint, definitions, within)
        if note := note_of(hint):
            properties[name]["description"] = note
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if fields[1]:
        schema["required"] = fields[1]
    schema["additionalProperties"] = False
    return schema


def _of_union(
    members: tuple[Any, ...], definitions: dict[str, Any], within: tuple[Any, ...]
) -> dict[str, Any]:
    schemas = [_schema(member, definitions, within) for member in members if member is not type(None)]
    if len(schemas) == 1:
        schema = schemas[0]
    elif all(set(part) == {"type"} and isinstance(part["type"], str) for part in schemas):
        names = sorted({part["type"] for part in schemas})
        schema = {"type": names[0] if len(names) == 1 else names}
    else:
        schema = {"anyOf": schemas}
    return {**schema, "nullable": True} if type(None) in members else schema


def _of_tuple(items: tuple[Any, ...], definitions: dict[str, Any], within: tuple[Any, ...]) -> dict[str, Any]:
    if not items:
        return {"type": "array"}
    if len(items) == 2 and items[1] is ...:
        return {"type": "array", "items": _schema(items[0], definitions, within)}
    return {"type": "array", "prefixItems": [_schema(item, definitions, within) for item in items]}


def _of_values(values: list[Any], hint: Any) -> dict[str, Any]:
    if not values or any(type(value) not in _SCALARS for value in values):
        raise ConfigError(
            f"{hint!r:.80} allows the values {values!r:.80}: a tool's choices must be texts, numbers, "
            "bools or None"
        )
    names = list(dict.fromkeys(_SCALARS[type(value)] for value in values))
    return {"type": names[0] if len(names) == 1 else names, "enum": values}


def _no_form(hint: Any) -> ConfigError:
    return ConfigError(
        f"type hint {hint!r:.80} has no JSON form: use int, float, str, bool, list, dict, tuple, Literal, Enum, "
        "Optional, a TypedDict, dataclass or pydantic model of these; or give the schema by hand, "
        "Tool(name, description, parameters, function)"
    )
