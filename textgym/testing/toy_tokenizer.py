"""The toy tokenizer with the methods of a Hugging Face one, for tests of whatever takes a tokenizer.

Invariant: a conversation that it renders and encodes has the ids of ``toy_tokens.render``, which are
those that the mock server reports, unless a message holds the text of a marker (``<|end|>`` …): that
becomes the marker's id, as with real tokenizers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from textgym.jsontext import dumps
from textgym.testing import toy_tokens

__all__ = ["ToyTokenizer"]

_MARKERS: Mapping[str, int] = {
    "<|end|>": toy_tokens.END,
    **{f"<|{role}|>": number for role, number in toy_tokens.ROLES.items()},
}
_TEXTS = {number: text for text, number in _MARKERS.items()}
_SPLIT = re.compile("(" + "|".join(map(re.escape, _MARKERS)) + ")")


class ToyTokenizer:
    """Bytes and five markers.

    Example:
        >>> tokenizer = ToyTokenizer()
        >>> text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], add_generation_prompt=True)
        >>> text
        '<|user|>Hi<|end|><|assistant|>'
        >>> tokenizer.encode(text)
        [258, 72, 105, 256, 259]
    """

    name_or_path = "toy"
    eos_token_id = toy_tokens.END
    all_special_ids = tuple(_TEXTS)
    added_tokens_decoder: Mapping[int, str] = _TEXTS

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = False,
        tokenize: bool = False,
    ) -> Any:
        """The text of a conversation, or its ids with ``tokenize``."""
        text = f"<|system|>{dumps(list(tools)).decode()}<|end|>" if tools else ""
        for message in messages:
            role = message.get("role") if message.get("role") in toy_tokens.ROLES else "user"
            text += f"<|{role}|>{toy_tokens.sampled_text(message)}<|end|>"
        if add_generation_prompt:
            text += "<|assistant|>"
        return self.encode(text) if tokenize else text

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """The ids of a text; nothing is added to it."""
        ids: list[int] = []
        for part in _SPLIT.split(text):
            ids += [_MARKERS[part]] if part in _MARKERS else toy_tokens.encode(part)
        return ids

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        """The text of some ids, with the markers unless they are to be skipped."""
        text, pending = "", bytearray()
        for number in ids:
            if number in _TEXTS:
                text += pending.decode("utf-8", "replace")
                pending.clear()
                text += "" if skip_special_tokens else _TEXTS[number]
            else:
                pending.append(number)
        return text + pending.decode("utf-8", "replace")
