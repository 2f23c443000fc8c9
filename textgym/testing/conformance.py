"""``check_text_env`` and ``check_vector_env``: prove that an environment keeps every promise, or name the broken.

Works on any ``gymnasium.Env``, textgym's or not, by id or by factory; imports no test framework. The rules
themselves are in ``textgym/testing/rules``, a function each.

Invariant: every rule gets exactly one result, in a fixed order, and a broken rule stops no other one (a rule
that cannot be tested without it says so). A rule that was not tested is never reported as passed.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import textwrap
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.vector import VectorEnv

from textgym.errors import CheckFailed, ConfigError
from textgym.testing.rules.catalogue import RULES, VECTOR_RULES
from textgym.testing.rules.deadline import Overdue, deadline
from textgym.testing.rules.rule import Broken, Rule, Untested, Waived
from textgym.testing.rules.subject import Subject, has
from textgym.testing.rules.vector_subject import VectorSubject

__all__ = ["CheckReport", "RuleResult", "RuleStatus", "check_text_env", "check_vector_env"]

PATIENCE = 60.0
"""Seconds after which a rule that hangs is given up."""
QUICK_PATIENCE = 10.0
"""The same in a quick check."""


class RuleStatus(StrEnum):
    """What came of a rule."""

    PASSED = "passed"
    """The promise was kept in everything that was tried."""
    FAILED = "failed"
    """It was broken; the detail says how."""
    WAIVED = "waived"
    """The environment says that it does not make this promise."""
    UNTESTED = "untested"
    """It could not be put to the test; the detail says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What came of one rule."""

    rule: str
    """Name of the rule."""
    status: RuleStatus
    """What came of it."""
    detail: str = ""
    """What was observed and expected, why it was not tested, or what was covered."""
    promise: str = ""
    """What the environment promises, in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What came of all rules; ``str`` makes a table of it."""

    env: str
    """Id or name of what was checked."""
    env_kwargs: Mapping[str, Any]
    """Arguments that it was made with."""
    results: tuple[RuleResult, ...]
    """One result a rule, in the order of the rules."""
    seconds: float = 0.0
    """Time that the check took."""

    def __getitem__(self, rule: str) -> RuleResult:
        """The result of a rule by its name."""
        for result in self.results:
            if result.rule == rule:
                return result
        raise KeyError(rule)

    def having(self, status: RuleStatus) -> list[RuleResult]:
        """The results with a status, in order."""
        return [result for result in self.results if result.status is status]

    @property
    def failed(self) -> list[RuleResult]:
        """The broken rules."""
        return self.having(RuleStatus.FAILED)

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.failed

    def __str__(self) -> str:
        counts = Counter(result.status for result in self.results)
        summary = ", ".join(f"{counts[status]} {status}" for status in RuleStatus if counts[status])
        kwargs = "".join(f", {name}={value!r}" for name, value in self.env_kwargs.items())
        lines = [f"{self.env}{kwargs}: {summary} ({self.seconds:.1f} s)"]
        width = max((len(result.rule) for result in self.results), default=0)
        for result in self.results:
            lines += _lines(result, width)
        return "\n".join(lines)


def _lines(result: RuleResult, width: int) -> list[str]:
    loud = result.status is RuleStatus.FAILED
    status = result.status.upper() if loud else result.status
    head = f"  {status:<8}  {result.rule:<{width}}  "
    text = f"{result.detail}\npromise: {result.promise}" if loud else result.detail
    wrapped = [line for part in text.splitlines() for line in textwrap.wrap(part, 80) or [""]]
    indent = " " * len(head)
    first, *rest = wrapped or [""]
    return [(head + first).rstrip(), *(indent + line for line in rest)]


def check_text_env(
    env: str | Callable[..., gym.Env[Any, Any]],
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    seeds: int = 20,
    quick: bool = False,
    raise_on_failure: bool = True,
    only: Collection[str] | None = None,
) -> CheckReport:
    """Check that an environment keeps the contract of ``textgym``, rule by rule.

    Args:
        env: A registered id, or a factory: a class or function that makes a new environment a call.
        env_kwargs: Arguments of ``gym.make``, or of the factory.
        seeds: On how many seeds perfect and empty play have to earn what they promise.
        quick: Take fewer samples and start no processes (a quick check takes at most five seeds).
        raise_on_failure: Raise if a rule is broken; otherwise only report it.
        only: Names of the rules to check, with those that they need; None checks all.

    Returns:
        The report. ``metadata["waived_rules"]`` of the environment (a dict of names and reasons, or
        names) waives rules by name; each is listed as waived.

    Raises:
        CheckFailed: A rule is broken. The message lists all broken rules; ``rule`` is the first.
        ConfigError: An argument is unusable.

    Example:
        >>> report = check_text_env("textgym/Echo-v0", quick=True, only=["reward-type"])
        >>> report["reward-type"].status.value, report.ok
        ('passed', True)
    """
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ConfigError(f"seeds is {seeds!r}: it must be a whole number of at least 1")
    rules = _chosen(only, RULES)
    with _quiet():
        return _report(rules, Subject(env, env_kwargs or {}, seeds, quick), raise_on_failure)


def check_vector_env(
    make: str | Callable[[], VectorEnv[Any, Any, Any]],
    *,
    member: Callable[[], gym.Env[Any, Any]] | None = None,
    raise_on_failure: bool = True,
    only: Collection[str] | None = None,
) -> CheckReport:
    """Check that a vector environment keeps Gymnasium's contract, in the autoreset mode that it names.

    Args:
        make: Makes a new vector environment of two or more members at every call. Those of text are played with
            plausible texts, others with samples of the action space. An id stands for what ``gym.make_vec`` makes
            of it.
        member: Makes the environment that each member has to equal: of an id, what ``gym.make`` makes of it;
            else, without it, those rules are untested.
        raise_on_failure: Raise if a rule is broken; otherwise only report it.
        only: Names of the rules to check, with those that they need; None checks all.

    Returns:
        The report.

    Raises:
        CheckFailed: A rule is broken. The message lists all broken rules; ``rule`` is the first.
        ConfigError: An argument is unusable.

    Example:
        >>> check_vector_env("textgym/Echo-v0").ok
        True
        >>> make = lambda: gym.make_vec("textgym/Echo-v0", num_envs=4, group_size=2)
        >>> check_vector_env(make, member=lambda: gym.make("textgym/Echo-v0")).ok
        True
    """
    rules = _chosen(only, VECTOR_RULES)
    if isinstance(make, str):
        member = member or partial(gym.make, make)
        make = partial(gym.make_vec, make, num_envs=4)
    with _quiet():
        return _report(rules, VectorSubject(make, member), raise_on_failure)


def _report(rules: Sequence[Rule], subject: Subject | VectorSubject, raise_on_failure: bool) -> CheckReport:
    began = time.perf_counter()
    results: dict[str, RuleResult] = {}
    for rule in rules:
        results[rule.name] = _result(rule, subject, results)
        with contextlib.suppress(Exception):
            subject.release()
    report = CheckReport(
        env=subject.name,
        env_kwargs=subject.env_kwargs,
        results=tuple(results.values()),
        seconds=time.perf_counter() - began,
    )
    if raise_on_failure and not report.ok:
        listed = "\n".join(f"  {result.rule}: {result.detail}" for result in report.failed)
        raise CheckFailed(
            f"{subject.name} breaks {len(report.failed)} of {len(report.results)} rules:\n{listed}",
            rule=report.failed[0].rule,
        )
    return report


def _chosen(only: Collection[str] | None, rules: Mapping[str, Rule]) -> list[Rule]:
    if only is None:
        return list(rules.values())
    unknown = sorted(set(only) - set(rules))
    if unknown:
        raise ConfigError(f"only holds {unknown[0]!r}: the rules are {', '.join(rules)}")
    wanted: set[str] = set()
    waiting = list(only)
    while waiting:
        name = waiting.pop()
        wanted.add(name)
        waiting += rules[name].needs
    return [rule for name, rule in rules.items() if name in wanted]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what an environment prints or warns of away from the caller; rules record it for themselves."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _result(rule: Rule, subject: Subject | VectorSubject, before: Mapping[str, RuleResult]) -> RuleResult:
    try:
        reason = _obstacle(rule, subject, before)
        if reason is not None:
            status, detail = reason
        else:
            with deadline(QUICK_PATIENCE if subject.quick else PATIENCE):
                detail = rule.check(subject) or ""
            status = RuleStatus.PASSED
    except Broken as error:
        status, detail = RuleStatus.FAILED, str(error)
    except Untested as error:
        status, detail = RuleStatus.UNTESTED, str(error)
    except Waived as error:
        status, detail = RuleStatus.WAIVED, str(error)
    except Overdue as error:
        status, detail = RuleStatus.FAILED, f"the environment hangs: {error}"
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        status, detail = RuleStatus.FAILED, _surprise(error)
    return RuleResult(rule=rule.name, status=status, detail=detail, promise=rule.promise)


def _obstacle(
    rule: Rule, subject: Subject | VectorSubject, before: Mapping[str, RuleResult]
) -> tuple[RuleStatus, str] | None:
    """Why a rule is not even tried, or None."""
    for name in rule.needs:
        if name == "gymnasium-env" and before[name].status is RuleStatus.FAILED:
            return RuleStatus.UNTESTED, f"it needs {name!r}, which failed"
    if rule.name in subject.waivers:
        reason = subject.waivers[rule.name]
        said = "metadata['waived_rules'] names it"
        return RuleStatus.WAIVED, f"{said}: {reason}" if reason else said
    for name in rule.attributes:
        if not has(subject.make(), name):
            return RuleStatus.FAILED, (
                f"the environment has no attribute {name!r}; expected what textgym.TextEnv defines: "
                "subclass it (or SingleTurnEnv, MultiTurnEnv, …), or wrap the environment in one"
            )
    for name in rule.needs:
        if before[name].status in (RuleStatus.FAILED, RuleStatus.UNTESTED):
            what = "failed" if before[name].status is RuleStatus.FAILED else "was not tested"
            return RuleStatus.UNTESTED, f"it needs {name!r}, which {what}"
    key = rule.waived_unless
    if key is not None and subject.metadata.get(key, True) is False:
        return RuleStatus.WAIVED, f"metadata[{key!r}] is False"
    if rule.slow and subject.quick:
        return RuleStatus.UNTESTED, "a quick check starts no processes"
    return None


def _surprise(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    inner = frames[-1] if frames else None
    where = f" at {inner.filename}:{inner.lineno} in {inner.name}" if inner is not None else ""
    return f"it raised {type(error).__name__}: {error}{where}"
