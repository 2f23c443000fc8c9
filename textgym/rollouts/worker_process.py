"""One worker process: it gets an order and shares of work through a pipe, plays them in slots, and reports back.

Invariant: it ends when it is told to, or when the process that started it is gone. It writes no run directory, and
Ctrl-C at the terminal is its parent's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import pickle
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from textgym.errors import ConfigError, RunAborted, TextgymError
from textgym.policies.policy import Policy
from textgym.rollouts.env_source import EnvSource
from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.loops import Interrupt, run_on_own_loop
from textgym.rollouts.packing import PackedReport, packed_error
from textgym.rollouts.plan import Plan, plain
from textgym.rollouts.shares import ANY_GROUP, Report, Share
from textgym.rollouts.slots import Slots
from textgym.tokens import ChatTemplate

__all__ = ["READY", "STOP", "Order", "serve"]

READY = "ready"
"""First message of a worker: it can play."""
STOP = "stop"
"""Last message to a worker: what is under way is cancelled."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker has to know before its first share."""

    plan: dict[str, Any]
    """Fields of the plan that are plain values."""
    env: Any
    """What environments are made from."""
    env_kwargs: dict[str, Any]
    """Their arguments."""
    env_name: str
    """What records call them."""
    policy: Policy
    """Who plays."""
    tokenizer: Any
    """Renders prompts, or None."""
    renders: bool
    """Whether prompts are rendered here, by the tokenizer or else by the policy's own template."""


def serve(connection: Connection, slots: int, parent: int) -> None:
    """Do the work of one process. The first message is the order, then come shares.

    Args:
        connection: The other end of the pipe.
        slots: Most episodes at a time.
        parent: Process id of who started this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    if hasattr(os, "register_at_fork"):  # a child of this process must not keep the pipe open when it dies
        os.register_at_fork(after_in_child=connection.close)
    outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sender = threading.Thread(target=_send, args=(connection, outbox), daemon=True)
    sender.start()
    try:
        order: Order = pickle.loads(connection.recv_bytes())
        plan = _plan(order)
    except EOFError:
        return
    except Exception as error:
        text = f"a worker process could not begin: {type(error).__name__}: {error}"
        outbox.put(pickle.dumps(ConfigError(text)))
    else:
        gc.freeze()  # what is imported by now is never garbage
        # Not by the thread: whatever kills this process comes later.
        connection.send_bytes(pickle.dumps(READY))
        with contextlib.suppress(KeyboardInterrupt):
            run_on_own_loop(_play(order, plan, slots, connection, outbox), Interrupt())
    outbox.put(None)
    sender.join()


def _die_with(parent: int) -> None:
    """Have the system end this process when its parent is gone, even while code holds the interpreter's lock."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
        if os.getppid() != parent:
            os._exit(1)


_PR_SET_PDEATHSIG = 1


def _plan(order: Order) -> Plan:
    source = EnvSource(order.env, order.env_kwargs)
    source.name = order.env_name
    template = None
    if order.renders:
        given = order.tokenizer
        template = ChatTemplate.of(given if given is not None else getattr(order.policy, "template", None))
    return Plan(source=source, template=template, **order.plan)


async def _play(
    order: Order, plan: Plan, count: int, connection: Connection, outbox: queue.SimpleQueue[Any]
) -> None:
    slots = Slots(plan, order.policy, count)
    inbox = _Inbox(slots.groups.begin, plain(order.env_kwargs))

    def deliver(report: Report) -> bool:
        outbox.put(pickle.dumps(PackedReport.of(report), protocol=pickle.HIGHEST_PROTOCOL))
        return True

    work = asyncio.ensure_future(slots.play_queue(inbox, deliver, count))
    loop = asyncio.get_running_loop()
    threading.Thread(target=_receive, args=(connection, loop, inbox, work), daemon=True).start()
    try:
        await work
    except asyncio.CancelledError:
        if inbox.over:  # what was begun is counted where the run had enough
            deliver(Report(ANY_GROUP, cancelled=slots.under_way))
    except Exception as error:
        outbox.put(_packed(error))
    finally:
        close = getattr(order.policy, "aclose", None)
        if close is not None:
            await close()


class _Inbox:
    """The queue of a worker: filled by its parent, share by share."""

    def __init__(self, begin: Callable[[Share], object], env_kwargs: dict[str, Any]) -> None:
        self._begin, self._env_kwargs = begin, env_kwargs
        self._tasks: deque[EpisodeTask] = deque()
        self._waiters: deque[asyncio.Future[bool]] = deque()
        self.over = False
        """Whether the parent wants no more."""

    def add(self, share: Share) -> None:
        self._begin(share)
        for task in share.tasks:
            task.env_kwargs = self._env_kwargs
            self._tasks.append(task)
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(True)
                    break

    def take(self) -> EpisodeTask | None:
        return self._tasks.popleft() if self._tasks else None

    async def more(self) -> bool:
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return await waiter


def _receive(
    connection: Connection, loop: asyncio.AbstractEventLoop, inbox: _Inbox, work: asyncio.Future[None]
) -> None:
    try:
        while True:
            message = pickle.loads(connection.recv_bytes())
            if message == STOP:
                inbox.over = True
                loop.call_soon_threadsafe(work.cancel)
                return
            loop.call_soon_threadsafe(inbox.add, message)
    except RuntimeError:  # the loop is over
        return
    except (EOFError, OSError):  # the parent is gone, and nobody wants the results
        os._exit(1)


def _send(connection: Connection, outbox: queue.SimpleQueue[Any]) -> None:
    with contextlib.suppress(OSError):
        while (data := outbox.get()) is not None:
            connection.send_bytes(data)


def _packed(error: Exception) -> bytes:
    packed = packed_error(error) if isinstance(error, TextgymError) else None
    return packed or pickle.dumps(RunAborted(f"a worker process failed: {type(error).__name__}: {error}"))
