"""Properties of the parsers: they read back what they write, and nothing makes them raise."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.parsers import BoxedParser, ParseOutcome, Parser, XMLParser

XML = XMLParser(["reasoning", ("tool", "answer")])
FIRST = XMLParser(["reasoning", ("tool", "answer")], pick="first")
PARSERS = [Parser(), XML, FIRST, BoxedParser()]

# Lone surrogates included: st.text() leaves them out of the default alphabet's favourites.
anything = st.text(st.characters(exclude_categories=()))
pieces = st.lists(
    st.sampled_from(
        (
            *("<reasoning>", "</reasoning>", "<tool>", "</tool>", "<answer>", "</answer>", "<", ">"),
            *(r"\boxed{", r"\fbox {", r"\boxed", "{", "}", r"\{", r"\}", "\\", "a", " ", "\n", "\ud800"),
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
        assert answer in text
        assert answer == answer.strip()
    assert 0.0 <= parser.format_score(text) <= 1.0
    assert parser.get_format_reward_func()(messages) == parser.format_score(text)


@pytest.mark.parametrize("parser", PARSERS, ids=repr)
@given(answer=pieces | anything)
@settings(deadline=None)
def test_a_formatted_answer_is_read_back_or_refused(parser, answer):
    try:
        text = parser.format_answer(answer)
    except ConfigError:
        assert re.search(r"[<{}\\]", answer) or not answer.strip()
        return
    assert parser.parse_answer(text) == answer.strip()
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
