"""What do batches and kept prefixes buy when a local model is sampled from?

Sampled tokens per CPU second of one core, on a small random Llama: one request at a time, batches, and
``model.generate`` over one padded batch for comparison; then conversations of several turns with and without
the caches of earlier turns. Medians.

    python benchmarks/local_decoding.py [--repeats 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers

from textgym.policies import TransformersPolicy
from textgym.types import Sampling

VOCABULARY = 8192
REQUESTS = 32
PROMPT = 64
NEW = 48
TURNS = 8


class Numbers:
    """As much of a tokenizer as the policy needs here."""

    eos_token_id = None
    chat_template = None

    def decode(self, ids: list[int], **options: Any) -> str:
        """Some text."""
        return " ".join(map(str, ids))


def prompt(length: int, seed: int) -> list[int]:
    return torch.randint(VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


def one_turn(model: Any, max_batch: int) -> int:
    with TransformersPolicy(model, Numbers(), max_batch=max_batch, prefix_cache=0) as policy:
        futures = [
            policy.submit(prompt(PROMPT, seed), Sampling(max_tokens=NEW), seed=seed)
            for seed in range(REQUESTS)
        ]
        return sum(len(future.result().ids) for future in futures)


def by_generate(model: Any) -> int:
    ids = torch.tensor([prompt(PROMPT, seed) for seed in range(REQUESTS)])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        top_k=0,
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=0,
    )
    torch.stack(out.logits, 1).float().log_softmax(-1)
    return REQUESTS * NEW


def several_turns(model: Any, prefix_cache: int) -> int:
    conversations = [prompt(PROMPT, seed) for seed in range(REQUESTS)]
    sampled = 0
    with TransformersPolicy(model, Numbers(), prefix_cache=prefix_cache) as policy:
        for turn in range(TURNS):
            futures = [policy.submit(ids, Sampling(max_tokens=NEW), seed=turn) for ids in conversations]
            for ids, future in zip(conversations, futures, strict=True):
                ids += [*future.result().ids, *prompt(16, turn)]
                sampled += NEW
    return sampled


def rate(work: Callable[[], int]) -> float:
    """Sampled tokens per CPU second."""
    began = time.process_time()
    return work() / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=4096,
        eos_token_id=None,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    works: dict[str, Callable[[], int]] = {
        "one at a time": lambda: one_turn(model, 1),
        f"batches of {REQUESTS}": lambda: one_turn(model, REQUESTS),
        "model.generate": lambda: by_generate(model),
        f"{TURNS} turns, nothing kept": lambda: several_turns(model, 0),
        f"{TURNS} turns, prefixes kept": lambda: several_turns(model, 2**30),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.repeats):
        for name, work in works.items():
            rates[name].append(rate(work))
    table = {name: statistics.median(values) for name, values in rates.items()}
    alone = table["one at a time"]
    for name, value in table.items():
        print(f"{name:26} {value:8.0f} tokens per CPU second, {value / alone:5.2f} x one at a time")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main()
