"""Job: one run of ``textgym eval`` or ``textgym rollout``, from settings to exit code.

Invariant: however a run ends, what had finished is reported and, with ``--out``, on disk with the command
that goes on with it. This module plays; what is said afterwards is written in ``outcome.py``.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textgym.cli import console, open_files
from textgym.cli.dry_run import rehearse
from textgym.cli.environment import making
from textgym.cli.exits import Exit, exit_code
from textgym.cli.outcome import Outcome, report, show_ending
from textgym.cli.settings import Settings, settings_of
from textgym.policies import HumanPolicy, OraclePolicy, PolicyLike, RandomPolicy
from textgym.rollouts.engine import Rollout
from textgym.rollouts.progress import Progress
from textgym.rollouts.trajectory import Trajectory

__all__ = ["run_job"]


def run_job(arguments: argparse.Namespace, words: Sequence[str]) -> int:
    """Do what one command line asks for.

    Args:
        arguments: The parsed command line.
        words: The command line itself, for the command that resumes it.

    Returns:
        The exit code.

    Raises:
        ConfigError: It cannot be done that way; nothing has been played.
        TextgymError: It could not begin.
    """
    settings = settings_of(arguments)
    policy, watch = _policy(settings), _Watch(settings)
    with making(settings.env, settings.env_args):
        work = Rollout(
            settings.env,
            policy,
            num_examples=settings.num_examples,
            group_size=settings.group_size,
            env_kwargs=settings.env_args,
            seed=settings.seed,
            max_concurrency=settings.max_concurrency,
            workers=settings.workers,
            sampling=settings.sampling,
            limits=settings.limits,
            out=settings.out,
            resume=settings.resume,
            on_error=settings.on_error,
            on_result=watch,
        )
    if settings.dry_run:
        return rehearse(work, settings)
    if settings.model is not None:
        scarcity = open_files.allow(min(settings.max_concurrency, work.plan.num_episodes))
        if scarcity is not None:
            console.note(f"{console.PROGRAM}: warning: {scarcity}")
    outcome = _play(work, watch)
    return report(outcome, settings, resume=resume_command(words))


def _policy(settings: Settings) -> PolicyLike:
    if settings.policy == "oracle":
        return OraclePolicy()
    if settings.policy == "random":
        return RandomPolicy()
    if settings.policy == "human":
        return HumanPolicy(write=console.note)  # standard output is kept for the result
    from textgym.policies import OpenAIPolicy

    assert settings.model is not None
    server: dict[str, Any] = {"base_url": list(settings.base_url)} if settings.base_url else {}
    return OpenAIPolicy(
        settings.model,
        api_key=settings.api_key,
        timeout=settings.timeout,
        tokens=settings.tokens,
        **server,
    )


class _Watch:
    """Follows the run: a progress line, or the ending of each episode for a person who plays."""

    def __init__(self, settings: Settings) -> None:
        self._human = settings.policy == "human"
        self._quiet = settings.quiet
        self._progress: Progress | None = None
        self._work: Rollout | None = None

    @contextmanager
    def following(self, work: Rollout) -> Iterator[None]:
        if self._quiet or self._human:
            yield
            return
        with Progress(work.plan.num_episodes) as self._progress:
            self._work = work
            yield

    def __call__(self, trajectory: Trajectory) -> None:
        progress, work = self._progress, self._work
        if progress is not None:
            if work is not None:  # the first result: what resuming has found is known by now
                self._work = None
                progress.restore(known for known in work.partial() if known is not trajectory)
            progress(trajectory)
        elif self._human:
            show_ending(trajectory)


def _play(work: Rollout, watch: _Watch) -> Outcome:
    with _terminable(work) as terminated:
        try:
            with watch.following(work):
                run = work.run()
        except KeyboardInterrupt:
            code = Exit.TERMINATED if terminated else Exit.INTERRUPTED
            return Outcome(work.partial(), work.plan.num_episodes, code)
        except Exception as error:
            code = exit_code(error)
            if code is Exit.USAGE:
                raise
            return Outcome(work.partial(), work.plan.num_episodes, code, error)
    failed = len(run.errors) == len(run)
    return Outcome(run, work.plan.num_episodes, Exit.FAILED if failed else Exit.OK)


@contextmanager
def _terminable(work: Rollout) -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does; yields the signals that came."""
    came: list[int] = []

    def end(number: int, frame: object) -> None:
        came.append(number)
        work.interrupt()

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    # What somebody ignores on purpose (nohup) stays ignored.
    numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, end)
    try:
        yield came
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def resume_command(words: Sequence[str]) -> str:
    """The command that goes on with the run of a command line."""
    as_module = Path(sys.argv[0]).parts[-2:] == (console.PROGRAM, "__main__.py")
    program = ["python", "-m", console.PROGRAM] if as_module else [console.PROGRAM]
    more = [] if "--resume" in words else ["--resume"]
    return shlex.join([*program, *words, *more])
