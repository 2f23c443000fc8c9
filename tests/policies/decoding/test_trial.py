"""The trial at construction: models that would be sampled from wrongly are refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from textgym.errors import ConfigError
from textgym.policies import TransformersPolicy

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent))

from tiny_models import ARCHITECTURES, NumberTokenizer, tiny_model  # noqa: E402

COMMON = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ODD = {
    "mamba": {"state_size": 4},
    "mamba2": {"state_size": 4, "num_heads": 8, "head_dim": 8, "n_groups": 1},
    "falcon_mamba": {"state_size": 4},
    "rwkv": {"attention_hidden_size": 32, "context_length": 256},
    "roberta": {"is_decoder": True},
}


def odd_model(kind: str, dtype: Any = None) -> Any:
    config = transformers.AutoConfig.for_model(kind, **COMMON, **ODD[kind])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype or torch.float32).eval()


@pytest.mark.parametrize("kind", ODD)
def test_models_that_do_not_read_what_they_are_given_are_refused(kind: str) -> None:
    """With their own initial weights, whose predictions are nearly even: the hardest case to tell."""
    model = odd_model(kind)
    with pytest.raises(ConfigError, match=type(model).__name__):
        TransformersPolicy(model, NumberTokenizer())


@pytest.mark.parametrize("kind", ["mamba", "roberta"])
def test_they_are_refused_in_short_numbers_too(kind: str) -> None:
    model = odd_model(kind, torch.bfloat16)
    for weights in model.parameters():
        if weights.dim() > 1:
            weights.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ConfigError, match=r"full pass|cannot be run"):
        TransformersPolicy(model, NumberTokenizer())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_models_that_do_pass_in_any_precision(architecture: str, dtype: str) -> None:
    model = tiny_model(architecture).train()
    TransformersPolicy(model, NumberTokenizer(), dtype=dtype).close()
    assert all(module.training for module in model.modules())


def test_weights_that_are_no_numbers_yet_do_not_stand_in_the_way() -> None:
    model = tiny_model("llama")
    model.get_output_embeddings().weight.data.fill_(float("nan"))
    TransformersPolicy(model, NumberTokenizer()).close()


def test_a_model_that_cannot_be_called_so_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")

    def broken(**inputs: Any) -> Any:
        raise TypeError("unexpected position_ids")

    monkeypatch.setattr(model, "forward", broken)
    with pytest.raises(ConfigError, match="LlamaForCausalLM cannot be run .*unexpected position_ids"):
        TransformersPolicy(model, NumberTokenizer())
