"""The rollout engine: many episodes at once, groups as they finish, nothing waits for a slow neighbour.

Invariant: ``max_concurrency`` workers, each with an environment of its own, take episodes one after another
from one list. So at most that many episodes (and requests) are alive, whatever the size of the run; members
of a group begin together; and a group is handed out the moment its last member ends. Finished episodes are
recorded before anything can stop the run. The engine schedules; one episode is played by ``episode.py``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from textgym.errors import AuthenticationFailed, ConfigError, RunAborted
from textgym.hooks import drive, settle
from textgym.policies.policy import PolicyLike, as_policy
from textgym.rollouts.episode import EpisodeTask, run_episode
from textgym.rollouts.grouping import Grouping
from textgym.rollouts.limits import Limits
from textgym.rollouts.loops import Interrupt, run_in_thread, run_on_own_loop
from textgym.rollouts.plan import EnvLike, Plan
from textgym.rollouts.run import Group, Run
from textgym.rollouts.stepping import Stepper, is_blocking, threads
from textgym.rollouts.store import RunDirectory
from textgym.rollouts.trajectory import Boundary, Trajectory
from textgym.types import Sampling

__all__ = ["Rollout", "arollout", "rollout"]

log = logging.getLogger(__name__)

ALIKE = 8
"""If so many episodes (and two groups) that were begun first have all failed alike, and nothing else has
succeeded, the run stops: it would only repeat one failure."""
PAUSE = 16
"""After this many episodes the event loop gets a turn, even if no episode has waited for anything."""


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
) -> Run:
    """Play episodes and return them all.

    Works with and without a running event loop (in a notebook it uses a thread of its own).

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
        out: A run directory to write while running, or None.
        resume: Go on with ``out``: play only what it still owes.
        on_error: ``"record"`` keeps a failed episode as a trajectory with ``error``; ``"raise"`` stops.
        on_result: Called with every finished trajectory, in completion order.

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
    )
    return work.run()


async def arollout(env: EnvLike, policy: PolicyLike, **arguments: Any) -> AsyncIterator[Group]:
    """Play episodes on the running loop and yield every group the moment it is complete.

    Args:
        env: As for ``rollout``.
        policy: As for ``rollout``. It stays open: call its ``aclose`` when it has one.
        **arguments: As for ``rollout``.

    Yields:
        Groups in completion order. To leave early, use ``contextlib.aclosing``: closing the iterator cancels
        what is still running and lets go of the run directory.

    Raises:
        ConfigError: As for ``rollout``, like all other errors.
    """
    work = Rollout(env, policy, **arguments)
    ready: asyncio.Queue[Group | None] = asyncio.Queue()
    player = asyncio.create_task(work.play(ready.put_nowait))
    player.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while (group := await ready.get()) is not None:
            yield group
        await player
    finally:
        player.cancel()
        await asyncio.gather(player, return_exceptions=True)


