"""ToolCallParser: both forms, what is malformed and why, round trips, hostile text."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.parsers import ToolCallParser
from textgym.parsers.tool_calls import read_arguments

PARSER = ToolCallParser()


def calls(text: str) -> list[tuple[str, Any]]:
    """(name, arguments) of the calls; the fault for a malformed one."""
    found = PARSER.parse(text).calls
    return [(call.name, call.fault or json.loads(call.arguments)) for call in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<tool>{"name": "add", "args": {"a": 1}}</tool>', [("add", {"a": 1})]),
        ('<tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', [("add", {"a": 1})]),
        ('<tool>\n{"name": "add",\n "arguments": {"a": 1}}\n</tool>', [("add", {"a": 1})]),
        ('<tool_call>{"name": "add", "args": {"a": 1}}</tool_call>', [("add", {"a": 1})]),
        ('<tool>{"args": {"a": 1}, "name": "add"}</tool>', [("add", {"a": 1})]),
        ('<tool>{"name": "now"}</tool>', [("now", {})]),
        ('<tool>{"name": "now", "args": null}</tool>', [("now", {})]),
        ('<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}</tool_call>', [("add", {"a": 1})]),
        ('<tool_call>{"name": "add", "arguments": ""}</tool_call>', [("add", {})]),
        ('<tool>{"name": "a"}</tool> and <tool_call>{"name": "b"}</tool_call>', [("a", {}), ("b", {})]),
        ('<tool>{"name": "a", "args": {"t": "</tool>"}}</tool>', [("a", {"t": "</tool>"})]),
        ('<tool>{"name": "a", "args": {"t": "<tool>x"}}</tool>', [("a", {"t": "<tool>x"})]),
        (
            '<tool_call>{"name": "a", "arguments": {"t": "</tool_call>"}}</tool_call>',
            [("a", {"t": "</tool_call>"})],
        ),
        ('I may use <tool> tags. <tool>{"name": "a"}</tool>', [("a", {})]),
        ('I may use <tool> tags. <tool_call>{"name": "a"}</tool_call></tool>', [("a", {})]),
        ('<tool>{"name": "a"}', [("a", {})]),  # a stop string has taken the closing tag
        ('<tool>{"name": "a"}<tool>{"name": "b"}</tool>', [("a", {}), ("b", {})]),
        ('<think><tool>{"name": "draft"}</tool></think><tool>{"name": "a"}</tool>', [("a", {})]),
        (
            '\n<think>x</think> <tool>{"name": "a", "args": {"t": "</think>"}}</tool>',
            [("a", {"t": "</think>"})],
        ),
        ('<think>never closed <tool>{"name": "a"}</tool>', [("a", {})]),
        (
            '<think>a<tool_call>{"name": "a", "args": {"x": "</think>"}}</tool_call><tool>{"name": "b"}</tool>',
            [("a", {"x": "</think>"}), ("b", {})],
        ),
        (
            '<think><tool>{"name": "a", "args": {"x": "</think>"}}</tool> no </think><tool>{"name": "b"}</tool>',
            [("b", {})],
        ),
        ("", []),
        ("no calls, a <tool> in a sentence", []),
        ("<answer>4</answer></tool>", []),
        ("<TOOL>{}</TOOL>", []),
    ],
)
def test_forms(text: str, expected: list[tuple[str, Any]]) -> None:
    assert calls(text) == expected


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        ("<tool>add(1)</tool>", "", "must be a JSON object"),
        ("<tool></tool>", "", "must be a JSON object"),
        ('<tool>[{"name": "a"}]</tool>', "", "must be a JSON object"),
        ('<tool>{"name": "a", "args": {"b": 1,}}</tool>', "a", "no valid JSON"),
        ("<tool>{'name': 'a'}</tool>", "", "no valid JSON"),
        (
            '<tool>{"name": "a", "args": {"code": "x\ny"}}</tool>',
            "a",
            "a line break within a string is written",
        ),
        ('<tool>{"name": "a", "args": {"x": NaN}}</tool>', "a", "NaN is no JSON number"),
        ('<tool>{"name": "a", "args": {"x": 1e999}}</tool>', "a", "too large a number"),
        ('<tool>{"name": "a", "args": {"x": ' + "9" * 5000 + "}}</tool>", "a", "no valid JSON"),
        ('<tool>{"name": "a", "args": ' + "[" * 70 + "]" * 70 + "}</tool>", "a", "nested too deeply"),
        ('<tool>{"name": "a", "args": ' + "[" * 20_000, "", "no valid JSON"),
        ('<tool>{"args": {}}</tool>', "", 'has no "name"'),
        ('<tool>{"name": 3}</tool>', "", 'has no "name"'),
        ('<tool>{"name": " "}</tool>', "", 'has no "name"'),
        ('<tool>{"name": "a", "args": [1]}</tool>', "a", "must be a JSON object"),
        ('<tool>{"name": "a", "args": "x"}</tool>', "a", "no valid JSON"),
        ('<tool>{"name": "a", "args": {"b": 1', "", "no valid JSON"),
        ('<tool>{"name": "a"} then text', "", "no valid JSON"),
        ('<tool_call>{"name": "a", "arguments": {"b": }</tool_call>', "a", "no valid JSON"),
    ],
)
def test_malformed(text: str, name: str, fault: str) -> None:
    (call,) = PARSER.parse(text).calls
    assert call.name == name
    assert fault in call.fault
    assert PARSER.parse(text).content == text


def test_arguments_are_kept_as_they_were_written() -> None:
    written = '{"a":  1.0, "b": "\\u00e9"}'
    (call,) = PARSER.parse(f'<tool_call>{{"name": "x", "arguments": {written}}}</tool_call>').calls
    assert call.arguments == written


def test_content_and_spoken() -> None:
    text = '<think>\nhm <answer>1</answer>\n</think>\nSo: <tool>{"name": "a"}</tool> and <tool>bad</tool>.'
    found = PARSER.parse(text)
    assert found.content == "<think>\nhm <answer>1</answer>\n</think>\nSo:\nand <tool>bad</tool>."
    assert found.spoken == "So:\nand\n."
    assert found.thoughts == "<think>\nhm <answer>1</answer>\n</think>"
    plain = PARSER.parse("  <answer> 4 </answer>\n")
    assert plain.content == plain.spoken == "  <answer> 4 </answer>\n"


def test_more_calls_than_allowed_are_counted() -> None:
    found = ToolCallParser(max_calls=2).parse('<tool>{"name": "a"}</tool>' * 5)
    assert (len(found.calls), found.dropped) == (2, 3)
    assert found.content.count("<tool>") == 3
    assert found.spoken == ""
    for bad in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="max_calls"):
            ToolCallParser(max_calls=bad)  # type: ignore[arg-type]


def test_messages_are_read_like_any_parser_reads_them() -> None:
    said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": PARSER.format("a")}]
    assert PARSER.parse(said).calls[0].name == "a"
    assert repr(PARSER) == "ToolCallParser(max_calls=32)"


def test_format_refuses_what_is_no_json() -> None:
    for value in (float("nan"), object()):
        with pytest.raises(ConfigError, match="no JSON"):
            PARSER.format("a", {"x": value})


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(), max_size=8),
        st.sampled_from(["</tool>", "</tool_call>", "<tool>{", '"}</tool>', "</think>", "\ud800", "\x00"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(st.text(max_size=6), JSON, max_size=3)
TOOL_NAMES = st.one_of(
    st.text(min_size=1, max_size=8).filter(lambda name: name.strip() != ""),
    st.sampled_from(["a.b/c", '"', "</tool>", "</tool_call>"]),
)


@settings(max_examples=150)
@given(
    written=st.lists(
        st.tuples(TOOL_NAMES, ARGUMENTS, st.sampled_from(["text", "native"])), min_size=1, max_size=4
    )
)
def test_what_format_writes_parse_reads(written: list[tuple[str, dict[str, Any], Any]]) -> None:
    blocks = [PARSER.format(name, arguments, form) for name, arguments, form in written]
    found = PARSER.parse("I call.\n" + "\n".join(blocks))
    assert [call.fault for call in found.calls] == [""] * len(written)
    assert [(call.name, json.loads(call.arguments)) for call in found.calls] == [w[:2] for w in written]
    assert found.content == found.spoken == "I call."


PIECES = st.sampled_from(
    ["<tool>", "</tool>", "<tool_call>", "</tool_call>", '{"name": "a"}', '{"name": "a", "args": {', "}}",
     "{", "}", '"', "<think>", "</think>", " ", "\n", "text", "[", "\ud800", "\x00", "1e999", '"args": ', "\\"]
)  # fmt: skip


@settings(max_examples=500)
@given(text=st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(max_size=60)))
def test_any_text(text: str) -> None:
    found = PARSER.parse(text)
    for call in found.calls:
        assert 0 <= call.start < call.end <= len(text)
        if call.fault:
            continue
        arguments, fault = read_arguments(call.arguments)
        assert (type(arguments), fault) == (dict, "")
        assert call.name.strip()
    spans = [(call.start, call.end) for call in found.calls]
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize(
    "unit",
    [
        "<tool>", "<tool_call>", "</tool>", "<tool>{", "<tool>{}", "<tool>{}</tool>", "<tool></tool>",
        "<tool> ", "<think>", "<tool></tool_call>", "<tool><tool_call>", '<tool>{"name": "a"}', '<tool>{"name":',
        "<think><tool>{</think>", '<think><tool>{"a": "</think>"}',
        '{"name": "a", "arguments": ', '<tool>{"a": [', "<tool>{'", "<tool_call>{}</tool>", " ",
        '<tool>{"name": "\\', "<tool>[",
    ],
)  # fmt: skip
def test_a_megabyte_of_forged_tags(unit: str) -> None:
    for tail in ("", "}}</tool>"):
        found = PARSER.parse(unit * ((1 << 20) // len(unit)) + tail)
        assert len(found.calls) <= 32


def test_read_arguments() -> None:
    assert read_arguments("") == ({}, "")
    assert read_arguments(' {"a": 1} ') == ({"a": 1}, "")
    assert read_arguments('"{}"') == ({}, "")
    assert read_arguments("null")[0] is None
    assert "no valid JSON" in read_arguments("{")[1]
