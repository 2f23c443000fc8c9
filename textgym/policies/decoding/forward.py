"""Batch: rows of different lengths in one key-value cache, and the forward passes over them.

Every row is right-aligned: its newest token stands in the last column, and what is missing on its left is
masked. So the tokens of a row are always neighbours, positions follow from lengths alone, and rows join and
leave by padding, concatenating and selecting the tensors of ``transformers``' own cache.

Invariant: ``lengths[i]`` tokens of row i are in the cache, and all of them were computed with the present
weights. Models whose cache is more than keys and values of every token (linear attention, convolutions) can
be neither padded nor re-cut without changing results, and where the rope of a row depends on the longest one,
no other length may stand beside it: for them ``rigid`` is set, and the decoder only ever puts rows of one
length together.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from textgym.errors import ConfigError
from textgym.policies.decoding.ropes import switch_length

__all__ = ["Batch", "Forward", "Layers", "evaluating"]

Layers: TypeAlias = list[tuple[Any, Any]]
"""Keys and values of each layer for one row, shape ``(heads, tokens, size)``."""

_CUTTABLE = frozenset({"DynamicLayer", "DynamicSlidingWindowLayer"})


class Forward:
    """The model, as the decoder calls it.

    Args:
        model: A causal language model of transformers.
        longest: Most tokens that a row will have; None if unknown.

    Raises:
        ConfigError: It takes no ``past_key_values``, or its rope depends on what it has read before.
    """

    def __init__(self, model: Any, longest: int | None = None) -> None:
        from transformers import DynamicCache

        self.model = model
        known = inspect.signature(model.forward).parameters
        self._any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
        self._known = frozenset(known)
        if "past_key_values" not in self._known and not self._any:
            raise ConfigError(
                f"{type(model).__name__} takes no past_key_values: TransformersPolicy needs a causal "
                "language model with transformers' cache"
            )
        layers = DynamicCache(config=model.config).layers
        self.switch = switch_length(model, longest)
        """Tokens of a row past which all its keys are others and have to be computed anew; mostly None."""
        self.rigid = (
            bool(getattr(model, "_is_stateful", False))
            or self.switch is not None
            or any(type(layer).__name__ not in _CUTTABLE for layer in layers)
        )
        """Whether rows of different lengths must not share a batch."""

    @property
    def device(self) -> Any:
        """Where the model reads its ids."""
        return self.model.get_input_embeddings().weight.device

    @property
    def vocabulary(self) -> int:
        """Number of ids that the model can read."""
        return int(self.model.get_input_embeddings().weight.shape[0])

    def new_cache(self, layers: Layers | None = None) -> Any:
        """A cache of transformers, empty or with these layers (one more dimension, rows, in front)."""
        from transformers import DynamicCache

        if self.rigid:
            return DynamicCache(config=self.model.config)
        # Without a config no layer forgets what slid out of its window, so that all layers stay alike;
        # the model's own mask still hides it.
        return DynamicCache(layers) if layers else DynamicCache()

    def __call__(self, ids: Any, lengths: Sequence[int], cache: Any) -> Any:
        """One forward pass that extends the cache.

        Args:
            ids: The newest ids of each row, right-aligned, int64 of shape ``(rows, new columns)``.
            lengths: Tokens of each row, the new ones included.
            cache: Extended in place.

        Returns:
            Logits of the last column, shape ``(rows, vocabulary)``.
        """
        import torch

        new = ids.shape[1]
        columns = max(lengths)
        missing = columns - torch.tensor(lengths, device=ids.device)[:, None]
        places = torch.arange(columns, device=ids.device)
        wanted = {
            "attention_mask": (places >= missing).long(),
            "position_ids": (places[-new:] - missing).clamp_min(0),
            "past_key_values": cache,
            "use_cache": True,
            "logits_to_keep": 1,
        }
        given = {name: value for name, value in wanted.items() if self._any or name in self._known}
        with torch.no_grad(), evaluating(self.model):
            return self.model(input_ids=ids, **given).logits[:, -1]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode (no dropout) for one pass, whatever mode a trainer has left the model in."""
    training = [module for module in model.modules() if module.training] if model.training else []
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class Batch:
    """Rows with a common cache.

    Args:
        forward: The model.
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward
        self._cache: Any = None
        self.lengths: list[int] = []
        """Tokens of each row in the cache."""

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def begin(
        cls, forward: Forward, rows: Sequence[Sequence[int]], known: Sequence[Layers | None]
    ) -> tuple[Batch, Any]:
        """Read the rows' tokens.

        Args:
            forward: The model.
            rows: The ids of each row, at least one.
            known: For each row the layers of a beginning of it (shorter than the row), or None. Each row
                computes as many tokens anew as the row that needs most, so that all stay aligned.

        Returns:
            The batch, and the logits after the last token of each row.
        """
        import torch

        new = max(
            len(ids) - (0 if layers is None else layers[0][0].shape[1])
            for ids, layers in zip(rows, known, strict=True)
        )
        queries = torch.zeros((len(rows), new), dtype=torch.long)
        for row, ids in enumerate(rows):
            tail = ids[-new:]
            queries[row, new - len(tail) :] = torch.tensor(tail)
        batch = cls(forward)
        batch.lengths = [len(ids) for ids in rows]
        held = [max(0, length - new) for length in batch.lengths]
        batch._cache = forward.new_cache(_stacked(known, held))
        return batch, forward(queries.to(forward.device), batch.lengths, batch._cache)

    def step(self, ids: Sequence[int]) -> Any:
        """Read one more token a row.

        Args:
            ids: The token of each row.

        Returns:
            Logits of shape ``(rows, vocabulary)``.
        """
        import torch

        self.lengths = [length + 1 for length in self.lengths]
        return self._forward(
            torch.tensor(ids, device=self._forward.device)[:, None], self.lengths, self._cache
        )

    def join(self, other: Batch) -> None:
        """Take in the rows of another batch, behind those that are here."""
        import torch

        if not self.lengths:
            self._cache, self.lengths = other._cache, other.lengths
            return
        columns = max(self._columns, other._columns)
        for mine, theirs in zip(self._cache.layers, other._cache.layers, strict=True):
            mine.keys = torch.cat([_widened(mine.keys, columns), _widened(theirs.keys, columns)])
            mine.values = torch.cat([_widened(mine.values, columns), _widened(theirs.values, columns)])
        self.lengths = self.lengths + other.lengths

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order (one may come several times), and no column that none needs."""
        import torch

        if not rows:
            self._cache, self.lengths = None, []
            return
        if list(rows) == list(range(len(self.lengths))):
            return
        columns = self._columns
        self.lengths = [self.lengths[row] for row in rows]
        unused = columns - self._columns
        index = torch.tensor(rows, device=self._forward.device)
        if self._forward.rigid:
            self._cache.reorder_cache(index)
            return
        for layer in self._cache.layers:
            layer.keys = layer.keys[:, :, unused:].index_select(0, index.to(layer.keys.device))
            layer.values = layer.values[:, :, unused:].index_select(0, index.to(layer.values.device))

    def row(self, row: int) -> Layers:
        """A copy of what the cache holds of one row."""
        start = self._columns - self.lengths[row]
        return [
            (layer.keys[row, :, start:].clone(), layer.values[row, :, start:].clone())
            for layer in self._cache.layers
        ]

    @property
    def _columns(self) -> int:
        return max(self.lengths)


def _widened(tensor: Any, columns: int) -> Any:
    """Zeros on the left, up to so many columns; ``tensor`` has shape ``(rows, heads, columns, size)``."""
    from torch.nn.functional import pad

    return pad(tensor, (0, 0, columns - tensor.shape[2], 0))


def _stacked(known: Sequence[Layers | None], held: Sequence[int]) -> Layers | None:
    """The first ``held[i]`` tokens of each row as layers of one batch, or None where nothing is held."""
    import torch

    columns = max(held)
    example = next((layers for layers in known if layers is not None), None)
    if not columns or example is None:
        return None

    def part(layer: int, which: int) -> Any:
        like = example[layer][which]
        stack = like.new_zeros((len(known), like.shape[0], columns, like.shape[2]))
        for row, (layers, count) in enumerate(zip(known, held, strict=True)):
            if layers is not None and count:
                stack[row, :, columns - count :] = layers[layer][which][:, :count]
        return stack

    with torch.no_grad():
        return [(part(layer, 0), part(layer, 1)) for layer in range(len(example))]
