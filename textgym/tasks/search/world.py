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
from textgym.tasks.search.articles import MOST_DRAWS, article
from textgym.tasks.search.names import unique
from textgym.tools import Search

__all__ = ["Corpus", "Entity"]

SNIPPET = 160
"""Longest snippet of a search, in characters: rarely a whole article."""
_SHARES = {"city": 0.2, "person": 0.4, "company": 0.2, "book": 0.2}
_NUMBERS: dict[str, dict[str, tuple[int, int]]] = {
    "city": {"founded": (810, 1790), "height": (3, 1950), "people": (4_000, 900_000)},
    "person": {"born": (1905, 1985)},
    "company": {"founded": (1835, 1990), "workers": (30, 9_800)},
    "book": {"published": (1930, 2015), "pages": (80, 1100)},
}
"""Kind -> fact -> (smallest number, first one that is too large)."""
_LINKS = {
    "city": {"mayor": "person"},
    "person": {"birthplace": "city", "employer": "company", "teacher": "person"},
    "company": {"seat": "city", "founder": "person"},
    "book": {"author": "person", "publisher": "company"},
}
"""Kind -> fact -> kind of the entity that is its value."""


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
    entities = _entities(seed, size)
    rng = seeding.generator(seed, "search/articles")
    draws = iter(rng.integers(1 << 40, size=MOST_DRAWS * len(entities)).tolist())
    rows = [{"id": e.id, "title": e.name, "text": article(draws, e.kind, e.name, e.facts)} for e in entities]
    return Search([rows[i] for i in rng.permutation(len(rows)).tolist()], max_characters=SNIPPET)


@lru_cache(maxsize=16)
def _entities(seed: int, size: int) -> tuple[Entity, ...]:
    rng = seeding.generator(seed, "search/world", size)
    names: dict[str, list[str]] = {}
    for kind, share in _SHARES.items():
        count = round(share * size)
        names[kind] = unique(rng, kind, count)
        if kind == "book":
            names[kind] = names[kind][::2] + unique(rng, "tribute", count // 2)
    ids = (rng.permutation(9000) + 1000).tolist()
    first: dict[str, int] = {}
    for kind in names:
        first[kind] = sum(len(names[before]) for before in first)
    rivers = unique(rng, "river", len(names["city"]))
    entities: list[Entity] = []
    for kind, named in names.items():
        numbers = {
            fact: rng.integers(*span, size=len(named)).tolist() for fact, span in _NUMBERS[kind].items()
        }
        targets = {fact: _others(rng, kind, of, names) for fact, of in _LINKS[kind].items()}
        for row, name in enumerate(named):
            facts = {fact: str(values[row]) for fact, values in numbers.items()}
            if kind == "city":
                facts["river"] = rivers[row]
            facts.update({fact: names[of][targets[fact][row]] for fact, of in _LINKS[kind].items()})
            links = {fact: first[of] + targets[fact][row] for fact, of in _LINKS[kind].items()}
            entities.append(Entity(f"A{ids[len(entities)]}", kind, name, facts, links))
    return tuple(entities)


def _others(rng: np.random.Generator, kind: str, of: str, names: dict[str, list[str]]) -> list[int]:
    """For each entity of a kind one of another (or of the same) kind, which is not itself."""
    count, choices = len(names[kind]), len(names[of])
    if kind != of:
        found: list[int] = rng.integers(choices, size=count).tolist()
        return found
    steps = rng.integers(1, choices, size=count)
    other: list[int] = ((np.arange(count) + steps) % choices).tolist()
    return other
