"""Math-v0: procedural problems of six families with an exact answer.

Invariant: an answer counts if, and only if, the last box holds one number equal to the exact answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym.datasets import GeneratedDataset
from textgym.envs import SingleTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import BoxedParser
from textgym.rewards import Rubric, number_match
from textgym.tasks.difficulty import check_difficulty
from textgym.tasks.math.generator import DIFFICULTIES, FAMILIES, KINDS, expand, make_problem
from textgym.tasks.math.prompt import SYSTEM_PROMPT

__all__ = ["MathEnv", "problems"]


@dataclass(frozen=True, slots=True)
class _Problems:
    """Draws a problem as a row."""

    difficulty: int
    kinds: tuple[str, ...]

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        problem = make_problem(rng, self.difficulty, self.kinds)
        return {
            "question": problem.question,
            "answer": problem.answer_text,
            "task": problem.kind,
            "info": {"solution": "\n".join(problem.steps), "difficulty": self.difficulty},
        }


def problems(
    difficulty: int, kinds: Sequence[str] | None, split: Literal["train", "test"] | None
) -> GeneratedDataset:
    """The problems of one difficulty, for every environment that asks them.

    A problem belongs to the same split in all of them.

    Args:
        difficulty: 1 to 5.
        kinds: Names of kinds and families; None for all.
        split: ``"train"``, ``"test"``, or None for both.

    Returns:
        The dataset; ``info["solution"]`` of its rows holds the worked steps, one a line.

    Raises:
        ConfigError: An argument is unusable.
    """
    check_difficulty(difficulty, DIFFICULTIES)
    names = (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
    unknown = [name for name in names if name not in KINDS and name not in FAMILIES]
    if unknown:
        raise ConfigError(
            f"kinds holds {unknown[0]!r}: it may hold the kinds {', '.join(KINDS)}, and the families "
            f"{', '.join(FAMILIES)}"
        )
    return GeneratedDataset(_Problems(difficulty, expand(names)), split=split, name=f"math-{difficulty}")


class MathEnv(SingleTurnEnv):
    """Solve a math problem.

    ## Description
    One procedurally made problem of six families: ``arithmetic`` with several operations; ``stories`` about
    stocks, bills, journeys, ages, shares, prices and work; ``algebra`` (linear and quadratic equations,
    systems of two); ``number_theory`` (common divisors and multiples, remainders, divisors, digits, modular
    powers); ``geometry`` (rectangles, angles, right triangles, composite areas); ``probability`` (dice,
    urns, coins). Difficulty adds steps and digits.

    ## Action Space
    Text that ends in ``\\boxed{…}`` with one number: whole, decimal, or a fraction like ``3/4``.

    ## Observation Space
    Text: the instructions and the problem.

    ## Starting State
    A problem drawn from the kinds at the given difficulty; every kind is equally likely.

    ## Rewards
    1 if the last box holds a number equal to the answer (component ``correct``), else 0. The metric
    ``format`` is 1 if there is a box.

    ## Episode End
    Terminates with the first answer.

    ## Arguments
    ``gym.make("textgym/Math-v0", difficulty=1, kinds=None, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 (one or two steps, small numbers) to 5 (five to a dozen steps).
        kinds: Which kinds of problems: families as above, or kinds: ``arithmetic``, ``stock``, ``shopping``,
            ``journey``, ``ages``, ``sharing``, ``percent``, ``work``, ``linear``, ``system``, ``quadratic``,
            ``gcd``, ``lcm``, ``remainder``, ``divisors``, ``digit_sum``, ``modular_power``, ``rectangle``,
            ``angles``, ``right_triangle``, ``composite``, ``dice``, ``urn``, ``coins``; None for all.
        split: ``"train"``, ``"test"`` (disjoint), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 1,
        kinds: Sequence[str] | None = None,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        parser = BoxedParser()
        rubric = Rubric(parser=parser).add(number_match, name="correct")
        rubric.add_metric(parser.get_format_reward_func(), name="format")
        super().__init__(
            problems(difficulty, kinds, split),
            rubric,
            parser,
            system_prompt=SYSTEM_PROMPT,
            render_mode=render_mode,
        )

    def oracle(self) -> str:
        """The worked solution with the answer in a box."""
        example = self._current()
        return f"{example.info['solution']}\n{self.parser.format_answer(str(example.answer))}"
