"""Tools of the real smolagents package as textgym tools."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from typing import Any

import pytest

from textgym.tools import SmolagentsTools, Tool, ToolResult, Toolset
from textgym.types import ToolCall

smolagents = pytest.importorskip("smolagents")
from smolagents import tool  # noqa: E402 - by this name, for smolagents reads the decorator in the source
from smolagents.models import get_tool_json_schema  # noqa: E402


@tool
def power(base: int, exponent: int = 2) -> int:
    """Raise a number to a power.

    Args:
        base: The number.
        exponent: The power.
    """
    return base**exponent


class Greeter(smolagents.Tool):
    """A tool of its own with a late setup."""

    name = "greet"
    description = "Greet somebody."
    inputs = {"who": {"type": "string", "description": "Whom"}}  # noqa: RUF012
    output_type = "string"

    def setup(self) -> None:
        self.greeting = "Hello"

    def forward(self, who: str) -> str:
        return f"{self.greeting}, {who}!"


def call(tools: Any, name: str, **arguments: Any) -> ToolResult:
    async def run() -> ToolResult:
        return await Toolset(tools).call(ToolCall(id="c", name=name, arguments=json.dumps(arguments)))

    return asyncio.run(run())


def test_the_schema_says_what_smolagents_tells_its_models() -> None:
    found = [power, Greeter(), smolagents.PythonInterpreterTool(), smolagents.VisitWebpageTool()]
    for adapted, given in zip(SmolagentsTools(found), found, strict=True):
        assert adapted.schema == get_tool_json_schema(given)


def test_calls() -> None:
    tools = SmolagentsTools([power, Greeter(), smolagents.FinalAnswerTool()])
    assert call(tools, "power", base=3).text == "9"
    assert call(tools, "power", base=2, exponent=5).text == "32"
    assert call(tools, "greet", who="Ann").text == "Hello, Ann!"
    assert call(tools, "greet", who="Bo").text == "Hello, Bo!"
    assert call(tools, "final_answer", answer={"a": 1}).text == '{"a":1}'
    assert call(tools, "power", base="x").outcome == "invalid_arguments"


def test_errors_are_told_to_the_model() -> None:
    result = call(SmolagentsTools([smolagents.PythonInterpreterTool()]), "python_interpreter", code="1/0")
    assert result.outcome == "raised"
    assert "ZeroDivisionError" in result.text


def test_pictures() -> None:
    image = pytest.importorskip("PIL.Image").new("RGB", (3, 4))
    draw = Greeter()
    draw.output_type, draw.forward = "image", lambda who: image
    assert call(SmolagentsTools([draw]), "greet", who="x").text == "[image: 3x4]"


@pytest.mark.parametrize("made", [power, Greeter()], ids=["decorated", "class"])
def test_copies(made: Any) -> None:
    [adapted] = SmolagentsTools([made])
    for twin in (pickle.loads(pickle.dumps(adapted)), copy.deepcopy(adapted)):
        assert isinstance(twin, Tool)
        arguments = {"base": 2} if twin.name == "power" else {"who": "Ann"}
        assert call([twin], twin.name, **arguments).ok
