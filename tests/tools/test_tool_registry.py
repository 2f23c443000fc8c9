"""The registry of tools: one name, one tool; lazy names; what is missing is said."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import pytest

from textgym.errors import ConfigError
from textgym.tools import Tool, ToolRegistry, registry, tool


def make(name: str) -> Tool:
    return Tool(name, "", {"type": "object"}, lambda: name)


@pytest.fixture
def place() -> Iterator[types.ModuleType]:
    module = types.ModuleType("textgym_test_place")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_one_name_is_one_tool() -> None:
    known = ToolRegistry()
    known.add(make("a"))
    with pytest.raises(ConfigError, match="a tool called 'a' already"):
        known.add(make("a"))
    with pytest.raises(ConfigError, match=r"no tool called 'aa': registered are a\. Did you mean 'a'"):
        known["aa"]
    known.remove("a")
    known.remove("a")
    assert ("a" in known, list(known), len(known)) == (False, [], 0)
    with pytest.raises(ConfigError, match="registered are none"):
        known["a"]


def test_a_function_that_is_defined_anew_replaces_itself() -> None:
    known = ToolRegistry()

    def define() -> Tool:
        def again() -> None: ...

        again.__qualname__ = "again"  # as if it stood at the top of a notebook's cell
        return Tool.from_function(again)

    first, second = known.add(define()), known.add(define())
    assert first is not second
    assert known["again"] is second


def test_the_decorator_with_and_without_options() -> None:
    @tool
    def test_registry_plain(x: int) -> int:
        """Plain."""
        return x

    @tool(name="test_registry_named", hidden=["state"], timeout=None, max_output=7)
    def other(x: int, state: object) -> int:
        return x

    try:
        assert registry["test_registry_plain"] is test_registry_plain
        assert registry["test_registry_named"] is other
        assert (other.hidden, other.timeout, other.max_output) == (("state",), None, 7)
        with pytest.raises(ConfigError, match="already"):
            tool(name="test_registry_plain")(lambda: 1)
    finally:
        registry.remove("test_registry_plain")
        registry.remove("test_registry_named")


def test_lazy_names_are_imported_when_asked_for(place: types.ModuleType) -> None:
    known = ToolRegistry()
    known.add_lazy("later", "textgym_test_place:later")
    known.add_lazy("later", "textgym_test_place:later")
    assert "later" in known
    place.later = make("later")  # type: ignore[attr-defined]
    assert known["later"] is place.later  # type: ignore[attr-defined]
    known.add_lazy("wrong", "textgym_test_place:later")
    with pytest.raises(ConfigError, match="must be a Tool called 'wrong'"):
        known["wrong"]
    with pytest.raises(ConfigError, match="already"):
        known.add_lazy("wrong", "textgym_test_place:other")
    with pytest.raises(ConfigError, match="module:attribute"):
        known.add_lazy("x", "nowhere")
    with pytest.raises(ConfigError, match="already"):
        known.add(make("wrong"))


def test_every_registered_name_resolves() -> None:
    for name in registry:
        assert registry[name].name == name
