"""The articles of a world: the facts in prose, with sentences between them that answer nothing.

Invariant: every fact stands in the article, in one of several wordings, and no two facts of an article can be
mistaken for each other; the other sentences hold numbers and events, but none that a question asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["MOST_DRAWS", "article"]

_FACTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "city": (
        (
            "{name} was founded in {founded}.",
            "The history of {name} begins in {founded}, when it was founded.",
        ),
        ("It lies on the river {river}.", "The river {river} flows through it."),
        ("The town hall stands {height} metres above the sea.", "It lies {height} metres above the sea."),
        ("It has {people} inhabitants.", "At the last census, {people} people lived there."),
        ("The mayor is {mayor}.", "{mayor} is its mayor."),
    ),
    "person": (
        ("{name} was born in {birthplace} in {born}.", "Born in {born}, {name} comes from {birthplace}."),
        ("{name} works for {employer}.", "The employer of {name} is {employer}."),
        ("{name} was a pupil of {teacher}.", "{teacher} was the teacher of {name}."),
    ),
    "company": (
        ("{name} was founded in {founded} by {founder}.", "{founder} founded {name} in {founded}."),
        ("It has its seat in {seat}.", "The head office is in {seat}."),
        ("It employs {workers} people.", "{workers} people work there."),
    ),
    "book": (
        ("“{name}” is a novel by {author}.", "{author} wrote the novel “{name}”."),
        (
            "It was published by {publisher} in {published}.",
            "In {published} it was published by {publisher}.",
        ),
        ("The first edition has {pages} pages.", "The first edition runs to {pages} pages."),
    ),
}
_FILLERS: dict[str, tuple[str, ...]] = {
    "city": (
        "In {year} a fire destroyed much of the old market.", "A tram with {small} stops was opened in {year}.",
        "The cathedral has {small} bells.", "Its football club won the cup in {year}.",
        "A yearly fair draws about {large} visitors.", "The library holds {large} volumes.",
        "The oldest bridge was rebuilt in {year} and is {small} metres wide.",
    ),
    "person": (
        "A street has borne this name since {year}.", "There are {small} portraits, most of them lost.",
        "The diaries were edited in {year}.", "A collection of {large} letters has come down to us.",
        "Friends remember a passion for chess and for long walks.", "A stroke of luck in {year} changed much.",
        "The year {year} was spent abroad.",
    ),
    "company": (
        "A strike in {year} lasted {small} weeks.", "Its archive keeps {large} drawings.",
        "In {year} a new hall with {small} windows was built.", "Its trademark shows a heron.",
        "A museum on the premises counts {large} visitors a year.", "It survived the crisis of {year}.",
        "Since {year} it has had a choir of its own.",
    ),
    "book": (
        "It was translated into {small} languages.", "A film was made of it in {year}.",
        "Critics praised its {small} short chapters.", "A pirated edition of {year} omits the ending.",
        "By {year}, some {large} copies had been sold.", "The manuscript was thought to be lost until {year}.",
        "The plot spans {small} days.",
    ),
}  # fmt: skip
_FEWEST, _MOST = 3, 5
MOST_DRAWS = 40
"""Random numbers that one article takes at most."""


def article(draws: Iterator[int], kind: str, name: str, facts: dict[str, str]) -> str:
    """The article of one entity.

    Args:
        draws: Large random numbers, the only source of randomness.
        kind: ``city``, ``person``, ``company`` or ``book``.
        name: Its name.
        facts: Fact -> value.

    Returns:
        Some sentences; the first one says what it is about.
    """
    told = [wordings[next(draws) % len(wordings)].format(name=name, **facts) for wordings in _FACTS[kind]]
    count = _FEWEST + next(draws) % (_MOST - _FEWEST + 1)
    for filler in _shuffled(draws, _FILLERS[kind])[:count]:
        year, small, large = 1880 + next(draws) % 140, 4 + next(draws) % 57, 200 + next(draws) % 90_000
        told.append(filler.format(year=year, small=small, large=large))
    return " ".join([told[0], *_shuffled(draws, told[1:])])


def _shuffled(draws: Iterator[int], items: Sequence[str]) -> list[str]:
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = next(draws) % (last + 1)
        order[last], order[other] = order[other], order[last]
    return order
