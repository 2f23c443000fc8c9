"""Policies without a model: written answers, the oracle, random text.

Invariant: none of them needs the network, and each gives the same answer to the same request (an iterator of
answers is used up in the order of the calls).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from inspect import isawaitable
from typing import Any

from textgym import seeding
from textgym.errors import ConfigError, PolicyError
from textgym.policies.policy import as_completion
from textgym.types import Completion, CompletionRequest

__all__ = ["OraclePolicy", "RandomPolicy", "ScriptedPolicy"]


class ScriptedPolicy:
    """Answers from a script.

    Args:
        script: A list (answer ``t`` in turn ``t`` of every episode), an iterator or generator (the next
            answer at every call, whichever episode asks), or a plain or async function of the
            ``CompletionRequest``. Answers are strings or ``Completion``s.
        name: What records say.

    Raises:
        ConfigError: The script is a bare string, or empty, or none of these.

    Example:
        >>> import textgym
        >>> run = textgym.rollout("textgym/GuessNumber-v0", ScriptedPolicy(["50", "25"]), num_examples=1,
        ...                       limits=textgym.Limits(turns=2))
        >>> [step.action for step in run[0].steps]
        ['50', '25']
    """

    def __init__(
        self,
        script: Sequence[str | Completion] | Iterable[str | Completion] | Callable[..., Any],
        name: str = "scripted",
    ) -> None:
        if isinstance(script, str):
            raise ConfigError(f"script is the text {script!r:.40}: give a list, [{script!r:.40}]")
        self.name = name
        self._answers: Sequence[Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._function: Callable[..., Any] | None = None
        if callable(script):
            self._function = script
        elif isinstance(script, Sequence):
            if not script:
                raise ConfigError("script is empty: give at least one answer")
            self._answers = script
        elif isinstance(script, Iterable):
            self._iterator = iter(script)
        else:
            raise ConfigError(
                f"script is {script!r:.60}: it must be a list, an iterator or a function of the request"
            )

    async def complete(self, request: CompletionRequest) -> Completion:
        """The script's answer.

        Raises:
            PolicyError: The script has no more answers.
        """
        if self._function is not None:
            answer = self._function(request)
            if isawaitable(answer):
                answer = await answer
        elif self._answers is not None:
            if request.turn >= len(self._answers):
                raise PolicyError(
                    f"the script has {len(self._answers)} answers and the episode asks for number "
                    f"{request.turn + 1}: write more, or limit the turns"
                )
            answer = self._answers[request.turn]
        else:
            assert self._iterator is not None
            try:
                answer = next(self._iterator)
            except StopIteration:
                raise PolicyError("the script's iterator has no more answers") from None
        return as_completion(answer, self.name)


class OraclePolicy:
    """Plays ``env.unwrapped.oracle()``: the perfect policy of tasks that know one."""

    name = "oracle"

    async def complete(self, request: CompletionRequest) -> Completion:
        """The environment's own best action.

        Raises:
            ConfigError: The environment has no oracle, or is not at hand.
        """
        oracle = getattr(getattr(request.env, "unwrapped", None), "oracle", None)
        action = oracle() if oracle is not None else None
        if isawaitable(action):
            action = await action
        if action is None:
            raise ConfigError("the oracle policy needs an environment with an oracle; this one has none")
        return Completion(text=action)


class RandomPolicy:
    """Samples the environment's action space; the same request gets the same text."""

    name = "random"

    async def complete(self, request: CompletionRequest) -> Completion:
        """A random action (short printable text, in textgym's environments).

        Raises:
            ConfigError: The environment is not at hand.
        """
        space = getattr(request.env, "action_space", None)
        if space is None:
            raise ConfigError("the random policy needs the environment's action space")
        space.seed(seeding.mix(request.seed or 0, "random", request.turn))
        return Completion(text=str(space.sample()))
