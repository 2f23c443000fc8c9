"""Views over datasets: split, shuffle, take, skip, filter, map."""

import copy
import itertools
import pickle
import threading

import pytest

from textgym.datasets import GeneratedDataset, IteratedDataset, ListDataset, as_dataset
from textgym.datasets import views as views_module
from textgym.errors import ConfigError, DatasetError

ROWS = [{"question": f"{n}+{n}?", "answer": str(2 * n), "level": n % 3} for n in range(100)]
LIST = ListDataset(ROWS)


def endless():
    for n in itertools.count():
        yield {"question": f"{n}?", "answer": str(n), "level": n % 3}


def made(rng):
    return {"question": f"{rng.integers(10**9)}?"}


def easy(example):
    return example["level"] == 0


def never(example):
    return False


def shout(example):
    return {"question": example.question.upper() + "!", "answer": example.answer}


def questions(dataset, n=None):
    return [example.question for example in itertools.islice(dataset, n)]


VIEWS = [
    LIST.take(7),
    LIST.skip(90),
    LIST.skip(10).take(5),
    LIST.shuffle(3),
    LIST.filter(easy),
    LIST.map(shout),
    LIST.split("train"),
    LIST.split("test", test_share=0.5, seed=7, by="content"),
    LIST.shuffle(1).filter(easy).map(shout).skip(2).take(9),
    IteratedDataset(endless).take(6),
    IteratedDataset(endless).filter(easy).shuffle(0).take(6),
]


@pytest.mark.parametrize("view", VIEWS, ids=repr)
def test_what_holds_for_all_finite_views(view):
    rows = list(view)
    assert len(rows) == len(view) == view.size
    assert [view[i] for i in range(len(view))] == rows
    assert view[-1] == rows[-1]
    with pytest.raises(IndexError, match=f"index {len(view)} is outside of"):
        view[len(view)]
    assert copy.deepcopy([view])[0] is view
    assert as_dataset(view) is view
    twin = pickle.loads(pickle.dumps(view))
    assert list(twin) == rows
    assert repr(twin) == repr(view)


def test_reprs_read_like_the_calls_and_read_nothing():
    assert repr(LIST.shuffle(1).take(3)) == "ListDataset(size=100).shuffle(1).take(3)"
    assert repr(LIST.split()[0]) == "ListDataset(size=100).split('train')"

    def rows():
        raise AssertionError("nobody asked")
        yield

    assert "filter(easy).map(shout).skip(3)" in repr(IteratedDataset(rows).filter(easy).map(shout).skip(3))


def test_rows_are_shared():
    assert LIST.shuffle(0).split("train")[0] in list(LIST)
    assert LIST.take(3)[1] is LIST[1]
    assert LIST.filter(easy)[1] is LIST[3]


def test_take_and_skip():
    assert questions(LIST.take(3)) == ["0+0?", "1+1?", "2+2?"]
    assert questions(LIST.skip(98)) == ["98+98?", "99+99?"]
    assert LIST.skip(0).size == LIST.take(1000).size == 100
    assert questions(LIST.skip(98).take(5)) == ["98+98?", "99+99?"]
    with pytest.raises(DatasetError, match="has no rows: there are 100 to skip 100 of"):
        len(LIST.skip(100))


def test_take_reads_no_more_than_it_takes():
    read = []

    def rows():
        for row in endless():
            read.append(row)
            yield row

    taken = IteratedDataset(rows).take(3)
    assert (len(taken), taken[2].answer) == (3, "2")
    assert len(read) == 3


def test_endless_views():
    base = IteratedDataset(endless)
    assert base.skip(5).size is base.shuffle(0).size is base.filter(easy).size is base.map(shout).size is None
    assert questions(base.skip(5), 2) == ["5?", "6?"]
    assert questions(base.filter(easy), 3) == ["0?", "3?", "6?"]
    assert base.filter(easy)[100].answer == "300"
    block = questions(base.shuffle(5), 1024)
    assert sorted(block) == sorted(questions(base, 1024))
    assert block != questions(base, 1024)
    assert questions(base.shuffle(5).skip(1024), 1024) != block
    train, test = base.split()
    seen = set(questions(train, 300)), set(questions(test, 50))
    assert not seen[0] & seen[1]
    assert pickle.loads(pickle.dumps(test))[20] == test[20]
    with pytest.raises(TypeError, match="endless"):
        len(base.shuffle(1))


def test_a_filter_that_keeps_nothing_is_an_error(monkeypatch):
    with pytest.raises(DatasetError, match=r"filter\(never\) has no rows: none of 100 is kept"):
        LIST.filter(never)[0]
    monkeypatch.setattr(views_module, "PATIENCE", 50)
    with pytest.raises(DatasetError, match="gave up: it keeps none of 50 rows in a row from row 0 on"):
        IteratedDataset(endless).filter(never)[0]


