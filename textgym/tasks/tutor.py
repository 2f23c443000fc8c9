"""Tutor-v0: solve a math problem with a Socratic tutor, who asks for the next step after every wrong answer.

Invariant: the tutor never says the answer: a hint states only steps before the one that it asks for, and
the last step is asked for and never stated. Every wrong answer multiplies what the right one will earn by
``DECAY``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from textgym.envs import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import BoxedParser
from textgym.rewards import Rubric, number_match
from textgym.tasks.math.env import problems
from textgym.types import Message

__all__ = ["DECAY", "TutorEnv", "hint"]

DECAY = 0.9
"""Factor on the score for each wrong answer."""

SYSTEM_PROMPT = (
    "You are a student, and I am your tutor. Solve the problem and give your answer to it in \\boxed{{}}: "
    "one number, whole or a fraction like 3/4. If it is wrong, I shall not tell you the answer, but ask you "
    "about a step on the way; think about it, then answer the whole problem again. You have {attempts}, and "
    "every wrong one lowers your score."
)


class TutorEnv(MultiTurnEnv):
    """Solve a math problem, led by a Socratic tutor.

    ## Description
    The policy is the student. It gets a problem of ``textgym/Math-v0``. After a wrong answer the tutor asks
    for the value of the next step of the worked solution, and states the steps before it; the last step,
    whose value is the answer, is only ever asked for. Where there are more steps than hints, a hint goes
    several steps further.

    ## Action Space
    Text with the answer to the problem in ``\\boxed{…}``. An answer that cannot be read is a wrong one.

    ## Observation Space
    Text: the instructions and the problem, later the hints.

    ## Starting State
    A problem drawn from the kinds at the given difficulty.

    ## Rewards
    0.9 to the power of the number of wrong answers if the problem is solved in the end (component
    ``solved``), else 0. Metrics: ``attempts`` counts the answers, ``hints`` the hints.

    ## Episode End
    Terminates with the right answer, or when the attempts are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/Tutor-v0", difficulty=2, kinds=None, max_attempts=5, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 to 5, as for ``textgym/Math-v0``.
        kinds: Kinds and families of problems, as for ``textgym/Math-v0``; None for all.
        max_attempts: Answers that may be given.
        split: ``"train"``, ``"test"`` (disjoint, also from those of ``textgym/Math-v0``), or None for both.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 2,
        kinds: Sequence[str] | None = None,
        max_attempts: int = 5,
        split: Literal["train", "test"] | None = "train",
        render_mode: str | None = None,
    ) -> None:
        if isinstance(max_attempts, bool) or not isinstance(max_attempts, int) or max_attempts < 1:
            raise ConfigError(f"max_attempts is {max_attempts!r}: it must be a whole number of at least 1")
        rubric = Rubric([solved]).add_metric(attempts_made, "attempts").add_metric(hints_given, "hints")
        attempts = "1 attempt" if max_attempts == 1 else f"{max_attempts} attempts"
        super().__init__(
            problems(difficulty, kinds, split),
            rubric,
            BoxedParser(),
            system_prompt=SYSTEM_PROMPT.format(attempts=attempts),
            max_turns=max_attempts,
            turns_are_rule=True,
            render_mode=render_mode,
        )
        self.success_threshold = DECAY ** (max_attempts - 1)

    def initial_state(self, example: Any) -> dict[str, Any]:
        """The steps of the solution, and a full score."""
        steps = str(example.info.get("solution", "")).splitlines()
        return {"steps": steps, "score": 1.0, "hints": 0, "solved": False}

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """As soon as the answer is right."""
        if messages[-1]["role"] == "assistant":
            state["solved"] = bool(number_match(self.answers[-1], state["answer"], self.parser))
            if not state["solved"]:
                state["score"] *= DECAY
        return bool(state["solved"])

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """The next hint."""
        state["hints"] += 1
        left = self.max_turns - self.turns
        seen = self.parser.parse_answer(self.answers[-1])
        verdict = "I see no answer in \\boxed{}." if seen is None else "That is not the answer."
        rest = f"{left} {'attempt' if left == 1 else 'attempts'} left."
        return f"{verdict} {hint(state['steps'], state['hints'], self.max_turns - 1)} {rest}"

    def oracle(self) -> str:
        """The worked solution with the answer in a box."""
        steps = "\n".join(self.state["steps"])
        return f"{steps}\n{self.parser.format_answer(str(self.state['answer']))}".lstrip()


def hint(steps: Sequence[str], number: int, most: int) -> str:
    """A question about a step of the solution, after the values of the steps before it.

    Args:
        steps: The worked solution, ``expression = value`` each.
        number: Which hint, from 1.
        most: How many hints there will be; the last one asks for the last step.

    Returns:
        The hint.

    Example:
        >>> hint(["7 * 8 = 56", "56 - 6 = 50"], 1, 4)
        'First ask yourself: what is 7 * 8?'
        >>> hint(["7 * 8 = 56", "56 - 6 = 50"], 2, 4)
        'We know that 7 * 8 = 56. What follows: what is 56 - 6?'
    """
    if not steps:
        return "Read the problem again, and go through it step by step."
    asked = number - 1 if len(steps) <= most else -(-number * len(steps) // most) - 1
    asked = min(asked, len(steps) - 1)
    question = steps[asked].rpartition(" = ")[0]
    known = "; ".join(step for step in steps[:asked] if step != steps[-1])  # where steps repeat themselves
    if not known:
        return (
            f"First ask yourself: what is {question}?" if number == 1 else f"Once more: what is {question}?"
        )
    if number > len(steps):
        return f"We know that {known}. Only one step is left. Work it out anew: what is {question}?"
    return f"We know that {known}. What follows: what is {question}?"


def solved(state: dict[str, Any]) -> float:
    """The score that is left if the problem was solved, else 0."""
    return float(state["score"]) if state["solved"] else 0.0


def attempts_made(completions: list[str]) -> int:
    """How many answers were given."""
    return len(completions)


def hints_given(state: dict[str, Any]) -> int:
    """How many hints were given."""
    return int(state["hints"])
