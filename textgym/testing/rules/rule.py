"""Rule: one promise of the contract with a name, and the three ways in which a check may stop early.

Invariant: every rule has one name, and its promise is the first paragraph of its function's docstring.
A rule function returns (with a remark on what it covered, or None) if the promise holds, and raises
``Broken``, ``Untested`` or ``Waived`` otherwise. This module runs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

__all__ = [
    "REGISTRY",
    "VECTOR_REGISTRY",
    "Broken",
    "Check",
    "Rule",
    "Untested",
    "Waived",
    "rule",
    "short",
    "vector_rule",
]

Check: TypeAlias = "Callable[[Any], str | None]"
"""Looks at a ``Subject`` (or ``VectorSubject``); returns a remark on what was covered, or None."""
F = TypeVar("F", bound=Callable[..., "str | None"])


class Broken(Exception):
    """The promise does not hold; the text says which call, what was observed, what is expected."""


class Untested(Exception):
    """The promise could not be put to the test; the text says why."""


class Waived(Exception):
    """The environment does not make this promise; the text says by what it says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One promise of the contract."""

    name: str
    """How reports call it."""
    section: str
    """The numbered promise of the environment contract that it is part of."""
    check: Check
    """Puts it to the test."""
    needs: tuple[str, ...] = ()
    """Rules without which it cannot be tested; they stand before it."""
    attributes: tuple[str, ...] = ()
    """Attributes of a textgym environment without which it is broken."""
    waived_unless: str | None = None
    """Key of ``metadata`` that waives it by being False."""
    slow: bool = False
    """It starts processes, so that the quick check leaves it out."""

    @property
    def promise(self) -> str:
        """What the environment promises, in a sentence."""
        text = inspect.getdoc(self.check) or ""
        return " ".join(text.split("\n\n")[0].split())


REGISTRY: dict[str, Rule] = {}
"""Name -> rule. ``catalogue.py`` puts them in the order in which they run."""
VECTOR_REGISTRY: dict[str, Rule] = {}
"""The same for vector environments."""


def rule(
    name: str,
    section: str,
    *,
    needs: tuple[str, ...] = (),
    attributes: tuple[str, ...] = (),
    waived_unless: str | None = None,
    slow: bool = False,
    registry: dict[str, Rule] = REGISTRY,
) -> Callable[[Check], Check]:
    """Put a function into the registry.

    Args:
        name: How reports call the rule.
        section: Number of the promise.
        needs: Rules without which it cannot be tested.
        attributes: Attributes that the environment must have.
        waived_unless: Key of ``metadata`` that waives it by being False.
        slow: Whether the quick check leaves it out.
        registry: Where it is entered.

    Raises:
        ValueError: The name is taken.
    """
    if name in registry:
        raise ValueError(f"there are two rules named {name!r}")

    def register(check: Check) -> Check:
        registry[name] = Rule(
            name=name,
            section=section,
            check=check,
            needs=needs,
            attributes=attributes,
            waived_unless=waived_unless,
            slow=slow,
        )
        return check

    return register


def vector_rule(name: str, *needs: str) -> Callable[[F], F]:
    """Put a function into the registry of vector environments; arguments as of ``rule``."""
    return rule(name, "6", needs=needs, registry=VECTOR_REGISTRY)  # type: ignore[return-value]


def short(value: Any, limit: int = 70) -> str:
    """The ``repr`` of any value, cut in the middle so that a report stays readable."""
    if isinstance(value, str) and len(value) > 4 * limit:
        value = value[: 2 * limit] + value[-2 * limit :]
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    if len(text) <= limit:
        return text
    half = (limit - 3) // 2
    return f"{text[:half]}...{text[-half:]}"
