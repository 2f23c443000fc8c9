"""GrowingText: the text of ids that arrive one by one, and the stop string that ends it.

Invariant: the pieces that ``add`` and ``finish`` return, one after another, are the text; nothing that is
part of a stop string, or might become one, is ever among them. It calls the tokenizer on the newest few ids
only, so a completion costs time in proportion to its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["GrowingText"]

_CUT_CHARACTER = "\ufffd"
_MOST_PENDING = 16
"""No character has more tokens than this: what is still undecodable then stays so."""


class GrowingText:
    """Detokenizes as ids arrive.

    Args:
        decode: Ids to text; special tokens vanish.
        stops: Strings that end the text.

    Example:
        >>> text = GrowingText(lambda ids: "".join(map(chr, ids)), stops=["END"])
        >>> [text.add(ord(letter)) for letter in "okEEND!"[:6]], text.stopped
        (['o', 'k', '', 'E', '', ''], 'END')
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stops = tuple(stops)
        self._longest = max(map(len, self._stops), default=0)
        self._ids: list[int] = []
        self._before = self._read = 0  # ids[before:read] give the context in which newer ids are decoded
        self._sent = 0
        self.text = ""
        """What is decoded so far; once ``stopped`` is set, what stands before the stop string."""
        self.stopped: str | None = None
        """The stop string that was found, or None."""

    def add(self, token: int) -> str:
        """Take one more id.

        Args:
            token: The id.

        Returns:
            The text that has become certain, maybe "".
        """
        self._ids.append(token)
        context = self._decode(self._ids[self._before : self._read])
        window = self._decode(self._ids[self._before :])
        patient = len(self._ids) - self._read < _MOST_PENDING
        if len(window) <= len(context) or (patient and window.endswith(_CUT_CHARACTER)):
            return ""
        self._before, self._read = self._read, len(self._ids)
        return self._grow(window[len(context) :])

    def _grow(self, fresh: str) -> str:
        start = max(0, len(self.text) - self._longest + 1)
        self.text += fresh
        found = [(at, stop) for stop in self._stops if (at := self.text.find(stop, start)) >= 0]
        if found:
            at, self.stopped = min(found)
            self.text = self.text[:at]
            return self._send(at)
        return self._send(len(self.text) - self._undecided())

    def _undecided(self) -> int:
        """Length of the longest end of the text that begins a stop string."""
        for length in range(min(self._longest - 1, len(self.text)), 0, -1):
            if any(stop.startswith(self.text[-length:]) for stop in self._stops):
                return length
        return 0

    def _send(self, end: int) -> str:
        piece, self._sent = self.text[self._sent : end], max(end, self._sent)
        return piece

    def finish(self) -> str:
        """No id will follow: the rest of the text. Afterwards ``text`` is complete."""
        if self.stopped is None:
            whole = self._decode(self._ids)
            found = [(at, stop) for stop in self._stops if (at := whole.find(stop)) >= 0]
            if found:  # it was completed by ids that were still undecodable alone
                at, self.stopped = min(found)
                whole = whole[:at]
            self.text = whole
        return self._send(len(self.text))
