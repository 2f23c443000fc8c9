"""ChainEnv: phases, each of which begins with what the one before it ended with.

Invariant: the conversation is one: the prompt of a later phase is the environment's answer to the last
action of the phase before. A phase is exactly the environment that it is made from; its rewards count by
its weight, under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.episode_parts import Ending, Opening, Reply, Setting
from textgym.envs.text_env import TextEnv
from textgym.envs.transcript import prompt_text
from textgym.errors import ConfigError
from textgym.hooks import flow, settle
from textgym.types import TERMINAL, Example, Message, StopReason

__all__ = ["ChainEnv"]

Link = Callable[[Example, str], Any]
"""``link(example, answer) -> row``: makes the next phase's row from the first one's and the last answer."""


class ChainEnv(TextEnv):
    """One environment's final answer is the next one's prompt, for instance solve, then verify.

    ## Rewards
    Those of every phase, as ``NAME.component``, times the weight of the phase.

    Args:
        phases: ``{name: env}`` or a list of environments with datasets. The first one's dataset makes the
            episodes; the later ones get their row from ``link``.
        link: Makes a later phase's row; by default the answer is the prompt and the gold answer stays.
        weights: One number a phase; by default equal shares of 1.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: There are fewer than two phases, one has no dataset, or the weights do not fit.

    Example:
        >>> from textgym.envs import SingleTurnEnv
        >>> solve = SingleTurnEnv([{"prompt": "2+2?", "answer": "4"}])
        >>> check = SingleTurnEnv([{"prompt": "-", "answer": "-"}], system_prompt="Check this and repeat it.")
        >>> env = ChainEnv({"solve": solve, "check": check})
        >>> _ = env.reset(seed=0)
        >>> print(env.step("4")[0])
        Check this and repeat it.
        <BLANKLINE>
        4
        >>> env.step("4")[4]["rewards"]
        {'check.exact_match': 0.5}
    """

    reset_options = frozenset({"index", "example"})

    def __init__(
        self,
        phases: Mapping[str, Any] | Sequence[Any],
        link: Link | None = None,
        weights: Sequence[float] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(render_mode=render_mode)
        if not isinstance(phases, Mapping):
            phases = {f"phase{number}": env for number, env in enumerate(phases, 1)}
        if len(phases) < 2:
            raise ConfigError(f"a chain of {len(phases)} phases is none: give at least two")
        self.phases: dict[str, DatasetEnv] = {}
        for name, env in phases.items():
            inner = getattr(env, "unwrapped", env)
            if not isinstance(inner, DatasetEnv):
                raise ConfigError(f"phase {name!r} is {type(inner).__name__}: it must be a DatasetEnv")
            if inner.compares_members:
                raise ConfigError(f"the rubric of phase {name!r} compares members, which a chain cannot")
            self.phases[name] = inner
        if weights is not None and len(weights) != len(phases):
            raise ConfigError(f"weights are {list(weights)} for {len(phases)} phases: give one each")
        self.weights = list(weights) if weights is not None else [1.0 / len(phases)] * len(phases)
        self.link = link or _answer_as_prompt
        self._number = 0

    @property
    def reward_bounds(self) -> tuple[float, float]:  # type: ignore[override]
        """The weighted bounds of all phases together."""
        ends = [
            sorted((w * env.reward_bounds[0], w * env.reward_bounds[1]))
            for w, env in zip(self.weights, self.phases.values(), strict=True)
        ]
        return sum(low for low, _ in ends), sum(high for _, high in ends)

    @property
    def num_examples(self) -> int | None:
        """Rows of the first phase."""
        return self._phase(0)[1].num_examples

    def example_index(self, run_seed: int, group: int) -> int | None:
        """Row of the first phase."""
        return self._phase(0)[1].example_index(run_seed, group)

    def _phase(self, number: int) -> tuple[str, DatasetEnv]:
        return list(self.phases.items())[number]

    @flow
    async def begin(self, setting: Setting) -> Opening:
        """Begin with the first phase."""
        self._number = 0
        self._began = setting
        return await self._phase(0)[1]._open(setting)

    @flow
    async def respond(self, action: str) -> Reply:
        """Hand the action to the present phase, and begin the next one when it has ended."""
        name, env = self._phase(self._number)
        _, _, terminated, truncated, info = await env._step(action)
        weight = self.weights[self._number]
        reply = Reply(
            messages=info["messages"],
            rewards={f"{name}.{part}": weight * value for part, value in info["rewards"].items()},
            metrics={f"{name}.{part}": value for part, value in info.get("metrics", {}).items()},
        )
        if not terminated and not truncated:
            return reply
        reason = StopReason(info["stop_reason"])
        if truncated or self._number == len(self.phases) - 1:
            return replace(reply, stop=reason)
        return await self._next(reply, env)

    async def _next(self, reply: Reply, before: DatasetEnv) -> Reply:
        example, answer = self._phase(0)[1].example, before.answers[-1]
        assert example is not None
        self._number += 1
        _, env = self._phase(self._number)
        row = await settle(self.link(example, before.parser.parse_answer(answer) or answer))
        opening = await env._open(replace(self._began, options={"example": row}))
        prompt = {"role": "user", "content": prompt_text(opening.messages)}
        return replace(reply, messages=[*reply.messages, prompt])

    def assistant_message(self, action: str, turn: int) -> Message:
        """As the present phase has it."""
        env = self._phase(self._number)[1]
        return env.assistant_message(action, env.turns)

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """Score the phase that an outside limit has interrupted."""
        if reason in TERMINAL:
            return Ending(info=self._gold())
        name, env = self._phase(self._number)
        if env._episode is None:  # it was the phase's own limit, and it has scored itself
            return Ending(info=self._gold())
        _, _, _, _, info = await env._truncate(reason)
        weight = self.weights[self._number]
        return Ending(
            rewards={f"{name}.{part}": weight * value for part, value in info["rewards"].items()},
            metrics={f"{name}.{part}": value for part, value in info.get("metrics", {}).items()},
            info=self._gold(),
        )

    def _gold(self) -> dict[str, str]:
        example = self._phase(0)[1].example
        return {} if example is None or example.answer is None else {"answer": str(example.answer)}

    def oracle(self) -> str | None:
        """The present phase's."""
        return self._phase(self._number)[1].oracle()

    async def aclose(self) -> None:
        """Wait for the sessions of all of them to end."""
        for env in self.phases.values():
            if hasattr(env.unwrapped, "aclose"):
                await env.unwrapped.aclose()

    def close(self) -> None:
        """Close all phases."""
        for env in self.phases.values():
            env.close()


def _answer_as_prompt(example: Example, answer: str) -> dict[str, Any]:
    return {
        "prompt": answer if answer.strip() else "(no answer)",
        "answer": example.answer,
        "task": example.task,
    }
