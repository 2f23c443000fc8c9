"""Countdown-v0: reach a target with given numbers and the four operations.

Invariant: an answer counts if, and only if, it is one expression in which exactly the given numbers stand,
each once, and whose exact value is the target.
"""

from __future__ import annotations

from typing import Any, Literal

from textgym.datasets import GeneratedDataset
from textgym.envs import SingleTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric
from textgym.seeding import generator
from textgym.tasks.countdown.expression import Reading, read_expression
from textgym.tasks.countdown.generator import Instances
from textgym.tasks.countdown.prompt import SYSTEM_PROMPT

__all__ = ["CountdownEnv"]

LARGEST = 10_000
"""Highest value that the bounds may have."""


class CountdownEnv(SingleTurnEnv):
    """Reach a number by the four operations.

    ## Description
    The numbers game of television: some whole numbers and a target are given, and each number has to be used
    exactly once. Every instance has a solution with positive whole results in between, and none is solved by
    adding and subtracting alone. More numbers make it harder.

    ## Action Space
    Text with an expression in ``<answer>`` tags, thoughts in ``<think>`` tags before it. The expression may
    end in ``= target``, and ``× ÷ −`` are understood.

    ## Observation Space
    Text: the instructions, the numbers and the target.

    ## Starting State
    Numbers drawn evenly from ``2..largest``, and a target within ``low..high`` that they reach.

    ## Rewards
    1 if the expression uses exactly the given numbers and its value is the target (component ``correct``),
    else 0. Metrics: ``format`` (how well the tags are kept, in [0, 1]) and ``legal`` (1 if the expression
    can be read and uses exactly the given numbers, whatever its value).

    ## Episode End
    Terminates with the first answer.

    ## Arguments
    ``gym.make("textgym/Countdown-v0", numbers=4, largest=25, low=10, high=500, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        numbers: How many numbers, 3 to 6.
        largest: The largest that they may be, at least 3.
        low: Smallest target, at least 1.
        high: Largest target.
        split: ``"train"``, ``"test"`` (disjoint), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable, or no instance keeps to the bounds.
    """

    def __init__(
        self,
        numbers: int = 4,
        largest: int = 25,
        low: int = 10,
        high: int = 500,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        bounds = (("numbers", numbers, 3, 6), ("largest", largest, 3, LARGEST), ("low", low, 1, LARGEST))
        for name, value, least, most in (*bounds, ("high", high, low, LARGEST)):
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise ConfigError(f"{name} is {value!r}: it must be a whole number in {least}..{most}")
        if split not in ("train", "test", None):
            raise ConfigError(f'split is {split!r}: it must be "train", "test" or None')
        make = Instances(numbers, largest, low, high, split)
        make(generator(0, "countdown"))  # the bounds can be kept

        parser = XMLParser(["think", "answer"])
        rubric = Rubric([correct], parser=parser)
        rubric.add_metric(parser.get_format_reward_func(), name="format")
        rubric.add_metric(legal)
        super().__init__(
            GeneratedDataset(make, name="countdown"),
            rubric,
            parser,
            system_prompt=SYSTEM_PROMPT,
            render_mode=render_mode,
        )

    def initial_state(self, example: Any) -> None:
        """Check that the row says what is asked: the caller may have brought it."""
        numbers, target = example.info.get("numbers"), example.info.get("target")
        if not isinstance(numbers, list) or not isinstance(target, int):
            raise ConfigError(
                f"the row has numbers={numbers!r:.60} and target={target!r:.60}: it needs a list of whole "
                "numbers and a whole number"
            )

    def oracle(self) -> str:
        """The expression that the instance was made from."""
        example = self._current()
        thought = f"{example.answer} = {example.info['target']}"
        return XMLParser(["think", "answer"]).format(think=thought, answer=example.answer)


def correct(completion: str, info: dict[str, Any], parser: Any) -> bool:
    """1 if the answer uses the numbers as it should and reaches the target."""
    reading = _legal(completion, info, parser)
    if reading is None or reading.claim not in (None, info["target"]):
        return False
    return bool(reading.value == info["target"])


def legal(completion: str, info: dict[str, Any], parser: Any) -> bool:
    """1 if the answer is an expression of exactly the given numbers."""
    return _legal(completion, info, parser) is not None


def _legal(completion: str, info: dict[str, Any], parser: Any) -> Reading | None:
    answer = parser.parse_answer(completion)
    reading = None if answer is None else read_expression(answer)
    if reading is None or sorted(reading.numbers) != sorted(info["numbers"]):
        return None
    return reading
