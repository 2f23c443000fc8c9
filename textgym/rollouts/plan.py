"""What a rollout is going to do: which environment, which groups, which seeds, under which configuration.

Invariant: a plan is checked completely before anything runs, and it alone decides the work: group ``g`` of
run seed ``s`` always has the seed ``mix(s, g)`` (an explicit list of seeds is taken as it is), and all its
members share seed and options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from textgym import seeding
from textgym.errors import ConfigError
from textgym.first_draws import foresee
from textgym.policies.policy import policy_name
from textgym.rollouts.env_source import EnvLike, EnvSource
from textgym.rollouts.episode import EpisodeTask
from textgym.rollouts.limits import Limits
from textgym.rollouts.scheduling import Scheduling
from textgym.rollouts.shares import Share
from textgym.tokens import ChatTemplate
from textgym.types import Sampling

__all__ = ["Plan", "group_seed", "plain"]

_BLOCK = 256
"""Groups whose seeds are prepared together."""


def group_seed(run_seed: int, group: int) -> int:
    """Seed of a group: the one rule that the engine and the vector environment share."""
    return seeding.mix(run_seed, group)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of one rollout."""

    source: EnvSource
    """Makes the environments."""
    num_groups: int
    """Task instances."""
    group_size: int
    """Samples of each."""
    seed: int | Sequence[int]
    """Run seed, or one seed a group."""
    options: dict[str, Any] | None
    """Reset options of all episodes."""
    sampling: Sampling
    """How to sample."""
    limits: Limits
    """Outside limits."""
    policy: str
    """Name of the policy."""
    asked: dict[str, Any]
    """What else the policy says of itself that decides what it answers."""
    template: ChatTemplate | None
    """Renders the ids that the policy is to continue; None where its server renders."""
    scheduling: Scheduling
    """What is played beyond the plan."""

    @classmethod
    def resolve(
        cls,
        env: EnvLike,
        policy: Any,
        *,
        num_examples: int | None,
        group_size: int,
        env_kwargs: Mapping[str, Any] | None,
        seed: int | Sequence[int],
        options: Mapping[str, Any] | None,
        sampling: Sampling,
        limits: Limits,
        tokenizer: Any = None,
        scheduling: Scheduling | None = None,
    ) -> Plan:
        """Check everything and fill in what follows from the environment.

        Raises:
            ConfigError: A value is unusable.
            gymnasium.error.Error: The id is unknown.
        """
        _positive("group_size", group_size)
        if num_examples is not None:
            _positive("num_examples", num_examples)
        seeds = _seeds(seed)
        source = EnvSource(env, env_kwargs)
        if group_size == 1 and getattr(source.prototype.unwrapped, "compares_members", False):
            raise ConfigError(
                f"the rubric of {source.name} compares the members of a group: give group_size=2 or more"
            )
        if num_examples is None:
            if isinstance(seeds, tuple):
                num_examples = len(seeds)
            else:
                num_examples = getattr(source.prototype.unwrapped, "num_examples", None)
        if num_examples is None:
            raise ConfigError(
                f"num_examples is needed: {source.name} makes its tasks without end (num_examples=100, "
                "or -n 100 on the command line)"
            )
        if isinstance(seeds, tuple) and len(seeds) != num_examples:
            raise ConfigError(f"seed lists {len(seeds)} seeds for {num_examples} examples: give one each")
        scheduling = scheduling if scheduling is not None else Scheduling()
        if scheduling.extra_groups and isinstance(seeds, tuple):
            raise ConfigError(
                "scheduling.extra_groups makes groups beyond the list of seeds: give one run seed instead"
            )
        template = _template(tokenizer, policy, source, limits)
        return cls(
            source=source,
            num_groups=int(num_examples),
            group_size=int(group_size),
            seed=seeds,
            options=dict(options) if options else None,
            sampling=sampling,
            limits=limits,
            policy=policy_name(policy),
            asked=_asked(policy),
            template=template,
            scheduling=scheduling,
        )

    @property
    def num_episodes(self) -> int:
        """Episodes in all."""
        return self.num_groups * self.group_size

    def config(self, *, data: bool = False) -> dict[str, Any]:
        """Everything that decides the episodes, as JSON types.

        Args:
            data: Whether the digest of the environment's data belongs to it, as in a run directory. It reads
                every row of a finite dataset.
        """
        config = {
            "env": self.source.name,
            "env_kwargs": self.source.kwargs,
            **({"data": self.source.fingerprint} if data else {}),
            "policy": self.policy,
            **({"asked": self.asked} if self.asked else {}),
            "num_examples": self.num_groups,
            "group_size": self.group_size,
            "seed": list(self.seed) if isinstance(self.seed, Sequence) else self.seed,
            "options": self.options,
            "sampling": self.sampling.to_dict(),
            "limits": self.limits.to_dict(),
            **({"tokens": self.template.describe()} if self.template is not None else {}),
            **({"scheduling": scheduling} if (scheduling := self.scheduling.to_dict()) else {}),
        }
        values: dict[str, Any] = plain(config)
        return values

    @property
    def compares(self) -> bool:
        """Whether a rubric compares the members of a group."""
        return bool(getattr(self.source.prototype.unwrapped, "compares_members", False))

    @property
    def num_begun(self) -> int:
        """Most episodes that may begin, those beyond the plan included."""
        groups, members = self.num_groups + self.scheduling.extra_groups, self.members_begun
        return groups * members

    @property
    def members_begun(self) -> int:
        """Members that may begin in each group."""
        return self.group_size + self.scheduling.extra_members

    def shares(self, done: Mapping[int, Set[int]] | None = None) -> Iterator[Share]:
        """The work in the order in which it begins: group after group, member after member.

        Args:
            done: Index of a group -> its members that are there already and valid.
        """
        done = done or {}
        kwargs = plain(self.source.kwargs)
        whole = range(self.members_begun)
        row_of = self._row_of()
        for group, seed in enumerate(self._group_seeds()):
            there = done.get(group, ())
            missing = self.group_size - len(there)
            if missing <= 0:
                continue
            row = None if row_of is None else row_of(group)
            options = self.options if row is None else {**(self.options or {}), "index": row}
            tasks = [
                EpisodeTask(
                    env_id=self.source.name,
                    env_kwargs=kwargs,
                    seed=seed,
                    options=options,
                    group_id=group,
                    sample=sample,
                    sampling_seed=seeding.mix(seed, "sampling", sample),
                    group_key=f"{seed}:{group}",
                    policy=self.policy,
                )
                for sample in whole
                if sample not in there
            ]
            yield Share(group, tuple(tasks), missing)

    def tasks(self) -> Iterator[EpisodeTask]:
        """All episodes in the order in which they begin."""
        for share in self.shares():
            yield from share.tasks

    def _group_seeds(self) -> Iterator[int]:
        """The seed of every group, the first draws of many prepared together."""
        if isinstance(self.seed, Sequence):
            yield from self.seed
            return
        groups = self.num_groups + self.scheduling.extra_groups
        for first in range(0, groups, _BLOCK):
            seeds = [group_seed(self.seed, group) for group in range(first, min(first + _BLOCK, groups))]
            foresee(seeds)
            yield from seeds

    def _row_of(self) -> Callable[[int], int | None] | None:
        """Tells the row that a group of a run visits; None where its seed or its options decide."""
        chosen = self.options is not None and ("index" in self.options or "example" in self.options)
        if chosen or isinstance(self.seed, Sequence):
            return None
        locate = getattr(self.source.prototype.unwrapped, "example_index", None)
        return None if locate is None else partial(locate, self.seed)


