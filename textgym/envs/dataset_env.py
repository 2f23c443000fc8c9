"""DatasetEnv: an environment whose task instances are the rows of a dataset, judged by a rubric.

Invariant: which row an episode takes, and in which order rows are visited, follows from the seed alone: a
finite dataset is visited without replacement, one seeded permutation an epoch. The dataset, the parser and
the rubric are shared between copies of the environment and never written to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textgym import seeding
from textgym.datasets import Dataset, as_dataset
from textgym.datasets.rows import as_example
from textgym.envs.calls import RolloutCalls
from textgym.envs.episode_parts import Ending, Opening, Setting
from textgym.envs.text_env import TextEnv
from textgym.errors import ConfigError
from textgym.hooks import PLAIN, flow, settle
from textgym.parsers import Parser
from textgym.rewards import Role, Rubric, Score, exact_match
from textgym.types import Example, Message, StopReason

__all__ = ["DatasetEnv"]


class DatasetEnv(RolloutCalls, TextEnv):
    """Base of the environments that ask the rows of a dataset.

    Args:
        dataset: Rows (dicts with ``prompt`` or ``question``, ``answer``, ``task``, ``info``), a generator
            function, or a ``Dataset``.
        rubric: Judges the finished episode; by default ``exact_match`` of the parsed last answer.
        parser: Finds the answer in a text; by default the whole text.
        system_prompt: First message of every prompt that is no list of messages itself.
        few_shot_examples: Worked examples before the question: messages, or rows with a question and an
            answer.
        task_templates: ``{task: "… {question} …"}``: how rows of a task become a prompt.
        message_type: ``"chat"`` or ``"completion"``.
        render_mode: None, ``"ansi"`` or ``"human"``.
        max_observation: Longest observation, in code points.
        max_action: Longest action, in code points.
        client: Who answers in ``rollout`` and ``generate``, unless they name somebody else.
        model: Likewise, the name of the model.
        timeout: Likewise, longest time for one completion in seconds, all retries included.
        reward_bounds: (lowest, highest) return of an episode. By default the sums of the rubric's negative and
            positive weights, which holds for reward functions with values in [0, 1].
        success_threshold: Return from which an episode counts as solved; by default the highest.
        **attributes: Anything else becomes an attribute of the environment.

    Raises:
        ConfigError: An argument is unusable, or an attribute would hide one of the class.
        DatasetError: Rows are malformed; all of them are listed.
    """

    reset_options = frozenset({"index", "example"})

    def __init__(
        self,
        dataset: Any,
        rubric: Rubric | None = None,
        parser: Parser | None = None,
        *,
        system_prompt: str | None = None,
        few_shot_examples: Iterable[Mapping[str, Any]] = (),
        task_templates: Mapping[str, str] | None = None,
        message_type: str = "chat",
        render_mode: str | None = None,
        max_observation: int | None = None,
        max_action: int | None = None,
        client: Any = None,
        model: str | None = None,
        timeout: float | None = None,
        reward_bounds: tuple[float, float] | None = None,
        success_threshold: float | None = None,
        **attributes: Any,
    ) -> None:
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise ConfigError(f"timeout is {timeout!r}: it must be a positive number of seconds, or None")
        bounds = {"max_observation": max_observation, "max_action": max_action}
        super().__init__(
            render_mode=render_mode,
            message_type=message_type,
            **{name: bound for name, bound in bounds.items() if bound is not None},
        )
        for name, value in attributes.items():
            if hasattr(type(self), name):
                raise ConfigError(
                    f"{type(self).__name__} got the argument {name}={value!r:.60}, which would hide "
                    f"its own {name!r}: choose another name or override it in a subclass"
                )
            setattr(self, name, value)
        self.client, self.model, self.timeout = client, model, timeout
        self.dataset: Dataset = as_dataset(dataset)
        self.parser = parser if parser is not None else Parser()
        self.rubric = rubric if rubric is not None else Rubric([exact_match])
        self._state_bounds(reward_bounds, success_threshold)
        self.system_prompt = system_prompt
        self.few_shot_examples = _few_shot(few_shot_examples)
        self.task_templates = dict(task_templates or {})
        self.example: Example | None = None
        self.state: dict[str, Any] = {}
        self._stopped = StopReason.COMPLETED

    def _state_bounds(self, bounds: tuple[float, float] | None, threshold: float | None) -> None:
        """Take the stated bounds, those of the class, or those that the rubric's weights imply."""
        owner = next(c for c in type(self).__mro__ if "reward_bounds" in vars(c))
        implied = not self._rewards_from_hooks() and not self.compares_members
        self._bounds_hold = bounds is not None or owner is not TextEnv or implied
        if bounds is not None:
            low, high = map(float, bounds)
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise ConfigError(
                    f"reward_bounds are {bounds!r}: they must be two numbers, the lower one first"
                )
            self.reward_bounds = (low, high)
        elif owner is TextEnv and implied:
            weights = [f.weight for f in self.rubric.functions if f.role is Role.REWARD]
            self.reward_bounds = (
                float(sum(w for w in weights if w < 0)),
                float(sum(w for w in weights if w > 0)),
            )
        if threshold is not None:
            self.success_threshold = float(threshold)

    def _rewards_from_hooks(self) -> bool:
        """Whether rewards come from methods, of whose range nothing is known."""
        return self.score_rollout is not None

    def success(self, trajectory: Any) -> bool | None:
        """Whether the return reaches the threshold; None if neither it nor the bounds are stated or implied.

        They are not implied where rewards come from hooks (``score_rollout``, ``turn_reward``) or from the
        comparison of members: state ``reward_bounds`` or ``success_threshold`` there.
        """
        if self.success_threshold is None and not self._bounds_hold:
            return None
        return super().success(trajectory)

    def fingerprint(self) -> str | None:
        """A digest of the rows and of the wording around them; None for sampled datasets."""
        if self.dataset.size is None:
            return None
        wording = [self.system_prompt, self.few_shot_examples, self.task_templates, self.message_type]
        return seeding.content_id([*(example.id for example in self.dataset), wording])

    # Which row.

    @property
    def num_examples(self) -> int | None:
        """Number of rows, or None if they are made without end."""
        return self.dataset.size

    def example_index(self, run_seed: int, group: int) -> int | None:
        """Row of group ``group``: a seeded permutation an epoch; None for sampled datasets."""
        if hasattr(self.dataset, "sample"):
            return None
        return seeding.ordered(run_seed, group, self.dataset.size)

    def _choose(self, setting: Setting) -> Example:
        options = setting.options
        if options.get("example") is not None:
            if options.get("index") is not None:
                raise ConfigError("reset options hold both 'index' and 'example': give one of them")
            return as_example(options["example"])
        index = options.get("index")
        if index is not None:
            return self._row(index)
        sample = getattr(self.dataset, "sample", None)
        if sample is not None:
            return sample(setting.rng("example"))  # type: ignore[no-any-return]
        return self.dataset[seeding.ordered(setting.order_seed, setting.position, self.dataset.size)]

    def _row(self, index: Any) -> Example:
        size = self.dataset.size
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise ConfigError(f"reset option index is {index!r}: it must be a whole number")
        index = index.__index__()
        if index < 0 or (size is not None and index >= size):
            allowed = "at least 0" if size is None else f"in 0..{size - 1}"
            raise ConfigError(f"reset option index is {index}: it must be {allowed}")
        return self.dataset[index]

    # From the row to the prompt.

    @flow
    async def begin(self, setting: Setting) -> Opening:
        """Choose the row, make its prompt and the episode's state."""
        if self.compares_members and not self.in_group:
            names = ", ".join(function.name for function in self.rubric.group_functions)
            raise ConfigError(
                f"the rubric of {type(self).__name__} compares the members of a group ({names}), which a "
                "single episode cannot: play it with textgym.rollout(…, group_size=2 or more)"
            )
        example = self._choose(setting)
        self.example = example
        self.setting = setting
        state = self.initial_state(example)
        if type(state) not in PLAIN:
            state = await settle(state)
        self.state = {"prompt": example.text, "answer": example.answer, "turn": 0}
        if state:
            self.state.update(state)
        messages = self.format_prompt(example)
        return Opening(example_id=example.id, messages=messages)

    def initial_state(self, example: Example) -> Any:
        """The episode's state besides ``prompt``, ``answer`` and ``turn`` (may be a coroutine function).

        Args:
            example: The row; its fields and columns are also there by ``example["name"]``.

        Returns:
            A dict, or None for nothing more.
        """
        return None

    def format_prompt(self, example: Example) -> list[Message]:
        """The messages that an episode on this row begins with.

        A prompt that is a list of messages is taken as it is; a text becomes the user message after the
        system prompt and the worked examples; a bare question goes through the template of its task.
        """
        if isinstance(example.prompt, tuple):
            return [dict(message) for message in example.prompt]
        text = example.text
        template = self.task_templates.get(example.task)
        if template is not None and example.question is not None:
            text = template.replace("{question}", example.question)
        elif isinstance(example.prompt, str):
            text = example.prompt
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return [*system, *self.few_shot_examples, {"role": "user", "content": text}]

    # From the episode to the score.

    @flow
    async def finish(self, reason: StopReason) -> Ending:
        """Judge the episode by ``score_rollout`` or the rubric, and show the gold answer."""
        example, self._stopped = self._current(), reason
        score = await self._scorer().flow(self.scoring_arguments(reason))
        info = {} if example.answer is None else {"answer": str(example.answer)}
        return Ending(rewards=score.rewards, metrics=score.metrics, info=info)

    score_rollout: Any = None
    """Override as a method to judge without a rubric: it names the arguments that it wants as a reward
    function does and returns a number or ``{name: number}``; it may be a coroutine function."""

    @property
    def compares_members(self) -> bool:  # type: ignore[override]
        """Whether the rubric has functions that compare the members of a group."""
        return bool(self.rubric.group_functions)

    def group_member(self) -> Mapping[str, Any]:
        """The scoring arguments of the episode that has just ended."""
        return self.scoring_arguments(self._stopped)

    async def score_group(self, members: Sequence[Mapping[str, Any]]) -> Sequence[Score]:
        """Compare the members of a finished group by the rubric. Raises as ``Rubric.score_group``."""
        return await self.rubric.score_group(members)

    def _scorer(self) -> Rubric:
        if self.score_rollout is None:
            return self.rubric
        return Rubric([self.score_rollout], parser=self.parser)

    def scoring_arguments(self, reason: StopReason) -> dict[str, Any]:
        """What reward functions may ask for by name."""
        example = self._current()
        completions = self.answers
        return {
            **example.info,
            "completion": completions[-1] if completions else "",
            "completions": completions,
            "answer": example.answer,
            "prompt": self.state.get("prompt", example.text),
            "question": example.text,
            "task": example.task,
            "info": example.info,
            "example": example,
            "messages": self.messages,
            "state": self.state,
            "parser": self.parser,
            "stop_reason": reason,
        }

    def oracle(self) -> str | None:
        """A text that parses to the gold answer, or None without one."""
        example = self._current()
        return None if example.answer is None else self.parser.format_answer(str(example.answer))

    def _current(self) -> Example:
        if self.example is None:
            raise ConfigError("there is no example yet: call reset() first")
        return self.example


def _few_shot(examples: Iterable[Mapping[str, Any]]) -> list[Message]:
    messages: list[Message] = []
    for example in examples:
        if "role" in example:
            messages.append(dict(example))
        elif "answer" in example and ("question" in example or "prompt" in example):
            question = example.get("question", example.get("prompt"))
            messages.append({"role": "user", "content": str(question)})
            messages.append({"role": "assistant", "content": str(example["answer"])})
        else:
            raise ConfigError(
                f"few_shot_examples holds {dict(example)!r:.80}: each must be a message with a role, or "
                "have a question and an answer"
            )
    return messages
