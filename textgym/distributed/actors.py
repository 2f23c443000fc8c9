"""The actors of one rollout on a Ray cluster: they are started, called and ended here.

Invariant: a call ends with the worker's answer or says that the worker is lost, whatever Ray calls it; and after
``dismiss`` no actor is left. Who plays what is the business of ``crew.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping, Set
from typing import Any

from textgym.distributed.resources import OWN
from textgym.distributed.worker import Worker
from textgym.errors import ConfigError, RunAborted

__all__ = ["Actors", "Lost"]

log = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""How long workers may take to close their environments before they are killed."""

_ESCAPES = re.compile("\x1b\\[[0-9;]*m")
_CAUSE = re.compile(r"[\w.]+(Error|Exception): ")


class Lost(Exception):
    """A worker is gone."""


class Actors:
    """The actors of one rollout.

    Args:
        resources: What each needs, as ``check_resources`` gives it.

    Raises:
        ConfigError: Ray refuses an amount.
    """

    def __init__(self, resources: Mapping[str, float]) -> None:
        import ray

        self._ray = ray
        try:
            self._class = ray.remote(Worker).options(
                **{name: amount for name, amount in resources.items() if name in OWN},
                resources={name: amount for name, amount in resources.items() if name not in OWN},
                scheduling_strategy="SPREAD",
                max_restarts=0,  # a new one has to be told the job anyway
                max_task_retries=0,  # a report that is lost with its worker is owed again by the ledger
            )
        except ValueError as error:
            raise ConfigError(f"resources is {dict(resources)}: {error}") from error
        self._actors: dict[str, Any] = {}
        self._hired = 0

    def check_connected(self) -> None:
        """Refuse to go on without a connection: calls would wait for ever, or Ray start a cluster for them.

        Raises:
            RunAborted: Somebody has closed it.
        """
        if not self._ray.is_initialized():
            raise RunAborted("the connection to the Ray cluster was shut down while the rollout ran")

    def hire(self) -> str:
        """Start a worker, as soon as a node has room for it; returns its name.

        Raises:
            RunAborted: The connection is closed.
        """
        self.check_connected()
        self._hired += 1
        name = str(self._hired)
        self._actors[name] = self._class.remote()
        return name

    async def call(self, worker: str, method: str, *arguments: Any) -> Any:
        """Call a worker's method.

        Raises:
            Lost: The worker died, or what it answered is gone with its node.
            RunAborted: The method failed, the worker cannot even be made, or the connection is closed.
        """
        self.check_connected()
        if worker not in self._actors:
            raise Lost("it is gone")
        errors = self._ray.exceptions
        try:
            return await getattr(self._actors[worker], method).remote(*arguments)
        except errors.RayTaskError as error:
            raise RunAborted(f"a worker failed: {_shortened(error)}") from error
        except errors.RayError as error:
            if getattr(error, "actor_init_failed", False):
                raise RunAborted(f"a worker cannot be made: {_shortened(error)}") from error
            raise Lost(_shortened(error)) from error

    def kill(self, worker: str) -> None:
        """End a worker at once, if it is there. One that is only cut off must not go on playing."""
        self._kill(self._actors.pop(worker, None))

    async def dismiss(self, up: Set[str]) -> None:
        """Let the workers that are up close what they hold, for a while, and end all."""
        actors, self._actors = self._actors, {}
        try:
            names = actors.keys() & up if self._ray.is_initialized() else ()
            closing = [asyncio.ensure_future(_closed(actors[name])) for name in names]
            if closing:
                await asyncio.wait(closing, timeout=CLOSE_SECONDS + 1)
        finally:
            for actor in actors.values():
                self._kill(actor)

    def _kill(self, actor: Any) -> None:
        if actor is not None and self._ray.is_initialized():
            with contextlib.suppress(ValueError):  # it is of another connection, which took it along
                self._ray.kill(actor)


async def _closed(actor: Any) -> None:
    try:
        await actor.close.remote(CLOSE_SECONDS)
    except Exception as error:
        log.debug("a worker was not closed: %s", error)


def _shortened(error: Exception) -> str:
    """What Ray says first, and of its pages of traceback the errors."""
    lines = [
        " ".join(line.split())[:200] for line in _ESCAPES.sub("", str(error)).splitlines() if line.strip()
    ]
    causes = [line for line in lines[1:] if _CAUSE.match(line)][-3:] or lines[1:][-1:]
    return " … ".join([*lines[:1], *causes])
