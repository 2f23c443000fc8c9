"""Exactness over real tokenizers: whatever was sampled stays, id by id, and nothing is encoded twice."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgym.errors import ConfigError
from textgym.tokens import ChatTemplate, TokenStream

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_LIKE = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }} "
    "[/INST]{% else %} {{ message.content }} </s>{% endif %}{% endfor %}"
)
FIRST_USER = {"role": "user", "content": "What is the capital of France?"}
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
quick = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tokenizer(make_tokenizer: Any) -> Any:
    return make_tokenizer(CHATML)


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def marker(tokenizer: Any, text: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(text))


@quick
@given(data=st.data())
def test_the_stream_is_the_prompt_the_samples_and_the_context(tokenizer: Any, data: Any) -> None:
    template, stream = ChatTemplate(tokenizer), TokenStream()
    ends = [[], [marker(tokenizer, "<|im_end|>")], [marker(tokenizer, "<eos>")]]
    pieces: list[tuple[int, list[int]]] = []
    turns = data.draw(st.integers(1, 5))
    for turn in range(turns):
        new = [user(data.draw(TEXT))]
        sampled = len(pieces[-1][1]) if pieces else 0
        if turn == 0:
            context = template.initial(new)
        else:
            context = template.bridge(stream.segment_ids, new, sampled=sampled)
        asked = np.concatenate((stream.segment_ids, context))
        ids = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=12)) + data.draw(
            st.sampled_from(ends)
        )
        stream.observe(asked, ids, [-0.5] * len(ids), asked=asked)
        pieces += [(0, context.tolist()), (1, ids)]
    assert stream.ids.tolist() == [number for _, ids in pieces for number in ids]
    assert stream.mask.tolist() == [mask for mask, ids in pieces for _ in ids]
    assert (stream.forks, stream.drifts, len(stream.segments)) == (0, 0, 1)
    assert stream.logprobs.tolist() == [-0.5 * mask for mask, ids in pieces for _ in ids]


@quick
@given(
    words=st.lists(st.sampled_from(["the", " capital", " of France", "é", "\n", "<|im_start|>"]), max_size=9)
)
def test_what_the_tokenizer_itself_would_sample_gives_the_whole_rendering(
    tokenizer: Any, words: list[str]
) -> None:
    template = ChatTemplate(tokenizer)
    answer, question = "".join(words), user("And of Spain?")
    ids = template.initial([FIRST_USER]).tolist()
    ids += tokenizer.encode(answer + "<|im_end|>", add_special_tokens=False)
    ids += template.bridge(ids, [question]).tolist()
    whole = template.initial([FIRST_USER, {"role": "assistant", "content": answer}, question])
    assert tokenizer.decode(ids) == tokenizer.decode(whole.tolist())


def test_encoding_the_text_again_would_have_changed_most_samples(tokenizer: Any) -> None:
    """Random ids, and words of which one merge is not the canonical one: how often the text tells the ids."""
    rng = np.random.default_rng(0)
    ordinary = len(tokenizer) - len(tokenizer.added_tokens_decoder)
    lost = 0
    for _ in range(200):
        ids = rng.integers(0, ordinary, 30).tolist()
        lost += tokenizer.encode(tokenizer.decode(ids), add_special_tokens=False) != ids
    assert lost > 150
    text = tokenizer.encode("What is the capital of France? The capital of France is Paris.")
    split = 0
    for at, number in enumerate(text):
        token = tokenizer.convert_ids_to_tokens(number)
        halves = tokenizer.convert_tokens_to_ids([token[:1], token[1:]]) if len(token) > 1 else [None]
        if None in halves:
            continue
        ids = [*text[:at], *halves, *text[at + 1 :]]
        assert tokenizer.decode(ids) == tokenizer.decode(text)
        split += tokenizer.encode(tokenizer.decode(ids)) != ids
    assert split >= 4


@quick
@given(data=st.data())
def test_a_stream_is_stored_bit_for_bit(data: Any) -> None:
    floats = st.floats(-(2.0**127), 0, width=32, allow_subnormal=True).filter(lambda x: x != -9999.0)
    stream = TokenStream()
    for _ in range(data.draw(st.integers(0, 3))):
        logprobs = data.draw(st.lists(st.one_of(floats, st.sampled_from([-0.0, 0.0, -1e-45])), max_size=9))
        ids = data.draw(st.lists(st.integers(0, 2**31 - 1), min_size=len(logprobs), max_size=len(logprobs)))
        stream.observe([*stream.segment_ids.tolist(), data.draw(st.integers(0, 9))], ids, logprobs)
    twin = TokenStream.from_dict(stream.to_dict())
    assert twin == stream
    for name in ("ids", "mask", "logprobs"):
        assert getattr(twin, name).tobytes() == getattr(stream, name).tobytes()


def test_a_tokenizers_tokenizer(tokenizer: Any) -> None:
    import tokenizers

    bare = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    template = ChatTemplate(bare, chat_template=CHATML)
    expected = ChatTemplate(tokenizer)
    assert template.initial([FIRST_USER]).tolist() == expected.initial([FIRST_USER]).tolist()
    assert template.bridge([1], [FIRST_USER]).tolist() == expected.bridge([1], [FIRST_USER]).tolist()
    with pytest.raises(ConfigError, match="give chat_template"):
        ChatTemplate(bare)
    with pytest.raises(ConfigError, match="has no chat template"):
        ChatTemplate(type(tokenizer)(tokenizer_object=bare))


def test_template_variables_and_a_template_of_ones_own(tokenizer: Any) -> None:
    shown = "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}{{ ending }}"
    template = ChatTemplate(tokenizer, chat_template=shown, template_kwargs={"ending": "Paris"})
    assert tokenizer.decode(template.initial([user("a")]).tolist()) == "a<|im_end|>Paris"
    assert tokenizer.decode(template.bridge([1], [user("b")]).tolist()) == "<|im_end|>b<|im_end|>Paris"
    other = ChatTemplate(tokenizer).describe()
    assert template.describe()["chat_template"] != other["chat_template"]
    assert template.describe()["template_kwargs"] == {"ending": "Paris"}


@pytest.fixture(scope="module")
def llama_like() -> Any:
    """A tokenizer that puts a space in front of a text, as those of Llama 2 and Mistral do."""
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    alphabet = [*"▁abcdefghijklmnopqrstuvwxyz[]INST/?.", "<unk>"]
    vocabulary = {token: number for number, token in enumerate(alphabet)}
    bare = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    bare.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    bare.decoder = tokenizers.decoders.Metaspace(prepend_scheme="first", split=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        chat_template=LLAMA_LIKE,
        clean_up_tokenization_spaces=False,
    )


@pytest.mark.parametrize("stop", [True, False])
def test_no_space_is_put_in_front_of_what_follows(llama_like: Any, stop: bool) -> None:
    template = ChatTemplate(llama_like)
    assert (
        llama_like.encode("a", add_special_tokens=False)
        != llama_like.encode("<s>a", add_special_tokens=False)[1:]
    )
    conversation = [user("q"), {"role": "assistant", "content": "yes"}, user("r")]
    whole = template.initial(conversation).tolist()
    prompt = template.initial(conversation[:1]).tolist()
    close = llama_like.eos_token_id
    if stop:  # the model writes its stop token without the space that the template puts before it
        sampled = [*llama_like.encode("<s> yes", add_special_tokens=False)[1:], close]
    else:
        sampled = llama_like.encode("<s> yes", add_special_tokens=False)[1:]
    got = [*prompt, *sampled, *template.bridge([*prompt, *sampled], conversation[2:]).tolist()]
    if stop:
        space = llama_like.convert_tokens_to_ids("▁")
        at = whole.index(close)
        assert whole[at - 1] == space
        del whole[at - 1]
    assert got == whole
    assert (
        template.encode("a", after=True).tolist() == llama_like.encode("<s>a", add_special_tokens=False)[1:]
    )


def test_others_may_use_the_tokenizer_meanwhile(tokenizer: Any) -> None:
    """Somebody else's truncation and padding neither cut nor fill what is encoded here."""
    template = ChatTemplate(tokenizer)
    message = user("What is the capital of France? " * 20)
    expected = template.initial([message]).tolist()
    tokenizer(["a b c", "d"], truncation=True, max_length=2, padding="max_length")
    assert template.initial([message]).tolist() == expected
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        others = [ChatTemplate(tokenizer) for _ in range(4)]
        jobs = [pool.submit(others[n % 4].bridge, [1], [user("word " * n)]) for n in range(200)]
        texts = [tokenizer.decode(job.result().tolist()) for job in jobs]
    for n, text in enumerate(texts):
        assert text == f"<|im_end|>\n<|im_start|>user\n{'word ' * n}<|im_end|>\n<|im_start|>assistant\n"
