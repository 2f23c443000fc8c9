"""A fictional world: cities, people, companies and books, and the facts that join them.

Invariant: (seed, size) fix everything. Each fact is written in one article only, that of its subject; every
answer is a name or a number of its own world, so that nobody can know it without reading. A ``Corpus`` is
immutable: copies share what is made from it, and it pickles as its seed and size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
    """How many articles it has."""

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, position: int) -> Entity:
        """An entity by its position; raises ``IndexError``."""
        return _columns(self.seed, self.size).entity(position)

    def __iter__(self) -> Iterator[Entity]:
        return map(self.__getitem__, range(self.size))

    @property
    def search(self) -> Search:
        """The articles, searchable."""
        return _searchable(self)


@lru_cache(maxsize=16)
def _searchable(corpus: Corpus) -> Search:
    rng = seeding.generator(corpus.seed, "search/articles")
    draws = iter(rng.integers(1 << 40, size=MOST_DRAWS * len(corpus)).tolist())
    rows = [{"id": e.id, "title": e.name, "text": article(draws, e.kind, e.name, e.facts)} for e in corpus]
    return Search([rows[i] for i in rng.permutation(len(rows)).tolist()], max_characters=SNIPPET)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A world as columns: most questions need a few of its entities only."""

    ids: list[int]
    """Position -> number of its id."""
    names: dict[str, list[str]]
    """Kind -> names of its entities."""
    first: dict[str, int]
    """Kind -> position of its first entity."""
    numbers: dict[str, dict[str, list[Any]]]
    """Kind -> fact -> values."""
    targets: dict[str, dict[str, list[int]]]
    """Kind -> fact -> which one of the kind that it leads to."""

    def entity(self, position: int) -> Entity:
        kind = next((kind for kind in _LINKS if position < self.first[kind] + len(self.names[kind])), None)
        if kind is None or position < 0:
            raise IndexError(position)
        row = position - self.first[kind]
        facts = {fact: str(values[row]) for fact, values in self.numbers[kind].items()}
        links = {}
        for fact, of in _LINKS[kind].items():
            target = self.targets[kind][fact][row]
            facts[fact], links[fact] = self.names[of][target], self.first[of] + target
        return Entity(f"A{self.ids[position]}", kind, self.names[kind][row], facts, links)


@lru_cache(maxsize=16)
def _columns(seed: int, size: int) -> _Columns:
    rng = seeding.generator(seed, "search/world", size)
    names: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    for kind, share in _SHARES.items():
        first[kind] = sum(map(len, names.values()))
        count = round(share * size) if kind != "book" else size - first[kind]
        tributes = count // 2 if kind == "book" else 0
        names[kind] = unique(rng, kind, count - tributes) + unique(rng, "tribute", tributes)
    numbers: dict[str, dict[str, list[Any]]] = {
        kind: {fact: rng.integers(*span, size=len(names[kind])).tolist() for fact, span in facts.items()}
        for kind, facts in _NUMBERS.items()
    }
    numbers["city"]["river"] = unique(rng, "river", len(names["city"]))
    targets = {
        kind: {fact: _others(rng, kind, of, names) for fact, of in facts.items()}
        for kind, facts in _LINKS.items()
    }
    ids = (rng.permutation(9000)[:size] + 1000).tolist()
    return _Columns(ids, names, first, numbers, targets)


def _others(rng: np.random.Generator, kind: str, of: str, names: dict[str, list[str]]) -> list[int]:
    """For each entity of a kind one of another (or of the same) kind, which is not itself."""
    count, choices = len(names[kind]), len(names[of])
    if kind != of:
        found: list[int] = rng.integers(choices, size=count).tolist()
        return found
    steps = rng.integers(1, choices, size=count)
    other: list[int] = ((np.arange(count) + steps) % choices).tolist()
    return other
