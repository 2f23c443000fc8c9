"""Subject: the environment under test, as a source of any number of fresh instances.

Invariant: no two rules share an instance, so that none can spoil another one's test. The instances are
those that a caller gets, without Gymnasium's PassiveEnvChecker and OrderEnforcing, which only watch and
would hide what the environment itself does. This module judges nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeAlias

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from textgym.errors import ConfigError
from textgym.rollouts.stepping import past_watchers
from textgym.testing.rules.play import Play, Script, fixed, has, play, scripts_for
from textgym.testing.rules.rule import Untested, Waived

__all__ = ["AnyEnv", "Episodes", "Maker", "Subject", "as_member", "has", "textual"]

AnyEnv: TypeAlias = "gym.Env[Any, Any]"
"""An environment of whatever kind: what is under test need not deal in text."""

STANDARD_SEEDS = (0, 1, 2)
"""Seeds of the episodes that many rules look at together."""


def textual(env: AnyEnv) -> bool:
    """Whether the environment takes and gives text."""
    spaces = (env.observation_space, env.action_space)
    return all(isinstance(space, gym.spaces.Text) for space in spaces)


def as_member(env: Any) -> Any:
    """The environment; one that compares the members of groups is told that it is played in one."""
    bare: Any = getattr(env, "unwrapped", None)
    if getattr(bare, "compares_members", False):
        bare.in_group = True
    return env


class Maker:
    """Makes instances; travels to other processes if the factory can be pickled.

    Args:
        source: Spec, or factory.
        kwargs: Arguments for a factory; a spec holds its own.
    """

    def __init__(self, source: EnvSpec | Callable[..., Any], kwargs: Mapping[str, Any]) -> None:
        self.source = source
        self.kwargs = dict(kwargs)

    def __call__(self, **overrides: Any) -> Any:
        """A fresh instance, with some arguments changed."""
        if isinstance(self.source, EnvSpec):
            made: Any = gym.make(self.source, disable_env_checker=True, **overrides)
        else:
            made = self.source(**{**self.kwargs, **overrides})
        return as_member(past_watchers(made))


class Episodes:
    """Plays episodes, each on a fresh instance; what travels to another process.

    Args:
        maker: Makes the instances.
        episodes: Seed and actions of each.
    """

    def __init__(self, maker: Maker, episodes: list[tuple[int | None, list[Any]]]) -> None:
        self.maker = maker
        self.episodes = episodes

    def __call__(self) -> list[Play]:
        """The records."""
        return [play(self.maker(), seed, fixed(actions)) for seed, actions in self.episodes]


class Subject:
    """What is under test, and how thoroughly.

    Args:
        env: Id or factory.
        env_kwargs: Arguments of ``gym.make`` or of the factory.
        seeds: On how many seeds the rewards of perfect and empty play are looked at.
        quick: Whether to take fewer samples.

    Raises:
        ConfigError: ``env`` is neither.
    """

    def __init__(self, env: Any, env_kwargs: Mapping[str, Any], seeds: int, quick: bool) -> None:
        self.seeds = range(min(seeds, 5) if quick else seeds)
        self.quick = quick
        self._made: list[Any] = []
        if isinstance(env, str):
            made = gym.make(env, **env_kwargs)
            made.close()
            self.spec: EnvSpec | None = made.spec
            assert self.spec is not None
            self.name = env
            self.by_id = True
            self.maker = Maker(self.spec, {})
        elif callable(env) and not isinstance(env, gym.Env):
            self.name = getattr(env, "__qualname__", None) or type(env).__qualname__
            self.by_id = False
            self.maker = Maker(env, env_kwargs)
            self.spec = getattr(self.make(), "spec", None)
        else:
            raise ConfigError(
                f"env is {env!r:.80}: pass an id or a factory (a class or function that makes a new "
                "environment at every call), for the check plays many instances"
            )
        self.env_kwargs = dict(env_kwargs)

    def make(self, **overrides: Any) -> Any:
        """A fresh instance; ``release`` closes it."""
        env = self.maker(**overrides)
        self._made.append(env)
        return env

    def release(self) -> None:
        """Close the instances that were made since the last call."""
        made, self._made = self._made, []
        for env in made:
            if isinstance(env, gym.Env):
                env.close()

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The metadata of an instance."""
        return dict(getattr(self.make(), "metadata", None) or {})

    @property
    def waivers(self) -> dict[str, str]:
        """Rule -> reason, from ``metadata["waived_rules"]`` (a dict, or bare names)."""
        given = self.metadata.get("waived_rules") or {}
        if not isinstance(given, Mapping | list | tuple | set | frozenset):
            return {str(given): ""}
        reasons = given if isinstance(given, Mapping) else dict.fromkeys(given, "")
        return {str(name): str(reason) for name, reason in reasons.items()}

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The arguments that the constructor or the factory names."""
        creator: Any = self.maker.source
        if isinstance(creator, EnvSpec):
            entry = creator.entry_point
            creator = load_env_creator(entry) if isinstance(entry, str) else entry
        if inspect.isclass(creator):
            return frozenset(_constructor_parameters(creator))
        return frozenset(_named(creator)[0])

    def needs_parameter(self, name: str) -> None:
        """Go on only if the constructor names an argument.

        Raises:
            Untested: It does not.
        """
        if name not in self.parameters:
            raise Untested(f"{self.name} takes no argument {name!r}")

    @cached_property
    def plays(self) -> list[Play]:
        """A standard set of episodes: every script on every standard seed."""
        scripts = scripts_for(self.make())
        return [self.play(seed, script) for script in scripts.values() for seed in STANDARD_SEEDS]

    def play(self, seed: int | None, script: Script, **overrides: Any) -> Play:
        """One episode on a fresh instance."""
        return play(self.make(**overrides), seed, script)

    @cached_property
    def references(self) -> list[Play]:
        """A few unlike episodes as they are when nothing else runs, to compare others with.

        Raises:
            Untested: No episode can be played.
        """
        chosen = [one for one in self.plays if not one.error and one.seed in STANDARD_SEEDS[:2]]
        if not chosen:
            raise Untested("no episode could be played")
        return chosen

    @property
    def finished(self) -> list[Play]:
        """The standard episodes that came to their own end.

        Raises:
            Untested: None did.
        """
        found = [one for one in self.plays if one.over]
        if not found:
            raise Untested("no episode came to its end within the turns that the check plays")
        return found

    def oracle_script(self) -> Script:
        """The script of the perfect policy.

        Raises:
            Waived: The task knows no perfect action.
        """
        env = self.make()
        env.reset(seed=0)
        if env.get_wrapper_attr("oracle")() is None:
            raise Waived("oracle() is None: this task knows no perfect action")
        return scripts_for(env)["oracle"]


def _constructor_parameters(cls: type) -> set[str]:
    """Named arguments of a constructor that hands ``**kwargs`` on to its parents."""
    names: set[str] = set()
    for ancestor in cls.__mro__:
        if "__init__" not in vars(ancestor):
            continue
        found, hands_on = _named(vars(ancestor)["__init__"])
        names |= found
        if not hands_on:
            break
    return names


def _named(function: Any) -> tuple[set[str], bool]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set(), False
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)
