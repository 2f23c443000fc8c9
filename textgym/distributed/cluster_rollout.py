"""The rollout over a cluster: the run of ``textgym.rollouts`` with a cluster for its player.

Invariant: for a deterministic policy the run equals that of ``textgym.rollout`` with the same arguments, apart
from times. The driver alone writes the run directory and decides when to stop. What happens on the cluster is the
business of ``crew.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textgym.distributed.connection import check_address, connected
from textgym.distributed.crew import Crew
from textgym.distributed.parcels import Job, pack_job
from textgym.distributed.resources import check_resources, crew_size
from textgym.errors import ConfigError
from textgym.policies.policy import PolicyLike
from textgym.rollouts.engine import Rollout
from textgym.rollouts.env_source import EnvLike
from textgym.rollouts.ledger import Ledger
from textgym.rollouts.shares import Deliver, Player, Share

__all__ = ["ClusterRollout"]


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
        check_address(address)
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
        with connected(self._address):
            import ray

            most = min(ledger.known, self._max_concurrency, self._num_workers or ledger.known)
            crew = Crew(
                self._job,
                ledger,
                size=crew_size(ray.nodes(), self._resources, most),
                max_concurrency=self._max_concurrency,
                resources=self._resources,
                deliver=deliver,
            )
            await crew.play()
