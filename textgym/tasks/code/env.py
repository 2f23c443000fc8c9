"""Code-v0: write a function that passes hidden tests.

Invariant: a program is judged by what its function returns for the inputs of all tests, compared outside the
sandbox with results that never enter it. What is not code is not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from textgym.datasets import GeneratedDataset
from textgym.envs import MultiTurnEnv
from textgym.errors import ConfigError
from textgym.parsers import CodeParser, ParsedCode, XMLParser
from textgym.parsers.fences import fenced_blocks
from textgym.parsers.parser import Completed, final_text
from textgym.rewards import Rubric
from textgym.rewards.code import CodeOutcome, CodeTest, CodeVerdict, judge_code
from textgym.sandbox import Sandbox, shared
from textgym.sandbox.limits import checked_seconds
from textgym.tasks.code.feedback import feedback
from textgym.tasks.code.generator import DIFFICULTIES, KINDS, STEPS, Specifications
from textgym.tasks.code.prompt import SYSTEM_PROMPT
from textgym.tasks.code.step import Call, solution
from textgym.tasks.difficulty import check_difficulty
from textgym.types import Example, Message

__all__ = ["CodeEnv", "ProgramParser"]


class CodeEnv(MultiTurnEnv):
    """Write a function.

    ## Description
    A specification of several steps, put together from 115 of them on lists of numbers, strings, lists of
    strings and numbers, with the signature and three examples. The program is run in the sandbox, and its
    function is called on about 25 hidden inputs, about ten of them unusual (empty, single, equal, negative,
    sorted, long).

    ## Action Space
    Text with the program in its last block of Python between fences, or else in ``<answer>`` tags, or else
    nothing but the program.

    ## Observation Space
    Text: the instructions, the specification and the examples. After a failed attempt: how many tests passed,
    and the first that failed, with what the program returned or raised. The expected results of hidden tests
    are never told.

    ## Starting State
    A specification drawn from the kinds at the given difficulty.

    ## Rewards
    1 if all examples and all hidden tests give the right result (component ``passed``), else 0; with
    ``partial`` the share of the hidden tests that do. Results have to be equal as JSON values, in type as
    well: ``True`` and ``1.0`` are not 1, and a tuple is a list. Metrics: ``tests`` (share of the hidden tests
        that passed in the last attempt),
    ``attempts``, and 1 for one of ``code_passed``, ``code_wrong``, ``code_raised``, ``code_timeout``,
    ``code_memory``, ``code_output``, ``code_stopped`` and ``code_missing``, 0 for the others.

    ## Episode End
    Terminates when all tests pass, or when the attempts are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/Code-v0", difficulty=2, kinds=None, attempts=1, partial=False, split="train")``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 to 5; a specification has one step more.
        kinds: What the function gets: ``numbers``, ``text``, ``words`` or ``number``, or several; None for all.
        attempts: Programs that may be given.
        partial: Whether some tests earn something.
        code_timeout: Seconds for a program and all its calls together.
        split: ``"train"``, ``"test"`` (disjoint specifications, whatever their examples), or None for both.
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
        attempts: int = 1,
        partial: bool = False,
        code_timeout: float = 5.0,
        split: Literal["train", "test"] | None = "train",
        sandbox: Sandbox | None = None,
        render_mode: str | None = None,
    ) -> None:
        check_difficulty(difficulty, DIFFICULTIES)
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise ConfigError(f"attempts is {attempts!r}: it must be a whole number of at least 1")
        self.code_timeout = checked_seconds("code_timeout", code_timeout)
        if split not in ("train", "test", None):
            raise ConfigError(f'split is {split!r}: it must be "train", "test" or None')
        make = Specifications(difficulty, _checked_kinds(kinds), split)
        rubric = Rubric().add(passed_share if partial else passed, name="passed")
        rubric.add_metric(tests_passed, "tests").add_metric(attempts_made, "attempts").add_metric(
            code_outcomes
        )
        times = (
            f" You have {attempts} attempts; after a failed one I tell you what failed."
            if attempts > 1
            else ""
        )
        super().__init__(
            GeneratedDataset(make, name=f"code-{difficulty}"),
            rubric,
            ProgramParser(),
            system_prompt=SYSTEM_PROMPT.format(seconds=code_timeout, attempts=times),
            max_turns=attempts,
            turns_are_rule=True,
            render_mode=render_mode,
        )
        self._sandbox = sandbox

    @property
    def sandbox(self) -> Sandbox:
        """Where programs run."""
        return shared() if self._sandbox is None else self._sandbox

    def initial_state(self, example: Example) -> dict[str, Any]:
        """The tests, checked, for the caller may have brought the row; and a verdict on nothing."""
        _ = self.sandbox.backend  # says before the first answer if there is none
        function, shown, hidden = (example.info.get(name) for name in ("function", "shown", "hidden"))
        if not isinstance(function, str) or not function.isidentifier():
            raise ConfigError(f"the row has function={function!r:.60}: it needs the name of the function")
        state = {"function": function, "shown": _tests("shown", shown), "hidden": _tests("hidden", hidden)}
        if not state["hidden"]:
            raise ConfigError("the row has hidden=[]: it needs at least one hidden test")
        return {**state, "verdict": CodeVerdict(outcome=CodeOutcome.MISSING)}

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """As soon as a program passes."""
        if messages[-1]["role"] == "assistant":
            program = self.parser.parse_answer(self.answers[-1])
            if program is not None and state["function"] in program:
                return self._judge(program, state)
            state["verdict"] = CodeVerdict(outcome=CodeOutcome.MISSING)
        return state["verdict"].outcome is CodeOutcome.PASSED

    async def _judge(self, program: str, state: dict[str, Any]) -> bool:
        tests = [*state["shown"], *state["hidden"]]
        state["verdict"] = await judge_code(
            self.sandbox, program, state["function"], tests, seconds=self.code_timeout
        )
        return bool(state["verdict"].outcome is CodeOutcome.PASSED)

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> str:
        """What failed."""
        left = self.max_turns - self.turns
        return feedback(state["verdict"], state["function"], state["shown"], state["hidden"], left)

    def oracle(self) -> str | None:
        """A program of the steps, one function each, or the row's own answer; None without either."""
        example = self._current()
        steps = example.info.get("steps")
        if not steps:
            return None if example.answer is None else self.parser.format_answer(str(example.answer))
        calls = [Call(STEPS[name], parameters) for name, parameters in steps]
        return self.parser.format_answer(solution(self.state["function"], example.info["argument"], calls))


