"""Search-v0: questions about a fictional world, answered by searching its articles.

Invariant: an answer counts if, and only if, it is the name or number that stands in the article at the end of the
question's chain. The articles are made for the episode, so that nothing about them can be known by heart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textgym import seeding
from textgym.datasets import GeneratedDataset
from textgym.envs import StatefulToolEnv
from textgym.errors import ConfigError
from textgym.parsers import XMLParser
from textgym.rewards import Rubric
from textgym.tasks.difficulty import check_difficulty
from textgym.tasks.search.prompt import TASK
from textgym.tasks.search.questions import ask
from textgym.tasks.search.world import Corpus
from textgym.tasks.tool_prompt import tool_prompt
from textgym.tools import Tool, tool_success
from textgym.types import Example

__all__ = ["SearchEnv", "same_name"]

LEVELS = {1: (1, 200), 2: (2, 300), 3: (2, 500), 4: (3, 500), 5: (3, 800)}
"""Difficulty -> articles that a question takes, and articles that there are."""
_LONGEST = 400
_DROPPED = re.compile(r"\A(?:the\s+)?(?:river\s+)?|\s+river\Z")
_UNIT = re.compile(r"(\d)\s*(?:m|metres|meters|people|inhabitants|pages)\Z")


def search(query: str, corpus: Corpus, top_k: int = 5) -> str:
    """Search the articles by words; the best matches come first, with their ids.

    Args:
        query: Words to look for
        corpus: The articles of the episode
        top_k: How many results, 1 to 20
    """
    found: str = corpus.search.search(query, top_k)
    return found


def read(id: str, corpus: Corpus) -> str:
    """Read one article in full.

    Args:
        id: Its id, as search gives it
        corpus: The articles of the episode
    """
    article: str = corpus.search.read(id)
    return article


TOOLS = tuple(Tool.from_function(function, hidden=["corpus"], timeout=None) for function in (search, read))
"""What the policy may call; both end by themselves within milliseconds."""


@dataclass(frozen=True, slots=True)
class _Questions:
    """Draws a question and the world that it is about as a row."""

    difficulty: int

    def __call__(self, rng: np.random.Generator) -> dict[str, Any]:
        hops, size = LEVELS[self.difficulty]
        corpus = Corpus(int(rng.integers(1 << seeding.SEED_BITS)), size)
        question = ask(rng, corpus, hops)
        calls = []
        for entity in question.path:
            calls.append({"name": "search", "arguments": {"query": entity.name}})
            calls.append({"name": "read", "arguments": {"id": entity.id}})
        return {
            "question": question.text,
            "answer": question.answer,
            "info": {"seed": corpus.seed, "size": size, "hops": hops, "calls": calls},
        }


class SearchEnv(StatefulToolEnv):
    """Answer a question by searching the articles of a fictional world.

    ## Description
    200 to 800 short articles about invented cities, people, companies and books, 11,000 to 44,000 words, are
    made for the episode. A question takes one to three of them: "On which river does the city where the author
    of “A Key for Rolf Dorinsen” was born lie?" takes that of the book, that of the author and that of the city.
    Many names resemble each other, and articles hold numbers that nobody asks for. The tools are ``search``, which
    gives titles, ids and snippets, and ``read``, which gives an article.

    ## Action Space
    Text: calls of the tools, or ``<answer>`` with a name or a number.

    ## Observation Space
    Text: the instructions and the question, later the results of the calls.

    ## Starting State
    A fresh world and a question about it.

    ## Rewards
    1 if the answer is the right name or number (component ``correct``), else 0; case, accents' encoding, commas
    within numbers, units and ``the`` or ``river`` before a name do not count. Metrics: ``found`` is the share of
    the question's articles that were read, ``tool_success`` the share of calls without error, and those of
    every environment with tools.

    ## Episode End
    Terminates with an answer, or when the turns are used up (``out_of_turns``).

    ## Arguments
    ``gym.make("textgym/Search-v0", difficulty=2, split="train", protocol="text", max_turns=12)``

    ## Version History
    * v0: initial version.

    Args:
        difficulty: 1 (one article of 200), 2 (two of 300), 3 (two of 500), 4 (three of 500), 5 (three of 800).
        split: ``"train"``, ``"test"`` (disjoint worlds), or None for both.
        protocol: ``"text"`` (calls in ``<tool>`` tags) or ``"native"`` (the calls of a chat server).
        max_turns: Messages that the policy may write.
        render_mode: None, ``"ansi"`` or ``"human"``.

    Raises:
        ConfigError: An argument is unusable.
    """

    def __init__(
        self,
        difficulty: int = 2,
        split: Literal["train", "test"] | None = "train",
        protocol: str = "text",
        max_turns: int = 12,
        render_mode: str | None = None,
    ) -> None:
        check_difficulty(difficulty, LEVELS)
        parser = XMLParser(["think", "answer"])
        rubric = Rubric([correct], parser=parser).add_metric(found).add_metric(tool_success)
        super().__init__(
            GeneratedDataset(_Questions(difficulty), split=split, name=f"search-{difficulty}"),
            TOOLS,
            rubric,
            parser,
            system_prompt=tool_prompt(TASK, protocol),
            protocol=protocol,
            max_turns=max_turns,
            turns_are_rule=True,
            render_mode=render_mode,
        )

    def initial_state(self, example: Example) -> dict[str, Any]:
        """The corpus of the row, which the caller may have brought."""
        seed, size = example.info.get("seed"), example.info.get("size")
        largest = max(size for _, size in LEVELS.values())
        if not isinstance(seed, int) or not isinstance(size, int) or not 10 <= size <= largest:
            raise ConfigError(
                f"the row has seed={seed!r:.40} and size={size!r:.40}: it needs a whole number and one in "
                f"10..{largest}"
            )
        return {"corpus": Corpus(seed, size)}


def correct(completion: str, answer: str, parser: Any) -> bool:
    """1 if the answer is the right name or number."""
    said = parser.parse_answer(completion)
    return said is not None and same_name(said, str(answer))


def found(info: Mapping[str, Any], tool_calls: Sequence[Mapping[str, Any]]) -> float:
    """Share of the articles that the question takes which were read."""
    wanted = {call["arguments"]["id"] for call in info.get("calls", ()) if call["name"] == "read"}
    read_ids = {
        call["arguments"].get("id")
        for call in tool_calls
        if call["name"] == "read" and call["outcome"] == "ok" and isinstance(call["arguments"], Mapping)
    }
    return len(wanted & read_ids) / len(wanted) if wanted else 0.0


def same_name(said: str, gold: str) -> bool:
    """Whether two texts are one name or number.

    Example:
        >>> same_name(" the River Ulva. ", "Ulva"), same_name("12,500 people", "12500"), same_name("Ulv", "Ulva")
        (True, True, False)
    """
    return len(said) <= _LONGEST and _plain(said) == _plain(gold)


def _plain(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(" .,;:!?\"'“”„‘’«»*_`")
    text = _DROPPED.sub("", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    return _UNIT.sub(r"\1", text)
