"""Ropes: position encodings that change for all tokens once a sequence has grown past some length.

Invariant: ``switch_length`` is None for a model whose predictions for a row cannot depend, through its rope, on
how long another row is. Only ropes that transformers updates in the forward pass are known here.
"""

from __future__ import annotations

from typing import Any

from textgym.errors import ConfigError

__all__ = ["switch_length"]


def switch_length(model: Any, longest: int | None) -> int | None:
    """The length of a row past which the model encodes all positions otherwise ("longrope").

    Args:
        model: A causal language model of transformers.
        longest: Most tokens that a row will have; None if unknown.

    Returns:
        That length in tokens, or None where no row can cross it.

    Raises:
        ConfigError: The rope stretches with the length of whatever the model has read ("dynamic"), and rows
            may become so long.
    """
    switches = []
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        for layer, kind in kinds.items() if isinstance(kinds, dict) else ((None, kinds),):
            if isinstance(kind, str) and ("dynamic" in kind or kind == "longrope"):
                switch = _original_length(module, kind, layer)
                if longest is not None and longest <= switch:
                    continue
                if kind != "longrope":
                    raise ConfigError(
                        f"the model has a {kind!r} rope, which past {switch} tokens depends on what else the "
                        f"model has read before: set max_context to at most {switch} (it is {longest})"
                    )
                switches.append(switch)
    return min(switches, default=None)


def _original_length(module: Any, kind: str, layer: str | None) -> int:
    """Tokens up to which this rope is the unscaled one; 0 where nothing says so."""
    if kind != "longrope":
        return int(getattr(module, "original_max_seq_len", 0) or 0)
    parameters = getattr(module.config, "rope_parameters", None) or {}
    stated = (parameters.get(layer) or {}) if layer is not None else parameters
    name = "original_max_position_embeddings"
    return int(stated.get(name) or getattr(module.config, name, 0) or 0)
