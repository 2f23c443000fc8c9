"""Full-text search over a fixed collection of documents, by SQLite's FTS5.

Invariant: the collection never changes; the same query gives the same hits in the same order (BM25, then the
order of the documents). Any text is a legal query, because words are looked up and never read as FTS5's query
language. The index is built when it is first needed and once a process; copies share it, and it is rebuilt after
pickling and after a fork.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from textgym.datasets import Dataset
from textgym.errors import ConfigError
from textgym.types import Example

__all__ = ["Document", "Hit", "SearchIndex"]

MAX_TERMS = 32
"""Most different words of a query that count, the first ones."""
_MAX_QUERY = 1000
_WORD = re.compile(r"\w+")
_SNIPPET_WORDS = 48


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    id: str
    """What it is asked for by; unique in its collection."""
    title: str
    """Its title, maybe empty."""
    text: str
    """All of it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that a query found."""

    document: Document
    """The document."""
    snippet: str
    """The part of its text that fits the query best."""


class SearchIndex:
    """A searchable collection.

    Args:
        documents: Texts; rows with ``text`` and maybe ``id`` and ``title``; or a finite ``Dataset`` whose rows
            have such columns (a row without ``text`` counts with its question or prompt).

    Raises:
        ConfigError: A document is none of these, two have one id, or SQLite was built without FTS5.

    Example:
        >>> index = SearchIndex(["The heron is a bird.", {"id": "b", "title": "Tin", "text": "Tin is a metal."}])
        >>> [(hit.document.id, hit.snippet) for hit in index.search("which BIRDS? a bird!")]
        [('1', 'The heron is a bird.'), ('b', 'Tin is a metal.')]
    """

    def __init__(self, documents: Iterable[Any]) -> None:
        if isinstance(documents, str | Mapping) or not isinstance(documents, Iterable):
            raise ConfigError(
                f"documents is {documents!r:.60}: it must be a list of texts or rows, or a Dataset"
            )
        if isinstance(documents, Dataset) and documents.size is None:
            raise ConfigError(f"documents is {documents!r:.80}, which has no end: take a part of it")
        self.documents = tuple(_document(entry, n) for n, entry in enumerate(documents, 1))
        """All documents in order."""
        self._by_id = {document.id: document for document in self.documents}
        if len(self._by_id) < len(self.documents):
            counts = Counter(document.id for document in self.documents)
            twice = counts.most_common(1)[0][0]
            raise ConfigError(f"two documents have the id {twice!r:.60}: give each its own")
        _require_fts5()
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = -1

    def search(self, query: str, top_k: int = 5) -> list[Hit]:
        """The documents that fit a query best.

        Args:
            query: Any text; a document that holds none of its words is no hit.
            top_k: Most hits.

        Returns:
            The hits, the best one first.
        """
        words = dict.fromkeys(_WORD.findall(_clean(query[:_MAX_QUERY]).casefold()))
        terms = [f'"{word}"' for word in list(words)[:MAX_TERMS]]
        if not terms or top_k < 1:
            return []
        if self._pid != os.getpid():  # a lock that a fork has copied may be locked for ever
            self._guard, self._connection, self._pid = threading.Lock(), None, os.getpid()
        with self._guard:
            if self._connection is None:
                self._connection = _built(self.documents)
            found = self._connection.execute(
                f"SELECT rowid, snippet(documents, 1, '', '', '…', {_SNIPPET_WORDS}) FROM documents "
                "WHERE documents MATCH ? ORDER BY bm25(documents, 2.0, 1.0), rowid LIMIT ?",
                (" OR ".join(terms), min(top_k, len(self.documents))),
            ).fetchall()
        return [Hit(self.documents[row - 1], snippet) for row, snippet in found]

    def __getitem__(self, document_id: str) -> Document:
        """The document of an id; raises ``KeyError``."""
        return self._by_id[document_id]

    def __contains__(self, document_id: object) -> bool:
        return document_id in self._by_id

    def __len__(self) -> int:
        return len(self.documents)

    def __copy__(self) -> SearchIndex:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SearchIndex:
        return self

    def __reduce__(self) -> Any:
        rows = [{"id": d.id, "title": d.title, "text": d.text} for d in self.documents]
        return type(self), (rows,)

    def __repr__(self) -> str:
        return f"SearchIndex({len(self.documents)} documents)"


def _document(entry: Any, number: int) -> Document:
    if isinstance(entry, str):
        return Document(str(number), "", _clean(entry))
    if isinstance(entry, Document):
        return entry
    if isinstance(entry, Example):
        text, title = entry.get("text", entry.text), entry.get("title", "")
        return Document(_clean(entry.id), _clean(str(title)), _clean(str(text)))
    if isinstance(entry, Mapping) and isinstance(entry.get("text"), str):
        name = entry.get("id")
        return Document(
            str(number) if name is None else _clean(str(name)),
            _clean(str(entry.get("title") or "")),
            _clean(entry["text"]),
        )
    raise ConfigError(
        f"document {number} is {entry!r:.60}: it must be a text, or a row with a text in 'text' and maybe "
        "'id' and 'title'"
    )


def _clean(text: str) -> str:
    """The text without what SQLite cannot hold: NUL and lone surrogates."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def _built(documents: Iterable[Document]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(
        "CREATE VIRTUAL TABLE documents USING fts5(title, text, tokenize = 'unicode61 remove_diacritics 2')"
    )
    connection.executemany(
        "INSERT INTO documents(title, text) VALUES (?, ?)", ((d.title, d.text) for d in documents)
    )
    connection.commit()
    return connection


def _require_fts5() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE probe USING fts5(x)")
    except sqlite3.OperationalError as error:
        raise ConfigError(
            f"this Python's SQLite {sqlite3.sqlite_version} has no full-text search (FTS5), which search needs: "
            f"use a Python whose sqlite3 has it ({error})"
        ) from None
    finally:
        connection.close()
