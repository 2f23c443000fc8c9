"""Loading a causal language model of transformers, and what it says of itself.

Invariant: nothing is guessed: what neither config, tokenizer nor chat template states is None or absent. Torch and
transformers are imported here when a model is loaded.
"""

from __future__ import annotations

from typing import Any

from textgym.errors import ConfigError, MissingExtra
from textgym.tokens import ChatTemplate

__all__ = ["context_length_of", "end_ids_of", "load_model", "template_of"]


def load_model(model: Any, tokenizer: Any, device: Any, dtype: Any) -> tuple[Any, Any]:
    """Model and tokenizer, from wherever they are; arguments as for ``TransformersPolicy``.

    Raises:
        MissingExtra: Torch or transformers is not installed.
        ConfigError: They cannot be loaded, or only one of them is given.
    """
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtra("TransformersPolicy needs torch and transformers", extra="transformers") from error
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype, dtype)
    if dtype is not None and not isinstance(dtype, torch.dtype):
        raise ConfigError(f"dtype is {dtype!r}: it must be a torch dtype, like 'float32' or 'bfloat16'")
    path = None if hasattr(model, "forward") else str(model)
    if tokenizer is None and path is None:
        raise ConfigError("tokenizer is missing: a loaded model needs TransformersPolicy(model, tokenizer)")
    if tokenizer is None or not hasattr(tokenizer, "decode"):
        tokenizer = _from(transformers.AutoTokenizer, path if tokenizer is None else tokenizer)
    if path is not None:
        model = _from(transformers.AutoModelForCausalLM, path, dtype=dtype or "auto")
        model.eval()
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    elif dtype is not None:
        model.to(dtype)
    if device is not None:
        model.to(device)
    return model, tokenizer


def _from(kind: Any, path: Any, **options: Any) -> Any:
    try:
        return kind.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ConfigError(f"{str(path)!r} cannot be loaded: {reason}") from error


def context_length_of(model: Any) -> int | None:
    """Most tokens that the model's config allows, or None where it does not say."""
    config = model.config.get_text_config(decoder=True)
    length = getattr(config, "max_position_embeddings", None)
    return length if isinstance(length, int) and length > 0 else None


def template_of(template: Any, tokenizer: Any) -> ChatTemplate | None:
    """The template that was given, or the tokenizer's own, or None where it has none."""
    if template is None and not getattr(tokenizer, "chat_template", None):
        return None
    return ChatTemplate.of(tokenizer if template is None else template)


def end_ids_of(model: Any, tokenizer: Any, template: ChatTemplate | None) -> frozenset[int]:
    """The ids that end a completion, by generation config, tokenizer and chat template together."""
    stated = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    several = list(stated) if isinstance(stated, list | tuple) else [stated]
    several += [tokenizer.eos_token_id, *(template.stop_ids if template is not None else ())]
    return frozenset(int(token) for token in several if token is not None)
