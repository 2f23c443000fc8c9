"""``XMLFields``: what an ``XMLParser`` found in a text, and how it is found.

Invariant: tags are found with ``str.find``, left to right and each character a bounded number of
times, so that a megabyte of opening tags costs milliseconds. This module does not know which fields
a format asks for; ``XMLParser`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textgym.parsers.parser import ParseOutcome

__all__ = ["XMLFields", "blocks_of", "outcome_of"]


@dataclass(frozen=True, slots=True, repr=False)
class XMLFields:
    """What ``XMLParser.parse`` found: every allowed tag is an attribute, None where it is absent.

    Example:
        >>> from textgym.parsers import XMLParser
        >>> fields = XMLParser(["reasoning", ("tool", "answer")]).parse("<answer> 4 </answer>")
        >>> fields.answer, fields.tool, fields.outcome
        ('4', None, <ParseOutcome.MISSING: 'missing'>)
    """

    _blocks: tuple[tuple[str, tuple[str, ...]], ...]
    _outcomes: tuple[ParseOutcome, ...]
    _picked: int
    outcome: ParseOutcome
    """The worst of all fields: MALFORMED, else MISSING, else AMBIGUOUS, else OK."""

    def all(self, name: str) -> tuple[str, ...]:
        """The contents of every ``<name>`` block, in order and without surrounding whitespace.

        Raises:
            AttributeError: The parser has no such field.

        Example:
            >>> from textgym.parsers import XMLParser
            >>> parser = XMLParser(["tool"], answer_field=None)
            >>> parser.parse("<tool>a</tool> <tool>b</tool>").all("tool")
            ('a', 'b')
        """
        return self._blocks[self._position(name)][1]

    def outcome_of(self, name: str) -> ParseOutcome:
        """What became of one field; alternatives share their outcome.

        Raises:
            AttributeError: The parser has no such field.
        """
        return self._outcomes[self._position(name)]

    def _position(self, name: str) -> int:
        for position, (known, _) in enumerate(self._blocks):
            if known == name:
                return position
        known = ", ".join(known for known, _ in self._blocks)
        raise AttributeError(f"no field {name!r}: this parser's fields are {known}", name=name)

    def __getattr__(self, name: str) -> str | None:
        # Copying and unpickling ask for attributes before there is any state to look at.
        if name.startswith("_"):
            raise AttributeError(name)
        contents = self.all(name)
        return contents[self._picked] if contents else None

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name, _ in self._blocks)
        return f"XMLFields({values}, outcome={self.outcome.value!r})"


def blocks_of(text: str, name: str) -> tuple[str, ...]:
    """The contents of all ``<name>`` blocks of a text, without surrounding whitespace.

    A block runs from a closing tag back to the nearest opening tag before it. Every character is
    searched at most twice.
    """
    opening, closing = f"<{name}>", f"</{name}>"
    blocks = []
    position = 0
    while (end := text.find(closing, position)) >= 0:
        start = text.rfind(opening, position, end)
        if start >= 0:
            blocks.append(text[start + len(opening) : end].strip())
        position = end + len(closing)
    return tuple(blocks)


def outcome_of(text: str, found: Sequence[tuple[str, tuple[str, ...]]]) -> ParseOutcome:
    """What became of one field.

    Args:
        text: The text.
        found: The blocks of each of the field's alternatives.
    """
    candidates = [set(contents) for _, contents in found if contents]
    if candidates:
        single = len(candidates) == 1 and len(candidates[0]) == 1
        return ParseOutcome.OK if single else ParseOutcome.AMBIGUOUS
    if any(f"<{name}>" in text or f"</{name}>" in text for name, _ in found):
        return ParseOutcome.MALFORMED
    return ParseOutcome.MISSING
