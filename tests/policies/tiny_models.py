"""Tiny random language models of several families, for tests of whatever runs one."""

from __future__ import annotations

from typing import Any

ARCHITECTURES = ("llama", "gemma3", "gpt2", "qwen3_next")
"""Full attention; sliding windows next to full attention; learned absolute positions; linear attention."""

WINDOW = 8
CONTEXT = 256


def tiny_model(architecture: str, vocabulary: int = 64, seed: int = 0, **overrides: Any) -> Any:
    """A model of some ten thousand random weights, wide enough spread that its distributions are peaked."""
    import torch
    import transformers

    common = {
        "vocab_size": vocabulary,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        **overrides,
    }
    decoder = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": CONTEXT,
        **common,
    }
    if architecture == "llama":
        config = transformers.LlamaConfig(**decoder)
    elif architecture == "gemma3":
        layers = ["sliding_attention", "full_attention"]
        config = transformers.Gemma3TextConfig(**decoder, sliding_window=WINDOW, layer_types=layers)
    elif architecture == "gpt2":
        config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT, **common)
    else:
        config = transformers.Qwen3NextConfig(
            **decoder,
            layer_types=["linear_attention", "full_attention"],
            linear_num_key_heads=2,
            linear_num_value_heads=2,
            linear_key_head_dim=8,
            linear_value_head_dim=8,
            num_experts=0,
            num_experts_per_tok=1,
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config)
    return model.eval()


class NumberTokenizer:
    """Every id is one letter; no chat template. As much of a tokenizer as ``TransformersPolicy`` uses."""

    eos_token_id: int | None = None
    chat_template: str | None = None

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) - 48 for letter in text]}

    def decode(self, ids: list[int], **options: Any) -> str:
        return "".join(chr(48 + token) for token in ids)
