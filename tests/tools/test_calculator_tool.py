"""The tool ``calculator``: what a model gives and gets."""

from __future__ import annotations

import json
import pickle

import pytest

from textgym.hooks import drive
from textgym.tools import ToolOutcome, Toolset, calculator, registry
from textgym.types import ToolCall


def called(**arguments: object) -> tuple[ToolOutcome, str]:
    call = ToolCall(id="1", name="calculator", arguments=json.dumps(arguments))
    result = drive(Toolset(["calculator"]).call(call).coroutine)
    return result.outcome, result.text


def test_the_registry_knows_it() -> None:
    assert registry["calculator"] is calculator
    assert pickle.loads(pickle.dumps(calculator)) is calculator
    assert calculator("2 + 2") == "4"


def test_the_examples_of_its_description_are_true() -> None:
    for line in calculator.examples.splitlines():
        call, _, result = line.partition(" -> ")
        assert eval(call, {"calculator": calculator}) == eval(result)


@pytest.mark.parametrize(
    ("expression", "outcome", "text"),
    [
        ("1,250 * (1 + 3.5%)^10", ToolOutcome.OK, "1763.24845"),
        ("1/0", ToolOutcome.RAISED, "Error: CalculationError: division by zero"),
        ("\ud800", ToolOutcome.RAISED, "Error: CalculationError: '\\ud800' is not understood"),
    ],
)
def test_calls(expression: str, outcome: ToolOutcome, text: str) -> None:
    found, said = called(expression=expression)
    assert (found, said[: len(text)]) == (outcome, text)


def test_every_name_of_its_description_exists() -> None:
    for name in ("sqrt", "cbrt", "root", "ln", "log", "exp", "sin", "cos", "tan", "asin", "acos", "atan", "abs",
                 "round", "floor", "ceil", "gcd", "lcm", "comb", "perm", "factorial", "min", "max", "sum",
                 "mean", "pow"):  # fmt: skip
        assert name in calculator.description or name in ("asin", "acos", "atan")
        assert "unknown" not in called(expression=f"{name}(0.5)")[1]
