r"""Parsers: from what a model wrote to the answer in it, and back.

- ``Parser``: the whole text is the answer; base class of the others and of your own.
- ``XMLParser``: named tags, ``<reasoning>…</reasoning><answer>…</answer>``.
- ``ThinkParser``: what follows ``<think>…</think>``, maybe read by another parser.
- ``BoxedParser``: the last ``\boxed{…}`` of a mathematical text.
- ``JSONParser``: a field of the last JSON value.
- ``CodeParser``: the last fenced code block.

``ToolCallParser`` finds the tool calls in a text; it has ``parse`` and ``format`` only.

All of them share four calls: ``parse(text)`` (everything that was found, with a ``ParseOutcome``),
``parse_answer(completion)`` (the answer or None), ``format_answer(answer)`` (a text that parses
back to it) and ``get_format_reward_func()`` (a reward for keeping to the format).

Invariant: no parser raises on any string, and each takes time linear in its length, because the
string is written by a model in training. Nothing here runs or evaluates model text.
"""

from textgym.parsers.boxed import BoxedParser
from textgym.parsers.code import CodeParser, ParsedCode
from textgym.parsers.json import JSONParser, ParsedJSON
from textgym.parsers.parser import (
    FormatReward,
    Parsed,
    ParsedText,
    ParseOutcome,
    Parser,
    assistant_texts,
)
from textgym.parsers.think import ParsedThink, ThinkParser
from textgym.parsers.tool_calls import ParsedCall, ParsedCalls, ToolCallParser
from textgym.parsers.xml import XMLParser
from textgym.parsers.xml_fields import XMLFields

__all__ = [
    "BoxedParser",
    "CodeParser",
    "FormatReward",
    "JSONParser",
    "ParseOutcome",
    "Parsed",
    "ParsedCall",
    "ParsedCalls",
    "ParsedCode",
    "ParsedJSON",
    "ParsedText",
    "ParsedThink",
    "Parser",
    "ThinkParser",
    "ToolCallParser",
    "XMLFields",
    "XMLParser",
    "assistant_texts",
]
