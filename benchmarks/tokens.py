"""What do exact tokens cost, next to rendering and encoding the whole conversation at every turn?

Plays conversations of several lengths: each turn a user message comes, the prompt of ids is made and an answer
of random ids is sampled. Once with ``ChatTemplate`` and ``TokenStream`` (render once, then bridge), once as
most loops do it (``apply_chat_template`` over all messages, then encode). CPU time of one thread, alternating
repeats, medians. The tokenizer is a byte-level BPE trained here; the template is ChatML's. In half of the answers
one token is sampled as two, as models do now and then; also counted is how many answers come out as other ids
when their text is encoded again.

    python benchmarks/tokens.py [--turns 8 32 128] [--vocabulary 8000] [--repeats 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from textgym.tokens import ChatTemplate, TokenStream

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ANSWER_TOKENS = 300
MESSAGE_WORDS = 110


def a_tokenizer(vocabulary: int, words: list[str]) -> Any:
    """A byte-level BPE tokenizer with ChatML's template."""
    rng = random.Random(0)
    lines = [" ".join(rng.choices(words, k=40)) for _ in range(3000)]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    bare.train_from_iterator(lines, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<|im_end|>", chat_template=CHATML)
    tokenizer.add_tokens(["<|im_start|>"], special_tokens=True)
    return tokenizer


def some_words(number: int) -> list[str]:
    """Made-up words."""
    rng = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(number)]


class Script:
    """What is said, the same for both ways."""

    def __init__(self, tokenizer: Any, words: list[str], turns: int, canonical: float) -> None:
        rng = random.Random(turns)
        self.questions = [" ".join(rng.choices(words, k=MESSAGE_WORDS)) for _ in range(turns)]
        self.answers: list[list[int]] = []
        for _ in range(turns):
            ids = tokenizer.encode(" ".join(rng.choices(words, k=MESSAGE_WORDS)), add_special_tokens=False)
            ids = ids[:ANSWER_TOKENS]
            if rng.random() >= canonical:  # one merge that training text would not have taken
                ids = split_one(tokenizer, ids, rng)
            self.answers.append([*ids, tokenizer.eos_token_id])
        self.texts = [tokenizer.decode(answer, skip_special_tokens=True) for answer in self.answers]


def split_one(tokenizer: Any, ids: list[int], rng: random.Random) -> list[int]:
    """The same text with one token replaced by two, as a sampler may well do."""
    for at in rng.sample(range(len(ids)), len(ids)):
        token = tokenizer.convert_ids_to_tokens(ids[at])
        if len(token) < 2:
            continue
        halves = tokenizer.convert_tokens_to_ids([token[:1], token[1:]])
        if None not in halves:
            return [*ids[:at], *halves, *ids[at + 1 :]]
    return ids


def by_bridge(template: ChatTemplate, script: Script) -> TokenStream:
    """Render once, then append; the prompt of each turn is one array of ids."""
    stream = TokenStream()
    for turn, (question, answer) in enumerate(zip(script.questions, script.answers, strict=True)):
        new = [{"role": "user", "content": question}]
        if turn == 0:
            prompt = template.initial(new)
        else:
            more = template.bridge(stream.segment_ids, new, sampled=len(script.answers[turn - 1]))
            prompt = np.concatenate((stream.segment_ids, more))
        stream.observe(prompt, answer, asked=prompt)
    return stream


def by_rendering(tokenizer: Any, script: Script) -> list[int]:
    """Render and encode the whole conversation at every turn."""
    messages: list[dict[str, str]] = []
    prompt: list[int] = []
    for question, text in zip(script.questions, script.texts, strict=True):
        messages.append({"role": "user", "content": question})
        whole = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        prompt = tokenizer.encode(whole, add_special_tokens=False)
        messages.append({"role": "assistant", "content": text})
    return prompt


def cpu(play: Any, *arguments: Any) -> float:
    """CPU seconds of one conversation, in this thread."""
    began = time.thread_time()
    play(*arguments)
    return time.thread_time() - began


def drifted(tokenizer: Any, script: Script) -> int:
    """Answers whose text does not encode back to what was sampled."""
    again = [tokenizer.encode(text, add_special_tokens=False) for text in script.texts]
    return sum(ids != answer[:-1] for ids, answer in zip(again, script.answers, strict=True))


def measure(tokenizer: Any, words: list[str], turns: int, repeats: int) -> dict[str, float]:
    template = ChatTemplate(tokenizer)
    script = Script(tokenizer, words, turns, canonical=0.5)
    by_bridge(template, script)
    bridged, rendered = [], []
    for _ in range(repeats):
        bridged.append(cpu(by_bridge, template, script))
        rendered.append(cpu(by_rendering, tokenizer, script))
    ratio = statistics.median(r / b for r, b in zip(rendered, bridged, strict=True))
    return {
        "tokens": len(by_bridge(template, script)),
        "bridge_ms": statistics.median(bridged) * 1e3,
        "rendering_ms": statistics.median(rendered) * 1e3,
        "ratio": ratio,
        "drifted": drifted(tokenizer, script),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    words = some_words(4000)
    tokenizer = a_tokenizer(options.vocabulary, words)
    table: dict[str, Any] = {}
    for turns in options.turns:
        row = table[str(turns)] = measure(tokenizer, words, turns, options.repeats)
        print(
            f"{turns} turns, {row['tokens']} tokens: bridge {row['bridge_ms']:.1f} ms CPU, whole rendering "
            f"{row['rendering_ms']:.1f} ms, ratio {row['ratio']:.0f} (median of {options.repeats}); "
            f"re-encoding changes {row['drifted']} of {turns} answers"
        )
    if {"32", "128"} <= table.keys():
        table["growth"] = table["128"]["bridge_ms"] / table["32"]["bridge_ms"]
        print(f"bridge at 128 turns / at 32 turns: {table['growth']:.2f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=2)


if __name__ == "__main__":
    main()
