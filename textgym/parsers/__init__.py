r"""Parsers: from what a model wrote to the answer in it, and back.

- ``Parser``: the whole text is the answer; base class of the others and of your own.
- ``XMLParser``: named tags, ``<reasoning>…</reasoning><answer>…</answer>``.
- ``BoxedParser``: the last ``\boxed{…}`` of a mathematical text.

All of them share four calls: ``parse(text)`` (everything that was found, with a ``ParseOutcome``),
``parse_answer(completion)`` (the answer or None), ``format_answer(answer)`` (a text that parses
back to it) and ``get_format_reward_func()`` (a reward for keeping to the format).

Invariant: no parser raises on any string, and each takes time linear in its length, because the
string is written by a model in training. Nothing here runs or evaluates model text.
"""

from textgym.parsers.boxed import BoxedParser
from textgym.parsers.parser import (
    FormatReward,
    Parsed,
    ParsedText,
    ParseOutcome,
    Parser,
    assistant_texts,
)
from textgym.parsers.xml import XMLParser
from textgym.parsers.xml_fields import XMLFields

__all__ = [
    "BoxedParser",
    "FormatReward",
    "ParseOutcome",
    "Parsed",
    "ParsedText",
    "Parser",
    "XMLFields",
    "XMLParser",
    "assistant_texts",
]
