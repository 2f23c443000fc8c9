"""MultiTurnEnv: a conversation in which the environment answers.

Invariant: after every answer the order is fixed: count the turn, reward it, ask whether the conversation is
complete, check the cap on turns, let the environment respond, ask again whether it is complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from textgym.envs.dataset_env import DatasetEnv
from textgym.envs.episode_parts import Reply
from textgym.errors import ConfigError, EnvError
from textgym.hooks import PLAIN, flow, settle
from textgym.parsers import Parser
from textgym.rewards import Rubric
from textgym.types import Message, StopReason

__all__ = ["MultiTurnEnv"]


class MultiTurnEnv(DatasetEnv):
    """Interactive tasks: override ``env_response`` and ``is_completed``.

    Args:
        dataset: As for ``DatasetEnv``, like all arguments that are not named here.
        rubric: Judges the episode; by default the parsed last answer is compared with the gold answer.
        parser: Finds the answer in a text; by default the whole text.
        max_turns: Most actions of an episode.
        turns_are_rule: True if the cap is a rule of the task: running out then terminates (reason
            ``out_of_turns``). By default it is an outside limit and truncates (reason ``max_turns``). With
            a cap of one turn it always terminates.
        **kwargs: As for ``DatasetEnv``.

    Raises:
        ConfigError: ``max_turns`` is no positive whole number, or as for ``DatasetEnv``.

    Example:
        >>> class Twice(MultiTurnEnv):
        ...     def env_response(self, messages, state):
        ...         return "Once more.", {"asked": True}
        ...     def is_completed(self, messages, state):
        ...         return self.turns == 2
        >>> env = Twice([{"prompt": "Say yes.", "answer": "yes"}], max_turns=3)
        >>> _ = env.reset(seed=0)
        >>> env.step("yes")[0]
        'Once more.'
        >>> env.step("yes")[1:4]
        (1.0, True, False)
    """

    def __init__(
        self,
        dataset: Any,
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        max_turns: int = 10,
        turns_are_rule: bool = False,
        **kwargs: Any,
    ) -> None:
        if isinstance(max_turns, bool) or not isinstance(max_turns, int) or max_turns < 1:
            raise ConfigError(f"max_turns is {max_turns!r}: it must be a whole number of at least 1")
        super().__init__(dataset, rubric, parser, **kwargs)
        self.max_turns = max_turns
        self.turns_are_rule = turns_are_rule or max_turns == 1

    def env_response(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """What the environment says next (may be a coroutine function).

        Args:
            messages: The conversation, ending with the newest answer.
            state: The episode's state; it may be changed in place.

        Returns:
            A text, a message, a list of messages, or a tuple of one of these and a dict that updates the
            state.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement env_response(messages, state)")

    def is_completed(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """Whether the conversation is over (may be a coroutine function). Never, by default."""
        return False

    def turn_reward(self, messages: list[Message], state: dict[str, Any]) -> Any:
        """What the newest answer earns by itself (may be a coroutine function): a number or a dict."""
        return 0.0

    def _rewards_from_hooks(self) -> bool:
        return super()._rewards_from_hooks() or type(self).turn_reward is not MultiTurnEnv.turn_reward

    def stop_reason(self, messages: list[Message], state: dict[str, Any]) -> StopReason:
        """Which reason a completed conversation has; override to tell ``failed`` from ``completed``."""
        return StopReason.COMPLETED

    @flow
    async def respond(self, action: str) -> Reply:
        """Take one turn, in the order that the module states."""
        messages, state = self.messages, self.state
        turns = state["turn"] = self.turns
        earned = self.turn_reward(messages, state)
        if type(earned) not in PLAIN:
            earned = await settle(earned)
        rewards = {}
        if type(earned) is not float or earned:
            rewards = dict(earned) if isinstance(earned, Mapping) else {"turn": earned}
            if not all(type(v) is float or isinstance(v, SupportsFloat) for v in rewards.values()):
                raise EnvError(
                    f"{type(self).__name__}.turn_reward returned {earned!r:.60}: it must return a number or "
                    "{name: number}"
                )
        over = self.is_completed(messages, state)
        if type(over) not in PLAIN:
            over = await settle(over)
        if over:
            return Reply(rewards=rewards, stop=StopReason(self.stop_reason(messages, state)))
        if turns >= self.max_turns:
            rule = StopReason.OUT_OF_TURNS if self.turns_are_rule else StopReason.MAX_TURNS
            return Reply(rewards=rewards, stop=rule)
        response = self.env_response(messages, state)
        if type(response) not in PLAIN:
            response = await settle(response)
        said, update = self._said(response)
        if update is not None and update is not state:
            state.update(update)
        whole = [*messages, *said]
        over = self.is_completed(whole, state)
        if type(over) not in PLAIN:
            over = await settle(over)
        stop = StopReason(self.stop_reason(whole, state)) if over else None
        return Reply(messages=said, rewards=rewards, stop=stop)

    def _said(self, response: Any) -> tuple[list[Message], Mapping[str, Any] | None]:
        update: Mapping[str, Any] | None = None
        if type(response) is str:
            return [{"role": "user", "content": response}], None
        if isinstance(response, tuple):
            if len(response) != 2 or not isinstance(response[1], Mapping | None):
                raise self._bad_response(response)
            response, update = response
        if isinstance(response, str):
            return [{"role": "user", "content": response}], update
        if isinstance(response, Mapping):
            response = [response]
        if isinstance(response, Sequence) and all(_is_message(message) for message in response):
            return [dict(message) for message in response], update
        raise self._bad_response(response)

    def _bad_response(self, response: Any) -> EnvError:
        return EnvError(
            f"{type(self).__name__}.env_response returned {response!r:.80}: it must return a text, a "
            "message, a list of messages, or a tuple of one of these and a dict"
        )


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("role"), str)