class Rollout:
    """One rollout: a plan, its workers and what has finished so far. Arguments as for ``rollout``.

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
    ) -> None:
        if isinstance(max_concurrency, bool) or not isinstance(max_concurrency, int):
            raise ConfigError(f"max_concurrency is {max_concurrency!r}: it must be a whole number")
        if max_concurrency < 1:
            raise ConfigError(f"max_concurrency is {max_concurrency}: it must be at least 1")
        if on_error not in ("record", "raise"):
            raise ConfigError(f"on_error is {on_error!r}: it must be 'record' or 'raise'")
        if resume and out is None:
            raise ConfigError("resume needs the run directory: give out=… (--out on the command line)")
        self.policy = as_policy(policy)
        self.plan = Plan.resolve(
            env,
            self.policy,
            num_examples=num_examples,
            group_size=group_size,
            env_kwargs=env_kwargs,
            seed=seed,
            options=options,
            sampling=sampling if sampling is not None else Sampling(),
            limits=limits if limits is not None else Limits(),
            tokenizer=tokenizer,
        )
        self.max_concurrency = max_concurrency
        self._out, self._resume = out, resume
        self._raise = on_error == "raise"
        self._on_result = on_result
        self._finished: list[Trajectory] = []
        judge = self.plan.source.prototype.unwrapped
        compares = bool(getattr(judge, "compares_members", False))
        self._groups = Grouping(group_size, judge if compares else None)
        self._on_group: Callable[[Group], None] | None = None
        self._directory: RunDirectory | None = None
        self._began = time.monotonic()
        self._seconds: float | None = None
        self._since_pause = 0
        self._stopped = False
        self._succeeded = False
        self._failures: dict[tuple[int, int], tuple[str, str, int | None]] = {}
        self.interrupt = Interrupt()

    def run(self) -> Run:
        """Play everything and return it. Raises as ``rollout`` does."""
        if getattr(self.policy, "one_loop", False):  # a loop that outlives this run
            run: Run = drive(settle(self._whole()))
            return run
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return run_on_own_loop(self._whole(), self.interrupt)
        return run_in_thread(self._whole(), self.interrupt)

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
        return Run(list(self._finished), self._config, seconds)

    async def play(self, on_group: Callable[[Group], None] | None = None) -> None:
        """Play everything on the running loop. Raises as ``rollout`` does.

        Args:
            on_group: Called with every complete group, in completion order.
        """
        self._on_group = on_group
        self._began = time.monotonic()
        try:
            tasks = self._owed()  # opens the run directory: before the first paid call
            preflight = getattr(self.policy, "preflight", None)
            if preflight is not None:
                await preflight()
            with self._own_threads():
                await self._work(tasks)
        except AuthenticationFailed as error:
            raise RunAborted(str(error), run=self.partial()) from error
        except ConfigError as error:
            error.run = self.partial()  # type: ignore[attr-defined]
            raise
        finally:
            self._seconds = time.monotonic() - self._began
            directory, self._directory = self._directory, None
            if directory is not None:
                with directory:
                    self._seconds = directory.finish(self._seconds)

    @contextlib.contextmanager
    def _own_threads(self) -> Iterator[None]:
        """Threads for environments that block, as many as episodes may run at a time."""
        if not is_blocking(self.plan.source.prototype):
            yield
            return
        workers = min(self.max_concurrency, self.plan.num_episodes, 256)
        with threads(concurrent.futures.ThreadPoolExecutor(workers, "textgym-env")):
            yield

    def _owed(self) -> Iterator[EpisodeTask]:
        tasks = self.plan.tasks()
        if self._out is None:
            return tasks
        begin = RunDirectory.resume if self._resume else RunDirectory.create
        directory = self._directory = begin(self._out, self._config)
        if not directory.done:
            return tasks
        done = {(t.group_id, t.sample): t for t in directory.done.values()}
        if self._groups.compares:  # a group is compared whole or not at all
            counts = Counter(group for group, _ in done)
            done = {key: t for key, t in done.items() if counts[key[0]] == self.plan.group_size}
        self._finished.extend(done.values())
        for group in self._groups.restore(done.values()):
            if self._on_group is not None:
                self._on_group(group)
        return (task for task in list(tasks) if (task.group_id, task.sample) not in done)

    async def _work(self, tasks: Iterator[EpisodeTask]) -> None:
        count = min(self.max_concurrency, self.plan.num_episodes)
        workers = [asyncio.ensure_future(self._worker(tasks)) for _ in range(count)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _worker(self, tasks: Iterator[EpisodeTask]) -> None:
        plan, env = self.plan, None
        try:
            for task in tasks:
                if self._stopped:
                    return
                if env is None:
                    env = self._take()
                trajectory = await run_episode(
                    env, self.policy, task, plan.sampling, plan.limits, plan.template
                )
                await self._finish(trajectory, env.env)
                failed = trajectory.error
                if failed is not None and failed.boundary is not Boundary.POLICY:
                    _close(env)  # whatever broke may have left it half-way: start over with a new one
                    env = None
                self._since_pause += 1
                if self._since_pause >= PAUSE:  # a policy that never waits must not shut out everybody else
                    self._since_pause = 0
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            if env is not None and env.blocking:
                env = None  # its thread may still be inside a step: nobody may close it now
            raise
        finally:
            if env is not None:
                _close(env)

    def _take(self) -> Stepper:
        try:
            env: Any = self.plan.source.take(bare=True)
        except Exception as error:
            self._stopped = True
            raise RunAborted(
                f"another {self.plan.source.name} could not be made: {type(error).__name__}: {error}",
                run=self.partial(),
            ) from error
        if hasattr(env.unwrapped, "in_group"):
            env.unwrapped.in_group = True
        return Stepper(env)

    async def _finish(self, trajectory: Trajectory, env: Any) -> None:
        groups, member = self._groups, None
        if not groups.compares:
            self._record(trajectory)
        elif trajectory.error is None:
            member = env.unwrapped.group_member()
        if groups.add(trajectory, member):
            group = await groups.close(trajectory.group_id)
            if groups.compares:
                for compared in group:
                    self._record(compared)
            if self._on_group is not None:
                self._on_group(group)

    def _record(self, trajectory: Trajectory) -> None:
        if self._directory is not None:
            self._directory.append(trajectory)
        self._finished.append(trajectory)
        if self._on_result is not None:
            self._on_result(trajectory)
        if trajectory.error is None:
            self._succeeded = True
        elif self._raise:
            self._stopped = True
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
        size = self.plan.group_size
        probes = max(ALIKE, 2 * size)
        first = [divmod(number, size) for number in range(min(probes, self.plan.num_episodes))]
        if len(self._finished) == self.plan.num_episodes or len(first) < probes:
            return
        if not all(place in self._failures for place in first):
            return
        if len({self._failures[place] for place in first}) == 1:
            self._stopped = True
            raise RunAborted(
                f"the first {probes} episodes all failed alike, so the run stopped: {error}",
                run=self.partial(),
            )


def _close(stepper: Stepper) -> None:
    try:
        stepper.env.close()
    except Exception:
        log.warning("closing %s failed", stepper.env, exc_info=True)
