"""The connection of this process to a Ray cluster, which rollouts that run at the same time share.

Invariant: a connection that was there before stays; one that a rollout has made ends with the last rollout that
uses it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

from textgym.errors import ConfigError, RunAborted

__all__ = ["check_address", "connected"]

CONNECT_SECONDS = 5.0
"""How long the cluster's address may take to accept a connection."""

_lock = threading.Lock()
_users = 0
"""Rollouts that use a connection which one of them has made."""


def check_address(address: str | None) -> None:
    """Refuse what cannot be an address.

    Raises:
        ConfigError: It is neither text nor None.
    """
    if address is not None and not isinstance(address, str):
        raise ConfigError(
            f"address is {address!r}: it must be text as ray.init takes it ('host:port', 'auto'), or None"
        )


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Use the cluster that this process is connected to, or connect to one and let go of it afterwards.

    Args:
        address: As ``ray.init`` takes it.

    Raises:
        RunAborted: No cluster answers there.
    """
    global _users
    import ray

    with _lock:
        made = not ray.is_initialized()
        if made:
            _connect(address)
            _users = 0
        ours = made or _users > 0
        _users += ours
    try:
        yield
    finally:
        with _lock:
            _users -= ours
            if ours and not _users:
                ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    _check_reachable(address or os.environ.get("RAY_ADDRESS") or "")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what a local cluster does is nobody's business
    try:
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RunAborted(f"no Ray cluster at address={address!r}: {error}") from error


def _check_reachable(address: str) -> None:
    """Refuse an address at which nothing listens; Ray would try it for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "://" in address:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise RunAborted(f"no Ray cluster at address={address!r}: {error}") from error
