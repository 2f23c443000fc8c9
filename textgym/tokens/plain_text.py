"""Special tokens that stand in the text of a message, kept from becoming special.

A tool, a web page or a user may write ``<|end|>``. Rendered and encoded as it stands, it closes its message and
may open another one. Invariant: of the texts that ``parts`` returns for a text made of hidden ones, none but
the template's own writing holds a special token; put together and decoded they are the text that was written,
and a text without special tokens is one part, unchanged.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

__all__ = ["PlainText"]

_PLACE = f"plain{secrets.token_hex(8)}n"
"""Stands for a special token while the template renders: letters and digits, which no template changes. It is not
guessable, so that no text contains it; no id depends on it."""
_PLACES = re.compile(f"{_PLACE}([0-9]+)e")


class PlainText:
    """Hides special tokens from a template and from a tokenizer.

    Args:
        specials: Texts of the tokenizer's special tokens.

    Example:
        >>> plain = PlainText(["<|end|>"])
        >>> plain.parts("<|user|>" + plain.hide("a<|end|>b") + "<|end|>")
        ['<|user|>a', '<', '|end|>', 'b<|end|>']
    """

    def __init__(self, specials: Sequence[str]) -> None:
        self._specials = sorted(
            {text for text in specials if text.strip()}, key=lambda text: (-len(text), text)
        )
        self._numbers = {text: number for number, text in enumerate(self._specials)}
        self._found = re.compile("|".join(map(re.escape, self._specials)) or r"(?!)")

    def hide(self, text: str) -> str:
        """The text with something harmless in place of each special token."""
        return self._found.sub(lambda found: f"{_PLACE}{self._numbers[found[0]]}e", text)

    def parts(self, text: str) -> list[str]:
        """A rendered text in pieces to be encoded one by one, the hidden special tokens cut in two or more."""
        pieces = _PLACES.split(text)
        parts = pieces[:1]
        for number, following in zip(pieces[1::2], pieces[2::2], strict=True):
            parts += [*self._cut(self._specials[int(number)]), following]
        return parts

    def _cut(self, text: str) -> list[str]:
        """Pieces of a text, none of which holds a special token."""
        found = self._found.search(text)
        if found is None:
            return [text]
        at = found.start() + 1
        if text[at - 1] in self._numbers:  # a single character cannot be cut
            return [*self._cut(text[: at - 1]), "\ufffd", *self._cut(text[at:])]
        return [text[:at], *self._cut(text[at:])]
