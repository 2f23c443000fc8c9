"""A language model of 138,000 random parameters, saved for any server of Transformers models.

Invariant: `build` fetches nothing and gives the same weights, tokenizer and chat template wherever
the library versions are the same. Its answers are noise: it proves the path, not a policy.

    python tests/interop/tiny_llama.py FOLDER
"""

from __future__ import annotations

import argparse
import string
from pathlib import Path

ROLES = ("system", "user", "assistant", "tool")
END = "<|end|>"
PAD = "<|pad|>"
UNKNOWN = "<|unk|>"
CONTEXT = 2048
SEED = 0

# The end token is inside the generation block, or a trainer that masks by it never trains stopping.
CHAT_TEMPLATE = """\
{%- if tools %}{{ '<|system|>' + (tools | tojson) + '<|end|>' }}{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
{{- '<|assistant|>' -}}
{%- generation -%}
{{- message.content or '' -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>' + ((call.function or call) | tojson) + '</tool_call>' -}}
{%- endfor -%}
{{- '<|end|>' -}}
{%- endgeneration -%}
{%- elif message.role in ('system', 'user', 'tool') -%}
{{- '<|' + message.role + '|>' + (message.content or '') + '<|end|>' -}}
{%- else -%}
{{- raise_exception('unknown role: ' + message.role) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif -%}
"""


def build(path: str | Path) -> Path:
    """Write the model, its tokenizer, its chat template and its generation defaults to a folder.

    Args:
        path: The folder; made if missing, files of the same names are overwritten.

    Returns:
        The folder, as an absolute path: servers name the model by it.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models
    from transformers import (
        GenerationConfig,
        LlamaConfig,
        LlamaForCausalLM,
        PreTrainedTokenizerFast,
    )

    folder = Path(path).resolve()
    specials = [PAD, END, UNKNOWN, *(f"<|{role}|>" for role in ROLES)]
    characters = ["\n", *(c for c in string.printable if c.isprintable())]
    vocabulary = {token: index for index, token in enumerate([*specials, *characters])}

    # Byte pairs without a single merge are characters; Fuse joins them again without spaces.
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        extra_special_tokens=[f"<|{role}|>" for role in ROLES],
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE

    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = LlamaForCausalLM(config)
    # Servers read do_sample from here: without it `transformers serve` decodes greedily at any
    # temperature, and a group's members are all the same.
    model.generation_config = GenerationConfig(
        max_new_tokens=16,
        do_sample=True,
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def main() -> None:
    """Build into the folder named on the command line and print its path, the model's name."""
    parser = argparse.ArgumentParser(description="Save a tiny random Llama for interop tests.")
    parser.add_argument("folder", type=Path)
    print(build(parser.parse_args().folder))


if __name__ == "__main__":
    main()
