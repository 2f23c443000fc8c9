"""Processes: the shares of a run, played in several processes of this machine.

Invariant: every share is played to its end, whatever happens to a process: what a dead one had reported is kept,
what it had not is played again, and another process takes its place. Only a group that kills processes when it is
played alone becomes errors. Nothing but plain data crosses: an order at the start, shares out, reports back. This
module neither plays nor records.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

import gymnasium as gym

from textgym.errors import ConfigError, RunAborted
from textgym.policies.policy import FunctionPolicy, Policy
from textgym.rollouts.env_source import EnvLike
from textgym.rollouts.ledger import Ledger
from textgym.rollouts.packing import PackedReport
from textgym.rollouts.plan import Plan
from textgym.rollouts.shares import ANY_GROUP, Deliver, Report, Share
from textgym.rollouts.worker_process import READY, STOP, Order, serve

__all__ = ["Processes"]

log = logging.getLogger(__name__)

MOST_FAILED_STARTS = 3
"""Processes that may be killed in a row before they could begin."""
PATIENCE_SECONDS = 5.0
"""How long processes may take to end before they are killed."""


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
        self._slots = [max_concurrency // count + (i < max_concurrency % count) for i in range(count)]
        self._order = _order(plan, env, policy, tokenizer)
        self._ahead = plan.members_begun
        self._failed_starts = 0

    async def play(self, shares: Iterator[Share], deliver: Deliver) -> None:
        """Play all shares. Arguments and errors are those of ``Player.play``."""
        ledger = Ledger(shares, 2 * sum(self._slots))
        inbox: Inbox = asyncio.Queue()
        workers: list[_Worker] = []
        enough = False
        try:
            workers += [_Worker(self._order, slots, inbox) for slots in self._slots]
            while ledger.known and not enough:
                worker, message = await inbox.get()
                if isinstance(message, PackedReport):
                    enough = not deliver(ledger.receive(worker.name, message))
                elif isinstance(message, Exception):
                    raise message
                elif message == READY:
                    worker.ready, self._failed_starts = True, 0
                else:
                    workers[workers.index(worker)] = self._replaced(worker, ledger, inbox)
                    lost = ledger.lose(worker.name)
                    if lost is not None:
                        text = f"{lost.losses} worker processes died while its group was played"
                        enough = not deliver(lost.given_up(f"{text} (exit code {worker.exit_code})"))
                self._hand_out(workers, ledger)
        finally:
            await _end_all(workers)
        while enough and not inbox.empty():
            _, message = inbox.get_nowait()
            if isinstance(message, PackedReport):
                left = message.cancelled + len(message.trajectories)
                deliver(Report(ANY_GROUP, cancelled=left, retried=message.retried))

    def _hand_out(self, workers: Sequence[_Worker], ledger: Ledger) -> None:
        """Give groups to whoever has least, as far as everybody has enough to do."""
        for worker in sorted(workers, key=lambda worker: ledger.held(worker.name)):
            room = worker.slots + self._ahead - ledger.held(worker.name)
            if worker.ready:
                for share in ledger.take(worker.name, room, len(workers)):
                    worker.give(share)

    def _replaced(self, worker: _Worker, ledger: Ledger, inbox: Inbox) -> _Worker:
        """Another process for one that has died."""
        code = worker.exit_code
        if worker.ready:
            log.warning(
                "a worker process died (exit code %s): its %d unfinished episodes are played again",
                code,
                ledger.held(worker.name),
            )
            return _Worker(self._order, worker.slots, inbox)
        self._failed_starts += 1
        killed = code is not None and code < 0
        if killed and self._failed_starts < MOST_FAILED_STARTS:
            log.warning("a worker process was killed before it could begin (exit code %s)", code)
            return _Worker(self._order, worker.slots, inbox)
        raise RunAborted(
            f"a worker process ended before it could begin (exit code {code}); what it printed says why. A "
            'script that plays with workers needs `if __name__ == "__main__":` around its call, because '
            "every process imports the script"
        )


class _Worker:
    """The parent's end of one process, with two threads that keep the pipe flowing."""

    def __init__(self, order: bytes, slots: int, inbox: Inbox) -> None:
        self.slots = slots
        self.ready = False
        self._inbox, self._loop = inbox, asyncio.get_running_loop()
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outbox.put(order)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, slots, os.getpid())
        self._process = context.Process(target=serve, args=arguments, name="textgym-worker")
        self._process.start()
        theirs.close()
        self.name = str(self._process.pid)
        self._reader = threading.Thread(target=self._read, name="textgym-pipe", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="textgym-pipe", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative is the number of a signal."""
        return self._process.exitcode

    def give(self, share: Share) -> None:
        bare = tuple(replace(task, env_kwargs={}) for task in share.tasks)  # the order has them
        self._outbox.put(pickle.dumps(replace(share, tasks=bare), protocol=pickle.HIGHEST_PROTOCOL))

    def stop(self) -> None:
        self._outbox.put(pickle.dumps(STOP))

    def end(self, until: float) -> None:
        """Wait until it has ended, and kill it at that time (of the monotonic clock)."""
        self._reader.join(max(0.0, until - time.monotonic()))
        self.kill()
        self._reader.join(PATIENCE_SECONDS)

    def kill(self) -> None:
        if self._reader.is_alive():
            self._process.kill()

    def _read(self) -> None:
        """Pass on what it says; None when it is dead."""
        try:
            while True:
                self._pass_on(_loaded(self._pipe.recv_bytes()))
        except (EOFError, OSError):
            pass
        self._outbox.put(None)
        self._process.join(PATIENCE_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._pass_on(None)

    def _pass_on(self, message: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
            self._loop.call_soon_threadsafe(self._inbox.put_nowait, (self, message))

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (data := self._outbox.get()) is not None:
                self._pipe.send_bytes(data)


Inbox: TypeAlias = "asyncio.Queue[tuple[_Worker, Any]]"


def _loaded(data: bytes) -> Any:
    try:
        return pickle.loads(data)
    except Exception as error:
        return RunAborted(f"what a worker process said cannot be read: {type(error).__name__}: {error}")


async def _end_all(workers: Sequence[_Worker]) -> None:
    """Let processes close what they hold, for a while, and kill them then, or when this is cancelled."""
    until = time.monotonic() + PATIENCE_SECONDS
    for worker in workers:
        worker.stop()
    try:
        await asyncio.to_thread(_join_all, workers, until)
    except asyncio.CancelledError:  # a second Ctrl-C
        for worker in workers:
            worker.kill()
        raise


def _join_all(workers: Sequence[_Worker], until: float) -> None:
    for worker in workers:
        worker.end(until)


def _order(plan: Plan, env: EnvLike, policy: Policy, tokenizer: Any) -> bytes:
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
