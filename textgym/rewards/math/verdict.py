r"""Verdicts on mathematical answers: a ladder of three rungs.

1. ``extraction`` finds the answer in the text. A text with several different answers hedges and is wrong.
2. ``reader`` and ``comparison`` decide in microseconds, in this process, with exact arithmetic of their own.
3. What they cannot read or decide goes to math-verify in a worker process with a deadline, if the extra ``math``
   is installed. Without it, what was not read is ``UNPARSABLE`` and what was not shown to be equal is ``WRONG``.

Invariant: total on every string and bounded in time; no model text is evaluated in this process. A gold answer is
always answered by itself. What a machine lacks changes verdicts of the third rung only.
"""

from __future__ import annotations

import asyncio
import math
import re
from concurrent.futures import Future
from typing import Any, NamedTuple

from textgym.errors import ConfigError
from textgym.rewards.math.comparison import matches
from textgym.rewards.math.extraction import candidates, gold_answer
from textgym.rewards.math.notation import strip_decoration, to_tex
from textgym.rewards.math.numbers import read_number
from textgym.rewards.math.outcome import MathOutcome
from textgym.rewards.math.pool import is_installed, pool
from textgym.rewards.math.reader import MAX_LENGTH, read, tokens_of
from textgym.rewards.math.values import Value, Words
from textgym.rewards.math.words import chosen

__all__ = ["averify_math", "verify_math"]

DEADLINE = 2.0
"""Seconds that the third rung may take."""

_COMMANDS = re.compile(r"\\(?:begin|end)\s*\{[a-z]*\*?\}|\\[A-Za-z]+")
_PROSE = re.compile(r"[^\W\d_]{3,}")
_CHOICES = frozenset("ABCDEFGHIJ")


class _Undecided(NamedTuple):
    """The first two rungs have not decided."""

    standing: MathOutcome
    """The verdict without a third rung."""
    gold: str
    """The gold answer as math-verify gets it."""
    answer: str
    """The other."""


def verify_math(
    text: str, gold: Any, *, tolerance: float = 0.0, deadline: float = DEADLINE, worker: bool = True
) -> MathOutcome:
    r"""Judge the answer in a text.

    Args:
        text: What a model wrote: ``\boxed{…}``, ``<answer>…</answer>``, or a short plain answer.
        gold: The gold answer: plain, in TeX, boxed, a solution that ends in ``####``, or a number.
        tolerance: Largest difference between numbers, relative to the gold number. 0 compares exactly, and then
            0.33 is not 1/3.
        deadline: Seconds that math-verify may take for what is not decided in this process.
        worker: Whether math-verify may be asked at all.

    Returns:
        The verdict.

    Raises:
        ConfigError: ``tolerance`` or ``deadline`` is out of range.
        OSError: The machine cannot start a worker process. This is no verdict on the answer.

    Example:
        >>> verify_math(r"so it is \boxed{\frac{2}{4}}", "1/2"), verify_math(r"\boxed{3} or \boxed{7}", "7")
        (<MathOutcome.CORRECT: 'correct'>, <MathOutcome.WRONG: 'wrong'>)
    """
    _check(tolerance, deadline)
    verdict = _first_rungs(text, gold, tolerance)
    if isinstance(verdict, MathOutcome):
        return verdict
    asked = _asked(verdict, deadline) if worker else None
    outcome = None if asked is None else asked.result()
    return outcome or verdict.standing


async def averify_math(
    text: str, gold: Any, *, tolerance: float = 0.0, deadline: float = DEADLINE, worker: bool = True
) -> MathOutcome:
    """The awaitable twin of ``verify_math``: the event loop runs on while a worker computes.

    Args:
        text: As in ``verify_math``.
        gold: As in ``verify_math``.
        tolerance: As in ``verify_math``.
        deadline: As in ``verify_math``.
        worker: As in ``verify_math``.

    Returns:
        The verdict.

    Raises:
        ConfigError: As in ``verify_math``.
        OSError: As in ``verify_math``.
    """
    _check(tolerance, deadline)
    verdict = _first_rungs(text, gold, tolerance)
    if isinstance(verdict, MathOutcome):
        return verdict
    asked = _asked(verdict, deadline) if worker else None
    outcome = None if asked is None else await asyncio.wrap_future(asked)
    return outcome or verdict.standing


