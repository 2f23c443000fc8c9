"""What is said at the end of a run: its summary, what failed, what was demanded, how to go on.

Invariant: standard output gets the summary (or one JSON object) and nothing else; the figures are those of
``Run.summary``, so that they can be had again from the run directory.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from textgym.cli import console
from textgym.cli.exits import Exit
from textgym.cli.settings import Settings
from textgym.rollouts import Run, Summary, Trajectory

__all__ = ["Outcome", "report", "show_ending"]

_FAILURES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    run: Run
    """What had finished."""
    planned: int
    """Episodes that were to be played."""
    code: Exit
    """How it ended, thresholds not yet considered."""
    error: BaseException | None = None
    """What stopped it."""

    @property
    def owed(self) -> int:
        """Episodes that resuming would play: those that are missing or failed."""
        return self.planned - len(self.run) + len(self.run.errors)


def report(outcome: Outcome, settings: Settings, *, resume: str) -> Exit:
    """Say how a run ended.

    Args:
        outcome: How it ended.
        settings: What was asked for.
        resume: The command that would go on with it.

    Returns:
        The exit code.
    """
    summary = outcome.run.summary()
    missed = _missed(summary, settings) if outcome.code is Exit.OK else []
    code = Exit.THRESHOLD if missed else outcome.code
    # Before the first episode the directory may belong to another run, and the same command will do.
    owed = outcome.owed if settings.out is not None and len(outcome.run) else 0
    failures = _failures(outcome.run)
    if settings.json:
        console.out_json(
            {
                "exit_code": int(code),
                "error": None if outcome.error is None else str(outcome.error),
                "summary": summary.to_dict(),
                "planned": outcome.planned,
                "owed": outcome.owed,
                "failures": [{"error": text, "episodes": count} for text, count in failures],
                "missed": missed,
                "out": settings.out,
                "resume": resume if owed else None,
            }
        )
    elif len(outcome.run):
        console.out(str(summary))
    console.flush()
    _notes(outcome, settings, failures, missed, resume if owed else None)
    return code


def _notes(
    outcome: Outcome,
    settings: Settings,
    failures: list[tuple[str, int]],
    missed: list[str],
    resume: str | None,
) -> None:
    if failures and not _told(outcome.error, failures):
        failed = sum(count for _, count in failures)
        console.note(f"{failed} of {len(outcome.run)} episodes failed and are in no mean:")
        for text, count in failures[:_FAILURES_SHOWN]:
            console.note(f"  {count} x {console.one_line(text)}")
        if len(failures) > _FAILURES_SHOWN:
            console.note(f"  and {len(failures) - _FAILURES_SHOWN} other messages")
    if outcome.error is not None:
        console.error(outcome.error)
    if outcome.code in (Exit.INTERRUPTED, Exit.TERMINATED):
        kept = "" if settings.out is not None else "; without --out nothing is kept"
        console.note(f"{console.PROGRAM}: interrupted after {len(outcome.run)} of {outcome.planned}{kept}")
    for text in missed:
        console.note(f"{console.PROGRAM}: {text}")
    if settings.out is not None and len(outcome.run) and not settings.quiet:
        console.note(f"run: {settings.out}")
    if resume is not None:
        console.note(f"play the {outcome.owed} that are missing: {resume}")


def _told(error: BaseException | None, failures: list[tuple[str, int]]) -> bool:
    """Whether the error that stopped the run says all that the failed episodes say."""
    return error is not None and all(text in str(error) for text, _ in failures)


def _failures(run: Run) -> list[tuple[str, int]]:
    """Different errors of failed episodes with their counts, the most frequent first."""
    counts = Counter(str(trajectory.error) for trajectory in run.errors)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _missed(summary: Summary, settings: Settings) -> list[str]:
    """Which demands the figures do not meet."""
    missed = []
    if settings.min_reward is not None and not summary.reward >= settings.min_reward:
        shown = "unknown" if math.isnan(summary.reward) else f"{summary.reward:.3f}"
        missed.append(f"the reward is {shown}, below --min-reward {settings.min_reward:g}")
    if settings.min_pass_at_1 is not None:
        value: Any = next((estimate.value for estimate in summary.pass_at if estimate.k == 1), None)
        if value is None:
            missed.append("pass@1 is unknown, for the environment does not tell success: --min-pass-at-1")
        elif value < settings.min_pass_at_1:
            missed.append(f"pass@1 is {value:.3f}, below --min-pass-at-1 {settings.min_pass_at_1:g}")
    return missed


def show_ending(trajectory: Trajectory) -> None:
    """Tell the person how the episode ended."""
    if trajectory.error is not None:
        console.note(f"\n— {trajectory.error} —\n")
        return
    answer = "" if trajectory.answer is None else f", the answer was {trajectory.answer}"
    console.note(f"\n— {trajectory.stop_reason}, reward {trajectory.reward:.3f}{answer} —\n")
