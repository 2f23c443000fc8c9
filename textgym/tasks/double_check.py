"""DoubleCheck-v0: a math problem in two rounds, with "Are you sure?" between them.

Invariant: the question is the same after a right and after a wrong answer, so that it tells nothing; only the last
answer earns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textgym.envs import DoubleCheckEnv
from textgym.parsers import BoxedParser
from textgym.rewards import Rubric, mean_format, number_match
from textgym.tasks.math.env import problems

__all__ = ["DoubleCheckTaskEnv"]

SYSTEM_PROMPT = (
    "Solve the problem. Think step by step, then give the answer in \\boxed{{}}: one number, whole or a "
    "fraction like 3/4. {times} I shall ask you whether you are sure, whether you are right or not. Check "
    "your work, then give the answer in \\boxed{{}} again, the same or a better one. Only the last one "
    "counts."
)


class DoubleCheckTaskEnv(DoubleCheckEnv):
    """Solve a math problem, be doubted, and answer once more.

    ## Description
    The policy gets a problem of ``textgym/Math-v0``. After its answer, right or wrong, it is asked "Are you
    sure?", and gives its final answer. A policy learns to check its work, and neither to cling to a wrong
    answer nor to give up a right one.

    ## Action Space
    Text with the answer to the problem in ``\\boxed{…}``, in every round.

    ## Observation Space
    Text: the instructions and the problem, later the question.

    ## Starting State
    A problem drawn from the kinds at the given difficulty.

    ## Rewards
    1 if the last box of the last answer holds a number equal to the answer (component ``correct``), else 0.
    Metrics: ``kept`` (the first and the last answer are right), ``corrected`` (only the last one),
    ``spoiled`` (only the first one), and ``format`` (the share of the answers with a box).

    ## Episode End
    Terminates with the answer of the last round.

    ## Arguments
    ``gym.make("textgym/DoubleCheck-v0", difficulty=2, kinds=None, rounds=1, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 to 5, as for ``textgym/Math-v0``.
        kinds: Kinds and families of problems, as for ``textgym/Math-v0``; None for all.
        rounds: How often the question is asked.
        split: ``"train"``, ``"test"`` (disjoint, also from those of ``textgym/Math-v0``), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 2,
        kinds: Sequence[str] | None = None,
        rounds: int = 1,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        parser = BoxedParser()
        rubric = Rubric(parser=parser).add(number_match, name="correct").add_metric(mean_format, "format")
        super().__init__(
            problems(difficulty, kinds, split),
            rubric,
            parser,
            rounds=rounds,
            system_prompt=SYSTEM_PROMPT.format(times="Then" if rounds == 1 else f"{rounds} times"),
            render_mode=render_mode,
        )

    def oracle(self) -> str:
        """The worked solution with the answer in a box."""
        example = self._current()
        return f"{example.info['solution']}\n{self.parser.format_answer(str(example.answer))}"
