"""Checking arguments: agreement with the ``jsonschema`` package, texts for the model, bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgym.tools.validation import MAX_DEPTH, argument_faults, fault, kind_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.0, 1.5, -2.5]),
    st.text("ab", max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])


def _schemas(inner: Any) -> Any:
    return st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1, max_size=2)}, optional={"items": inner}),
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)},
            optional={
                "type": st.just("object"),
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "additionalProperties": st.one_of(st.booleans(), inner),
            },
        ),
        st.builds(lambda name, parts: {name: parts}, st.sampled_from(["anyOf", "oneOf", "allOf"]),
                  st.lists(inner, min_size=1, max_size=3)),
    )  # fmt: skip


SCHEMAS = st.recursive(
    st.one_of(
        st.fixed_dictionaries(
            {"type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True))}
        ),
        st.fixed_dictionaries({"enum": st.lists(VALUES, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"const": VALUES}),
        st.fixed_dictionaries(
            {},
            optional={
                "minimum": st.integers(-2, 2),
                "maximum": st.integers(-2, 2),
                "exclusiveMinimum": st.integers(-2, 2),
                "exclusiveMaximum": st.integers(-2, 2),
                "minLength": st.integers(0, 3),
                "maxLength": st.integers(0, 3),
                "minItems": st.integers(0, 3),
                "maxItems": st.integers(0, 3),
            },
        ),
        st.just({"$ref": "#/$defs/leaf"}),
        st.booleans(),
    ),
    _schemas,
    max_leaves=6,
)


@settings(max_examples=600)
@given(value=VALUES, schema=SCHEMAS)
def test_agrees_with_jsonschema(value: Any, schema: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    root = {"allOf": [schema], "$defs": {"leaf": {"type": ["integer", "null"]}}}
    expected = jsonschema.Draft202012Validator(root).is_valid(value)
    assert (fault(value, root) is None) == expected


PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2},
        "days": {"type": "integer", "minimum": 1, "maximum": 7},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "where": {
            "type": "object",
            "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["lat"],
            "additionalProperties": False,
        },
        "note": {
            "anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "string"}],
            "nullable": True,
        },
    },
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        ({"city": "Rome", "days": 3, "unit": "C", "where": {"lat": 1, "tags": ["a"]}, "note": None}, []),
        ({"city": "Rome", "days": 3.0}, []),
        ({}, ["argument 'city' (a string) is missing"]),
        ({"city": 3}, ["argument 'city' is 3: it must be a string"]),
        ({"city": None}, ["argument 'city' is null: it must be a string"]),
        ({"city": "R"}, ["argument 'city' has 1 characters: it must have at least 2"]),
        ({"city": "Rome", "days": "3"}, ["argument 'days' is \"3\": it must be an integer"]),
        ({"city": "Rome", "days": True}, ["argument 'days' is true: it must be an integer"]),
        ({"city": "Rome", "days": 0}, ["argument 'days' is 0: it must be at least 1"]),
        ({"city": "Rome", "days": 8}, ["argument 'days' is 8: it must be at most 7"]),
        ({"city": "Rome", "unit": "K"}, ['argument \'unit\' is "K": it must be one of "C", "F"']),
        ({"city": "Rome", "where": {}}, ["argument 'where' lacks the key 'lat'"]),
        (
            {"city": "Rome", "where": {"lat": 1, "tags": [1]}},
            ["argument 'where.tags[0]' is 1: it must be a string"],
        ),
        (
            {"city": "Rome", "where": {"lat": 1, "x": 1}},
            ["argument 'where.x' is not allowed: the keys are lat, tags"],
        ),
        ({"city": "Rome", "note": [1, "a"]}, ["argument 'note[1]' is \"a\": it must be an integer"]),
        (
            {"city": "Rome", "note": 4},
            ["argument 'note' is 4: it must be an array, each item an integer or a string"],
        ),
        (
            {"town": "Rome"},
            [
                "argument 'city' (a string) is missing",
                "there is no argument 'town': there are city, days, unit, where, note",
            ],
        ),
    ],
)
def test_texts_for_the_model(arguments: dict[str, Any], faults: list[str]) -> None:
    assert argument_faults(arguments, PARAMETERS) == faults


def test_unknown_arguments_are_refused_unless_allowed_by_name() -> None:
    assert argument_faults({"x": 1}, {"type": "object"}) == ["there is no argument 'x': this tool takes none"]
    assert argument_faults({"x": 1}, {"additionalProperties": True}) == []
    assert argument_faults({"x": 1}, {"additionalProperties": {"type": "integer"}}) == []
    assert argument_faults({"x": "1"}, {"additionalProperties": {"type": "integer"}}) == [
        "argument 'x' is \"1\": it must be an integer"
    ]
    assert argument_faults({"x": 1}, {"patternProperties": {"x.*": {}}}) == []


def test_at_most_five_faults() -> None:
    assert len(argument_faults({str(i): i for i in range(100)}, {})) == 5


def test_unknown_types_and_keywords_are_ignored() -> None:
    assert fault("x", {"type": "image", "pattern": "(a+)+$", "format": "date"}) is None
    assert fault(3, {"type": ["image", "string"]}) is None
    assert fault(3, {"$ref": "https://example.com/schema"}) is None
    assert fault(3, {"$ref": "#/nowhere"}) is None
    assert fault(3, {"enum": 3, "anyOf": 3, "properties": 3, "required": 3, "minimum": "x"}) is None


def test_references_may_go_round() -> None:
    tree = {
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
    }
    assert fault({"next": {"next": {}}}, tree) is None
    assert fault({"next": {"next": 1}}, tree) == "value.next.next is 1: it must be an object"
    deeper = fault(1, {"$ref": "#"})
    assert deeper is not None
    assert f"deeper than {MAX_DEPTH}" in deeper


def test_work_and_depth_are_bounded() -> None:
    branch: Any = {"type": "integer"}
    for _ in range(20):
        branch = {"anyOf": [branch, {"allOf": [branch]}, {"type": "string"}]}
    found = fault([None] * 60_000, {"type": "array", "items": branch})  # 2**20 checks for each item
    assert found is not None
    assert "too large to check" in found
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    nested = {"type": "array", "items": {"$ref": "#"}}
    assert "deeper" in str(fault(deep, nested))


def test_kinds() -> None:
    assert kind_of({}) == "any value"
    assert kind_of({"type": "array", "items": {"type": "string"}}) == "an array, each item a string"
    assert kind_of({"type": "boolean", "nullable": True}) == "true or false or null"
    assert kind_of({"const": 4}) == "4"
    assert kind_of({"enum": list(range(100))}).endswith("29, …")
