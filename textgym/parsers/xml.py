"""``XMLParser``: answers in named tags, ``<reasoning>…</reasoning><answer>…</answer>``.

Invariant: what ``format`` and ``format_answer`` write, ``parse`` reads back. This is the tag
language of prompts, not XML: no attributes, no entities, no namespaces, and a tag does not nest in
itself. The semantics are those of ``verifiers`` 0.1; where they differ, the docstrings say so and
why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from textgym.errors import ConfigError
from textgym.parsers.parser import Completed, ExtractFn, ParseOutcome, Parser, final_text
from textgym.parsers.xml_fields import XMLFields, blocks_of, outcome_of

__all__ = ["XMLParser"]

Field: TypeAlias = str | tuple[str, ...]
"""A tag name, or alternatives of which a message uses one; the first is the canonical name."""

_NAME = re.compile(r"[^\W\d_][\w.:-]*\Z")
_RESERVED = frozenset({"all", "outcome", "outcome_of"})
_SEVERITY = (ParseOutcome.MALFORMED, ParseOutcome.MISSING, ParseOutcome.AMBIGUOUS)
_FILLER = "..."


class XMLParser(Parser):
    r"""Tagged fields, some of them with alternatives.

    A block runs from a closing tag back to the nearest opening tag of the same name, so that a
    mention of ``<answer>`` in the reasoning does not swallow the answer that follows (verifiers
    starts at the first opening tag; without such mentions both agree). Where a field is repeated,
    the attribute is the LAST block, as for ``\boxed``: models correct themselves by answering
    again. verifiers takes the first from ``parse`` and the last from ``parse_answer``;
    ``pick="first"`` gives the former for both. Either way the outcome is AMBIGUOUS if the blocks
    differ, and ``all(name)`` has each of them.

    Args:
        fields: Tag names in the order in which they are written. A tuple holds alternatives, of
            which a message uses one: the first is the canonical name that ``format`` writes.
        answer_field: Name of the field that holds the answer, or None where none of them does.
        extract_fn: Applied to the answer by ``parse_answer``; returns None for what it cannot read.
        pick: Which block of a repeated field counts, ``"last"`` or ``"first"``.

    Raises:
        ConfigError: A name is no tag name, occurs twice or is reserved; or ``answer_field`` is not
            among the fields.

    Example:
        >>> parser = XMLParser(["reasoning", "answer"])
        >>> parsed = parser.parse("<reasoning>2+2</reasoning> <answer> 4 </answer>")
        >>> parsed.reasoning, parsed.answer, parsed.outcome.value
        ('2+2', '4', 'ok')
        >>> print(parser.format(reasoning="2+2", answer="4"))
        <reasoning>
        2+2
        </reasoning>
        <answer>
        4
        </answer>
    """

    def __init__(
        self,
        fields: Sequence[Field],
        answer_field: str | None = "answer",
        extract_fn: ExtractFn | None = None,
        *,
        pick: Literal["last", "first"] = "last",
    ) -> None:
        super().__init__(extract_fn)
        self.fields = _checked_fields(fields)
        if pick not in ("last", "first"):
            raise ConfigError(f'pick is {pick!r}: it must be "last" or "first"')
        names = [name for alternatives in self.fields for name in alternatives]
        if answer_field is not None and answer_field not in names:
            raise ConfigError(
                f"answer_field is {answer_field!r}, which is not among the fields "
                f"{', '.join(names)}: name the one that holds the answer, "
                f"answer_field={names[-1]!r}, or pass answer_field=None where none does"
            )
        self.answer_field = answer_field
        self.pick = pick

    def parse(self, text: Completed) -> XMLFields:
        """Find all fields.

        Args:
            text: Any string; of messages, the last one of the assistant is parsed.

        Returns:
            One attribute a tag name. A field is MISSING without any of its tags, MALFORMED with
            tags that enclose nothing, AMBIGUOUS with differing blocks or with several alternatives.
        """
        text = final_text(text)
        blocks: list[tuple[str, tuple[str, ...]]] = []
        outcomes: list[ParseOutcome] = []
        for alternatives in self.fields:
            found = [(name, blocks_of(text, name)) for name in alternatives]
            blocks += found
            outcomes += [outcome_of(text, found)] * len(found)
        overall = next((worst for worst in _SEVERITY if worst in outcomes), ParseOutcome.OK)
        picked = -1 if self.pick == "last" else 0
        return XMLFields(tuple(blocks), tuple(outcomes), picked, overall)

    def answer_of(self, parsed: Any) -> str | None:
        """The content of the answer field, or None."""
        return None if self.answer_field is None else getattr(parsed, self.answer_field)

    def _answer_in(self, text: str) -> str | None:
        """The same as ``answer_of(parse(text))`` without looking for the other fields."""
        kind, name = type(self), self.answer_field
        if kind.parse is not XMLParser.parse or kind.answer_of is not XMLParser.answer_of:
            return super()._answer_in(text)
        blocks = () if name is None else blocks_of(text, name)
        return (blocks[-1] if self.pick == "last" else blocks[0]) if blocks else None

    def get_fields(self) -> list[str]:
        """The canonical field names in order."""
        return [alternatives[0] for alternatives in self.fields]

    def get_format_str(self) -> str:
        """The format as a template for a system prompt.

        Example:
            >>> print(XMLParser(["reasoning", ("tool", "answer")]).get_format_str())
            <reasoning>
            ...
            </reasoning>
            <[ tool | answer ]>
            ...
            </[ tool | answer ]>
        """
        names = [a[0] if len(a) == 1 else f"[ {' | '.join(a)} ]" for a in self.fields]
        return "\n".join(_tagged(name, _FILLER) for name in names)

    def format(self, **values: Any) -> str:
        """Write fields: the inverse of ``parse``.

        Args:
            **values: One value a field, under its canonical name or an alternative; written with
                ``str`` and under the canonical name.

        Returns:
            The blocks in the order of the fields, each tag on its own line.

        Raises:
            ConfigError: A field has no value, a name is unknown, or a value cannot be read back
                because it holds the tags themselves.
        """
        chosen: list[tuple[str, str]] = []
        for alternatives in self.fields:
            given = [name for name in alternatives if values.get(name) is not None]
            if not given:
                raise ConfigError(
                    f"missing value for field {alternatives[0]!r}: pass one of {', '.join(alternatives)}"
                )
            chosen.append((alternatives[0], str(values[given[0]])))
        unknown = values.keys() - {name for alternatives in self.fields for name in alternatives}
        if unknown:
            raise ConfigError(
                f"unknown fields {', '.join(sorted(unknown))}: this parser has {', '.join(self.get_fields())}"
            )
        return self._written(chosen)

    def render_answer(self, answer: str) -> str:
        """All fields, the answer under ``answer_field`` and ``...`` in the others.

        Raises:
            ConfigError: The parser has no answer field.
        """
        if self.answer_field is None:
            raise ConfigError(f"{self!r} has no answer field: construct it with answer_field=…")
        parts = []
        for alternatives in self.fields:
            is_answer = self.answer_field in alternatives
            name = self.answer_field if is_answer else alternatives[0]
            parts.append(_tagged(name, answer if is_answer else _FILLER))
        return "\n".join(parts)

    def format_score(self, text: str) -> float:
        """How well one text keeps to the format: the formula of ``verifiers`` 0.1.

        The sum of 0.4 x the share of fields of which some tag is there, 0.2 for spacing, 0.2 if the
        text starts with a tag of the first field and 0.2 if it ends with one of the last. The first
        two need at least one readable field. (In verifiers "spacing" is a check that always holds,
        so that a text without any tag earns 0.2 there; here it earns nothing.)

        Args:
            text: Any string.

        Returns:
            A number in [0, 1].
        """
        parsed = self.parse(text)
        stripped = text.strip()
        score = 0.0
        if any(contents for _, contents in parsed._blocks):
            present = sum(
                parsed.outcome_of(alternatives[0]) is not ParseOutcome.MISSING for alternatives in self.fields
            )
            score += 0.4 * (present / len(self.fields)) + 0.2
        if stripped.startswith(tuple(f"<{name}>" for name in self.fields[0])):
            score += 0.2
        if stripped.endswith(tuple(f"</{name}>" for name in self.fields[-1])):
            score += 0.2
        return min(score, 1.0)

    def _written(self, chosen: list[tuple[str, str]]) -> str:
        text = "\n".join(_tagged(name, value) for name, value in chosen)
        parsed = self.parse(text)
        for name, value in chosen:
            if getattr(parsed, name) != value.strip():
                raise ConfigError(
                    f"value of field {name!r} cannot be read back, for a value holds the tag "
                    f"<{name}> or </{name}>: {value!r:.120}"
                )
        return text

    def __repr__(self) -> str:
        fields = [a[0] if len(a) == 1 else a for a in self.fields]
        return f"XMLParser({fields!r}, answer_field={self.answer_field!r})"


def _checked_fields(fields: Any) -> tuple[tuple[str, ...], ...]:
    if isinstance(fields, str) or not isinstance(fields, Sequence) or not fields:
        raise ConfigError(
            f"fields is {fields!r:.80}: it must be a list of tag names and tuples of alternatives, "
            'like ["reasoning", ("tool", "answer")]'
        )
    checked: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for field in fields:
        alternatives = (field,) if isinstance(field, str) else field
        if not isinstance(alternatives, tuple) or not alternatives:
            raise ConfigError(f"field {field!r:.60} is neither a tag name nor a tuple of tag names")
        for name in alternatives:
            if not isinstance(name, str) or not _NAME.match(name) or name in _RESERVED:
                raise ConfigError(
                    f"field name {name!r:.60} is not allowed: use a letter followed by letters, "
                    f"digits, '-' or '_', and none of {', '.join(sorted(_RESERVED))}"
                )
            if name in seen:
                raise ConfigError(f"field name {name!r} occurs twice: every tag has one meaning")
            seen.add(name)
        checked.append(alternatives)
    return tuple(checked)


def _tagged(name: str, content: str) -> str:
    return f"<{name}>\n{content}\n</{name}>"
