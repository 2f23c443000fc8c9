"""The names that fill the databases.

Invariant: fictional, many scripts and an apostrophe among them, so that a query has to quote its texts.
"""

from __future__ import annotations

from itertools import product

__all__ = ["NAMES"]

_FIRST = (
    "Ada", "Āris", "Bilal", "Chloé", "Dóra", "Eino", "Fatima", "Gökhan", "Håkon", "Inês", "Jürgen", "Kofi",
    "Łucja", "Maya", "Nuño", "Ólafur", "Priya", "Quinn", "Renée", "Søren", "Tomáš", "Uma", "Věra", "Wanda",
    "Yusuf", "Zoë", "Ирина", "Νίκος", "美咲", "נועה",
)  # fmt: skip
_LAST = (
    "Åberg", "Bianchi", "Çelik", "Dvořák", "Eriksen", "Fônseca", "Grün", "Haddad", "Ibáñez", "Jørgensen",
    "Kowalski", "Lefèvre", "Müller", "Nowak", "O'Neill", "Papadakis", "Quispe", "Rossi", "Şahin", "Takács",
    "Underwood", "Vășcan", "Weiß", "Xu", "Yılmaz", "Žukas", "D'Angelo", "Mbeki", "Tanaka", "Смирнова",
)  # fmt: skip
_ADJECTIVES = (
    "Amber", "Broken", "Crimson", "Distant", "Electric", "Frozen", "Golden", "Hidden", "Iron", "Jade", "Last",
    "Midnight", "Northern", "Orange", "Paper", "Quiet", "Restless", "Silver", "Twelfth", "Velvet",
)  # fmt: skip
_NOUNS = (
    "Anchor", "Bridge", "Compass", "Door", "Engine", "Forest", "Garden", "Harbour", "Island", "Key", "Lantern",
    "Mirror", "Needle", "Orchard", "Piano", "Quarry", "River", "Signal", "Tower", "Window",
)  # fmt: skip
_STARTS = (
    "Bel", "Cor", "Dun", "Els", "Fen", "Grim", "Hol", "Is", "Kar", "Lin", "Mor", "Nor", "Ost", "Pel", "Rav",
    "Sør", "Tal", "Ul", "Vel", "Win",
)  # fmt: skip
_ENDS = ("borg", "by", "dale", "fjörd", "gate", "ham", "mouth", "ov", "stad", "ton", "wick", "zën")
_WARES = (
    "backpack", "chair", "desk", "drill", "fan", "gloves", "helmet", "jar", "kettle", "lamp", "mug", "notebook",
    "pan", "radio", "scarf", "tent", "umbrella", "vase", "watch", "yo-yo",
)  # fmt: skip
_MATERIALS = ("bamboo", "brass", "canvas", "ceramic", "copper", "cotton", "glass", "oak", "steel", "wool")

NAMES: dict[str, tuple[str, ...]] = {
    "person": tuple(map(" ".join, product(_FIRST, _LAST))),
    "title": tuple(f"The {first} {last}" for first, last in product(_ADJECTIVES, _NOUNS)),
    "place": tuple(map("".join, product(_STARTS, _ENDS))),
    "ware": tuple(map(" ".join, product(_MATERIALS, _WARES))),
    "firm": tuple(f"{first} & {last}" for first, last in product(_LAST, _LAST) if first < last),
    "band": tuple(f"{first} {last}s" for first, last in product(_ADJECTIVES, _NOUNS)),
    "code": tuple(f"{first}{second} {n}" for first, second, n in product("BHKQX", "ADNT", range(100, 200))),
    "pet": _FIRST + _NOUNS + _ADJECTIVES,
}
"""Pool -> names."""
