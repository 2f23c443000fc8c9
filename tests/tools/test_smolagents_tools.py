"""Objects of the shape of smolagents tools, without the package."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from typing import Any

import pytest

from textgym.errors import ConfigError
from textgym.tools import SmolagentsTools, ToolResult, Toolset
from textgym.types import ToolCall


class Shout:
    """An object of the shape of a smolagents tool."""

    name = "shout"
    description = "Say it louder."
    inputs: dict[str, Any] = {  # noqa: RUF012 - as smolagents has it
        "text": {"type": "string", "description": "What to say"},
        "times": {"type": "integer", "description": "How often", "nullable": True},
        "extra": {"type": "any", "description": "Anything", "nullable": True},
    }
    output_type = "string"

    def __init__(self, output: Any = None) -> None:
        self.is_initialized = False
        self.output = output
        self.setups = 0

    def setup(self) -> None:
        self.setups += 1

    def __call__(self, text: str, times: int | None = None, extra: Any = None) -> Any:
        return self.output if self.output is not None else f"{text.upper()}!" * (times or 1)


def changed(**attributes: Any) -> Any:
    tool = Shout(attributes.pop("output", None))
    vars(tool).update(attributes)
    return tool


def call(tools: Any, name: str, **arguments: Any) -> ToolResult:
    async def run() -> ToolResult:
        return await Toolset(tools).call(ToolCall(id="c", name=name, arguments=json.dumps(arguments)))

    return asyncio.run(run())


def test_an_object_of_the_shape_needs_no_package() -> None:
    [tool] = SmolagentsTools([Shout()])
    assert tool.parameters == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What to say"},
            "times": {"type": "integer", "description": "How often", "nullable": True},
            "extra": {"description": "Anything", "nullable": True},
        },
        "required": ["text"],
    }
    assert call([tool], "shout", text="hi", times=2).text == "HI!HI!"
    assert call([tool], "shout", text="hi", times=None, extra=[1]).text == "HI!"
    assert call([tool], "shout").text == "Error: shout: argument 'text' (a string) is missing"


def test_setup_runs_once_whoever_comes_first() -> None:
    entered, shout = threading.Barrier(8), Shout()

    def setup() -> None:
        shout.setups += 1

    shout.setup = setup  # type: ignore[method-assign]
    [tool] = SmolagentsTools([shout])
    assert shout.setups == 0, "not before it is used"

    def use() -> None:
        entered.wait()
        tool(text="x")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shout.setups == 1


class Picture:
    """What an imaging library returns."""

    size = (640, 480)


@pytest.mark.parametrize(
    ("output_type", "output", "text"),
    [
        ("image", Picture(), "[image: 640x480]"),
        ("audio", (16000, b""), "[audio]"),
        ("object", {"a": [1]}, '{"a":[1]}'),
        ("integer", 0, "0"),
    ],
)
def test_what_the_model_sees(output_type: str, output: Any, text: str) -> None:
    tools = SmolagentsTools([changed(output_type=output_type, output=output)])
    assert call(tools, "shout", text="x").text == text


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (Shout, r"Shout is a class: give an instance, Shout\(\)"),
        (len, "is no smolagents tool: it lacks name, description, inputs, output_type"),
        (changed(inputs=["text"]), "inputs of tool 'shout' are .'text'.: they must be a dict"),
        (changed(inputs={"text": "string"}), "input 'text' of tool 'shout' is 'string': it must be a dict"),
        (changed(inputs={"picture": {"type": "image"}}), "tool 'shout' needs image as 'picture'"),
        (changed(name="no name"), "tool name 'no name' is not allowed"),
    ],
)
def test_what_is_no_tool(tool: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SmolagentsTools([tool])


def test_an_optional_picture_is_left_out() -> None:
    inputs = {"text": {"type": "string"}, "picture": {"type": "image", "nullable": True}}
    [tool] = SmolagentsTools([changed(inputs=inputs)])
    assert list(tool.parameters["properties"]) == ["text"]
    assert tool.parameters["required"] == ["text"]


def test_it_is_a_provider_whose_tools_are_shared() -> None:
    provider = SmolagentsTools([Shout()])
    assert (provider.shared, provider.deterministic, provider.forkable) == (True, True, True)
    assert asyncio.run(provider.open()) == list(provider)
    asyncio.run(provider.close())
    twin = pickle.loads(pickle.dumps(provider))
    assert call(twin, "shout", text="a").text == "A!"