class ProgramParser(CodeParser):
    """The program in a text: the last block of Python between fences, else the whole text.

    Where there are ``<answer>`` tags, only what is in them counts, unless the fences are elsewhere.

    Example:
        >>> ProgramParser().parse_answer("<think>Easy.</think><answer>x = 1</answer>")
        'x = 1'
    """

    def __init__(self) -> None:
        super().__init__("python", unfenced=True, unclosed=True)

    def parse(self, text: Completed) -> ParsedCode:
        """Find the program. As for ``CodeParser``."""
        whole = final_text(text)
        tagged = XMLParser(["answer"]).parse(whole).answer
        if tagged is not None and (fenced_blocks(tagged) or not fenced_blocks(whole)):
            return super().parse(tagged)
        return super().parse(whole)


def passed(state: dict[str, Any]) -> float:
    """1.0 if all tests passed."""
    return float(state["verdict"].outcome is CodeOutcome.PASSED)


def passed_share(state: dict[str, Any]) -> float:
    """The share of the hidden tests that passed; less than 1 if an example did not."""
    share = tests_passed(state)
    return share if share < 1 or passed(state) else 1 - 1 / (len(state["hidden"]) + 1)


def tests_passed(state: dict[str, Any]) -> float:
    """Share of the hidden tests that passed."""
    hidden = state["verdict"].passed[len(state["shown"]) :]
    return float(sum(hidden) / len(state["hidden"]))


def attempts_made(completions: list[str]) -> float:
    """How many programs were given."""
    return float(len(completions))


def code_outcomes(state: dict[str, Any]) -> dict[str, float]:
    """1.0 for what became of the last program, 0.0 for everything else."""
    return {f"code_{each}": float(each is state["verdict"].outcome) for each in CodeOutcome}


def _tests(name: str, rows: Any) -> list[CodeTest]:
    if not isinstance(rows, list) or not all(_is_test(row) for row in rows):
        raise ConfigError(
            f"the row has {name}={rows!r:.80}: it needs a list of tests, each with 'arguments' (a list) and "
            "'expected', as JSON values"
        )
    return [CodeTest(row["arguments"], row["expected"]) for row in rows]


def _is_test(row: Any) -> bool:
    return isinstance(row, Mapping) and isinstance(row.get("arguments"), list) and "expected" in row


def _checked_kinds(kinds: Any) -> tuple[str, ...]:
    names = (kinds,) if isinstance(kinds, str) else tuple(kinds or ())
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"kinds holds {name!r:.60}: it may hold {', '.join(KINDS)}")
    return names
