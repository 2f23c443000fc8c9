"""A fictional world: cities, people, companies and books, and the facts that join them.

Invariant: (seed, size) fix everything. Each fact is written in one article only, that of its subject; every
answer is a name or a number of its own world, so that nobody can know it without reading. A ``Corpus`` is
immutable: copies share what is made from it, and it pickles as its seed and size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from textgym import seeding
from textgym.tasks.math.problem import between, pick
from textgym.tasks.search.articles import article
from textgym.tasks.search.names import unique
from textgym.tools import Search

__all__ = ["Corpus", "Entity"]

SNIPPET = 160
"""Longest snippet of a search, in characters: rarely a whole article."""
_SHARES = {"city": 0.2, "person": 0.4, "company": 0.2, "book": 0.2}


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that has an article."""

    id: str
    """Id of its article."""
    kind: str
    """``city``, ``person``, ``company`` or ``book``."""
    name: str
    """Its name, which is the title of its article."""
    facts: dict[str, str]
    """Fact -> its value: a number, or the name of something."""
    links: dict[str, int]
    """Fact -> position of the entity that is its value, where it is one."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The articles of one world."""

    seed: int
    """Fixes the world."""
    size: int
    """How many articles it has, about."""

    @property
    def entities(self) -> tuple[Entity, ...]:
        """All of its entities."""
        return _entities(self.seed, self.size)

    @property
    def search(self) -> Search:
        """The articles, searchable."""
        return _searchable(self.seed, self.size)


@lru_cache(maxsize=16)
def _searchable(seed: int, size: int) -> Search:
    rng = seeding.generator(seed, "search/articles")
    entities = _entities(seed, size)
    rows = [{"id": e.id, "title": e.name, "text": article(rng, e.kind, e.name, e.facts)} for e in entities]
    return Search([rows[int(i)] for i in rng.permutation(len(rows))], max_characters=SNIPPET)


@lru_cache(maxsize=16)
def _entities(seed: int, size: int) -> tuple[Entity, ...]:
    rng = seeding.generator(seed, "search/world", size)
    named = [
        (kind, name) for kind, share in _SHARES.items() for name in unique(rng, kind, round(share * size))
    ]
    by_kind: dict[str, list[int]] = {kind: [] for kind in _SHARES}
    for position, (kind, _) in enumerate(named):
        by_kind[kind].append(position)
    rivers = unique(rng, "river", len(by_kind["city"]))
    ids = rng.permutation(9000)[: len(named)] + 1000
    entities = []
    for position, (kind, name) in enumerate(named):
        facts, links = _facts(rng, kind, by_kind, position)
        if kind == "city":
            facts["river"] = rivers[by_kind["city"].index(position)]
        facts.update({fact: named[target][1] for fact, target in links.items()})
        entities.append(Entity(f"A{ids[position]}", kind, name, facts, links))
    return tuple(entities)


def _facts(
    rng: np.random.Generator, kind: str, by_kind: dict[str, list[int]], position: int
) -> tuple[dict[str, str], dict[str, int]]:
    """Numbers and links of one entity."""

    def other(of: str) -> int:
        return int(pick(rng, [target for target in by_kind[of] if target != position]))

    match kind:
        case "city":
            facts = {
                "founded": between(rng, 810, 1790),
                "height": between(rng, 3, 1950),
                "people": between(rng, 4_000, 900_000),
            }
            return {name: str(value) for name, value in facts.items()}, {"mayor": other("person")}
        case "person":
            born = between(rng, 1905, 1985)
            links = {"birthplace": other("city"), "employer": other("company"), "teacher": other("person")}
            return {"born": str(born)}, links
        case "company":
            facts = {"founded": between(rng, 1835, 1990), "workers": between(rng, 30, 9_800)}
            links = {"seat": other("city"), "founder": other("person")}
            return {name: str(value) for name, value in facts.items()}, links
        case _:
            facts = {"published": between(rng, 1930, 2015), "pages": between(rng, 80, 1100)}
            links = {"author": other("person"), "publisher": other("company")}
            return {name: str(value) for name, value in facts.items()}, links
