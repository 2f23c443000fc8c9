"""Checking a model's arguments against a tool's JSON Schema.

It knows the part of JSON Schema that tools and MCP servers use: ``type`` (also as a list), ``nullable``, ``enum``,
``const``, ``properties``, ``required``, ``additionalProperties``, ``items``, ``prefixItems``, ``anyOf``,
``oneOf``, ``allOf``, ``minimum``, ``maximum`` and their exclusive forms, ``minLength``, ``maxLength``,
``minItems``, ``maxItems`` and ``$ref`` into the schema itself. Other keywords are ignored. ``pattern`` is
among them on purpose: a regular expression of somebody else over text of a model can run forever.

Invariant: no value makes the check raise, recurse deeper than ``MAX_DEPTH`` or look at more than ``MAX_CHECKS``
parts; the texts are written for the model that wrote the arguments.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["MAX_CHECKS", "MAX_DEPTH", "argument_faults", "fault", "kind_of"]

MAX_DEPTH = 64
"""Deepest nesting of a value that is checked."""
MAX_CHECKS = 100_000
"""Most pairs of a value and a schema that one check looks at."""
_MOST_FAULTS = 5
_SHOWN = 60
_DEEPEST_KIND = 3

_TYPES: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": lambda value: _is_number(value),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def fault(value: Any, schema: Any) -> str | None:
    """What is wrong with a value, or None if it fits the schema.

    Example:
        >>> fault([1, "2"], {"type": "array", "items": {"type": "integer"}})
        'value[1] is "2": it must be an integer'
    """
    return _Check(schema).fault(value, schema, "value", 0)


def argument_faults(arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    """What is wrong with the arguments of a call; at most five faults.

    Unlike JSON Schema, arguments that are not among the ``properties`` are refused unless
    ``additionalProperties`` or ``patternProperties`` allow them by name.

    Args:
        arguments: What the model gave.
        parameters: The tool's schema, of type object.

    Returns:
        The faults as texts for the model, empty if there are none.

    Example:
        >>> argument_faults({"y": 1}, {"properties": {"x": {"type": "integer"}}, "required": ["x"]})
        ["argument 'x' (an integer) is missing", "there is no argument 'y': the only one is x"]
    """
    check = _Check(parameters)
    faults = []
    for found in check.arguments(arguments):
        faults.append(found)
        if len(faults) == _MOST_FAULTS:
            break
    return faults


def kind_of(schema: Any, depth: int = 0) -> str:
    """What a schema allows, in a few words; forms within forms are left out below the third level.

    Example:
        >>> kind_of({"type": ["integer", "string"]}), kind_of({"enum": ["a", "b"]})
        ('an integer or a string', 'one of "a", "b"')
    """
    if not isinstance(schema, Mapping) or depth > _DEEPEST_KIND:
        return "any value"
    if "enum" in schema and isinstance(schema["enum"], list):
        kind = "one of " + ", ".join(_shown(value) for value in schema["enum"][:30])
        kind += ", …" if len(schema["enum"]) > 30 else ""
    elif "const" in schema:
        kind = _shown(schema["const"])
    elif isinstance(schema.get("type"), str):
        kind = _article(schema["type"])
        if schema["type"] == "array" and isinstance(schema.get("items"), Mapping) and schema["items"]:
            kind += f", each item {kind_of(schema['items'], depth + 1)}"
    elif isinstance(schema.get("type"), list):
        kind = " or ".join(_article(str(name)) for name in schema["type"])
    else:
        parts = _list(schema.get("anyOf")) or _list(schema.get("oneOf"))
        kind = " or ".join(dict.fromkeys(kind_of(part, depth + 1) for part in parts[:8])) or "any value"
    if schema.get("nullable") is True and "null" not in kind:
        kind += " or null"
    return kind


def _article(name: str) -> str:
    return {"null": "null", "boolean": "true or false"}.get(
        name, f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"
    )


_BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "minimum": (operator.ge, "at least"),
    "maximum": (operator.le, "at most"),
    "exclusiveMinimum": (operator.gt, "greater than"),
    "exclusiveMaximum": (operator.lt, "less than"),
}


class _TooMuch(Exception):
    pass


class _Check:
    """One check: the root that references point into, and how much may still be looked at."""

    __slots__ = ("left", "root")

    def __init__(self, root: Any) -> None:
        self.root = root
        self.left = MAX_CHECKS

    def arguments(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        schema = self.root
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        for name in _names(schema.get("required")):
            if name not in arguments:
                kind = kind_of(properties.get(name, {}))
                yield f"argument '{name}'{'' if kind == 'any value' else f' ({kind})'} is missing"
        extra = schema.get("additionalProperties", "patternProperties" in schema)
        for name, value in arguments.items():
            where = f"argument '{name:.{_SHOWN}}'"
            part = properties.get(name, extra)
            if part is False:
                allowed = ", ".join(properties)
                only = f"the only one is {allowed}" if len(properties) == 1 else f"there are {allowed}"
                yield f"there is no {where}: {only if properties else 'this tool takes none'}"
            elif found := self._guarded(value, part, where):
                yield found
        rest = {name: schema[name] for name in ("anyOf", "oneOf", "allOf") if name in schema}
        if rest and (found := self._guarded(dict(arguments), rest, "the arguments")):
            yield found

    def _guarded(self, value: Any, schema: Any, where: str) -> str | None:
        try:
            return self.check(value, schema, where, 0)
        except _TooMuch as error:
            return f"{where} is {error}"

    def fault(self, value: Any, schema: Any, where: str, depth: int) -> str | None:
        return self._guarded(value, schema, where)

    def check(self, value: Any, schema: Any, where: str, depth: int) -> str | None:
        self.left -= 1
        if self.left < 0:
            raise _TooMuch("too large to check: give less")
        if depth > MAX_DEPTH:
            raise _TooMuch(f"nested deeper than {MAX_DEPTH} levels")
        if schema is False:
            return f"{where} is not allowed"
        if not isinstance(schema, Mapping) or (value is None and schema.get("nullable") is True):
            return None
        if isinstance(schema.get("$ref"), str):
            found = self.check(value, self._target(schema["$ref"]), where, depth + 1)
            if found:
                return found
        return (
            self._own(value, schema, where)
            or self._combined(value, schema, where, depth)
            or (self._members(value, schema, where, depth) if isinstance(value, dict) else None)
            or (self._items(value, schema, where, depth) if isinstance(value, list) else None)
        )

    def _target(self, reference: str) -> Any:
        """What ``#/a/b`` points to in the root; anything else is not looked up and allows everything."""
        if not reference.startswith("#"):
            return True
        target = self.root
        for part in reference[1:].split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or part not in target:
                return True
            target = target[part]
        return target

    def _own(self, value: Any, schema: Mapping[str, Any], where: str) -> str | None:
        """The keywords that look at the value itself."""
        types = schema.get("type")
        names = [types] if isinstance(types, str) else types if isinstance(types, list) else []
        known = all(isinstance(name, str) and name in _TYPES for name in names)
        wrong = bool(names) and known and not any(_TYPES[name](value) for name in names)
        values = schema.get("enum")
        wrong |= isinstance(values, list) and not any(_same(value, allowed) for allowed in values)
        wrong |= "const" in schema and not _same(value, schema["const"])
        if wrong:
            return f"{where} is {_shown(value)}: it must be {kind_of(schema)}"
        if _is_number(value):
            return _bounds(value, schema, where)
        if isinstance(value, str):
            return _sizes(len(value), schema, where, ("minLength", "maxLength"), "characters")
        return None

    def _combined(self, value: Any, schema: Mapping[str, Any], where: str, depth: int) -> str | None:
        for part in _list(schema.get("allOf")):
            found = self.check(value, part, where, depth + 1)
            if found:
                return found
        for name, most in (("anyOf", None), ("oneOf", 1)):
            parts = _list(schema.get(name))
            if not parts:
                continue
            faults = [self.check(value, part, where, depth + 1) for part in parts]
            fitting = faults.count(None)
            if fitting == 0:
                return self._nearest(value, schema, parts, faults, where)
            if most is not None and fitting > most:
                return f"{where} is {_shown(value)}: it fits {fitting} of the forms, and must fit one only"
        return None

    def _nearest(
        self, value: Any, schema: Any, parts: list[Any], faults: list[str | None], where: str
    ) -> str:
        """The fault within the only form whose type fits, else all forms."""
        of_type = [
            found
            for part, found in zip(parts, faults, strict=True)
            if isinstance(part, Mapping) and self._own(value, {"type": part.get("type")}, where) is None
        ]
        if len(of_type) == 1 and of_type[0] is not None:
            return of_type[0]
        return f"{where} is {_shown(value)}: it must be {kind_of({'anyOf': parts})}"

    def _members(
        self, value: dict[str, Any], schema: Mapping[str, Any], where: str, depth: int
    ) -> str | None:
        for name in _names(schema.get("required")):
            if name not in value:
                return f"{where} lacks the key '{name}'"
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        extra = schema.get("additionalProperties", True)
        if "patternProperties" in schema:
            extra = True
        for name, item in value.items():
            part = properties.get(name, extra)
            inner = f"{where}.{name:.{_SHOWN}}" if where[-1:] != "'" else f"{where[:-1]}.{name:.{_SHOWN}}'"
            if part is False:
                return f"{inner} is not allowed: the keys are {', '.join(properties) or 'none'}"
            found = self.check(item, part, inner, depth + 1)
            if found:
                return found
        return None

    def _items(self, value: list[Any], schema: Mapping[str, Any], where: str, depth: int) -> str | None:
        found = _sizes(len(value), schema, where, ("minItems", "maxItems"), "items")
        if found:
            return found
        first = _list(schema.get("prefixItems"))
        rest = schema.get("items", True)
        if isinstance(rest, list):  # how drafts before 2020-12 write prefixItems
            first, rest = rest, schema.get("additionalItems", True)
        for index, item in enumerate(value):
            part = first[index] if index < len(first) else rest
            inner = f"{where}[{index}]" if where[-1:] != "'" else f"{where[:-1]}[{index}]'"
            found = self.check(item, part, inner, depth + 1)
            if found:
                return found
        return None


