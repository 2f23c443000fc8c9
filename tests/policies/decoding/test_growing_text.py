"""GrowingText: pieces put together are the text, and a stop string never leaks."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from textgym.policies.decoding import GrowingText


def decode(ids: Sequence[int]) -> str:
    """Byte tokens, as byte-level tokenizers have them for rare characters."""
    return bytes(ids).decode("utf-8", "replace")


def grown(data: bytes, stops: Sequence[str]) -> tuple[GrowingText, list[str]]:
    text = GrowingText(decode, stops)
    pieces = []
    for token in data:
        pieces.append(text.add(token))
        if text.stopped is not None:
            break
    pieces.append(text.finish())
    return text, pieces


@given(
    st.text(alphabet="abé漢🙂", max_size=30),
    st.lists(st.text(alphabet="abé漢🙂", min_size=1, max_size=4), max_size=3),
)
def test_the_pieces_are_the_text_before_the_first_stop(whole: str, stops: list[str]) -> None:
    text, pieces = grown(whole.encode(), stops)
    assert "".join(pieces) == text.text
    ends = [whole.find(stop) + len(stop) for stop in stops if stop in whole]
    if not ends:
        assert text.text == whole
        assert text.stopped is None
        return
    assert text.stopped in stops
    assert whole.startswith(text.text + text.stopped)
    assert len(text.text) + len(text.stopped) == min(ends)  # decoding ends with the first that is complete


@given(st.binary(max_size=60))
def test_bytes_that_are_no_text_do_not_get_lost(data: bytes) -> None:
    text, _ = grown(data, ())
    assert text.text == decode(data)


def test_a_character_of_several_tokens_comes_whole() -> None:
    text = GrowingText(decode)
    assert [text.add(byte) for byte in "é漢".encode()] == ["", "é", "", "", "漢"]


def test_what_may_become_a_stop_string_is_held_back() -> None:
    text = GrowingText(decode, ["</answer>"])
    assert [text.add(byte) for byte in b"a</an"] == ["a", "", "", "", ""]
    assert text.add(ord("!")) == "</an!"
    assert text.finish() == ""
