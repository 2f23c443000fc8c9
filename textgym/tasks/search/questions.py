"""Questions about a world that take one to three articles to answer.

Invariant: a question names one entity only, the one that its chain begins with; every link of the chain and the
answer stand in one article each, and no article on the way is about two of the links.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textgym.tasks.math.problem import pick
from textgym.tasks.search.world import Corpus, Entity

__all__ = ["Question", "ask"]

_LINKS: dict[str, tuple[tuple[str, str], ...]] = {
    "city": (("mayor", "the mayor of {}"),),
    "person": (
        ("birthplace", "the city where {} was born"),
        ("employer", "the company that {} works for"),
        ("teacher", "the teacher of {}"),
    ),
    "company": (("seat", "the city where {} has its seat"), ("founder", "the founder of {}")),
    "book": (("author", "the author of {}"), ("publisher", "the publisher of {}")),
}
"""Kind -> (fact, how English speaks of what it leads to)."""
_ASKED: dict[str, tuple[tuple[str, str], ...]] = {
    "city": (
        ("founded", "In which year was {} founded?"),
        ("river", "On which river does {} lie?"),
        ("height", "How many metres above the sea does {} lie?"),
        ("people", "How many inhabitants does {} have?"),
        ("mayor", "Who is the mayor of {}?"),
    ),
    "person": (
        ("born", "In which year was {} born?"),
        ("birthplace", "In which city was {} born?"),
        ("employer", "Which company does {} work for?"),
        ("teacher", "Who was the teacher of {}?"),
    ),
    "company": (
        ("founded", "In which year was {} founded?"),
        ("workers", "How many people does {} employ?"),
        ("seat", "In which city does {} have its seat?"),
        ("founder", "Who founded {}?"),
    ),
    "book": (
        ("published", "In which year was {} published?"),
        ("pages", "How many pages does the first edition of {} have?"),
        ("author", "Who wrote {}?"),
        ("publisher", "Which company published {}?"),
    ),
}
"""Kind -> (fact, question)."""
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Question:
    """A question."""

    text: str
    """What is asked."""
    answer: str
    """A name or a number."""
    path: tuple[Entity, ...]
    """What has to be read, in this order."""


def ask(rng: np.random.Generator, corpus: Corpus, hops: int) -> Question:
    """Draw a question.

    Args:
        rng: The only source of randomness.
        corpus: The world.
        hops: How many articles it takes.
    """
    for _ in range(_ATTEMPTS):
        path, phrase = _chain(rng, corpus, hops)
        fact, question = pick(rng, _ASKED[path[-1].kind])
        answer = path[-1].facts[fact]
        text = question.format(phrase)
        if answer not in [entity.name for entity in path] and answer not in text:
            return Question(text, answer, tuple(path))
    raise AssertionError(f"no question of {hops} hops in {_ATTEMPTS} attempts")


def _chain(rng: np.random.Generator, corpus: Corpus, hops: int) -> tuple[list[Entity], str]:
    """Different entities, each a fact of the one before, and what English calls the last."""
    while True:
        entity = corpus[int(rng.integers(len(corpus)))]
        path, phrase = [entity], f"“{entity.name}”" if entity.kind == "book" else entity.name
        while len(path) < hops:
            fact, words = pick(rng, _LINKS[path[-1].kind])
            path.append(corpus[path[-1].links[fact]])
            phrase = words.format(phrase)
        if len({entity.id for entity in path}) == hops:
            return path, phrase
