"""The tools ``search`` and ``read`` over documents of your own.

Invariant: what a model may write leads to a text, bounded in length; the documents are never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from textgym.errors import ConfigError
from textgym.tools.definition import Tool
from textgym.tools.search_index import SearchIndex

__all__ = ["Search"]

MAX_RESULTS = 20
"""Most results of one search."""


class Search:
    """Makes the tools ``search`` and ``read`` for a collection of documents.

    Args:
        documents: As for ``SearchIndex``, or one.
        top_k: Results of a search that does not say how many.
        max_characters: Longest snippet of a result, in code points.
        page_characters: Longest page of ``read``, in code points.

    Raises:
        ConfigError: An argument is unusable, or as for ``SearchIndex``.

    Example:
        >>> search, read = Search([{"id": "heron", "title": "Heron", "text": "A heron is a wading bird."}])
        >>> print(search("birds bird"))
        1. Heron (id: heron)
           A heron is a wading bird.
        >>> print(read("heron"))
        Heron
        A heron is a wading bird.
    """

    def __init__(
        self,
        documents: Iterable[Any] | SearchIndex,
        *,
        top_k: int = 5,
        max_characters: int = 300,
        page_characters: int = 3000,
    ) -> None:
        for name, value, most in (
            ("top_k", top_k, MAX_RESULTS),
            ("max_characters", max_characters, None),
            ("page_characters", page_characters, None),
        ):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or value < 1 or (most is not None and value > most):
                bound = "at least 1" if most is None else f"in 1..{most}"
                raise ConfigError(f"{name} is {value!r}: it must be a whole number {bound}")
        self.index = documents if isinstance(documents, SearchIndex) else SearchIndex(documents)
        self.top_k, self.max_characters, self.page_characters = top_k, max_characters, page_characters

    @property
    def tools(self) -> tuple[Tool, Tool]:
        """``search`` and ``read``, to be given to an environment."""
        searching = Tool(
            name="search",
            description="Search the documents by words; the best matches come first.",
            parameters={
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "Words to look for"},
                    "top_k": {
                        "type": "integer",
                        "description": f"How many results, 1 to {MAX_RESULTS}; by default {self.top_k}",
                    },
                },
                "required": ["query"],
            },
            function=self.search,
            timeout=None,
            max_output=MAX_RESULTS * (self.max_characters + 300),
            returns="Titles, ids and snippets",
        )
        reading = Tool(
            name="read",
            description="Read a document that search has found.",
            parameters={
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": "Its id"},
                    "page": {"type": "integer", "description": "Which page of a long document; by default 1"},
                },
                "required": ["id"],
            },
            function=self.read,
            timeout=None,
            max_output=self.page_characters + 500,
            returns="Its title and text",
        )
        return searching, reading

    def __iter__(self) -> Iterator[Tool]:
        return iter(self.tools)

    def search(self, query: str, top_k: int | None = None) -> str:
        """What the tool ``search`` answers.

        Raises:
            ValueError: ``top_k`` is out of bounds.
        """
        count = self.top_k if top_k is None else top_k
        if not 1 <= count <= MAX_RESULTS:
            raise ValueError(f"top_k is {count}: it must be in 1..{MAX_RESULTS}")
        hits = self.index.search(query, count)
        if not hits:
            return "No document holds any of these words."
        lines = []
        for number, hit in enumerate(hits, 1):
            name = f"id: {hit.document.id}"
            lines.append(
                f"{number}. {hit.document.title} ({name})" if hit.document.title else f"{number}. {name}"
            )
            lines.append(f"   {_short(' '.join(hit.snippet.split()), self.max_characters)}")
        return "\n".join(lines)

    def read(self, id: str, page: int = 1) -> str:
        """What the tool ``read`` answers.

        Raises:
            ValueError: There is no such document or page.
        """
        if id not in self.index:
            raise ValueError(f"there is no document {_short(id, 60)!r}: search gives the ids")
        document = self.index[id]
        pages = max(-(-len(document.text) // self.page_characters), 1)
        if not 1 <= page <= pages:
            raise ValueError(f"there is no page {page}: this document has {pages}")
        text = document.text[(page - 1) * self.page_characters : page * self.page_characters]
        head = [document.title] if document.title else []
        tail = [f"(page {page} of {pages})"] if pages > 1 else []
        return "\n".join([*head, text, *tail])


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
