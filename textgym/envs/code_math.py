"""CodeMathEnv: questions that the policy answers with the help of code, which runs in the sandbox between turns.

Invariant: only what the policy itself writes outside its code ends an episode or is judged; what a program
prints is shown and never parsed, whatever it looks like. Code runs in ``textgym.sandbox`` and nowhere else.
This module does not limit code: the sandbox does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import dedent
from typing import Any

from textgym.envs.episode_parts import Ending, Opening, Setting
from textgym.envs.multi_turn import MultiTurnEnv
from textgym.envs.transcript import cut
from textgym.errors import ConfigError
from textgym.hooks import flow, settle
from textgym.parsers import CodeParser, XMLParser
from textgym.rewards import Rubric, math_match, mean_format
from textgym.sandbox import Sandbox, SandboxResult, SandboxSession, SandboxStatus, shared
from textgym.sandbox.limits import checked_seconds
from textgym.types import Message, StopReason

__all__ = ["CODE_MATH_PROMPT", "CodeMathEnv", "executed_share", "runs_made"]

CODE_MATH_PROMPT = (
    "Solve the problem. You can run Python to find the answer. In every turn think first, then either run a "
    "program or give the final answer, in one of these two forms:\n"
    "<think>\n...\n</think>\n<code>\nprint(6 * 7)\n</code>\n\n"
    "<think>\n...\n</think>\n<answer>\n42\n</answer>\n\n"
    "What the program prints comes back between <output> and </output>. {memory} It may run for {seconds:g} "
    "seconds, with the standard library and without files or network. You have {turns}, and the last one has "
    "to give the answer."
)
"""System prompt of ``CodeMathEnv``; its fields are filled from the arguments."""

_MEMORY = {
    False: "Every program runs by itself: names of earlier ones are gone.",
    True: "Names live on from one program to the next.",
}
_ENDED = frozenset({SandboxStatus.TIMEOUT, SandboxStatus.OUTPUT, SandboxStatus.KILLED})
"""What a session does not survive."""
_TAG = re.compile(r"<(/?output)", re.IGNORECASE)
_OPENING, _CLOSING = "<code>", "</code>"
_ERROR_LINES = 12
_ERROR_CHARACTERS = 1_000

NEITHER = (
    "Error: there is neither code nor an answer. Write Python between <code> and </code> to run it, or the "
    "final answer between <answer> and </answer>."
)
"""What is said to a turn without a readable block."""
SEVERAL = "Error: there are {count} different code blocks in this turn, and none of them was run. Write one."
"""What is said to a turn with several programs."""
SILENT = "Error: the program printed nothing. Use print(...) to see a result."
"""What is said to a program without output."""
FORGOTTEN = " All names are gone; the next program starts afresh."
"""What is added where a session came to its end."""


class CodeMathEnv(MultiTurnEnv):
    """Answer with the help of code.

    In each turn the policy writes ``<code>…</code>``, which is run and whose output comes back as
    ``<output>…</output>``, or ``<answer>…</answer>``, which ends the episode. Errors come back as ``Error:
    …`` with the last lines of the traceback, or with the limit that was reached. Within it, ``<output`` and
    ``</output`` get a backslash after the ``<``, so that no program can close its own frame.

    The reward is 1 for a right answer, else 0, unless ``weights`` or a rubric says otherwise.

    Every program runs in a process of its own. With ``persistent=True`` an episode has one session, in which names
    live on; a copy of the environment runs the same programs again before its next one, so it stands where the
    original does if the programs are deterministic. ``reset`` and ``close`` end the session.

    Args:
        dataset: As for ``DatasetEnv``, like all arguments that are not named here. A column ``program`` is Python
            that prints the answer; the oracle runs it.
        rubric: Judges the episode. By default ``correct`` (``math_match``), ``format`` (mean form of all
            turns) and ``executed`` (see ``executed_share``), with ``weights``.
        parser: Tags of a turn, ``code`` among them; by default ``XMLParser(["think", ("code", "answer")])``.
        sandbox: Where code runs; by default the one that the process shares.
        persistent: Whether names live on during an episode.
        max_turns: Most actions of an episode. Code of the last turn is not run.
        turns_are_rule: As for ``MultiTurnEnv``, but True by default, because the prompt states the cap.
        code_timeout: Seconds that a program may run.
        max_output: Longest output that is shown, in code points; longer ones are cut with a marker.
        weights: What ``correct``, ``format`` and ``executed`` earn in the default rubric; the return is
            between 0 and their sum, and 0 makes a metric. None is ``(1.0, 0.0, 0.0)``; in verifiers 0.1 it
            was ``(1.0, 0.2, 1.0)``.
        system_prompt: Instructions; None for ``CODE_MATH_PROMPT``, ``""`` for none.
        **kwargs: As for ``DatasetEnv``.

    Raises:
        ConfigError: An argument is unusable.
        SandboxUnavailable: This machine cannot run code safely; raised by ``reset``.
    """

    def __init__(
        self,
        dataset: Any,
        rubric: Rubric | None = None,
        parser: XMLParser | None = None,
        *,
        sandbox: Sandbox | None = None,
        persistent: bool = False,
        max_turns: int = 5,
        turns_are_rule: bool = True,
        code_timeout: float = 10.0,
        max_output: int = 4096,
        weights: Sequence[float] | None = None,
        system_prompt: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.code_timeout = checked_seconds("code_timeout", code_timeout)
        if isinstance(max_output, bool) or not isinstance(max_output, int) or max_output < 100:
            raise ConfigError(f"max_output is {max_output!r}: it must be a whole number of at least 100")
        parser = XMLParser(["think", ("code", "answer")]) if parser is None else parser
        if not isinstance(parser, XMLParser) or not any("code" in names for names in parser.fields):
            raise ConfigError(f'parser is {parser!r}: it must be an XMLParser with a field "code"')
        if rubric is not None and weights is not None:
            raise ConfigError(f"weights are {weights!r:.60}, but the rubric has its own: give one of them")
        self._weights = None if rubric is not None else _checked_weights(weights)
        if rubric is None:
            rubric = _default_rubric(parser, self._weights)
        if system_prompt is None and isinstance(max_turns, int):
            turns = "1 turn" if max_turns == 1 else f"{max_turns} turns"
            memory = _MEMORY[bool(persistent)]
            system_prompt = CODE_MATH_PROMPT.format(memory=memory, seconds=code_timeout, turns=turns)
        super().__init__(
            dataset,
            rubric,
            parser,
            max_turns=max_turns,
            turns_are_rule=turns_are_rule,
            system_prompt=system_prompt,
            **kwargs,
        )
        self.persistent = bool(persistent)
        self.max_output = max_output
        self._sandbox = sandbox
        self._session: SandboxSession | None = None
        self._log: list[str] = []

    @property
    def sandbox(self) -> Sandbox:
        """Where code runs."""
        return shared() if self._sandbox is None else self._sandbox

    # The conversation.

    @flow
    async def begin(self, setting: Setting) -> Opening:
        """End the session of the last episode and begin as every ``DatasetEnv`` does.

        Raises:
            SandboxUnavailable: This machine cannot run code safely.
        """
        self._leave()
        _ = self.sandbox.backend  # says before the first answer if there is none
        opening: Opening = await settle(super().begin(setting))
        self.state.update(runs=0, good_runs=0)
        return opening

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> bool:
        """As soon as the policy has answered."""
        newest = messages[-1]["role"] == "assistant"
        return newest and self.parser.parse_answer(_parted(self.answers[-1])[0]) is not None

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """The output of the newest code, or what was wrong with the turn."""
        programs = list(dict.fromkeys(_parted(self.answers[-1])[1]))
        if len(programs) > 1:
            return _output(SEVERAL.format(count=len(programs)))
        if not programs or not programs[0].strip():
            return _output(NEITHER)
        return self._run(programs[0], state)

    async def _run(self, program: str, state: dict[str, Any]) -> str:
        state["runs"] += 1
        if self.persistent:
            result = await self._run_in_session(program)
        else:
            result = await self.sandbox.arun(program, timeout=self.code_timeout)
        state["good_runs"] += result.ok and (self.persistent or bool(result.stdout.strip()))
        return _output(self._report(result))

    def _report(self, result: SandboxResult) -> str:
        """What the policy gets to see of a run."""
        printed = cut(result.stdout.rstrip(), self.max_output)
        if result.ok:
            return printed or ("(nothing was printed)" if self.persistent else SILENT)
        trouble = self._trouble(result)
        return f"{printed}\n{trouble}" if printed else trouble

    def _trouble(self, result: SandboxResult) -> str:
        limits = self.sandbox.limits
        forgotten = FORGOTTEN if self.persistent and result.status in _ENDED else ""
        match result.status:
            case SandboxStatus.ERROR:
                return f"Error: {_last_lines(result.stderr)}"
            case SandboxStatus.TIMEOUT:
                what = f"ran for more than {self.code_timeout:g} seconds"
            case SandboxStatus.MEMORY:
                what = f"needed more than {limits.memory_bytes >> 20} MiB of memory"
            case SandboxStatus.OUTPUT:
                what = f"printed more than {limits.output_bytes >> 10} KiB"
            case _:
                what = "crashed or did something that is not allowed"
        return f"Error: the program {what} and was stopped.{forgotten}"

    # The session.

    async def _run_in_session(self, program: str) -> SandboxResult:
        if self._session is None:
            self._session = self.sandbox.session()
            for earlier in self._log:
                await self._session.arun(earlier, timeout=self.code_timeout)
        result = await self._session.arun(program, timeout=self.code_timeout)
        if result.status in _ENDED:
            self._leave()
        else:
            self._log.append(program)
        return result

    def _leave(self) -> None:
        session, self._session = self._session, None
        self._log = []
        if session is not None:
            session.close()

    def close(self) -> None:
        """End the session."""
        self._leave()
        super().close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy without the session, which it makes anew from the log."""
        memo[id(self._session)] = None
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the session, as in a copy."""
        return {**self.__dict__, "_session": None}

    # The end.

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """Judge the episode and end its session."""
        try:
            return await settle(super().finish(reason))  # type: ignore[no-any-return]
        finally:
            self._leave()

    def scoring_arguments(self, reason: StopReason) -> dict[str, Any]:
        """As for ``DatasetEnv``; ``completion`` is what the last action says outside its code."""
        arguments = super().scoring_arguments(reason)
        return {**arguments, "completion": _parted(arguments["completion"])[0]}

    def success(self, trajectory: Any) -> bool | None:
        """Whether the answer is right, whatever form and code earned."""
        if self._weights is None or self.success_threshold is not None:
            return super().success(trajectory)
        earned = sum(step.rewards.get("correct", 0.0) for step in trajectory.steps)
        return trajectory.reward is not None and earned >= self._weights[0] - 1e-9

    def oracle(self) -> str | None:
        """The row's program, or one that prints the answer, and then the answer; None without one."""
        example = self._current()
        if example.answer is None:
            return None
        if self.state["runs"] or self.turns >= self.max_turns - 1:
            return self.parser.format_answer(str(example.answer))
        program = example.info.get("program") or f"print({str(example.answer)!r})"
        fields = [("code", program) if "code" in names else (names[0], "...") for names in self._fields()]
        return "\n".join(f"<{name}>\n{text}\n</{name}>" for name, text in fields)

    def _fields(self) -> Sequence[tuple[str, ...]]:
        assert isinstance(self.parser, XMLParser)
        return self.parser.fields