def _template(tokenizer: Any, policy: Any, source: EnvSource, limits: Limits) -> ChatTemplate | None:
    """The chat template to render with: that of the tokenizer, or the policy's own if it can do what is needed."""
    own = getattr(policy, "template", None) if tokenizer is None else None
    if tokenizer is None and not isinstance(own, ChatTemplate):
        return None
    template = own if isinstance(own, ChatTemplate) else ChatTemplate.of(tokenizer)
    inner: Any = source.prototype.unwrapped
    if own is not None:
        native = getattr(inner, "protocol", None) == "native"
        return None if template.bridges.user or (native and template.bridges.tool) else template
    bounds = (limits.turns, getattr(inner, "max_turns", None))
    single = 1 in bounds or getattr(inner, "max_retries", None) == 0
    if template.bridges.user and not single:
        raise ConfigError(
            f"{source.name} may take several turns, and the chat template of the tokenizer cannot put a user "
            f"message after an answer: {template.bridges.user} (another tokenizer or chat_template would do, "
            "limits=Limits(turns=1), or no tokenizer)"
        )
    return template


def _asked(policy: Any) -> dict[str, Any]:
    """A policy's description without the addresses of its servers, which may change between sessions."""
    tell = getattr(policy, "describe", None)
    described = dict(tell()) if callable(tell) else {}
    for name in ("base_url", "base_urls", "model", "name"):
        described.pop(name, None)
    return described


def plain(value: Any) -> Any:
    """JSON types; objects by their repr without an address, so that equal code has an equal configuration."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return value.item()
    text = repr(value)
    if " at 0x" not in text:
        return text
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"<{named.__module__}.{named.__qualname__}>"


def _positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ConfigError(f"{name} is {value!r}: it must be a whole number of at least 1")


def _seeds(seed: Any) -> int | tuple[int, ...]:
    if isinstance(seed, np.ndarray):
        seed = seed.tolist()
    several = isinstance(seed, Sequence) and not isinstance(seed, str | bytes)
    if several and not seed:
        raise ConfigError("seed is an empty list: give one seed a group")
    values = list(seed) if several else [seed]
    for value in values:
        if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < 0:
            raise ConfigError(
                f"seed is {seed!r:.60}: it must be a whole number of at least 0, or a list of such with one "
                "a group"
            )
    numbers = tuple(value.__index__() for value in values)
    return numbers if several else numbers[0]