def _bounds(value: float, schema: Mapping[str, Any], where: str) -> str | None:
    for name, (fits, words) in _BOUNDS.items():
        bound = schema.get(name)
        if _is_number(bound) and not fits(value, bound):
            return f"{where} is {_shown(value)}: it must be {words} {bound}"
    return None


def _sizes(size: int, schema: Mapping[str, Any], where: str, names: tuple[str, str], what: str) -> str | None:
    least: Any = schema.get(names[0])
    most: Any = schema.get(names[1])
    if _is_number(least) and size < least:
        return f"{where} has {size} {what}: it must have at least {least}"
    if _is_number(most) and size > most:
        return f"{where} has {size} {what}: it must have at most {most}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: Any) -> list[str]:
    return [name for name in _list(value) if isinstance(name, str)]


def _same(a: Any, b: Any, depth: int = 0) -> bool:
    """Equality of JSON values: 1 equals 1.0 and neither equals true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if depth > MAX_DEPTH:
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y, depth + 1) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key], depth + 1) for key in a)
    return bool(a == b)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        shown = json.dumps(value[:_SHOWN], ensure_ascii=False)
        return shown if len(value) <= _SHOWN else f'{shown[:-1]}…"'
    if isinstance(value, list):
        return f"a list of {len(value)} items" if value else "an empty list"
    if isinstance(value, dict):
        return f"an object with {len(value)} keys" if value else "an empty object"
    return f"{json.dumps(value):.{_SHOWN}}"