def executed_share(state: dict[str, Any]) -> float:
    """Share of the programs that ran without an error and, outside sessions, printed something; else 0.0."""
    return float(state["good_runs"] / max(state["runs"], 1))


def runs_made(state: dict[str, Any]) -> float:
    """How many programs were run."""
    return float(state["runs"])


def _parted(text: str) -> tuple[str, list[str]]:
    """A text without its code blocks, and the programs in them; every character is searched at most twice."""
    outside: list[str] = []
    programs: list[str] = []
    position = 0
    while (end := text.find(_CLOSING, position)) >= 0:
        start = text.rfind(_OPENING, position, end)
        outside.append(text[position : end if start < 0 else start])
        if start >= 0:
            programs.append(_program(text[start + len(_OPENING) : end]))
        position = end + len(_CLOSING)
    return "".join((*outside, text[position:])), programs


def _program(block: str) -> str:
    """The Python in a block, without the common indentation and without a fence of Markdown around it."""
    code = CodeParser("python", unfenced=True, unclosed=True).parse_answer(block)
    return dedent(block.strip("\r\n") if code is None else code).rstrip()


def _output(text: str) -> str:
    escaped = _TAG.sub(r"<\\\1", text)
    return f"<output>\n{escaped}\n</output>"


def _last_lines(stderr: str) -> str:
    """The end of a traceback."""
    text = stderr.strip()
    lines = text.splitlines()
    end = "\n".join(lines[-_ERROR_LINES:])[-_ERROR_CHARACTERS:]
    return (end if end == text else f"[…]\n{end}") or "the program failed without a message"


def _default_rubric(parser: XMLParser, weights: Any) -> Rubric:
    correct, form, executed = weights
    rubric = Rubric(parser=parser).add(math_match, correct, "correct").add(mean_format, form, "format")
    return rubric.add(executed_share, executed, "executed").add_metric(runs_made, "runs")


def _checked_weights(weights: Any) -> tuple[float, float, float]:
    given = (1.0, 0.0, 0.0) if weights is None else weights
    plain = isinstance(given, tuple | list) and len(given) == 3
    numbers = plain and all(isinstance(w, int | float) and not isinstance(w, bool) and w >= 0 for w in given)
    if not numbers or not given[0]:
        raise ConfigError(
            f"weights are {weights!r:.60}: they must be three numbers of at least 0, for correct (above 0), "
            "format and executed"
        )
    correct, form, executed = map(float, given)
    return correct, form, executed
