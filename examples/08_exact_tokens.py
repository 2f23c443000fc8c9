"""Exact tokens: what the model was shown and what it sampled, id by id, ready for a trainer."""

import textgym
from textgym.testing import MockModelServer
from textgym.testing.toy_tokenizer import ToyTokenizer

# A real run takes a model server that tells token ids (vLLM, SGLang, `textgym serve-model PATH`) and the
# model's own tokenizer: transformers.AutoTokenizer.from_pretrained("…").
with MockModelServer(answer=["<guess>50</guess>", "<guess>60</guess>"]) as server:
    run = textgym.rollout(
        "textgym/GuessNumber-v0",
        textgym.OpenAIPolicy("any", base_url=server.base_url),
        num_examples=2,
        group_size=2,
        env_kwargs={"max_turns": 2},
        tokenizer=ToyTokenizer(),
    )
for trajectory in run:
    for row in textgym.token_rows(trajectory):  # checked: a bad record is refused and the field named
        print(
            f"{len(row.prompt_ids)} prompt ids, {len(row.completion_ids)} completion ids of which "
            f"{int(row.mask.sum())} were sampled, mean log-probability {row.logprobs[row.mask == 1].mean():.2f}"
        )
