"""Asking all model servers, before a run begins, whether they are there and let us in.

Invariant: it is over within five seconds, whatever the servers do. It proves neither that the model
exists nor that a completion would succeed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textgym.errors import AuthenticationFailed, ProviderUnreachable
from textgym.policies.endpoints import shown_url
from textgym.policies.transport import Transport

__all__ = ["check_servers"]

_SECONDS = 5.0


async def check_servers(transport: Transport, base_urls: Sequence[str]) -> None:
    """Ask every server for something harmless, all at once.

    Args:
        transport: What carries the question.
        base_urls: The servers.

    Raises:
        ProviderUnreachable: A server does not answer; names all that do not.
        AuthenticationFailed: A server answers 401 or 403. Every other answer counts as alive:
            some servers have no list of models.
    """
    probes = [asyncio.create_task(transport.probe(url)) for url in base_urls]
    try:
        await asyncio.wait(probes, timeout=_SECONDS)
    finally:
        for probe in probes:
            probe.cancel()
        outcomes = await asyncio.gather(*probes, return_exceptions=True)
    silent, unwelcome = [], []
    for url, outcome in zip(map(shown_url, base_urls), outcomes, strict=True):
        if isinstance(outcome, asyncio.CancelledError):
            silent.append(f"{url} (no answer within {_SECONDS:g} s)")
        elif isinstance(outcome, ProviderUnreachable):
            silent.append(f"{url} ({outcome})")
        elif isinstance(outcome, BaseException):
            raise outcome
        elif outcome in (401, 403):
            unwelcome.append(f"{url} (HTTP {outcome})")
    if silent:
        raise ProviderUnreachable(
            f"cannot reach {len(silent)} of {len(probes)} model server(s): {'; '.join(silent)}. "
            "Start the server, or correct base_url"
        )
    if unwelcome:
        raise AuthenticationFailed(
            f"the credentials are refused by {'; '.join(unwelcome)}: pass api_key=… "
            "(--api-key-env on the command line) or set the "
            "environment variable OPENAI_API_KEY to a key of this server",
            status=401,
        )
