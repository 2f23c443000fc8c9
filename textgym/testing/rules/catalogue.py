"""All rules, in the order in which ``check_text_env`` and ``check_vector_env`` run them.

Invariant: the order is that of the families and, within a module, that of the file; a rule needs only rules
that stand before it. Nothing here runs a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

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
    vector_envs,
    vector_members,
    vector_resets,
    vectors,
)
from textgym.testing.rules.rule import REGISTRY, VECTOR_REGISTRY, Rule

__all__ = ["FAMILIES", "RULES", "VECTOR_FAMILIES", "VECTOR_RULES"]

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
VECTOR_FAMILIES = (vector_envs, vector_resets, vector_members)
"""Those of vector environments."""


def _ordered(families: Sequence[ModuleType], registry: Mapping[str, Rule]) -> dict[str, Rule]:
    names = [family.__name__ for family in families]
    found = sorted(registry.values(), key=lambda rule: names.index(rule.check.__module__))
    rules = {rule.name: rule for rule in found}
    before: set[str] = set()
    for rule in found:
        if not before.issuperset(rule.needs):
            raise ValueError(f"rule {rule.name!r} needs one that does not stand before it: {rule.needs}")
        before.add(rule.name)
    return rules


RULES = _ordered(FAMILIES, REGISTRY)
"""Name -> rule, in the order in which they run."""
VECTOR_RULES = _ordered(VECTOR_FAMILIES, VECTOR_REGISTRY)
"""The same for vector environments."""
