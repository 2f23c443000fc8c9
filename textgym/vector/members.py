"""The environments of a group vector environment, asked one by one or all at once.

Invariant: what a member raises names it, and nothing is left running behind an error. This module keeps no
episode: it asks whom it is told to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym

from textgym.errors import ConfigError
from textgym.hooks import settle, waited
from textgym.rollouts.stepping import areset, astep

__all__ = ["Members"]

_Task = tuple[int | None, dict[str, Any]]


class Members:
    """Some environments.

    Args:
        envs: One a member.
    """

    def __init__(self, envs: Sequence[gym.Env[Any, Any]]) -> None:
        self._envs = envs
        self._waits = False
        """Whether some hook was seen to wait: from then on members wait at the same time."""
        self._asked: set[int] = set()
        """Members that are waited for."""

    async def reset(self, members: Sequence[int], tasks: Sequence[_Task], wait: bool) -> list[Any]:
        """What each of some members begins with.

        Args:
            members: Who.
            tasks: Seed and options of each.
            wait: Whether a caller's loop waits too, so that nobody may be asked plainly.
        """
        plain = [partial(_reset, self._envs[member]) for member in members]
        return await self._ask(members, tasks, plain, _areset, wait)

    async def step(self, members: Sequence[int], actions: Sequence[Any], wait: bool) -> list[Any]:
        """The transitions of some members; arguments as of ``reset``."""
        plain = [self._envs[member].step for member in members]
        return await self._ask(members, actions, plain, astep, wait)

    def check_idle(self, members: Sequence[int]) -> None:
        """Refuse to ask a member that is still being waited for.

        Raises:
            ConfigError: One is.
        """
        if self._asked and not self._asked.isdisjoint(members):
            busy = sorted(self._asked.intersection(members))
            raise ConfigError(f"members {busy!r:.60} are still at an earlier call: await that first")

    def close(self) -> None:
        """Close every environment; where one fails, the others are closed before its error is raised."""
        failed: Exception | None = None
        for member, env in enumerate(self._envs):
            try:
                env.close()
            except Exception as error:
                _name(error, member)
                failed = failed or error
        if failed is not None:
            raise failed

    async def _ask(
        self,
        members: Sequence[int],
        given: Sequence[Any],
        plain: Sequence[Callable[[Any], Any]],
        twin: Callable[[Any, Any], Awaitable[Any]],
        wait: bool,
    ) -> list[Any]:
        """Call plainly while no hook waits, the rest all at once."""
        results: list[Any] = []
        if not (wait or self._waits):
            before = waited.times
            try:
                for call, one in zip(plain, given, strict=True):
                    results.append(call(one))
                    if waited.times != before:
                        self._waits = True
                        break
            except Exception as error:
                _name(error, members[len(results)])
                raise
        if len(results) < len(members):
            done = len(results)
            rest = members[done:]
            calls = [twin(self._envs[member], one) for member, one in zip(rest, given[done:], strict=True)]
            results += await settle(self._together(rest, calls))
        return results

    async def _together(self, members: Sequence[int], calls: Sequence[Awaitable[Any]]) -> list[Any]:
        """All results; where one fails, all others are waited for before its error is raised."""
        self._asked.update(members)
        try:
            results = await asyncio.gather(*calls, return_exceptions=True)
        finally:
            self._asked.difference_update(members)
        for member, result in zip(members, results, strict=True):
            if isinstance(result, BaseException):
                _name(result, member)
                raise result
        return list(results)


def _reset(env: gym.Env[Any, Any], task: _Task) -> Any:
    return env.reset(seed=task[0], options=task[1] or None)


async def _areset(env: gym.Env[Any, Any], task: _Task) -> Any:
    return await areset(env, seed=task[0], options=task[1] or None)


def _name(error: BaseException, member: int) -> None:
    error.add_note(f"raised by member {member} of the vector environment")
