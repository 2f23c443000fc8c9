"""CodeMath-v0: problems that need computation, with Python at hand.

Invariant: an answer counts if, and only if, the policy's own ``<answer>`` is a number equal to the exact answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textgym.datasets import GeneratedDataset
from textgym.envs.code_math import CodeMathEnv, executed_share, runs_made
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric, mean_format, number_match
from textgym.sandbox import Sandbox
from textgym.tasks.code_math.generator import DIFFICULTIES, FAMILIES, KINDS, Computations, expand
from textgym.tasks.difficulty import check_difficulty

__all__ = ["CodeMathTaskEnv"]


class CodeMathTaskEnv(CodeMathEnv):
    """Write programs that find a number.

    ## Description
    One procedurally made problem whose answer is a whole number that is tedious to find by hand: ``counting``
    numbers with properties, ``sums`` over ranges, ``simulations`` of rules, ``tables`` (ways and optima, by
    dynamic programming). The policy writes programs, sees what they print, and answers. Difficulty adds size
    and conditions.

    ## Action Space
    Text with a program in ``<code>`` tags or the answer in ``<answer>`` tags, thoughts in ``<think>`` tags
    before it.

    ## Observation Space
    Text: the instructions and the problem, later the output of the program in ``<output>`` tags, or an error.

    ## Starting State
    A problem drawn from the kinds at the given difficulty; every kind is equally likely.

    ## Rewards
    1 if the answer is the number (component ``correct``), else 0. Metrics: ``executed`` (share of the
    programs that ran without an error and printed something), ``runs`` (how many were run) and ``format``
    (how well the tags are kept, in [0, 1]).

    ## Episode End
    Terminates with the first answer, or when the turns are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/CodeMath-v0", difficulty=2, kinds=None, max_turns=5, persistent=False, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 (hundreds of numbers, one condition) to 5 (tens of thousands, several).
        kinds: Which kinds of problems: families as above, or kinds: ``divisible``, ``coprime``, ``digit_sum``,
            ``digit_count``, ``palindromes``, ``primes``, ``divisors``, ``points``, ``power_sum``,
            ``remainder_sum``, ``floor_sum``, ``alternating``, ``big_digits``, ``pair_sum``, ``sequence``,
            ``recurrence``, ``elimination``, ``collatz``, ``walk``, ``robot``, ``account``, ``change``,
            ``stairs``, ``paths``, ``subsets``, ``words``, ``increasing``, ``parts``; None for all.
        max_turns: Programs and answer together.
        persistent: Whether names live on from one program to the next.
        code_timeout: Seconds that a program may run.
        split: ``"train"``, ``"test"`` (disjoint), or None for both.
        sandbox: Where programs run; by default the sandbox that the process shares.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
        SandboxUnavailable: This machine cannot run code safely; raised by ``reset``.
    """

    def __init__(
        self,
        difficulty: int = 2,
        kinds: Sequence[str] | None = None,
        max_turns: int = 5,
        persistent: bool = False,
        code_timeout: float = 10.0,
        split: Literal["train", "test"] | None = "train",
        sandbox: Sandbox | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_difficulty(difficulty, DIFFICULTIES)
        names = (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
        unknown = [name for name in names if name not in KINDS and name not in FAMILIES]
        if unknown:
            raise ConfigError(
                f"kinds holds {unknown[0]!r}: it may hold the kinds {', '.join(KINDS)}, and the families "
                f"{', '.join(FAMILIES)}"
            )
        parser = XMLParser(["think", ("code", "answer")])
        rubric = Rubric(parser=parser).add(number_match, name="correct").add_metric(mean_format, "format")
        rubric.add_metric(executed_share, "executed").add_metric(runs_made, "runs")
        make = Computations(difficulty, expand(names))
        super().__init__(
            GeneratedDataset(make, split=split, name=f"code-math-{difficulty}"),
            rubric,
            parser,
            sandbox=sandbox,
            persistent=persistent,
            max_turns=max_turns,
            code_timeout=code_timeout,
            render_mode=render_mode,
        )
