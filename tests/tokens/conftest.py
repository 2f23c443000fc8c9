"""Small real tokenizers, trained here: nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

CORPUS = [
    "You are a helpful assistant. What is the capital of France? The capital of France is Paris.\n",
    '<tool_call>\n{"name": "search", "arguments": {"query": "weather in Paris"}}\n</tool_call>\n',
    "user assistant system tool hello world this is the answer and that was the question\n",
] * 20

MARKER = re.compile(
    r"<\|[^<>|\s]+\|>|<｜[^<>\s]+｜>|<\|[a-z_\"]+>|<[a-z_]+\|>|</?s>|\[/?INST\]"
    r"|</?(?:think|tool_call|tools|tool_response|start_of_turn|end_of_turn|end_of_utterance|arg_key|arg_value)>"
)
"""How templates write their special tokens."""

MakeTokenizer = Callable[[str], Any]


@pytest.fixture(scope="session")
def make_tokenizer() -> MakeTokenizer:
    """A function from a chat template to a byte-level BPE tokenizer that knows its special tokens."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    base = tokenizers.Tokenizer(tokenizers.models.BPE())
    base.pre_tokenizer = byte_level(add_prefix_space=False)
    base.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    base.train_from_iterator(CORPUS, trainer)
    plain = base.to_str()

    def make(chat_template: str) -> Any:
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizers.Tokenizer.from_str(plain),
            bos_token="<bos>",
            eos_token="<eos>",
            pad_token="<pad>",
            chat_template=chat_template,
            clean_up_tokenization_spaces=False,
        )
        tokenizer.add_tokens(sorted(set(MARKER.findall(chat_template))), special_tokens=True)
        return tokenizer

    return make
