"""Prefixes: the longest beginning is found, and the bound holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from textgym.policies.decoding.prefixes import Prefixes

BYTES_A_TOKEN = 10


class Tensor:
    """As much of a tensor as is asked of it."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def numel(self) -> int:
        return self.tokens

    def element_size(self) -> int:
        return BYTES_A_TOKEN // 2


def layers(ids: list[int]) -> list[tuple[Tensor, Tensor]]:
    return [(Tensor(len(ids)), Tensor(len(ids)))]


SEQUENCES = st.lists(st.integers(0, 2), min_size=1, max_size=6)


@given(st.lists(SEQUENCES, max_size=12), SEQUENCES)
def test_what_is_found_is_the_longest_beginning(kept: list[list[int]], asked: list[int]) -> None:
    prefixes = Prefixes(10**9)
    alive: set[tuple[int, ...]] = set()
    for ids in kept:
        alive -= set(
            sorted((a for a in alive if tuple(ids[: len(a)]) == a and len(a) < len(ids)), key=len)[-1:]
        )
        alive.add(tuple(ids))
        prefixes.keep(ids, layers(ids))
    assert len(prefixes) == len(alive)
    fitting = [a for a in alive if len(a) < len(asked) and tuple(asked[: len(a)]) == a]
    found = prefixes.find(asked)
    assert (found is None) == (not fitting)
    if found is not None:
        assert found[0][0].tokens == max(map(len, fitting))


@given(st.lists(SEQUENCES, max_size=30))
def test_the_newest_stay_within_the_bound(kept: list[list[int]]) -> None:
    room = 8
    prefixes = Prefixes(room * BYTES_A_TOKEN)
    for ids in kept:
        prefixes.keep(ids, layers(ids))
        assert prefixes.find([*ids, 0]) is not None
        assert prefixes._bytes <= room * BYTES_A_TOKEN
        assert prefixes._bytes == sum(len(ids) * BYTES_A_TOKEN for ids in prefixes._kept)
    prefixes.clear()
    assert len(prefixes) == 0


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    prefixes = Prefixes(BYTES_A_TOKEN)
    prefixes.keep([1, 2], layers([1, 2]))
    assert len(prefixes) == 0
    assert not Prefixes(0).enabled
