"""``JSONParser``: the last JSON object or array of a text, and the answer in it.

Invariant: what counts as JSON is RFC 8259 to the letter, and nothing is repaired: a value with a
trailing comma, a comment, single quotes or ``NaN`` is no value. Where an object holds a key twice,
the last one counts, as for ``json.loads``, and the outcome is AMBIGUOUS. How values are found is in
``json_values.py``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textgym.errors import ConfigError
from textgym.parsers.fences import fenced_blocks
from textgym.parsers.json_values import FoundJSON, find_json, read_json
from textgym.parsers.parser import Completed, ExtractFn, ParseOutcome, Parser, final_text

__all__ = ["JSONParser", "ParsedJSON"]

_FILLER = "..."
_LONGEST_INDEX = 9
"""Most digits of an array index in a path."""


@dataclass(frozen=True, slots=True)
class ParsedJSON:
    """What ``JSONParser.parse`` found."""

    value: Any
    """The value that was picked, or None where there is none."""
    answer: str | None
    """The answer in it: a text as it is, anything else as JSON; None where there is none."""
    outcome: ParseOutcome
    """What the parser made of the text."""
    all: tuple[Any, ...] = ()
    """Every value that may be the one, in order."""


class JSONParser(Parser):
    """The answer is a field of the last JSON value.

    Values that lack the answer field or one of ``fields`` do not count, so that a list in the
    reasoning is not taken for the answer. If a fenced block labelled ``json`` holds a value that
    counts, only such blocks are searched, else the whole text; a text that is nothing but a number,
    a string, ``true`` or ``false`` is a value as well. A ``null`` is no answer.

    Outcomes: MISSING without a value that counts, MALFORMED if instead some bracket began one that
    cannot be read, AMBIGUOUS if several values differ, if one holds a key twice, or if there is an
    unreadable one in a ``json`` block besides, else OK.

    Args:
        fields: Keys that the value must have, besides the answer field.
        answer_field: Where the answer is: a key, or a path like ``"result.items.0"``. None takes
            the whole value.
        extract_fn: Applied to the answer by ``parse_answer``; returns None for what it cannot read.
        pick: Which value counts, ``"last"`` or ``"first"``.

    Raises:
        ConfigError: An argument is unusable.

    Example:
        >>> parser = JSONParser(["reason"])
        >>> parsed = parser.parse('From [1, 2]: {"reason": "2+2", "answer": 4}')
        >>> parsed.answer, parsed.value["reason"], parsed.outcome.value
        ('4', '2+2', 'ok')
        >>> JSONParser(answer_field="result.name").format_answer("Ada")
        '{"result": {"name": "Ada"}}'
    """

    def __init__(
        self,
        fields: Sequence[str] = (),
        answer_field: str | None = "answer",
        extract_fn: ExtractFn | None = None,
        *,
        pick: Literal["last", "first"] = "last",
    ) -> None:
        super().__init__(extract_fn)
        if isinstance(fields, str) or not all(isinstance(name, str) for name in fields):
            raise ConfigError(f'fields is {fields!r:.60}: it must be a list of keys, like ["answer"]')
        if answer_field is not None and not (isinstance(answer_field, str) and all(answer_field.split("."))):
            raise ConfigError(
                f"answer_field is {answer_field!r:.60}: it must be a key, keys joined by dots like "
                '"result.answer", or None for the whole value'
            )
        if pick not in ("last", "first"):
            raise ConfigError(f'pick is {pick!r}: it must be "last" or "first"')
        self.fields = tuple(fields)
        self.answer_field = answer_field
        self.pick = pick
        self._path = () if answer_field is None else tuple(answer_field.split("."))

    def parse(self, text: Completed) -> ParsedJSON:
        """Find the values that count and pick one.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            The value, the answer in it, and all values that count.
        """
        values, broken, spoiled = self._candidates(final_text(text))
        if not values:
            return ParsedJSON(None, None, ParseOutcome.MALFORMED if broken else ParseOutcome.MISSING)
        picked = values[-1 if self.pick == "last" else 0].value
        distinct = {json.dumps(found.value, sort_keys=True) for found in values}
        single = len(distinct) == 1 and not spoiled and not any(found.repeated for found in values)
        outcome = ParseOutcome.OK if single else ParseOutcome.AMBIGUOUS
        everything = tuple(found.value for found in values)
        return ParsedJSON(picked, _answer(_at(picked, self._path)), outcome, everything)

    def _candidates(self, text: str) -> tuple[list[FoundJSON], bool, bool]:
        """The values that count, whether any is broken, and whether one in a json block is."""
        labelled = [fence.content for fence in fenced_blocks(text) if fence.language == "json"]
        values: list[FoundJSON] = []
        spoiled = False
        for content in labelled:
            found, broken = _values(content)
            values += filter(self._counts, found)
            spoiled |= broken
        if values:
            return values, spoiled, spoiled
        found, broken = _values(text)
        return list(filter(self._counts, found)), broken or spoiled, spoiled

    def _counts(self, found: FoundJSON) -> bool:
        value = found.value
        if self.fields and not (isinstance(value, dict) and all(name in value for name in self.fields)):
            return False
        return _at(value, self._path) is not None

    def answer_of(self, parsed: Any) -> str | None:
        """The answer, or None."""
        answer: str | None = parsed.answer
        return answer

    def trimmed(self, answer: str) -> str:
        """The answer without surrounding whitespace; of a whole value, its JSON written anew."""
        if self.answer_field is not None:
            return answer.strip()
        found, _ = _values(answer)
        return (_answer(found[0].value) if len(found) == 1 else None) or answer.strip()

    def render_answer(self, answer: str) -> str:
        """An object with the answer as text at its place, and ``...`` in the other fields."""
        if self.answer_field is None:
            return answer
        *above, last = self._path
        value: dict[str, Any] = {name: _FILLER for name in self.fields if name != self._path[0]}
        place = value
        for key in above:
            place = place.setdefault(key, {})
        place[last] = answer
        return json.dumps(value, ensure_ascii=False)

    def format_score(self, text: str) -> float:
        """1.0 if the text holds a value with the answer and all fields, else 0.0."""
        return float(self.parse(text).answer is not None)

    def __repr__(self) -> str:
        return f"JSONParser({list(self.fields)!r}, answer_field={self.answer_field!r})"


def _values(text: str) -> tuple[list[FoundJSON], bool]:
    found, broken = find_json(text)
    if not found and not broken:
        scalar = read_json(text.strip())
        if scalar is not None:
            found = [scalar]
    return found, broken


def _at(value: Any, path: Sequence[str]) -> Any:
    """The value at a path, or None where there is none."""
    for key in path:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and len(key) <= _LONGEST_INDEX and key.isascii() and key.isdigit():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            return None
    return value


def _answer(value: Any) -> str | None:
    if value is None:
        return None
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
