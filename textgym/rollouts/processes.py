"""Processes: the shares of a run, played in several processes of this machine.

Invariant: every share is played to its end, whatever happens to a process: what a dead one had reported is kept,
what it had not is played again, and another process takes its place. Only a group whose processes keep dying
becomes errors. Nothing but plain data crosses: an order at the start, shares out, reports back. This module
neither plays nor records.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import pickle
import queue
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import gymnasium as gym

from textgym.errors import ConfigError, RunAborted
from textgym.policies.policy import FunctionPolicy, Policy
from textgym.rollouts.plan import EnvLike, Plan
from textgym.rollouts.shares import Deliver, Report, Share
from textgym.rollouts.trajectory import Boundary, Failure, Trajectory
from textgym.rollouts.worker_process import READY, STOP, Order, serve
from textgym.types import StopReason

__all__ = ["Processes"]

log = logging.getLogger(__name__)

MOST_DEATHS = 3
"""A group that was under way in so many processes when they died is given up."""
PATIENCE_SECONDS = 5.0
"""How long a process may take to end before it is killed."""


class Processes:
    """Plays shares in worker processes.

    Args:
        plan: What the episodes have in common.
        env: What the environments are made from.
        policy: Who plays; each process gets a copy.
        tokenizer: Renders prompts, or None.
        max_concurrency: Most episodes at a time, in all processes together.
        workers: How many processes.

    Raises:
        ConfigError: Something cannot be sent to another process.
    """

    def __init__(
        self, plan: Plan, env: EnvLike, policy: Policy, tokenizer: Any, max_concurrency: int, workers: int
    ) -> None:
        count = min(workers, max_concurrency, plan.num_begun // plan.members_begun)
        shares = [max_concurrency // count + (i < max_concurrency % count) for i in range(count)]
        self._orders = [_order(plan, env, policy, tokenizer, share) for share in shares]
        self._slots = shares
        self._ahead = plan.members_begun
        self._policy_name = plan.policy
        self._deaths: Counter[int] = Counter()
        self._env_kwargs: dict[str, Any] = {}

    async def play(self, shares: Iterator[Share], deliver: Deliver) -> None:
        """Play all shares. Arguments and errors are those of ``Player.play``."""
        inbox: asyncio.Queue[tuple[_Worker, Any]] = asyncio.Queue()
        again: deque[Share] = deque()
        workers: list[_Worker] = []
        try:
            for order, slots in zip(self._orders, self._slots, strict=True):
                workers.append(_Worker(order, slots + self._ahead, inbox))
            while True:
                self._fill(workers, again, shares)
                if not any(worker.shares for worker in workers):
                    return
                worker, message = await inbox.get()
                if isinstance(message, Report):
                    if not deliver(self._received(worker, message)):
                        return
                elif isinstance(message, Exception):
                    raise message
                elif message is None:
                    workers[workers.index(worker)] = self._replaced(worker, inbox)
                    for report in self._given_up(worker, again):
                        if not deliver(report):
                            return
                else:
                    worker.ready = True
        finally:
            for worker in workers:
                worker.stop()
            await asyncio.to_thread(_end_all, workers)

    def _fill(self, workers: Sequence[_Worker], again: deque[Share], shares: Iterator[Share]) -> None:
        """Hand out groups, one at a time to whoever has least, as far as everybody has enough to do."""
        while True:
            worker = min(workers, key=lambda worker: worker.load)
            if worker.load >= worker.capacity:
                return
            share = again.popleft() if again else next(shares, None)
            if share is None:
                return
            self._env_kwargs = share.tasks[0].env_kwargs or self._env_kwargs
            worker.give(share)

    def _received(self, worker: _Worker, report: Report) -> Report:
        for trajectory in report.trajectories:
            trajectory.env_kwargs = self._env_kwargs
        worker.took(report)
        return report

    def _replaced(self, worker: _Worker, inbox: asyncio.Queue[tuple[_Worker, Any]]) -> _Worker:
        """Another process for one that has died."""
        code = worker.exit_code()
        if not worker.ready:
            raise RunAborted(
                f"a worker process ended before it could begin (exit code {code}); what it printed says why. A "
                'script that plays with workers needs `if __name__ == "__main__":` around its call, because '
                "every process imports the script"
            )
        log.warning(
            "a worker process died (exit code %s): its %d unfinished episodes are played again",
            code,
            worker.load,
        )
        return _Worker(worker.order, worker.capacity, inbox)

    def _given_up(self, worker: _Worker, again: deque[Share]) -> Iterator[Report]:
        """Queue what a dead process had not finished; groups that keep dying end as errors."""
        for share in worker.unfinished():
            self._deaths[share.group_id] += 1
            if self._deaths[share.group_id] < MOST_DEATHS:
                again.append(share)
                continue
            died = f"{MOST_DEATHS} worker processes died while its group was played"
            errors = [self._lost(task, f"{died} (exit code {worker.exit_code()})") for task in share.tasks]
            yield Report(share.group_id, tuple(errors), closed=True)

    def _lost(self, task: Any, text: str) -> Trajectory:
        failure = Failure(boundary=Boundary.ENV, type="WorkerDied", message=text, turn=0)
        return Trajectory(
            env_id=task.env_id,
            env_kwargs=self._env_kwargs,
            seed=task.seed,
            group_id=task.group_id,
            sample=task.sample,
            stop_reason=StopReason.ERROR,
            error=failure,
            policy=self._policy_name,
        )


class _Worker:
    """The parent's end of one process: what it has to do, and two threads that keep the pipe flowing."""

    def __init__(self, order: bytes, capacity: int, inbox: asyncio.Queue[tuple[_Worker, Any]]) -> None:
        self.order, self.capacity = order, capacity
        self.shares: dict[int, Share] = {}
        self.load = 0
        self.ready = False
        self._inbox, self._loop = inbox, asyncio.get_running_loop()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outbox.put(order)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), name="textgym-worker")
        self._process.start()
        theirs.close()
        for work in (self._read, self._write):
            threading.Thread(target=work, name="textgym-pipe", daemon=True).start()

    def give(self, share: Share) -> None:
        self.shares[share.group_id] = share
        self.load += len(share.tasks)
        bare = tuple(replace(task, env_kwargs={}) for task in share.tasks)  # the order has them
        self._outbox.put(pickle.dumps(replace(share, tasks=bare), protocol=pickle.HIGHEST_PROTOCOL))

    def took(self, report: Report) -> None:
        share = self.shares.get(report.group_id)
        if share is None:
            return
        done = {trajectory.sample for trajectory in report.trajectories}
        valid = sum(trajectory.error is None for trajectory in report.trajectories)
        left = tuple(task for task in share.tasks if task.sample not in done)
        if report.closed:
            self.load -= len(share.tasks)
            del self.shares[report.group_id]
        else:
            self.load -= len(share.tasks) - len(left)
            self.shares[report.group_id] = Share(share.group_id, left, share.missing - valid)

    def unfinished(self) -> list[Share]:
        return list(self.shares.values())

    def stop(self) -> None:
        self._outbox.put(pickle.dumps(STOP))
        self._outbox.put(None)

    def exit_code(self) -> int | None:
        self._process.join(PATIENCE_SECONDS)
        return self._process.exitcode

    def end(self, seconds: float) -> None:
        self._process.join(seconds)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def _read(self) -> None:
        message: Any = READY
        while message is not None:
            try:
                message = pickle.loads(self._pipe.recv_bytes())
            except (EOFError, OSError):
                message = None
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, (self, message))

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (data := self._outbox.get()) is not None:
                self._pipe.send_bytes(data)


