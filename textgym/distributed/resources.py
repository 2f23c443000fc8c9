"""What one worker needs of a node, and how many workers the nodes of a cluster hold.

Invariant: nobody waits for what no node can ever give: it is refused, with what the nodes have. This module starts
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textgym.errors import ConfigError

__all__ = ["OWN", "check_resources", "crew_size", "fitting", "told"]

OWN = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
"""What Ray takes by a name of its own, and what nodes call it."""
_ROUNDING = 1e-6
"""7 / 0.07 is less than 100 in binary; Ray counts in decimals."""


def check_resources(resources: Mapping[str, float] | None) -> dict[str, float]:
    """What one worker needs, checked.

    Raises:
        ConfigError: It does not map names to numbers of at least 0.
    """
    if resources is not None and not isinstance(resources, Mapping):
        raise ConfigError(
            f"resources is {resources!r:.60}: it must map names to numbers, like {{'num_gpus': 1}}"
        )
    wanted = {"num_cpus": 1.0, **(resources or {})}
    for name, amount in wanted.items():
        if not isinstance(name, str) or name in OWN.values() - OWN.keys():
            raise ConfigError(
                f"resources names {name!r}: it must be num_cpus, num_gpus, memory or a custom resource of nodes"
            )
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < float("inf"):
            raise ConfigError(f"resources[{name!r}] is {amount!r}: it must be a number of at least 0")
    return wanted


def fitting(nodes: Sequence[Mapping[str, Any]], resources: Mapping[str, float], most: int) -> int:
    """How many workers the nodes of a cluster can hold, were they idle.

    Args:
        nodes: As ``ray.nodes()`` tells them.
        resources: What one worker needs.
        most: No more than this are counted.
    """
    needs = {OWN.get(name, name): amount for name, amount in resources.items() if amount > 0}
    total = 0
    for node in nodes:
        if node["Alive"]:
            has = node["Resources"]
            rooms = (int(has.get(name, 0) / amount + _ROUNDING) for name, amount in needs.items())
            total += min(rooms, default=most)
    return min(total, most)


def crew_size(nodes: Sequence[Mapping[str, Any]], resources: Mapping[str, float], most: int) -> int:
    """The same, and at least one.

    Raises:
        ConfigError: No node can hold a worker.
    """
    size = fitting(nodes, resources, most)
    if not size:
        shapes = "; ".join(_shape(node["Resources"]) for node in nodes if node["Alive"])
        raise ConfigError(
            f"no node of the cluster can hold a worker with resources={dict(resources)}: the nodes have "
            f"{shapes or 'nothing'}"
        )
    return size


def told(resources: Mapping[str, float]) -> str:
    """What one worker needs, in words."""
    return ", ".join(f"{name}={amount:g}" for name, amount in resources.items())


def _shape(resources: Mapping[str, float]) -> str:
    shown = {name: amount for name, amount in resources.items() if not name.startswith(("node:", "object_"))}
    return ", ".join(f"{name} {amount:g}" for name, amount in shown.items())