def _check(tolerance: float, deadline: float) -> None:
    if not 0 <= tolerance < math.inf or not 0 < deadline < math.inf:
        raise ConfigError(
            f"tolerance is {tolerance!r} and deadline {deadline!r}: tolerance must be a number of at least 0, and "
            "deadline a positive number of seconds"
        )


def _asked(undecided: _Undecided, deadline: float) -> Future[MathOutcome | None] | None:
    return pool().ask(undecided.gold, undecided.answer, deadline) if is_installed() else None


def _first_rungs(text: str, gold: Any, tolerance: float) -> MathOutcome | _Undecided:
    gold = str(gold)
    wanted, found = gold_answer(gold), candidates(text)
    if text == gold and wanted:
        return MathOutcome.CORRECT
    if not found:
        return MathOutcome.UNPARSABLE
    if len(found) == 1:
        return _compare(found[0], wanted, tolerance)
    # Several boxes may be one answer in parts, or one answer in several spellings; all else is a hedge.
    together = _compare(", ".join(found), wanted, tolerance)
    if together is MathOutcome.CORRECT:
        return together
    verdicts = {_compare(each, wanted, tolerance) for each in found}
    return MathOutcome.CORRECT if verdicts == {MathOutcome.CORRECT} else MathOutcome.WRONG


def _compare(answer: str, gold: str, tolerance: float) -> MathOutcome | _Undecided:
    if answer == gold:
        return MathOutcome.CORRECT if answer else MathOutcome.UNPARSABLE
    number = None if tolerance else read_number(answer)
    if number is not None:
        wanted = read_number(gold)
        if wanted is not None:
            return _verdict(number == wanted)
    if max(len(answer), len(gold)) > MAX_LENGTH:
        return MathOutcome.UNPARSABLE
    choice = chosen(gold) if "\\" in gold or gold.strip("()$. ")[:1] in _CHOICES else None
    picked = None if choice is None else chosen(answer)
    if picked is not None:
        return _verdict(picked == choice)
    return _compare_readings(answer, gold, tolerance)


def _compare_readings(answer: str, gold: str, tolerance: float) -> MathOutcome | _Undecided:
    golds, answers = read(gold), read(answer)
    standing = MathOutcome.UNPARSABLE
    if golds and answers:
        verdicts = [matches(one, other, tolerance) for one in golds for other in answers]
        if True in verdicts:
            return MathOutcome.CORRECT
        if None not in verdicts:
            words = isinstance(answers[0], Words) and not isinstance(golds[0], Words)
            return MathOutcome.UNPARSABLE if words else MathOutcome.WRONG
        standing = MathOutcome.WRONG
    elif _spelling(answer) == _spelling(gold):
        return MathOutcome.CORRECT  # nothing that was understood, and the same
    if _may_be_handed(answer, answers) and _may_be_handed(gold, golds):
        return _Undecided(standing, to_tex(strip_decoration(gold)), to_tex(strip_decoration(answer)))
    return standing


def _verdict(equal: bool) -> MathOutcome:
    return MathOutcome.CORRECT if equal else MathOutcome.WRONG


def _spelling(text: str) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text, _ in tokens_of(text)]


def _may_be_handed(text: str, readings: list[Value]) -> bool:
    """Whether a text may go to math-verify, which finds some number in any sentence.

    It may if it was read, or holds a command that is not known here or a matrix; but no prose.
    """
    unknown = any(kind == "begin" or (kind == "bad" and sign[0] == "\\") for kind, sign, _ in tokens_of(text))
    return (bool(readings) or unknown) and _PROSE.search(_COMMANDS.sub(" ", text)) is None
