"""A tokenizer as the bridge uses it: text to ids, and which ids close or open a turn.

Invariant: encoding adds nothing unasked (no start token, no space) and cuts nothing, whatever truncation or
padding somebody else has set on the tokenizer; and one tokenizer is used by one thread at a time,
for fast tokenizers change their own settings while they encode. This module knows no messages.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from textgym.jsontext import printable
from textgym.tokens.arrays import IdArray, token_array

__all__ = ["Encoder"]

_LOCKS: WeakKeyDictionary[Any, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


class Encoder:
    """Text to ids.

    Args:
        tokenizer: A Hugging Face tokenizer, or anything with ``encode(text, add_special_tokens=…)``,
            ``decode(ids)`` and, where it has special tokens, ``all_special_ids`` and
            ``added_tokens_decoder`` (id -> token).

    Attributes:
        markers: Token id -> text of the added and special tokens, which stand for themselves in a text.
        specials: Texts of those among them that are special: no text of a message is meant to hold them.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        added = getattr(tokenizer, "added_tokens_decoder", None) or {}
        self.markers = {int(number): str(token) for number, token in added.items()}
        special = {int(number) for number, token in added.items() if getattr(token, "special", True)}
        for number in getattr(tokenizer, "all_special_ids", None) or ():
            self.markers.setdefault(int(number), self._decoded(number))
            special.add(int(number))
        self.specials = tuple(self.markers[number] for number in sorted(special))
        self._blank: dict[int, bool] = {}
        self._anchor = self._needed_anchor()

    def encode(self, text: str, *, begin: bool = False) -> IdArray:
        """The ids of a text that begins a sequence.

        Args:
            text: The text. Lone surrogates, which no tokenizer takes, become U+FFFD.
            begin: Whether to add the tokens with which this tokenizer begins a text.
        """
        return token_array(self._encoded(text, begin), "the tokenizer's ids")

    def encode_after(self, text: str) -> IdArray:
        """The ids of a text that follows other tokens: without the space that some put in front."""
        if self._anchor is None or not text:
            return self.encode(text)
        return token_array(self._encoded(self._anchor + text)[1:], "the tokenizer's ids")

    def overlap(self, head: Sequence[int], tail: Sequence[int]) -> int:
        """How many ids at the beginning of ``head`` the end of ``tail`` holds already.

        Only the markers and white space with which ``head`` begins count, and only if a marker is
        among them. White space in front of the first marker need not have been sampled.

        Args:
            head: Ids that are to follow.
            tail: Ids that were sampled.

        Returns:
            The largest such number; 0 if ``tail`` does not end in a stop token that ``head`` begins
            with.
        """
        longest, marked = 0, False
        for size, token in enumerate(head, 1):
            marker = token in self.markers
            if not marker and not self._is_blank(token):
                break
            if marker and not marked and len(tail) and tail[-1] == token:
                longest = size
            marked = marked or marker
            if marked and list(tail[-size:]) == list(head[:size]):
                longest = size
        return longest

    def _is_blank(self, token: int) -> bool:
        known = self._blank.get(token)
        if known is None:
            # Twice, for some tokenizers drop the first space of a text.
            known = self._blank[token] = not self._decoded(token, token).strip()
        return known

    def _decoded(self, *tokens: int) -> str:
        with _lock(self.tokenizer):
            return str(self.tokenizer.decode(list(tokens)))

    def _encoded(self, text: str, begin: bool = False) -> list[int]:
        with _lock(self.tokenizer):
            ids = self.tokenizer.encode(printable(text), add_special_tokens=begin)
        return list(ids)

    def _needed_anchor(self) -> str | None:
        """A marker to put in front of a text, if this tokenizer treats the beginning of one specially."""
        alone = self._encoded("a")
        for token in self.markers.values():
            ids = self._encoded(token + "a")
            spaced = self._encoded(token + " a")
            if len(ids) > 1 and ids[0] in self.markers and spaced != ids:  # it eats no space after it
                return token if ids[1:] != alone else None
        return None


def _lock(tokenizer: Any) -> threading.RLock:
    try:
        lock = _LOCKS.get(tokenizer)
        if lock is None:
            with _LOCKS_LOCK:
                lock = _LOCKS.setdefault(tokenizer, threading.RLock())
        return lock
    except TypeError:  # it can be no key
        return _UNKEYED


_UNKEYED = threading.RLock()
