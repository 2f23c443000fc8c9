"""The rollout engine: a plan is played, what finishes is recorded, groups are handed out as they complete.

Invariant: finished episodes are recorded before anything can stop the run, and here alone, wherever they were
played: ``slots.py`` plays them on the running loop, ``processes.py`` in other processes. A group is handed out
the moment it is complete; nothing waits for a slow neighbour.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from textgym.errors import AuthenticationFailed, ConfigError, RunAborted
from textgym.hooks import drive, settle
from textgym.policies.policy import PolicyLike, as_policy
from textgym.rollouts.env_source import EnvLike
from textgym.rollouts.limits import Limits
from textgym.rollouts.loops import Interrupt, run_on_own_loop
from textgym.rollouts.plan import Plan
from textgym.rollouts.run import Group, Run
from textgym.rollouts.scheduling import Scheduling
from textgym.rollouts.shares import Player, Report
from textgym.rollouts.slots import Slots
from textgym.rollouts.store import RunDirectory
from textgym.rollouts.trajectory import Trajectory
from textgym.types import Sampling

__all__ = ["Rollout", "arollout", "rollout"]

ALIKE = 8
"""If so many episodes (and two groups) that were begun first have all failed alike, and nothing else has
succeeded, the run stops: it would only repeat one failure."""


def rollout(
    env: EnvLike,
    policy: PolicyLike,
    *,
    num_examples: int | None = None,
    group_size: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    seed: int | Sequence[int] = 0,
    options: Mapping[str, Any] | None = None,
    max_concurrency: int = 256,
    sampling: Sampling | None = None,
    limits: Limits | None = None,
    tokenizer: Any = None,
    out: Any = None,
    resume: bool = False,
    on_error: str = "record",
    on_result: Callable[[Trajectory], Any] | None = None,
    scheduling: Scheduling | None = None,
    workers: int = 1,
) -> Run:
    """Play episodes and return them all.

    Works with and without a running event loop (in a notebook it uses a thread of its own).

    Episodes begin group after group, members together, as slots become free, and end in any order: a slow
    episode holds back nobody but its own group. ``scheduling`` says what is begun beyond that. A hook or policy
    that blocks the event loop is named by a warning.

    Args:
        env: Id, spec, environment or a function that makes one.
        policy: A policy, or a function from the observation to the answer.
        num_examples: Task instances, each played ``group_size`` times. None takes a finite dataset whole.
        group_size: Samples of each instance.
        env_kwargs: Arguments of the environment.
        seed: Seed of the run, or a list with one reset seed a group.
        options: ``reset`` options of all episodes.
        max_concurrency: Most episodes at a time, and so most requests in flight.
        sampling: How to sample.
        limits: Outside limits of an episode.
        tokenizer: The tokenizer of the model (a Hugging Face one, a ``ChatTemplate`` or a renderer): prompts
            are then rendered here, once, and every later turn only appends, so that ``tokens`` of the
            trajectories is exact by construction. The policy has to take ``prompt_ids`` and tell its ids.
            None takes the policy's own ``template``, where it has one (``TransformersPolicy``).
        out: A run directory to write while running, or None.
        resume: Go on with ``out``: play only what it still owes.
        on_error: ``"record"`` keeps a failed episode as a trajectory with ``error``; ``"raise"`` stops.
        on_result: Called with every finished trajectory, in completion order.
        scheduling: Second attempts for failed members, and over-sampling with an early stop, which favours short
            completions; see ``Scheduling``.
        workers: Processes to play in. Whole groups go to one of them, each plays its share of ``max_concurrency``,
            and the results come back here, in completion order. The environment (by id, spec or a function of a
            module) and the policy have to be picklable, each process has a policy of its own, and a script needs
            ``if __name__ == "__main__":`` around its call. A process that dies is replaced, and what it had not
            finished is played again. The trajectories are those of one process but for order and times, provided
            that the policy keeps nothing from one request to the next.

    Returns:
        The run, ordered by group and member.

    Raises:
        ConfigError: An argument is unusable; nothing has run.
        gymnasium.error.Error: The id is unknown.
        ProviderUnreachable: The model server cannot be reached.
        RunAborted: The key was refused, or the first episodes all failed alike, or ``on_error="raise"``.
        RunError: The run directory cannot be used.

    Example:
        >>> import textgym
        >>> run = textgym.rollout("textgym/GuessNumber-v0", textgym.OraclePolicy(), num_examples=4)
        >>> len(run), run.summary().reward
        (4, 1.0)
    """
    return Rollout(
        env,
        policy,
        num_examples=num_examples,
        group_size=group_size,
        env_kwargs=env_kwargs,
        seed=seed,
        options=options,
        max_concurrency=max_concurrency,
        sampling=sampling,
        limits=limits,
        tokenizer=tokenizer,
        out=out,
        resume=resume,
        on_error=on_error,
        on_result=on_result,
        scheduling=scheduling,
        workers=workers,
    ).run()


async def arollout(
    env: EnvLike,
    policy: PolicyLike,
    *,
    num_examples: int | None = None,
    group_size: int = 1,
    env_kwargs: Mapping[str, Any] | None = None,
    seed: int | Sequence[int] = 0,
    options: Mapping[str, Any] | None = None,
    max_concurrency: int = 256,
    sampling: Sampling | None = None,
    limits: Limits | None = None,
    tokenizer: Any = None,
    out: Any = None,
    resume: bool = False,
    on_error: str = "record",
    on_result: Callable[[Trajectory], Any] | None = None,
    scheduling: Scheduling | None = None,
    workers: int = 1,
) -> AsyncIterator[Group]:
    """Play episodes on the running loop and yield every group the moment it is complete.

    Args:
        env: As for ``rollout``, like everything that is not named here.
        policy: It stays open: call its ``aclose`` when it has one.
        num_examples: Task instances.
        group_size: Samples of each.
        env_kwargs: Arguments of the environment.
        seed: Seed of the run, or one a group.
        options: ``reset`` options.
        max_concurrency: Most episodes at a time.
        sampling: How to sample.
        limits: Outside limits.
        tokenizer: Renders the prompts here.
        out: A run directory.
        resume: Go on with it.
        on_error: ``"record"`` or ``"raise"``.
        on_result: Called with every trajectory.
        scheduling: What is begun beyond the plan.
        workers: Processes to play in.

    Yields:
        Groups in completion order. To leave early, use ``contextlib.aclosing``: closing the iterator cancels
        what is still running and lets go of the run directory.

    Raises:
        ConfigError: As for ``rollout``, like all other errors.
    """
    work = Rollout(
        env,
        policy,
        num_examples=num_examples,
        group_size=group_size,
        env_kwargs=env_kwargs,
        seed=seed,
        options=options,
        max_concurrency=max_concurrency,
        sampling=sampling,
        limits=limits,
        tokenizer=tokenizer,
        out=out,
        resume=resume,
        on_error=on_error,
        on_result=on_result,
        scheduling=scheduling,
        workers=workers,
    )
    async with contextlib.aclosing(work.groups()) as groups:
        async for group in groups:
            yield group


class Rollout:
    """One rollout: a plan, whoever plays it, and what has finished so far.

    Args:
        env: As for ``rollout``, like all arguments.
        policy: Who plays.
        max_concurrency: Most episodes at a time.
        out: A run directory.
        resume: Go on with it.
        on_error: ``"record"`` or ``"raise"``.
        on_result: Called with every trajectory.
        workers: Processes to play in.
        tokenizer: Renders the prompts here.
        **work: Everything that decides the episodes.

    Attributes:
        plan: What there is to do.
        interrupt: Call it to end ``run`` as Ctrl-C does: what has finished is kept, and ``run`` raises
            KeyboardInterrupt. It may be called from a signal handler or another thread.
    """

    def __init__(
        self,
        env: EnvLike,
        policy: PolicyLike,
        *,
        max_concurrency: int = 256,
        out: Any = None,
        resume: bool = False,
        on_error: str = "record",
        on_result: Callable[[Trajectory], Any] | None = None,
        workers: int = 1,
        tokenizer: Any = None,
        **work: Any,
    ) -> None:
        _check_count("max_concurrency", max_concurrency)
        _check_count("workers", workers)
        if on_error not in ("record", "raise"):
            raise ConfigError(f"on_error is {on_error!r}: it must be 'record' or 'raise'")
        if resume and out is None:
            raise ConfigError("resume needs the run directory: give out=… (--out on the command line)")
        self.policy = as_policy(policy)
        self.plan = Plan.resolve(env, self.policy, tokenizer=tokenizer, **_completed(work))
        self.max_concurrency = max_concurrency
        self.workers = workers
        self._player = self.choose_player(env, tokenizer)
        self._out, self._resume = out, resume
        self._raise = on_error == "raise"
        self._on_result = on_result
        self._finished: list[Trajectory] = []
        self._members: dict[int, list[Trajectory]] = {}
        self._left_out: dict[str, int] = {}
        self._whole_groups = 0
        self._on_group: Callable[[Group], None] | None = None
        self._directory: RunDirectory | None = None
        self._began = time.monotonic()
        self._seconds: float | None = None
        self._succeeded = False
        self._failures: dict[tuple[int, int], tuple[str, str, int | None]] = {}
        self.interrupt = Interrupt()

    def choose_player(self, env: EnvLike, tokenizer: Any) -> Player:
        """Whoever plays the plan; called once, when all else is known. Override it to play elsewhere."""
        if self.workers == 1:
            return Slots(self.plan, self.policy, self.max_concurrency)
        from textgym.rollouts.processes import Processes

        return Processes(self.plan, env, self.policy, tokenizer, self.max_concurrency, self.workers)

    def run(self) -> Run:
        """Play everything and return it. Raises as ``rollout`` does."""
        if getattr(self.policy, "one_loop", False):  # a loop that outlives this run
            run: Run = drive(settle(self._whole()))
            return run
        return run_on_own_loop(self._whole(), self.interrupt)

    async def _whole(self) -> Run:
        try:
            await self.play()
        finally:
            close = getattr(self.policy, "aclose", None)
            if close is not None:
                await close()
        return self.partial()

    @cached_property
    def _config(self) -> dict[str, Any]:
        return self.plan.config(data=self._out is not None)

    def partial(self) -> Run:
        """What has finished so far; complete once ``run`` has returned."""
        seconds = time.monotonic() - self._began if self._seconds is None else self._seconds
        return Run(list(self._finished), self._config, seconds, dict(self._left_out))

    async def groups(self) -> AsyncGenerator[Group, None]:
        """Play on the running loop and yield every group the moment it is complete; raises as ``rollout`` does."""
        ready: asyncio.Queue[Group | None] = asyncio.Queue()
        player = asyncio.create_task(self.play(ready.put_nowait))
        player.add_done_callback(lambda _: ready.put_nowait(None))
        try:
            while (group := await ready.get()) is not None:
                yield group
            await player
        finally:
            player.cancel()
            await asyncio.gather(player, return_exceptions=True)

    async def play(self, on_group: Callable[[Group], None] | None = None) -> None:
        """Play everything on the running loop. Raises as ``rollout`` does.

        Args:
            on_group: Called with every complete group, in completion order.
        """
        self._on_group = on_group
        self._began = time.monotonic()
        try:
            done = self._restore()  # opens the run directory: before the first paid call
            preflight = getattr(self.policy, "preflight", None)
            if preflight is not None:
                await preflight()
            if not self._enough():
                await self._player.play(self.plan.shares(done), self._receive)
        except AuthenticationFailed as error:
            raise RunAborted(str(error), run=self.partial()) from error
        except RunAborted as error:
            error.run = error.run or self.partial()
            raise
        except ConfigError as error:
            error.run = self.partial()  # type: ignore[attr-defined]
            raise
        finally:
            self._seconds = time.monotonic() - self._began
            directory, self._directory = self._directory, None
            if directory is not None:
                with directory:
                    self._seconds = directory.finish(self._seconds, self._left_out)

    def _restore(self) -> dict[int, set[int]]:
        """Open the run directory; returns the members that an earlier session has finished, by group."""
        if self._out is None:
            return {}
        begin = RunDirectory.resume if self._resume else RunDirectory.create
        directory = self._directory = begin(self._out, self._config)
        self._left_out.update(directory.left_out)
        done: dict[int, list[Trajectory]] = {}
        for trajectory in directory.done.values():
            done.setdefault(trajectory.group_id, []).append(trajectory)
        if self.plan.compares or self.plan.scheduling.extra_groups:  # a group counts whole or not at all
            done = {number: group for number, group in done.items() if len(group) >= self.plan.group_size}
        for number, group in done.items():
            self._finished.extend(group)
            self._members[number] = group
            if len(group) >= self.plan.group_size:
                self._hand_out(number)
        return {number: {t.sample for t in group} for number, group in done.items()}

    def _receive(self, report: Report) -> bool:
        """Record what has finished; False when the run has what it needs."""
        for name, count in (("cancelled", report.cancelled), ("retried", report.retried)):
            if count:
                self._left_out[name] = self._left_out.get(name, 0) + count
        for trajectory in report.trajectories:
            self._members.setdefault(report.group_id, []).append(trajectory)
            self._record(trajectory)
        if report.closed:
            self._hand_out(report.group_id)
        return not self._enough()

    def _hand_out(self, number: int) -> None:
        members = sorted(self._members.pop(number), key=lambda trajectory: trajectory.sample)
        self._whole_groups += sum(t.error is None for t in members) >= self.plan.group_size
        if self._on_group is not None:
            self._on_group(Group(number, tuple(members)))

    def _enough(self) -> bool:
        """Whether groups beyond the plan are needed no longer."""
        return bool(self.plan.scheduling.extra_groups) and self._whole_groups >= self.plan.num_groups

    def _record(self, trajectory: Trajectory) -> None:
        if self._directory is not None:
            self._directory.append(trajectory)
        self._finished.append(trajectory)
        if self._on_result is not None:
            self._on_result(trajectory)
        if trajectory.error is None:
            self._succeeded = True
        elif self._raise:
            raise RunAborted(str(trajectory.error), run=self.partial())
        elif not self._succeeded:
            self._stop_if_all_fail_alike(trajectory)

    def _stop_if_all_fail_alike(self, trajectory: Trajectory) -> None:
        """Stop when the episodes that were begun first have all failed in one way.

        Not those that finished first: failures are quick, and would outrun what is going well.
        """
        error = trajectory.error
        assert error is not None
        place = (trajectory.group_id, trajectory.sample)
        self._failures[place] = (error.boundary, error.type, error.status)
        size = self.plan.members_begun
        probes = max(ALIKE, 2 * size)
        first = [divmod(number, size) for number in range(min(probes, self.plan.num_begun))]
        if len(self._finished) >= self.plan.num_episodes or len(first) < probes:
            return
        if not all(place in self._failures for place in first):
            return
        if len({self._failures[place] for place in first}) == 1:
            raise RunAborted(
                f"the first {probes} episodes all failed alike, so the run stopped: {error}",
                run=self.partial(),
            )


def _completed(work: dict[str, Any]) -> dict[str, Any]:
    """What decides the episodes, with defaults for what was not given."""
    given = {name: value for name, value in work.items() if value is not None}
    return {
        "num_examples": None,
        "group_size": 1,
        "env_kwargs": None,
        "seed": 0,
        "options": None,
        "sampling": Sampling(),
        "limits": Limits(),
        "scheduling": Scheduling(),
        **given,
    }


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r}: it must be a whole number")
    if value < 1:
        raise ConfigError(f"{name} is {value}: it must be at least 1")
