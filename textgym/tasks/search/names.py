"""Invented names of cities, rivers, people, firms and books.

Invariant: made of syllables and words that are the same for every world, so that many of its names resemble each
other; within a world no name comes twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from textgym.tasks.math.problem import pick

__all__ = ["MAKERS", "unique"]

_STARTS = (
    "Al", "Bar", "Cal", "Dor", "El", "Fal", "Gar", "Hal", "Ist", "Jar", "Kal", "Lor", "Mar", "Nor", "Or",
    "Pel", "Quar", "Ros", "Sal", "Tor", "Ul", "Var", "Wel", "Yar", "Zel",
)  # fmt: skip
_MIDDLES = ("a", "an", "ar", "en", "er", "i", "in", "is", "o", "on", "or", "u")
_TOWNS = ("berg", "bury", "dam", "ford", "grad", "holm", "mar", "mouth", "polis", "stead", "ville", "wick")
_STREAMS = ("ba", "da", "dra", "ga", "la", "na", "ra", "ssa", "ta", "va", "za")
_FIRST = (
    "Adela", "Anders", "Beata", "Boris", "Clara", "Cyril", "Dalia", "Dmitri", "Edda", "Emil", "Flora", "Fritz",
    "Greta", "Gustav", "Helga", "Hugo", "Ilse", "Ivan", "Johanna", "Jonas", "Karin", "Konrad", "Lidia", "Lukas",
    "Magda", "Milan", "Nadia", "Nils", "Olga", "Oskar", "Paula", "Pavel", "Rita", "Rolf", "Sonja", "Stefan",
    "Tilda", "Tomas", "Vera", "Viktor",
)  # fmt: skip
_ENDS = ("ak", "berger", "dahl", "ek", "elli", "ic", "mann", "ov", "quist", "sen", "ström", "vik")
_TRADES = (
    "Bearings", "Bells", "Bicycles", "Cables", "Clocks", "Dyes", "Ferries", "Glass", "Instruments", "Lenses",
    "Locks", "Motors", "Organs", "Pianos", "Presses", "Pumps", "Scales", "Tiles", "Turbines", "Valves",
)  # fmt: skip
_ADJECTIVES = (
    "Blue", "Borrowed", "Burning", "Empty", "Foreign", "Gentle", "Hollow", "Invisible", "Late", "Lost", "Narrow",
    "Old", "Patient", "Quiet", "Second", "Silent", "Slow", "Strange", "Third", "White",
)  # fmt: skip
_NOUNS = (
    "Bridge", "Clock", "Coast", "Door", "Field", "Garden", "Harbour", "House", "Island", "Key", "Letter", "Map",
    "Mirror", "Orchard", "River", "Season", "Shore", "Stair", "Tower", "Winter",
)  # fmt: skip


def _city(rng: np.random.Generator) -> str:
    return pick(rng, _STARTS) + pick(rng, _MIDDLES) + pick(rng, _TOWNS)


def _river(rng: np.random.Generator) -> str:
    return pick(rng, _STARTS) + pick(rng, _MIDDLES) + pick(rng, _STREAMS)


def _person(rng: np.random.Generator) -> str:
    return f"{pick(rng, _FIRST)} {pick(rng, _STARTS)}{pick(rng, _MIDDLES)}{pick(rng, _ENDS)}"


def _company(rng: np.random.Generator) -> str:
    return f"{pick(rng, _STARTS)}{pick(rng, _MIDDLES)}{pick(rng, _ENDS)} {pick(rng, _TRADES)}"


def _book(rng: np.random.Generator) -> str:
    kind = int(rng.integers(2))
    if kind:
        return f"The {pick(rng, _ADJECTIVES)} {pick(rng, _NOUNS)} of {_city(rng)}"
    return f"A {pick(rng, _NOUNS)} for {_person(rng)}"


MAKERS: dict[str, Callable[[np.random.Generator], str]] = {
    "city": _city,
    "river": _river,
    "person": _person,
    "company": _company,
    "book": _book,
}
"""Kind -> draws a name."""


def unique(rng: np.random.Generator, kind: str, count: int) -> list[str]:
    """Different names of one kind."""
    names: dict[str, None] = {}
    while len(names) < count:
        names[MAKERS[kind](rng)] = None
    return list(names)
