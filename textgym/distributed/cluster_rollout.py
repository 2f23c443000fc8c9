"""The rollout over a cluster: the run of ``textgym.rollouts`` with a cluster for its player.

Invariant: for a deterministic policy the run equals that of ``textgym.rollout`` with the same arguments, apart
from times. The driver alone writes the run directory and decides when to stop. This module finds the cluster and
sizes the crew; what happens there is the business of ``crew.py``.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from textgym.distributed.crew import Crew, check_resources, fitting
from textgym.distributed.parcels import Job, pack_job
from textgym.errors import ConfigError, RunAborted
from textgym.policies.policy import PolicyLike
from textgym.rollouts.engine import Rollout
from textgym.rollouts.ledger import Ledger
from textgym.rollouts.plan import EnvLike
from textgym.rollouts.shares import Deliver, Player, Share

__all__ = ["ClusterRollout"]

CONNECT_SECONDS = 5.0
"""How long the cluster's address may take to accept a connection."""


class ClusterRollout(Rollout):
    """One rollout over a Ray cluster. Arguments as for ``textgym.distributed.rollout``."""

    def __init__(
        self,
        env: EnvLike,
        policy: PolicyLike,
        *,
        num_workers: int | None = None,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        **arguments: Any,
    ) -> None:
        if num_workers is not None and (
            isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 1
        ):
            raise ConfigError(
                f"num_workers is {num_workers!r}: it must be a whole number of at least 1, or None for as "
                "many as the cluster holds"
            )
        if "workers" in arguments:
            raise ConfigError(
                "workers are processes of this machine: give num_workers for those of a cluster"
            )
        self._resources = check_resources(resources)
        self._num_workers = num_workers
        self._address = address
        super().__init__(env, policy, **arguments)

    def choose_player(self, env: EnvLike, tokenizer: Any) -> Player:
        """The cluster."""
        plan = self.plan
        job = Job(
            plan=plan,
            env=env,
            env_kwargs=plan.source.kwargs,
            record_kwargs=plan.config()["env_kwargs"],
            policy=self.policy,
        )
        return _Cluster(
            pack_job(job), self.max_concurrency, self._num_workers, self._address, self._resources
        )


class _Cluster:
    """A Ray cluster as the player of a run."""

    def __init__(
        self,
        job: bytes,
        max_concurrency: int,
        num_workers: int | None,
        address: str | None,
        resources: Mapping[str, float],
    ) -> None:
        self._job = job
        self._max_concurrency = max_concurrency
        self._num_workers = num_workers
        self._address = address
        self._resources = resources

    async def play(self, shares: Iterator[Share], deliver: Deliver) -> None:
        """Play all shares. Arguments and errors are those of ``Player.play``."""
        # A worker holds at most twice its part of max_concurrency: with so many groups known, each has its fill.
        ledger = Ledger(shares, 2 * self._max_concurrency)
        if not ledger.known:
            return
        with _connected(self._address):
            crew = Crew(
                self._job,
                ledger,
                size=self._crew_size(ledger.known),
                max_concurrency=self._max_concurrency,
                resources=self._resources,
                deliver=deliver,
            )
            await crew.play()

    def _crew_size(self, groups: int) -> int:
        import ray

        most = min(groups, self._max_concurrency, self._num_workers or groups)
        nodes = ray.nodes()
        size = fitting(nodes, self._resources, most)
        if not size:
            shapes = "; ".join(_shape(node["Resources"]) for node in nodes if node["Alive"])
            raise ConfigError(
                f"no node of the cluster can hold a worker with resources={self._resources}: the nodes have "
                f"{shapes or 'nothing'}"
            )
        return size


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Use the cluster that this process is connected to, or connect to one and let go of it afterwards."""
    import ray

    if ray.is_initialized():
        yield
        return
    _check_reachable(address or os.environ.get("RAY_ADDRESS") or "")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what a local cluster does is nobody's business
    try:
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RunAborted(f"no Ray cluster at address={address!r}: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address at which nothing listens; Ray would try it for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "://" in address:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RunAborted(f"no Ray cluster at address={address!r}: {error}") from error


def _shape(resources: Mapping[str, float]) -> str:
    shown = {name: amount for name, amount in resources.items() if not name.startswith(("node:", "object_"))}
    return ", ".join(f"{name} {amount:g}" for name, amount in shown.items())
