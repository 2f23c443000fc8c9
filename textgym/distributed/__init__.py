"""Rollouts over a Ray cluster (extra ``ray``): the same call, the same run, on many machines.

    run = textgym.distributed.rollout("textgym/Math-v0", policy, num_examples=10_000, group_size=8, out="runs/m")

Read ``cluster_rollout.py`` for how it joins the engine, ``crew.py`` for workers and their loss, ``actors.py`` for
how Ray is asked for them, ``ledger.py`` for who owes what, ``worker.py`` for what happens at the other end,
``parcels.py`` for what crosses.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from textgym.distributed.cluster_rollout import ClusterRollout
from textgym.policies.policy import PolicyLike
from textgym.rollouts import Group, Run
from textgym.rollouts.env_source import EnvLike

__all__ = ["arollout", "rollout"]


def rollout(
    env: EnvLike,
    policy: PolicyLike,
    *,
    num_workers: int | None = None,
    address: str | None = None,
    resources: Mapping[str, float] | None = None,
    **arguments: Any,
) -> Run:
    """Play episodes on a Ray cluster and return them all.

    A group is played in one worker. Workers come for small shares when they have room; a worker or node that
    dies is replaced, and what it held and had not delivered is played again. The driver alone writes the run
    directory, so a run may be begun here and resumed by ``textgym.rollout``, or the other way round.

    Args:
        env: As for ``textgym.rollout``: an id, a spec, a function, or an environment that pickles.
        policy: As there. It crosses as its pickle: its settings, without connections.
        num_workers: Worker processes; None for as many as the cluster's nodes hold. Never more than that, than
            there are groups, or than ``max_concurrency``. They are counted when the rollout begins: a node that
            joins later only takes the place of one that is lost.
        address: The cluster, as ``ray.init`` takes it. A process that is connected already keeps its cluster;
            otherwise the connection (or the local cluster that Ray starts for None) ends with the rollout, or
            with the last of those that run at the same time.
        resources: What each worker needs: ``num_cpus`` (1 if not given), ``num_gpus``, ``memory`` (bytes), and
            custom resources by their names.
        **arguments: All others of ``textgym.rollout``, but not ``workers``. ``max_concurrency`` counts the
            episodes of all workers together.

    Returns:
        The run, ordered by group and member.

    Raises:
        ConfigError: An argument is unusable, something cannot be sent to other processes, or no node can hold
            a worker.
        MissingExtra: Ray is not installed.
        RunAborted: As for ``textgym.rollout``; also where no cluster answers, no worker can be started, no
            node is left or the connection is closed.
        RunError: The run directory cannot be used.
    """
    work = ClusterRollout(
        env, policy, num_workers=num_workers, address=address, resources=resources, **arguments
    )
    return work.run()


async def arollout(env: EnvLike, policy: PolicyLike, **arguments: Any) -> AsyncIterator[Group]:
    """Play episodes on a Ray cluster and yield every group the moment it is complete.

    Args:
        env: As for ``rollout``.
        policy: As for ``rollout``.
        **arguments: As for ``rollout``.

    Yields:
        Groups in completion order. To leave early, use ``contextlib.aclosing``: closing the iterator ends the
        workers and lets go of the run directory.

    Raises:
        ConfigError: As for ``rollout``, like all other errors.
    """
    async with contextlib.aclosing(ClusterRollout(env, policy, **arguments).groups()) as groups:
        async for group in groups:
            yield group
