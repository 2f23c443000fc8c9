"""The policy protocol: one request in, one completion out.

Invariant: a policy keeps no reference to the request and may be asked for many episodes at once.
Anything with a ``complete`` coroutine is a policy, and any ``f(observation) -> answer`` becomes one
through ``as_policy``. This module knows no model and no server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from textgym.errors import ConfigError, PolicyError
from textgym.types import Completion, CompletionRequest, FinishReason

__all__ = ["FunctionPolicy", "Policy", "PolicyLike", "as_policy", "policy_name"]


@runtime_checkable
class Policy(Protocol):
    """Whatever completes a conversation.

    The rollout engine also calls these, where a policy has them: ``async preflight()`` before the
    first episode (raises ``PolicyError`` when no request could succeed) and ``async aclose()`` after
    the last one. Where ``one_loop`` is true, ``textgym.rollout`` always plays in the same event loop.
    ``name`` is the text that stands in records. A policy that samples from token ids may have a ``template``
    (a ``ChatTemplate``), with which the engine then renders for it.
    """

    async def complete(self, request: CompletionRequest) -> Completion:
        """Answer one request.

        Args:
            request: The turn. It belongs to the episode: read it, do not keep or change it.

        Returns:
            The completion; unknown fields stay None.

        Raises:
            PolicyError: No usable completion could be had.
        """
        ...


PolicyLike: TypeAlias = Policy | Callable[[str], Any]
"""A policy, or a plain or async function from the observation to the answer."""


class FunctionPolicy:
    """A plain or async function ``f(observation: str) -> str`` as a policy.

    Args:
        function: Gets the newest observation (at reset the whole prompt) and returns the answer.
    """

    def __init__(self, function: Callable[[str], Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Call the function with the newest observation.

        Raises:
            PolicyError: The function returned something other than a string.
        """
        answer = self.function(request.observation)
        if isawaitable(answer):
            answer = await answer
        return as_completion(answer, self.name)


def as_completion(answer: Any, source: str) -> Completion:
    """What a user's code returned, as a ``Completion``.

    Args:
        answer: A string or a ``Completion``.
        source: Name of the code, for the error.

    Raises:
        PolicyError: It is neither.
    """
    if type(answer) is Completion and type(answer.text) is str and type(answer.finish_reason) is FinishReason:
        return answer
    if isinstance(answer, str):
        return Completion(text=str(answer))
    if isinstance(answer, Completion) and isinstance(answer.text, str):
        if answer.finish_reason in list(FinishReason):
            return replace(answer, text=str(answer.text), finish_reason=FinishReason(answer.finish_reason))
        raise PolicyError(
            f"policy {source!r} gave the finish_reason {answer.finish_reason!r}: it must be one of "
            f"{', '.join(FinishReason)}"
        )
    raise PolicyError(
        f"policy {source!r} returned {type(answer).__name__} {answer!r:.80}: it must return the "
        "answer as a str, or a textgym.Completion"
    )


def as_policy(policy: Any) -> Policy:
    """Accept a policy or a function as a policy.

    Args:
        policy: An object with ``complete``, or ``f(observation: str) -> str`` (plain or async).

    Returns:
        A policy.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(policy, type):
        raise ConfigError(f"policy is the class {policy.__name__}: pass an instance, {policy.__name__}(…)")
    if isinstance(policy, Policy):
        return policy
    if callable(policy):
        return FunctionPolicy(policy)
    raise ConfigError(
        f"policy is {policy!r:.80} ({type(policy).__name__}): it must have "
        "`async def complete(request)`, or be a function from the observation to the answer"
    )


def policy_name(policy: Policy) -> str:
    """The text that names a policy in records: its ``name``, or its class."""
    return str(getattr(policy, "name", None) or type(policy).__name__)
