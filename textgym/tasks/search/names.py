"""Invented names of cities, rivers, people, firms and books.

Invariant: made of syllables and words that are the same for every world, so that many of its names resemble each
other; within a world no name comes twice.
"""

from __future__ import annotations

import numpy as np

__all__ = ["unique"]

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


_CITY = (_STARTS, _MIDDLES, _TOWNS)
_PERSON = (_FIRST, (" ",), _STARTS, _MIDDLES, _ENDS)
_PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "city": _CITY,
    "river": (_STARTS, _MIDDLES, _STREAMS),
    "person": _PERSON,
    "company": (_STARTS, _MIDDLES, _ENDS, (" ",), _TRADES),
    "book": (("The ",), _ADJECTIVES, (" ",), _NOUNS, (" of ",), *_CITY),
    "tribute": (("A ",), _NOUNS, (" for ",), *_PERSON),
}
"""Kind -> what its names are put together from, one of each tuple."""


def unique(rng: np.random.Generator, kind: str, count: int) -> list[str]:
    """Different names of one kind: ``city``, ``river``, ``person``, ``company``, ``book`` or ``tribute``.

    Example:
        >>> len(set(unique(np.random.default_rng(0), "river", 100)))
        100
    """
    parts = _PARTS[kind]
    names: dict[str, None] = {}
    while len(names) < count:
        columns = [[part[i] for i in rng.integers(len(part), size=count).tolist()] for part in parts]
        names.update(dict.fromkeys(map("".join, zip(*columns, strict=True))))
    return list(names)[:count]
