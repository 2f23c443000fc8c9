"""The convenience calls of verifiers' environments, thin over the rollout engine.

Invariant: the environment that is called is never stepped: every call plays copies of it, so that calls may
overlap. The work itself (concurrency, limits, errors) is the engine's; these calls only choose shapes.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textgym.envs.transcript import prompt_text
from textgym.errors import ConfigError, EnvError, PolicyError, RewardError
from textgym.policies.policy import Policy, as_policy
from textgym.rollouts import Boundary, Run, Trajectory, arollout
from textgym.rollouts import rollout as play
from textgym.types import Sampling

__all__ = ["RolloutCalls"]

Generated = tuple[list[str], list[str], list[float | None]]
"""(prompts, completions, rewards), one entry a sample; the reward of a failed sample is None."""

_ERRORS = {Boundary.POLICY: PolicyError, Boundary.ENV: EnvError, Boundary.REWARD: RewardError}
_SAMPLING = ("temperature", "top_p", "max_tokens", "stop")
_ATOMIC = frozenset({str, int, float, bool, type(None)})


class RolloutCalls:
    """Adds ``rollout``, ``generate`` and ``generate_async`` to an environment with a dataset.

    ``client`` may be a synchronous or asynchronous ``openai`` client, a policy, or a function from the
    observation to the answer; without one, the environment's own ``client`` is used, or
    ``OpenAIPolicy(model)`` at the server that the environment variable OPENAI_BASE_URL names (OpenAI's own,
    if it names none).
    """

    client: Any = None
    """Default client of the calls."""
    model: str | None = None
    """Default model of the calls."""
    timeout: float | None = None
    """Longest time for one completion, in seconds, all retries included; None is the policy's default."""

    def rollout(
        self,
        client: Any = None,
        model: str | None = None,
        prompt: Any = None,
        answer: Any = None,
        task: str = "default",
        info: Mapping[str, Any] | None = None,
        sampling_args: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> tuple[str, dict[str, Any]]:
        """Play one episode on a given prompt.

        Args:
            client: Who answers; see the class.
            model: Name of the model, for a client.
            prompt: The question: a text, or messages.
            answer: The gold answer.
            task: Kind of the task.
            info: Further columns of the row.
            sampling_args: ``temperature``, ``top_p``, ``max_tokens``, ``stop``; anything else goes into the
                body.
            **sampling: The same by name.

        Returns:
            The text of the last answer, and the state: what the environment kept, with ``reward``,
            ``rewards``, ``metrics``, ``messages``, ``stop_reason`` and ``trajectory``.

        Raises:
            PolicyError: No completion could be had.
            EnvError: The environment failed.
            RewardError: A reward function failed.
            ConfigError: There is neither a client nor a model, or the prompt is missing.
        """
        if prompt is None:
            raise ConfigError("rollout needs a prompt: a text, or a list of messages")
        row = {"prompt": prompt, "answer": answer, "task": task, "info": dict(info or {})}
        twin = copy.deepcopy(self)
        run = play(
            lambda: twin,  # type: ignore[arg-type, return-value]
            self._policy(client, model),
            num_examples=1,
            options={"example": row},
            sampling=_sampling({**(sampling_args or {}), **sampling}),
        )
        trajectory = run[0]
        if trajectory.error is not None:
            raise _ERRORS[trajectory.error.boundary](str(trajectory.error))
        return trajectory.completion, {**getattr(twin, "state", {}), **_outcome(trajectory)}

    def generate(
        self,
        model: str | None = None,
        n_samples: int | None = None,
        client: Any = None,
        *,
        group_size: int = 1,
        seed: int = 0,
        max_concurrent: int = 64,
        system_prompt: str | None = None,
        **sampling: Any,
    ) -> Generated:
        """Play samples of the dataset.

        Args:
            model: Name of the model, for a client.
            n_samples: How many episodes; None takes a finite dataset once.
            client: Who answers; see the class.
            group_size: Samples of each row; ``n_samples`` has to be a multiple.
            seed: Seed of the run.
            max_concurrent: Most episodes at a time.
            system_prompt: Instead of the environment's own, for this call.
            **sampling: As for ``rollout``.

        Returns:
            (prompts, completions, rewards).

        Raises:
            ConfigError: There is neither a client nor a model, or the numbers do not fit.
        """
        twin = self._twin(system_prompt)
        if twin._own_rollout():
            generated: Generated = twin._one_by_one(client, model, n_samples, max_concurrent, sampling)
            return generated
        run = play(
            lambda: copy.deepcopy(twin),
            self._policy(client, model),
            num_examples=_examples(n_samples, group_size),
            group_size=group_size,
            seed=seed,
            max_concurrency=max_concurrent,
            sampling=_sampling(sampling),
        )
        return _generated(run)

    async def generate_async(
        self,
        model: str | None = None,
        n_samples: int | None = None,
        client: Any = None,
        *,
        batch_size: int | None = None,
        max_concurrent: int = 64,
        group_size: int = 1,
        seed: int = 0,
        system_prompt: str | None = None,
        **sampling: Any,
    ) -> Generated:
        """``generate`` on the running loop.

        Args:
            model: As for ``generate``, like all arguments that are not named here.
            n_samples: How many episodes.
            client: Who answers.
            batch_size: Another bound on the episodes at a time; the smaller one holds.
            max_concurrent: Most episodes at a time.
            group_size: Samples of each row.
            seed: Seed of the run.
            system_prompt: Instead of the environment's own.
            **sampling: As for ``rollout``.

        Returns:
            (prompts, completions, rewards).

        Raises:
            ConfigError: As for ``generate``.
        """
        twin = self._twin(system_prompt)
        most = min(max_concurrent, batch_size or max_concurrent)
        if twin._own_rollout():
            return await asyncio.to_thread(twin._one_by_one, client, model, n_samples, most, sampling)
        policy = self._policy(client, model)
        trajectories: list[Trajectory] = []
        try:
            async for group in arollout(
                lambda: copy.deepcopy(twin),
                policy,
                num_examples=_examples(n_samples, group_size),
                group_size=group_size,
                seed=seed,
                max_concurrency=most,
                sampling=_sampling(sampling),
            ):
                trajectories.extend(group)
        finally:
            close = getattr(policy, "aclose", None)
            if close is not None and policy is not client:
                await close()
        return _generated(Run(trajectories))

    def _policy(self, client: Any, model: str | None) -> Policy:
        client = client if client is not None else self.client
        model = model if model is not None else self.model
        if client is not None and (isinstance(client, Policy) or not hasattr(client, "chat")):
            return as_policy(client)
        if model is None:
            raise ConfigError("no model is named: give model=… (and client=…), or a policy as client")
        from textgym.policies.openai import OpenAIPolicy

        more: dict[str, Any] = {} if self.timeout is None else {"timeout": self.timeout}
        if client is None and (server := os.environ.get("OPENAI_BASE_URL")):
            more["base_url"] = server
        return OpenAIPolicy(model, client=client, **more)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that shares the client: its connections belong to whoever opened them."""
        memo[id(self.client)] = self.client
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        # A dict of its own takes half the memory of one that Python splits off the class and then outgrows.
        attributes = twin.__dict__ = {}
        for name, value in vars(self).items():
            attributes[name] = value if type(value) in _ATOMIC else copy.deepcopy(value, memo)
        return twin

    def _twin(self, system_prompt: str | None) -> Any:
        twin = copy.deepcopy(self)
        if system_prompt is not None:
            twin.system_prompt = system_prompt  # type: ignore[attr-defined]
        return twin

    def _own_rollout(self) -> bool:
        return type(self).rollout is not RolloutCalls.rollout

    def _one_by_one(
        self, client: Any, model: str | None, n_samples: int | None, most: int, sampling: Mapping[str, Any]
    ) -> Generated:
        """Samples through a subclass's own ``rollout``, which composes other environments."""
        dataset = self.dataset  # type: ignore[attr-defined]
        count = n_samples if n_samples is not None else dataset.size
        if count is None:
            raise ConfigError("n_samples is needed: the dataset has no end")
        rows = [dataset[i if dataset.size is None else i % dataset.size] for i in range(count)]

        def one(row: Any) -> tuple[str, Any]:
            prompt = row.text if not isinstance(row.prompt, tuple) else list(row.prompt)
            return self.rollout(
                client if client is not None else self.client,
                model or self.model,
                prompt,
                row.answer,
                **sampling,
            )

        with ThreadPoolExecutor(max(1, min(most, count, 64))) as pool:
            results = list(pool.map(one, rows))
        rewards = [state.get("reward") if isinstance(state, Mapping) else None for _, state in results]
        return [row.text for row in rows], [completion for completion, _ in results], rewards


def _examples(n_samples: int | None, group_size: int) -> int | None:
    if n_samples is None:
        return None
    if (
        isinstance(n_samples, bool)
        or not isinstance(n_samples, int)
        or n_samples < 1
        or n_samples % group_size
    ):
        raise ConfigError(
            f"n_samples is {n_samples!r}: it must be a positive whole number, and a multiple of "
            f"group_size={group_size}"
        )
    return n_samples // group_size


def _sampling(arguments: Mapping[str, Any]) -> Sampling:
    known = {name: arguments[name] for name in _SAMPLING if arguments.get(name) is not None}
    extra = {name: value for name, value in arguments.items() if name not in _SAMPLING}
    return Sampling(**known, extra=extra)


def _outcome(trajectory: Trajectory) -> dict[str, Any]:
    return {
        "reward": trajectory.reward,
        "rewards": trajectory.rewards,
        "metrics": trajectory.metrics,
        "messages": [
            {name: value for name, value in message.items() if name != "sampled"}
            for message in trajectory.messages
        ],
        "stop_reason": trajectory.stop_reason,
        "trajectory": trajectory,
    }


def _generated(run: Run) -> Generated:
    prompts = [
        prompt_text(list(itertools.takewhile(lambda message: not message["sampled"], t.messages)))
        for t in run
    ]
    return prompts, [t.completion for t in run], [t.reward for t in run]
