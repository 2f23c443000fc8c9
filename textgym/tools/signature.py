"""From a plain function to what a model has to know to call it.

Invariant: everything is read when the tool is made, so that a function that cannot be a tool is a ``ConfigError``
then and there, never an error of an episode. The function is not called.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from textgym.errors import ConfigError
from textgym.tools.docstrings import Docstring, choices_of, read_docstring
from textgym.tools.schema import note_of, schema_of

__all__ = ["Signature", "read_signature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a function says of itself."""

    name: str
    """Its name; "" where it has none."""
    docstring: Docstring
    """Its docstring, taken apart."""
    parameters: dict[str, Any]
    """JSON Schema of the arguments that a model gives."""
    hints: dict[str, Any]
    """Resolved type hint of each of these."""


def read_signature(function: Callable[..., Any], hidden: Collection[str] = ()) -> Signature:
    """Read a function's signature, type hints and docstring.

    Args:
        function: A function, bound method, ``functools.partial`` or callable object.
        hidden: Arguments that the model neither sees nor gives.

    Raises:
        ConfigError: The function takes ``*args``, ``**kwargs`` or positional-only arguments, a type hint
            has no JSON form or cannot be resolved, or a hidden argument is none of the function's.
    """
    core, bound = _core(function)
    name = getattr(core, "__name__", "")
    name = type(function).__name__ if name == "__call__" else name
    names = _argument_names(function, name, bound)
    unknown = [given for given in hidden if given not in names]
    if unknown:
        raise ConfigError(
            f"tool {name!r} has no argument {unknown[0]!r} to hide: its arguments are "
            f"{', '.join(names) or 'none'}"
        )
    visible = {given: parameter for given, parameter in names.items() if given not in hidden}
    docstring = read_docstring(_documentation(function, core), visible)
    hints = {given: _hint(core, parameter, name) for given, parameter in visible.items()}
    parameters = _parameters(hints, docstring, name)
    required = [given for given, parameter in visible.items() if parameter.default is parameter.empty]
    if required:
        parameters["required"] = required
    return Signature(name=name, docstring=docstring, parameters=parameters, hints=hints)


def _core(function: Any) -> tuple[Any, set[str]]:
    """The function proper, and the arguments that partials have bound by name."""
    bound: set[str] = set()
    while isinstance(function, functools.partial):
        bound |= set(function.keywords)
        function = function.func
    if not (inspect.isroutine(function) or isinstance(function, type)):
        function = type(function).__call__
    return inspect.unwrap(function), bound


def _documentation(function: Any, core: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or isinstance(function, type):
        return inspect.getdoc(function) or ""
    return inspect.getdoc(core) or inspect.getdoc(type(function)) or ""


def _argument_names(function: Any, name: str, bound: Collection[str]) -> dict[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{function!r:.60} does not tell its arguments ({error}): wrap it in a function of your own, "
            "with type hints"
        ) from error
    first = next(iter(parameters.values()), None)
    if first is not None and first.name in ("self", "cls") and first.annotation is first.empty:
        raise ConfigError(f"tool {name!r} is a method without its object: give the bound one, object.{name}")
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise ConfigError(
                f"tool {name!r} takes {stars}{parameter.name}, which a model cannot be told of: name every "
                "argument, or wrap it in a function that does"
            )
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"argument {parameter.name!r} of tool {name!r} is positional-only: tools are called by name"
            )
    return {given: parameter for given, parameter in parameters.items() if given not in bound}


def _hint(core: Any, parameter: inspect.Parameter, name: str) -> Any:
    """The resolved hint of one argument; those of hidden ones are never looked at."""
    if parameter.annotation is parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        closure = inspect.getclosurevars(core).nonlocals if inspect.isfunction(core) else {}
        found = typing.get_type_hints(holder, getattr(core, "__globals__", {}), closure, include_extras=True)
    except Exception as error:
        raise ConfigError(
            f"type hint {parameter.annotation!r} of argument {parameter.name!r} of tool {name!r} cannot be "
            f"resolved ({error}): import what it names at run time, not only for type checkers"
        ) from error
    return found[parameter.name]


def _parameters(hints: dict[str, Any], docstring: Docstring, name: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for given, hint in hints.items():
        try:
            schema = schema_of(hint, definitions)
        except ConfigError as error:
            raise ConfigError(f"argument {given!r} of tool {name!r}: {error}") from error
        description, choices = choices_of(docstring.arguments.get(given, ""))
        if choices is not None:
            schema["enum"] = choices
        if given in docstring.arguments:
            schema["description"] = description
        elif note := note_of(hint):
            schema["description"] = note
        properties[given] = schema
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if definitions:
        parameters["$defs"] = definitions
    return parameters
