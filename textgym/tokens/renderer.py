"""A renderer of the ``renderers`` package, or anything with its methods, as a source of exact tokens.

Invariant: what the renderer says is checked: its continuation begins with the very ids that it was
given, else it counts as a refusal. Nothing is imported; the methods alone matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textgym.errors import TemplateError
from textgym.tokens.arrays import IdArray, token_array
from textgym.types import Message

__all__ = ["RendererTokens", "is_renderer"]


def is_renderer(value: Any) -> bool:
    """Whether it has the methods of a renderer."""
    return callable(getattr(value, "render_ids", None)) and callable(
        getattr(value, "bridge_to_next_turn", None)
    )


class RendererTokens:
    """Ids from a renderer.

    Args:
        renderer: Has ``render_ids``, ``bridge_to_next_turn`` and ``get_stop_token_ids``.
    """

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        stops = getattr(renderer, "get_stop_token_ids", list)
        self.stop_ids = tuple(int(number) for number in stops())

    def initial(self, messages: Sequence[Message], tools: Any) -> IdArray:
        """The ids of a whole conversation, up to where the next answer begins."""
        try:
            ids = self._renderer.render_ids(
                list(messages), tools=list(tools) if tools else None, add_generation_prompt=True
            )
        except Exception as error:  # renderers raise whatever they like
            raise TemplateError(f"the renderer refuses: {type(error).__name__}: {error}") from error
        return token_array(ids, "the renderer's ids")

    def bridge(self, ids: IdArray, messages: Sequence[Message], tools: Any, sampled: int) -> IdArray | None:
        """The ids to append, or None where the renderer wants the conversation rendered anew.

        Args:
            ids: Everything so far.
            messages: The new messages.
            tools: Schemas of the tools, or None.
            sampled: How many of ``ids``, from the end, the last answer is.
        """
        at = len(ids) - sampled
        try:
            rendered = self._renderer.bridge_to_next_turn(
                ids[:at].tolist(), ids[at:].tolist(), list(messages), tools=list(tools) if tools else None
            )
        except Exception as error:
            raise TemplateError(f"the renderer refuses: {type(error).__name__}: {error}") from error
        if rendered is None:
            return None
        whole = token_array(getattr(rendered, "token_ids", rendered), "the renderer's ids")
        return whole[len(ids) :] if np.array_equal(whole[: len(ids)], ids) else None