def _end_all(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.end(PATIENCE_SECONDS)


def _order(plan: Plan, env: EnvLike, policy: Policy, tokenizer: Any, max_concurrency: int) -> bytes:
    """Everything that a worker needs, pickled; what cannot be is named."""
    rest = {f.name: getattr(plan, f.name) for f in fields(plan) if f.name not in ("source", "template")}
    sent: Any = env
    if isinstance(env, str):
        with contextlib.suppress(gym.error.Error, Exception):
            pickle.dumps(spec := gym.spec(env))
            sent = spec  # a process that has not run the caller's registrations does not know the id
    _check_sendable("env", sent, "give its id, its spec, or a function of a module that makes it")
    _check_sendable("env_kwargs", plan.source.kwargs, "give plain values")
    advice = "define it at the top level of a module"
    _check_sendable("policy", policy.function if isinstance(policy, FunctionPolicy) else policy, advice)
    _check_sendable("tokenizer", tokenizer, "give one that can be pickled")
    for name in ("sampling", "limits", "options"):
        _check_sendable(name, rest[name], "give plain values")
    order = Order(
        plan=rest,
        env=sent,
        env_kwargs=plan.source.kwargs,
        env_name=plan.source.name,
        policy=policy,
        tokenizer=tokenizer,
        renders=plan.template is not None,
        max_concurrency=max_concurrency,
    )
    return pickle.dumps(order, protocol=pickle.HIGHEST_PROTOCOL)


def _check_sendable(name: str, value: Any, advice: str) -> None:
    try:
        pickle.dumps(value)
    except Exception as error:
        raise ConfigError(
            f"{name} is {value!r:.80}, which cannot be sent to worker processes ({type(error).__name__}: "
            f"{error}): {advice}, or play with workers=1"
        ) from error
