"""A tokenizer that needs nothing: the bytes of UTF-8, and one id that ends a text.

Invariant: ``decode(encode(text)) == text`` for every text that UTF-8 can write. It renders no chat.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["ByteTokenizer"]


class ByteTokenizer:
    """Ids 0 to 255 are bytes, 256 ends a text.

    Example:
        >>> tokenizer = ByteTokenizer()
        >>> tokenizer.encode("hé"), tokenizer.decode([104, 195, 169, 256]), len(tokenizer)
        ([104, 195, 169], 'hé', 257)
    """

    eos_token_id = 256
    """Ends a text."""

    def __len__(self) -> int:
        return 257

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """The ids of a text; lone surrogates become U+FFFD.

        Args:
            text: Any text.
            add_special_tokens: Whether to end it with ``eos_token_id``.
        """
        ids = list(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8"))
        return [*ids, self.eos_token_id] if add_special_tokens else ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids: the end vanishes, bytes that are no UTF-8 become U+FFFD."""
        return bytes(i for i in ids if 0 <= i < 256).decode("utf-8", "replace")
