"""Properties of the parsers: they read back what they write, and nothing makes them raise."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.parsers import BoxedParser, CodeParser, JSONParser, ParseOutcome, Parser, ThinkParser, XMLParser
from textgym.parsers.json_values import find_json

XML = XMLParser(["reasoning", ("tool", "answer")])
FIRST = XMLParser(["reasoning", ("tool", "answer")], pick="first")
VERBATIM = [
    Parser(),
    XML,
    FIRST,
    BoxedParser(),
    ThinkParser(),
    ThinkParser(required=False),
    ThinkParser(inner=BoxedParser()),
    ThinkParser(inner=XML, required=False),
]
"""Parsers whose answer is a part of the text."""
OTHERS = [
    JSONParser(),
    JSONParser(["reasoning"], "result.answer", pick="first"),
    JSONParser(answer_field=None),
    CodeParser(),
    CodeParser("python", unfenced=True, unclosed=True),
    ThinkParser(inner=JSONParser()),
    ThinkParser(inner=CodeParser("python")),
]
PARSERS = VERBATIM + OTHERS

# Lone surrogates included: st.text() leaves them out of the default alphabet's favourites.
anything = st.text(st.characters(exclude_categories=()))
pieces = st.lists(
    st.sampled_from(
        (
            *("<reasoning>", "</reasoning>", "<tool>", "</tool>", "<answer>", "</answer>", "<", ">"),
            *(r"\boxed{", r"\fbox {", r"\boxed", "{", "}", r"\{", r"\}", "\\", "a", " ", "\n", "\ud800"),
            *("<think>", "</think>", "```", "```json\n", "```python\n", "\n```\n", "~~~", "null", "1", ","),
            *('"', '{"answer":', '{"reasoning": 1, "result": {"answer": "x"}}', '{"answer": 4}', "[", "]"),
        )
    )
    | anything,
    max_size=30,
).map("".join)


@pytest.mark.parametrize("parser", PARSERS, ids=repr)
@given(text=pieces | anything)
@settings(deadline=None)
def test_no_text_makes_a_parser_raise(parser, text):
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]
    parsed = parser.parse(text)
    assert parsed == parser.parse(messages)
    assert parsed.outcome in ParseOutcome
    answer = parser.parse_answer(text)
    assert answer == parser.parse_answer(messages) == parser.answer_of(parsed)
    if answer is not None:
        assert answer == parser.trimmed(answer) or parser in OTHERS
        assert answer in text or parser in OTHERS
    assert 0.0 <= parser.format_score(text) <= 1.0
    assert parser.get_format_reward_func()(messages) == parser.format_score(text)


@pytest.mark.parametrize("parser", PARSERS, ids=repr)
@given(answer=pieces | anything)
@settings(deadline=None)
def test_a_formatted_answer_is_read_back_or_refused(parser, answer):
    try:
        text = parser.format_answer(answer)
    except ConfigError:
        assert re.search(r"[<{}\\]", answer) or not answer.strip() or "answer_field=None" in repr(parser)
        return
    assert parser.parse_answer(text) == parser.trimmed(answer)
    assert parser.get_format_reward_func()(text) == 1.0


@given(reasoning=pieces | anything, tool=pieces | anything)
@settings(deadline=None)
def test_formatted_fields_are_read_back_or_refused(reasoning, tool):
    for parser in (XML, FIRST):
        try:
            text = parser.format(reasoning=reasoning, tool=tool)
        except ConfigError:
            assert "<" in reasoning + tool
            continue
        parsed = parser.parse(text)
        assert (parsed.reasoning, parsed.tool) == (reasoning.strip(), tool.strip())


@given(text=pieces)
@settings(deadline=None)
def test_xml_blocks_are_those_of_a_regular_expression(text):
    parsed = XML.parse(text)
    for name in ("reasoning", "tool", "answer"):
        # The shortest block: no opening and no closing tag of the same name inside.
        inside = rf"((?:(?!</?{name}>).)*)"
        expected = re.findall(rf"<{name}>{inside}</{name}>", text, re.DOTALL)
        assert parsed.all(name) == tuple(block.strip() for block in expected)


@given(text=pieces)
@settings(deadline=None)
def test_boxes_are_those_of_a_search_from_every_opening(text):
    last = None
    # The same escapes and the same box command as in the definition, found one opening at a time.
    tokens = list(re.finditer(r"(\\\\?(?:boxed|fbox)\s*\{)|\\.|([{}])", text, re.DOTALL))
    for position, token in enumerate(tokens):
        if not token[1]:
            continue
        depth = 1
        for later in tokens[position + 1 :]:
            depth += bool(later[1]) + (later[2] == "{") - (later[2] == "}")
            if depth == 0:
                last = text[token.end() : later.start()].strip()
                break
    assert BoxedParser().parse(text).answer == last


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=8,
)
prose = st.text(st.characters(exclude_categories=(), exclude_characters="{[`~"), max_size=10)


@given(value=st.lists(values, max_size=3) | st.dictionaries(anything, values), around=st.tuples(prose, prose))
@settings(deadline=None)
def test_json_within_prose_is_found(value, around):
    for written in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        found, broken = find_json(around[0] + written + around[1])
        assert [entry.value for entry in found] == [value]
        assert not broken
        assert JSONParser(answer_field=None).parse(f"{around[0]}\n{written}").value == value


@given(text=pieces)
@settings(deadline=None)
def test_every_json_value_is_one_for_the_standard_library(text):
    found, _ = find_json(text)
    for entry in found:
        assert json.loads(json.dumps(entry.value)) == entry.value
    if text.strip().startswith(("{", "[")):
        try:
            whole = json.loads(text)
        except ValueError:
            return
        assert [entry.value for entry in found] == [whole]


@given(code=pieces | anything, language=st.sampled_from([None, "python", "c++"]))
@settings(deadline=None)
def test_code_of_any_text_reads_back(code, language):
    parser = CodeParser(language)
    text = f"Look:\n{parser.format_answer(code)}\nThat is all."
    assert parser.parse_answer(text) == parser.trimmed(code)
