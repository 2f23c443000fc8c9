"""Ropes that change with length: a row's tokens are those of the model alone, whoever shares its batch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textgym.errors import ConfigError
from textgym.policies import TransformersPolicy
from textgym.types import Sampling

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent))

from tiny_models import NumberTokenizer, tiny_model  # noqa: E402

SWITCH = 16


def longrope_model() -> Any:
    rope = {
        "rope_type": "longrope",
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "rope_theta": 10000.0,
        "original_max_position_embeddings": SWITCH,
        "partial_rotary_factor": 1.0,
    }
    config = transformers.Phi3Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        original_max_position_embeddings=SWITCH,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        rope_parameters=rope,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).eval()


def dynamic_model() -> Any:
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    return tiny_model("llama", max_position_embeddings=SWITCH, rope_parameters=rope)


def own_logprobs(model: Any, ids: list[int], sampled: Any) -> np.ndarray:
    """Of each token after everything in front of it, one full pass a token."""
    values = []
    row = list(ids)
    for token in sampled:
        with torch.no_grad():
            logits = model(torch.tensor([row])).logits[0, -1].double()
        values.append(float(logits.log_softmax(-1)[token]))
        row.append(token)
    return np.array(values)


def test_a_longer_row_in_the_batch_changes_nothing_and_a_row_may_cross_the_switch() -> None:
    prompts = [[3, 4, 5], [7] * 20, [9, 8, 7], list(range(3, 15)), [11]]
    sampling = Sampling(max_tokens=9)
    with TransformersPolicy(longrope_model(), NumberTokenizer()) as policy:
        alone = [policy.submit(ids, sampling, seed=place).result(30).ids for place, ids in enumerate(prompts)]
        with policy.updating():  # all wait, so that they are decoded together
            futures = [policy.submit(ids, sampling, seed=place) for place, ids in enumerate(prompts)]
        together = [future.result(30) for future in futures]
        assert [sampled.ids for sampled in together] == alone
        assert len(prompts[3]) < SWITCH < len(prompts[3]) + 9
        for ids, sampled in zip(prompts, together, strict=True):
            wanted = own_logprobs(policy.model, ids, sampled.ids)
            assert np.abs(np.array(sampled.logprobs) - wanted).max() < 1e-4


def test_rows_that_stay_below_the_switch_share_batches_freely() -> None:
    with TransformersPolicy(longrope_model(), NumberTokenizer(), max_context=SWITCH) as policy:
        futures = [policy.submit([5] * (2 + place), Sampling(max_tokens=6), seed=place) for place in range(4)]
        for place, future in enumerate(futures):
            sampled = future.result(30)
            wanted = own_logprobs(policy.model, [5] * (2 + place), sampled.ids)
            assert np.abs(np.array(sampled.logprobs) - wanted).max() < 1e-4
        assert not policy._decoder.forward.rigid


def test_a_dynamic_rope_is_refused_where_it_would_stretch() -> None:
    with pytest.raises(ConfigError, match=f"'dynamic' rope.*max_context to at most {SWITCH}"):
        TransformersPolicy(dynamic_model(), NumberTokenizer(), max_context=4 * SWITCH)
    with TransformersPolicy(dynamic_model(), NumberTokenizer()) as policy:
        assert policy.context_length == SWITCH
        sampled = policy.submit([3, 4], Sampling(max_tokens=8), seed=0).result(30)
        wanted = own_logprobs(policy.model, [3, 4], sampled.ids)
        assert np.abs(np.array(sampled.logprobs) - wanted).max() < 1e-4
