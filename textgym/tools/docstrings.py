"""Docstrings of tools: what the model is told about a function and its arguments.

The form is Google's: a description, then ``Args:``, ``Returns:``, ``Raises:`` and ``Examples:``. Invariant:
where ``transformers.utils.get_json_schema`` accepts a docstring, the texts found here are the same; where it
does not (no docstring, an argument left out, ``name (type): …``), less is found and nothing is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Docstring", "choices_of", "read_docstring"]

_SECTIONS = ("Args:", "Returns:", "Raises:")
_ARGS = re.compile(r"^[ \t]*Args:[ \t]*$", re.MULTILINE)
_RETURNS = re.compile(r"^[ \t]*Returns:[ \t]*$", re.MULTILINE)
_EXAMPLES = re.compile(r"^[ \t]*Examples?:[ \t]*$", re.MULTILINE)
_NAMED = re.compile(r"([ \t]*)(\w+)(?:[ \t]*\([^()\n]*\))?:")
_CHOICES = re.compile(r"\(choices:[ \t]*(.*)\)\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """The parts of a docstring."""

    description: str = ""
    """Everything before the first section."""
    arguments: dict[str, str] = field(default_factory=dict)
    """Argument -> its description on one line."""
    returns: str = ""
    """What is returned."""
    examples: str = ""
    """Worked examples, as they are written."""


def read_docstring(text: str, names: Collection[str] = ()) -> Docstring:
    """Take a docstring apart.

    Args:
        text: The docstring, its indentation removed (``inspect.getdoc``).
        names: Arguments of the function; only these may be written ``name (type): …``.

    Example:
        >>> read_docstring("Add.\\n\\nArgs:\\n    a: One number,\\n        of any size\\n    b: Another").arguments
        {'a': 'One number, of any size', 'b': 'Another'}
    """
    text = text.strip()
    block = _section(text, _ARGS, ("Returns:", "Raises:"))
    arguments = _arguments(block)
    if not set(names) <= arguments.keys():
        arguments = _arguments(block, names)
    returns = _section(text, _RETURNS, ("Raises:",))
    examples = _EXAMPLES.search(text, len(_until(text, _SECTIONS)))
    return Docstring(
        description=_until(text, _SECTIONS).strip(),
        arguments=arguments,
        returns=_EXAMPLES.split(returns)[0].strip(),
        examples="" if examples is None else _dedented(_until(text[examples.end() :], _SECTIONS)),
    )


def _until(text: str, marks: Collection[str]) -> str:
    found = [at for mark in marks if (at := text.find(mark)) >= 0]
    return text[: min(found)] if found else text


def _section(text: str, heading: re.Pattern[str], ends: Collection[str]) -> str:
    found = heading.search(text)
    return "" if found is None else _until(text[found.end() :], ends)


def _arguments(block: str, names: Collection[str] | None = None) -> dict[str, str]:
    """Lines ``name: …`` open an argument unless they are indented deeper than the one that is open.

    Without ``names``, the line after a bare ``name:`` belongs to it whatever it looks like, which is how
    transformers reads it; with them, it may open the next argument, and ``name (type): …`` opens one too.
    """
    found: dict[str, list[str]] = {}
    indent: str | None = None
    name = ""
    for line in block.splitlines():
        if not line.strip():
            continue
        opener = _NAMED.match(line)
        if opener is not None:
            plain = opener.end(2) + 1 == opener.end()
            fits = plain or (names is not None and opener[2] in names)
            within = indent is not None and line.startswith((indent + " ", indent + "\t"))
            if fits and not within and not (names is None and name and found[name] == [""]):
                indent, name = opener[1], opener[2]
                found[name] = [line[opener.end() :].strip()]
                continue
        if name:
            found[name].append(line.strip())
    return {name: " ".join(part for part in lines if part) for name, lines in found.items()}


def _dedented(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def choices_of(description: str) -> tuple[str, list[Any] | None]:
    """Split ``(choices: ["a", "b"])`` off the end of a description.

    Returns:
        The description without it, and the allowed values; None where there are none.

    Example:
        >>> choices_of('What to drink (choices: ["tea", "coffee"])')
        ('What to drink', ['tea', 'coffee'])
    """
    found = _CHOICES.search(description)
    if found is None:
        return description, None
    try:
        values = json.loads(found[1])
    except ValueError:
        return description, None
    if not isinstance(values, list):
        return description, None
    values = [value.strip() if isinstance(value, str) else value for value in values]
    return description[: found.start()].strip(), values
