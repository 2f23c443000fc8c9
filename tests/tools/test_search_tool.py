"""Search over documents: any query is legal, the order is fixed, copies share the index."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgym.datasets import GeneratedDataset, as_dataset
from textgym.errors import ConfigError
from textgym.tools import Search, SearchIndex

BIRDS = [
    {"id": "heron", "title": "Heron", "text": "The heron is a wading bird. It eats fish and frogs."},
    {"id": "zoe", "title": "Zoë", "text": "Zoë's café opens at 7. NOT a bird. AND OR NEAR"},
    {"id": "stork", "title": "Stork", "text": "Storks nest on roofs and eat frogs, frogs, frogs."},
    {"id": "owl", "title": "Owl", "text": "An owl is a bird of the night. " + "It waits. " * 500},
]
INDEX = SearchIndex(BIRDS)


def found(query: str, top_k: int = 5) -> list[str]:
    return [hit.document.id for hit in INDEX.search(query, top_k)]


def test_the_best_match_comes_first() -> None:
    assert found("frogs") == ["stork", "heron"]
    assert found("heron bird") == ["heron", "zoe", "owl"]
    assert found("ZOE cafe") == ["zoe"]
    assert found("frogs", 1) == ["stork"]


def test_words_are_never_operators() -> None:
    assert sorted(found('frogs NOT "heron')) == ["heron", "stork", "zoe"]
    assert sorted(found("title:zoë OR owl*")) == ["owl", "zoe"]
    assert found("NEAR(frogs heron, 1)")[0] == "heron"
    for nothing in ("", " ", "!!!", '"', "*", "(", "^", "-", "\0", "\ud800", "\u0301", "北京", "x" * 10**6):
        assert found(nothing) == []


@given(st.text(st.characters(exclude_categories=())), st.integers(-3, 30))
def test_any_query_is_legal(query: str, top_k: int) -> None:
    hits = INDEX.search(query, top_k)
    assert len(hits) <= max(top_k, 0)
    assert hits == INDEX.search(query, top_k)


def test_equal_documents_keep_their_order() -> None:
    index = SearchIndex(["same words"] * 30)
    assert [hit.document.id for hit in index.search("words", 30)] == [str(n) for n in range(1, 31)]


def test_snippets_show_the_place() -> None:
    index = SearchIndex(["nothing here. " * 200 + "The password is heron. " + "nothing here. " * 200])
    (hit,) = index.search("password")
    assert "The password is heron." in hit.snippet
    assert len(hit.snippet) < 500


def test_what_documents_may_be() -> None:
    rows = as_dataset(
        [{"id": "a", "prompt": "?", "text": "one"}, {"id": "b", "prompt": "two", "answer": "x"}]
    )
    assert [(d.id, d.text) for d in SearchIndex(rows).documents] == [("a", "one"), ("b", "two")]
    assert SearchIndex(["x\0y\ud800"]).documents[0].text == "x y?"
    assert len(SearchIndex([])) == 0
    assert SearchIndex([]).search("x") == []


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("text", "list of texts"),
        ([1], "document 1 is 1"),
        ([{"title": "x"}], "document 1"),
        ([{"id": "a", "text": ""}, {"id": "a", "text": ""}], "two documents have the id 'a'"),
        (GeneratedDataset(lambda rng: {"prompt": "?"}), "no end"),
    ],
)
def test_what_they_may_not_be(documents: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SearchIndex(documents)  # type: ignore[arg-type]


def test_copies_share_and_pickles_rebuild() -> None:
    assert copy.deepcopy(INDEX) is INDEX
    twin = pickle.loads(pickle.dumps(INDEX))
    assert twin.documents == INDEX.documents
    assert twin.search("frogs") == INDEX.search("frogs")


def test_many_threads_may_search() -> None:
    queries = ["frogs", "bird", "owl night", "zoe"] * 50
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(found, queries)) == [found(query) for query in queries]


def _into(path: str) -> None:
    Path(path).write_text(",".join(found("frogs")))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_searches_too(tmp_path: Path) -> None:
    found("frogs")
    child = multiprocessing.get_context("fork").Process(target=_into, args=(str(tmp_path / "x"),))
    child.start()
    child.join(20)
    assert (tmp_path / "x").read_text() == "stork,heron"


def test_the_tools() -> None:
    search, read = Search(BIRDS, top_k=2, max_characters=40, page_characters=1000)
    assert search(query="bird").splitlines() == [
        "1. Heron (id: heron)",
        "   The heron is a wading bird. It eats fis…",
        "2. Zoë (id: zoe)",
        "   Zoë's café opens at 7. NOT a bird. AND …",
    ]
    assert search("bird", top_k=20).count("id: ") == 3
    assert search("!!!") == "No document holds any of these words."
    assert read("heron") == "Heron\nThe heron is a wading bird. It eats fish and frogs."
    assert read("owl").endswith("(page 1 of 6)")
    pages = [read("owl", page=page).split("\n")[1] for page in range(1, 7)]
    assert "".join(pages) == BIRDS[3]["text"]
    for wrong, message in ((lambda: read("x"), "no document 'x'"), (lambda: read("owl", page=7), "has 6"),
                           (lambda: search("a", top_k=0), "1..20")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            wrong()
    twin = pickle.loads(pickle.dumps(search))
    assert twin("bird") == search("bird")


@pytest.mark.parametrize("arguments", [{"top_k": 0}, {"top_k": 21}, {"max_characters": 0}, {"top_k": True}])
def test_unusable_arguments(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        Search(BIRDS, **arguments)
