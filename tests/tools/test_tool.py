"""Tool: made from functions of every kind, refused with a reason, pickled, described."""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import pickle
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pytest

from textgym.errors import ConfigError
from textgym.tools import Tool, tool
from textgym.tools.schema import schema_of
from textgym.tools.values import value_of

if TYPE_CHECKING:
    from decimal import Decimal


class Unit(enum.Enum):
    CELSIUS = "C"
    KELVIN = "K"


@dataclasses.dataclass
class Place:
    lat: float
    lon: float = 0.0
    tags: list[str] = dataclasses.field(default_factory=list)
    unit: Unit = Unit.CELSIUS


class Options(TypedDict):
    place: Place
    deep: NotRequired[Annotated[int, "How deep"]]


Key = NewType("Key", str)


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: One
        b: Another

    Returns:
        The sum.

    Examples:
        add(1, 2) -> 3
    """
    return a + b


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, step: int) -> int:
        """Count on.

        Args:
            step: By how much
        """
        self.count += step
        return self.count

    def method(self, x: int, state: Any) -> int:
        """Do it."""
        return x


@tool(name="test_tool_shout")
def shout(text: str) -> str:
    """Shout."""
    return text.upper()


QUIET = Tool.from_function(shout, name="quiet", timeout=None)


def test_a_tool_is_callable_like_its_function() -> None:
    made = Tool.from_function(add)
    assert made(2, b=3) == 5
    assert made.name == "add"
    assert made.description == "Add two numbers."
    assert (made.timeout, made.max_output, made.concurrent, made.hidden) == (30.0, 4096, True, ())
    made.schema["function"]["parameters"]["properties"].clear()
    assert list(made.schema["function"]["parameters"]["properties"]) == ["a", "b"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "x"  # type: ignore[misc]


def test_description_for_prompts() -> None:
    assert Tool.from_function(add).describe() == (
        "add: Add two numbers.\nArguments:\n- a (an integer): One\n- b (an integer, optional): Another\n"
        "Returns: The sum.\nExamples:\n  add(1, 2) -> 3"
    )


def test_partials_methods_and_callable_objects() -> None:
    bound = Tool.from_function(functools.partial(functools.partial(add, b=5)))
    assert (bound.name, list(bound.parameters["properties"]), bound(a=1)) == ("add", ["a"], 6)
    assert bound.description == "Add two numbers."
    first = Tool.from_function(functools.partial(add, 4), name="four_and")
    assert (list(first.parameters["properties"]), first(b=1)) == (["b"], 5)
    counter = Tool.from_function(Counter())
    assert (counter.name, counter.description) == ("Counter", "Count on.")
    assert counter.parameters["properties"] == {"step": {"type": "integer", "description": "By how much"}}
    method = Tool.from_function(Counter().method, hidden="state")
    assert (method.name, method.hidden, method.parameters["required"]) == ("method", ("state",), ["x"])
    assert not method.concurrent

    @functools.wraps(add)
    def wrapped(*args: Any, **kwargs: Any) -> int:
        return add(*args, **kwargs)

    assert Tool.from_function(wrapped).schema == Tool.from_function(add).schema

    async def later(x: int) -> int:
        return x

    assert Tool.from_function(later).is_async
    assert Tool.from_function(functools.partial(later)).is_async
    assert not Tool.from_function(add).is_async


def test_richer_hints_than_transformers_knows() -> None:
    def take(
        place: Place,
        options: Options,
        key: Key,
        note: Annotated[str, "What to remember"] = "",
        many: tuple[int, ...] = (),
        mode: Annotated[Literal["a", "b"], "ignored", 3] = "a",
        bag: set[str] | None = None,
    ) -> None:
        """Take.

        Args:
            mode: described here
        """

    properties = Tool.from_function(take).parameters["properties"]
    place = {
        "type": "object",
        "properties": {
            "lat": {"type": "number"},
            "lon": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "unit": {"type": "string", "enum": ["C", "K"]},
        },
        "required": ["lat"],
        "additionalProperties": False,
    }
    assert properties["place"] == place
    assert properties["options"]["properties"] == {
        "place": place,
        "deep": {"type": "integer", "description": "How deep"},
    }
    assert properties["options"]["required"] == ["place"]
    assert properties["key"] == {"type": "string"}
    assert properties["note"] == {"type": "string", "description": "What to remember"}
    assert properties["many"] == {"type": "array", "items": {"type": "integer"}}
    assert properties["mode"]["description"] == "described here"
    assert properties["bag"] == {"type": "array", "items": {"type": "string"}, "nullable": True}


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Unit, "K", Unit.KELVIN),
        (Unit | None, None, None),
        (list[Unit], ["C"], [Unit.CELSIUS]),
        (int, 3.0, 3),
        (float, 3, 3),
        (int | str, 4.0, 4),
        (tuple[int, Unit], [1, "C"], (1, Unit.CELSIUS)),
        (tuple[int, ...], [1, 2.0], (1, 2)),
        (tuple, [1], (1,)),
        (set[int], [1, 1], {1}),
        (frozenset, ["a"], frozenset("a")),
        (dict[str, Place], {"a": {"lat": 1}}, {"a": Place(1)}),
        (Place | str, {"lat": 1, "unit": "K"}, Place(1, unit=Unit.KELVIN)),
        (Place | str, "Rome", "Rome"),
        (Options, {"place": {"lat": 2}}, {"place": Place(2)}),
        (list, [1], [1]),
        (dict, {"a": 1}, {"a": 1}),
        (Any, [1], [1]),
        (Annotated[Key, "x"], "k", "k"),
    ],
)
def test_values_become_what_hints_ask_for(hint: Any, value: Any, expected: Any) -> None:
    found = value_of(hint, value)
    assert found == expected
    assert type(found) is type(expected)


def test_pydantic_models() -> None:
    pydantic = pytest.importorskip("pydantic")
    Inner = pydantic.create_model("Inner", x=(int, ...))
    Outer = pydantic.create_model("Outer", inner=(list[Inner], ...))

    def take(outer):  # type: ignore[no-untyped-def]
        return outer

    take.__annotations__ = {"outer": Outer}
    made = Tool.from_function(take)
    assert made.parameters["$defs"]["Inner"]["properties"]["x"]["type"] == "integer"
    assert made.faults({"outer": {"inner": [{"x": 1}]}}) == []
    assert made.faults({"outer": {"inner": [{"x": "1"}]}}) == [
        "argument 'outer.inner[0].x' is \"1\": it must be an integer"
    ]
    converted = made.converted({"outer": {"inner": [{"x": 1}]}})
    assert converted["outer"].inner[0].x == 1


def _stars(*values: int) -> None: ...


def _named(**values: int) -> None: ...


def _positional(x: int, /) -> None: ...


def _bytes(x: bytes) -> None: ...


def _unresolved(x: Decimal) -> None: ...


class _Tree(TypedDict):
    children: list[_Tree]


def _tree(x: _Tree) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_stars, "takes *values"),
        (_named, "takes **values"),
        (_positional, "positional-only"),
        (_bytes, "has no JSON form"),
        (_unresolved, "cannot be resolved"),
        (_tree, "holds itself"),
        (Counter.method, "method without its object"),
        (lambda x: x, "is not allowed"),
        (3, "no function"),
        (dict.update, "does not tell its arguments|method without its object|positional"),
    ],
)
def test_what_cannot_be_a_tool(function: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words) if "|" not in words else words):
        Tool.from_function(function)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "two words"}, "tool name"),
        ({"name": ""}, "tool name"),
        ({"name": 3}, "tool name"),
        ({"parameters": {"type": "array"}}, "type object"),
        ({"parameters": None}, "type object"),
        ({"function": 3}, "callable"),
        ({"hidden": "x"}, "give names"),
        ({"hidden": ["x"], "parameters": {"properties": {"x": {}}}}, "hidden and in its schema"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"max_output": 0}, "max_output"),
        ({"max_output": 1.5}, "max_output"),
    ],
)
def test_unusable_fields(options: dict[str, Any], words: str) -> None:
    fields: dict[str, Any] = {
        "name": "x",
        "description": "",
        "parameters": {"type": "object"},
        "function": print,
    }
    with pytest.raises(ConfigError, match=words):
        Tool(**{**fields, **options})


def test_hidden_arguments_may_have_any_hint_and_have_to_exist() -> None:
    def look(x: int, where: Decimal) -> None: ...

    made = Tool.from_function(look, hidden=["where"])
    assert made.parameters == {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    with pytest.raises(ConfigError, match="no argument 'nowhere' to hide: its arguments are x, where"):
        Tool.from_function(look, hidden=["nowhere"])


def test_enum_without_json_values() -> None:
    class Odd(enum.Enum):
        A = (1, 2)

    with pytest.raises(ConfigError, match="must be texts, numbers"):
        schema_of(Odd)


def test_copies_are_the_tool_and_pickles_work_where_the_function_does() -> None:
    made = Tool.from_function(add, timeout=5)
    assert copy.copy(made) is made
    twin = pickle.loads(pickle.dumps(made))
    assert (twin.schema, twin.timeout, twin(1)) == (made.schema, 5, 2)
    assert pickle.loads(pickle.dumps(shout)) is shout  # its function's name leads to the tool
    quiet = pickle.loads(pickle.dumps(QUIET))
    assert (quiet.name, quiet.timeout, quiet("a")) == ("quiet", None, "A")
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(Tool.from_function(lambda: 1, name="x"))
