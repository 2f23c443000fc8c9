"""Schemas equal those of ``transformers.utils.get_json_schema`` wherever that one accepts a function."""

from __future__ import annotations

import enum
import inspect
import types
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from textgym.tools import Tool
from textgym.tools.docstrings import read_docstring
from textgym.tools.schema import schema_of

chat_template_utils = pytest.importorskip("transformers.utils.chat_template_utils")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(enum.Enum):
    TEXT = "a"
    NUMBER = 1
    NOTHING = None


def multiply(x: float, y: float = 2.0) -> float:
    """Multiply two numbers.

    Args:
        x: The first number,
            which may be negative
        y: The second number
    Returns:
        The product.
    Raises:
        ValueError: Never.
    """
    return x * y


def calculator(expression: str) -> str:
    """Evaluate mathematical expressions.

    Args:
        expression: Mathematical expression to evaluate

    Returns:
        Result of the calculation

    Examples:
        calculator("2 + 2") -> "4"
        calculator("sqrt(16)") -> "4.0"
    """
    return expression


def drink(beverage: str, size: int = 1, *, iced: bool = False) -> None:
    """Drink.

    Long text about drinking: it goes on
    over two lines.

    Args:
        beverage: What to drink (choices: ["tea", " coffee "])
        size: How much (Choices: [1, 2])
        iced: Whether it is cold. See: the fridge
    """


def nested(
    a: list[list[int]],
    b: dict[str, list[float]],
    c: tuple[int, str],
    d: Optional[list[str]] = None,  # noqa: UP045
    e: Union[int, str, None] = None,  # noqa: UP007
    f: int | list[str] | None = None,
    g: Literal["x", "y"] = "x",
    h: Literal[1, "a", None, True] = 1,
    i: Any = None,
    j: Colour = Colour.RED,
    k: Colour | None = None,
    m: Mixed = Mixed.TEXT,
    n: Level = Level.LOW,
    o: list = [],  # noqa: B006
    p: dict = {},  # noqa: B006
    q: list[Literal["u"] | int] = [],  # noqa: B006
    r: tuple = (),
    s: list | tuple = (),
    t: None = None,
) -> list[int]:
    """Take everything.

    Args:
        a: a
        b: b
        c: c
        d: d
        e: e
        f: f
        g: g
        h: h
        i: i
        j: j
        k: k
        m: m
        n: n
        o: o
        p: p
        q: q
        r: r
        s: s
        t: t
    """
    return []


def nothing() -> str:
    """Take nothing.

    Example:
        nothing()
    """
    return ""


async def later(text: str) -> str:
    """Say it later.

    Args:
      text:
        What to say
    """
    return text


class Box:
    def look(self, depth: int) -> str:
        """Look into the box.

        Args:
            depth: How deep
        """
        return str(depth)

    @classmethod
    def make(cls, size: int) -> str:
        """Make a box.

        Args:
            size: How large
        """
        return str(size)


FUNCTIONS = [multiply, calculator, drink, nested, nothing, later, Box().look, Box.make]


def theirs(function: Any) -> dict[str, Any]:
    schema = chat_template_utils.get_json_schema(function)
    schema["function"].pop("return", None)  # servers that check bodies strictly do not know it
    return schema


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_functions(function: Any) -> None:
    assert Tool.from_function(function).schema == theirs(function)


HINTS = st.recursive(
    st.sampled_from(
        [
            int,
            float,
            str,
            bool,
            Any,
            list,
            dict,
            tuple,
            Colour,
            Level,
            Mixed,
            Literal["a", "b"],
            Literal[1, "x"],
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda t: list[t]),
        inner.map(lambda t: dict[str, t]),
        inner.map(lambda t: Optional[t]),  # noqa: UP045
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: Union[tuple(parts)]),  # noqa: UP007
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["x", "query", "n_results", "größe", "type_", "args"])
WORDS = st.text("abc .,:()\"'[]{}\n\t-", max_size=40)


@given(hint=HINTS)
def test_hints(hint: Any) -> None:
    try:
        expected = chat_template_utils._parse_type_hint(hint)
    except chat_template_utils.TypeHintParsingException:
        assume(False)
    assert schema_of(hint) == expected


@settings(max_examples=200)
@given(hints=st.dictionaries(NAMES, HINTS, max_size=4), described=st.data())
def test_made_functions(hints: dict[str, Any], described: Any) -> None:
    def function(**values: Any) -> None: ...

    kind = inspect.Parameter.KEYWORD_ONLY
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(name, kind, annotation=hint, default=described.draw(st.sampled_from([empty, None])))
        for name, hint in hints.items()
    ]
    function.__annotations__ = dict(hints)
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    lines = [f"    {name}: {described.draw(WORDS)}" for name in hints]
    function.__doc__ = "\n".join([described.draw(WORDS), "", "Args:", *lines])
    try:
        expected = theirs(function)
    except (
        ValueError,  # choices that are no JSON
        chat_template_utils.DocstringParsingException,
        chat_template_utils.TypeHintParsingException,
    ):
        assume(False)
    assert Tool.from_function(function).schema == expected


LINES = st.sampled_from(
    ["Do it.", "Returns:", "Raises:", "    x: the x", "    y: the y", "x: flat", "      more words", "",
     "    more: colon", "    same indent words", "        z: deep", "    x:", "      given below", "Examples:",
     "    f(1) -> 2", "    x (int): typed", "\ty: tab", "    y : spaced", "    x: a (choices: [1])"]
)  # fmt: skip


@settings(max_examples=300)
@given(before=st.lists(LINES, max_size=3), after=st.lists(LINES, max_size=7))
def test_docstrings(before: list[str], after: list[str]) -> None:
    text = inspect.cleandoc("\n".join(["Summary.", *before, "Args:", *after])).strip()
    description, arguments, _ = chat_template_utils.parse_google_format_docstring(text)
    names = [name for name in ("x", "y") if name in arguments]
    found = read_docstring(text, names)
    assert found.description == description
    assert {name: found.arguments[name] for name in names} == {name: arguments[name] for name in names}


def test_what_only_we_accept() -> None:
    def bare(x, y: int = 1):  # type: ignore[no-untyped-def]
        return x

    with pytest.raises(chat_template_utils.DocstringParsingException):
        chat_template_utils.get_json_schema(bare)
    assert Tool.from_function(bare).schema["function"] == {
        "name": "bare",
        "description": "",
        "parameters": {
            "type": "object",
            "properties": {"x": {}, "y": {"type": "integer"}},
            "required": ["x"],
        },
    }
    assert isinstance(bare, types.FunctionType)
