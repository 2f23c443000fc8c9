"""Trial: a few tokens decoded as the decoder does it, beside what the model itself says of them.

Models take arguments that they do not read, count positions from elsewhere, or keep another state than keys
and values; nothing in a signature or config tells. Invariant: a model that passes has given the same
predictions with its cache, in a batch of unequal rows, as in one full pass over each row alone. A few tokens
cannot show what begins with length (a sliding window, a rope that changes): ``ropes.py`` looks at that.
"""

from __future__ import annotations

from typing import Any

from textgym.errors import ConfigError
from textgym.policies.decoding.forward import Batch, Forward, evaluating

__all__ = ["try_model"]

_LENGTHS = (6, 3)
"""Tokens of the two rows when they are first read."""
_STEPS = 2
_EXACT, _ROUNDED = 0.01, 0.25
"""Largest difference of a row's predictions relative to their spread: in float32, and where weights are
shorter numbers and rounding alone makes percents. Predictions without their history differ by about 1."""


def try_model(forward: Forward) -> None:
    """Decode a few tokens of two rows and compare.

    Args:
        forward: The model.

    Raises:
        ConfigError: The model cannot be called so, or predicts something else than in one full pass.
    """
    import torch

    name = type(forward.model).__name__
    rows = _rows(forward)
    try:
        stepped = _stepped(forward, rows)
        whole = [_whole(forward, row) for row in rows]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{name} cannot be run with a batch, position_ids and transformers' key-value cache "
            f"({type(error).__name__}: {error}): TransformersPolicy needs a causal language model that takes them"
        ) from error
    allowed = _ROUNDED if _rounds(forward.model) else _EXACT
    for place, (one, other) in enumerate(zip(stepped, whole, strict=True)):
        if not (torch.isfinite(one).all() and torch.isfinite(other).all()):
            continue  # weights that are no numbers yet: sampling from them is refused anyway
        spread = float((other - other.mean(-1, keepdim=True)).norm())
        difference = float((one - other).norm())
        if difference > allowed * spread + 1e-6:
            padded = " with another row beside it" if place else ""
            raise ConfigError(
                f"{name} predicts something else token by token with its key-value cache{padded} than in one "
                f"full pass (difference {difference / max(spread, 1e-6):.2g} of the logits' spread, at most "
                f"{allowed:g} is rounding): it ignores past_key_values, position_ids or attention_mask, or "
                "means others, so TransformersPolicy would sample from a wrong distribution. Serve it with "
                "its own engine and use OpenAIPolicy"
            )


def _rows(forward: Forward) -> list[list[int]]:
    """Ids without the padding id, which some models treat as absent."""
    padding = getattr(forward.model.config.get_text_config(decoder=True), "pad_token_id", None)
    usable = [token for token in range(min(forward.vocabulary, 1000)) if token != padding]
    lengths = _LENGTHS[:1] * 2 if forward.rigid else _LENGTHS
    ids = [usable[(7919 * (place + 1)) % len(usable)] for place in range(2 * (_LENGTHS[0] + _STEPS))]
    return [ids[: length + _STEPS] for length in lengths[:1]] + [ids[-lengths[1] - _STEPS :]]


def _stepped(forward: Forward, rows: list[list[int]]) -> list[Any]:
    """Logits after the last ``_STEPS + 1`` tokens of each row, as the decoder gets them."""
    import torch

    batch, logits = Batch.begin(forward, [row[:-_STEPS] for row in rows], [None, None])
    logits = [logits]
    for step in range(-_STEPS, 0):
        logits.append(batch.step([row[step] for row in rows]))
    if not forward.rigid:  # the next turn goes on from a kept cache
        kept = [[(keys[:, :-1], values[:, :-1]) for keys, values in batch.row(place)] for place in (0, 1)]
        logits[-1] = Batch.begin(forward, rows, kept)[1]
    return list(torch.stack(logits).float().unbind(1))


def _whole(forward: Forward, row: list[int]) -> Any:
    import torch

    with torch.no_grad(), evaluating(forward.model):
        logits = forward.model(input_ids=torch.tensor([row], device=forward.device)).logits
    return logits[0, -_STEPS - 1 :].float()


def _rounds(model: Any) -> bool:
    """Whether some weights are shorter than float32."""
    return any(parameter.element_size() < 4 for parameter in model.parameters())
