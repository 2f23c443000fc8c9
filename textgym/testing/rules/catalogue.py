"""All rules, in the order in which ``check_text_env`` runs them.

Invariant: the order is that of ``FAMILIES`` and, within a module, that of the file; a rule needs only rules
that stand before it. Nothing here runs a rule.
"""

from __future__ import annotations

from textgym.testing.rules import (
    concurrency,
    conversations,
    copies,
    endings,
    hostility,
    infos,
    instances,
    metadata,
    options,
    plays,
    prompts,
    rendering,
    repetition,
    resets,
    rewards,
    seeds,
    spaces,
    steps,
    truncations,
    vectors,
)
from textgym.testing.rules.rule import REGISTRY, Rule

__all__ = ["FAMILIES", "RULES"]

FAMILIES = (
    spaces,
    metadata,
    plays,
    resets,
    options,
    prompts,
    steps,
    conversations,
    infos,
    endings,
    truncations,
    hostility,
    rewards,
    repetition,
    seeds,
    instances,
    concurrency,
    vectors,
    copies,
    rendering,
)
"""The modules that hold the rules, in order."""


def _ordered() -> dict[str, Rule]:
    names = [family.__name__ for family in FAMILIES]
    found = sorted(REGISTRY.values(), key=lambda rule: names.index(rule.check.__module__))
    rules = {rule.name: rule for rule in found}
    before: set[str] = set()
    for rule in found:
        if not before.issuperset(rule.needs):
            raise ValueError(f"rule {rule.name!r} needs one that does not stand before it: {rule.needs}")
        before.add(rule.name)
    return rules


RULES = _ordered()
"""Name -> rule, in the order in which they run."""
