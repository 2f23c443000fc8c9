"""Exact tokens: what the policy read and sampled, id by id.

- ``ChatTemplate``: messages to ids, and only the ids to append for every further turn.
- ``TokenStream``: the append-only record of one conversation.
- ``TokenSpan`` and ``TokenSegment``: where its sampled turns and its whole sequences lie.

Invariant: ids come from the engine that sampled them or from the tokenizer that rendered new text;
they are never made again from text. Every trainer's format is a slice of this record.
"""

from textgym.tokens.chat_template import Bridges, ChatTemplate, History
from textgym.tokens.record import TokenSegment, TokenSpan
from textgym.tokens.stream import TokenStream

__all__ = ["Bridges", "ChatTemplate", "History", "TokenSegment", "TokenSpan", "TokenStream"]