def test_a_filter_read_by_many_threads_keeps_its_order():
    view = IteratedDataset(endless).filter(easy)
    answers = [[] for _ in range(6)]

    def read(mine):
        mine.extend(view[n].answer for n in range(200))

    threads = [threading.Thread(target=read, args=(mine,)) for mine in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == [str(3 * n) for n in range(200)] for mine in answers)


def test_map():
    assert LIST.map(shout)[2].question == "2+2?!"
    assert LIST.map(lambda e: e)[2] is LIST[2]
    with pytest.raises(DatasetError, match="<lambda> made a malformed row of row 4: it is NoneType"):
        LIST.map(lambda e: None)[4]


def test_a_split_cannot_leak():
    """Equal questions are on one side, whatever order, ids, answers, spelling or file they have."""
    variants = [
        {"question": "Who was  Ada?", "answer": "a"},
        {"question": "who was ada?", "answer": "b", "id": "x"},
        {"question": " WHO WAS ADA?\n", "task": "t", "level": 3},
        {"id": 4, "question": "Who was Ada?", "info": {"row": 7}},
    ]
    for seed in range(20):
        sides = []
        for row in variants:
            for rows in ([*ROWS, row], [row, *ROWS[::-1]], [{**row, "id": 5}, row, *ROWS[:50]]):
                train, test = ListDataset(rows).split(seed=seed)
                found = [any("ada" in (e.question or "").lower() for e in side) for side in (train, test)]
                sides.append(found)
        assert [True, True] not in sides
        assert len({tuple(found) for found in sides}) == 1


def test_a_split_is_independent_of_order_and_other_rows():
    test = set(questions(LIST.split("test")))
    assert set(questions(LIST.shuffle(5).split("test"))) == test
    assert set(questions(LIST.split("test").shuffle(5))) == test
    assert set(questions(LIST.take(50).split("test"))) == test & set(questions(LIST.take(50)))
    assert set(questions(LIST.split("test", seed=1))) != test


def test_the_share_is_about_kept():
    many = ListDataset({"question": f"{n}?"} for n in range(4000))
    for share in (0.125, 0.5, 0.8):
        train, test = many.split(test_share=share)
        assert len(test) == pytest.approx(4000 * share, rel=0.1)
        assert len(train) + len(test) == 4000


def test_splitting_by_content_is_for_equal_prompts():
    rows = [{"prompt": "Guess my number.", "answer": n} for n in range(60)]
    train, test = ListDataset([*rows, *rows]).split(by="content")
    assert len(train) + len(test) == 120
    assert not {e.answer for e in train} & {e.answer for e in test}
    full, empty = ListDataset(rows).split()
    assert len(full) == 60
    with pytest.raises(DatasetError, match="none of 60 is kept"):
        len(empty)


def test_chat_prompts_are_split_by_their_words():
    def chat(text):
        return {"prompt": [{"role": "user", "content": text}]}

    rows = [chat(f"{n} apples") for n in range(50)] + [chat(f" {n}  APPLES ") for n in range(50)]
    train, test = ListDataset(rows).split()
    assert len(train) % 2 == len(test) % 2 == 0


def test_generated_datasets_split_as_their_own_argument_does():
    base = GeneratedDataset(made, seed=3, name="n")
    for part, side in zip(("train", "test"), base.split(), strict=True):
        assert isinstance(side, GeneratedDataset)
        assert side.part == part
        twin = GeneratedDataset(made, seed=3, name="n", split=part)
        assert [side[i] for i in range(9)] == [twin[i] for i in range(9)]
    with pytest.raises(ConfigError, match="is the train split already"):
        base.split("train").split()
    for arguments in ({"seed": 1}, {"by": "question"}):
        with pytest.raises(ConfigError, match="by their content alone"):
            base.split(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.take(0), "take is 0: it must be at least 1"),
        (lambda d: d.take(2.5), "take is 2.5: it must be a whole number"),
        (lambda d: d.skip(-1), "skip is -1: it must be at least 0"),
        (lambda d: d.skip(True), "skip is True"),
        (lambda d: d.shuffle("x"), "seed is 'x'"),
        (lambda d: d.filter(3), "filter got 3"),
        (lambda d: d.map(None), "map got None"),
        (lambda d: d.split("dev"), "part is 'dev'"),
        (lambda d: d.split(0.2), "part is 0.2"),
        (lambda d: d.split(test_share=1), "between 0 and 1"),
        (lambda d: d.split(seed=0.5), "seed is 0.5"),
        (lambda d: d.split(by="id"), "by is 'id'"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ConfigError, match=message):
        call(LIST)
