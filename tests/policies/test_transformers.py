"""TransformersPolicy against the model itself: one full forward pass is the reference for everything."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textgym
from textgym.errors import ConfigError, ContextOverflow, PolicyError
from textgym.policies import TransformersPolicy
from textgym.types import CompletionRequest, FinishReason, Sampling

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

from tiny_models import ARCHITECTURES, CONTEXT, NumberTokenizer, tiny_model  # noqa: E402

TOLERANCE = 1e-4
VOCABULARY = 64


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(architecture: str = "llama", **options: Any) -> TransformersPolicy:
    return TransformersPolicy(tiny_model(architecture), NumberTokenizer(), **options)


def prompt(length: int, seed: int = 0) -> list[int]:
    return np.random.default_rng([seed, length]).integers(VOCABULARY, size=length).tolist()


def ids_of(policy: TransformersPolicy, ids: list[int], seed: int = 0, **sampling: Any) -> tuple[int, ...]:
    sampling.setdefault("max_tokens", 12)
    return policy.submit(ids, Sampling(**sampling), seed=seed).result(30).ids


def reference(model: Any, ids: list[int], sampled: Any, **sampling: Any) -> np.ndarray:
    """Log-probabilities of ``sampled`` after ``ids``, from one forward pass and float64 arithmetic."""
    with torch.no_grad():
        logits = model(torch.tensor([[*ids, *sampled]])).logits[0, len(ids) - 1 : -1].double().numpy()
    temperature = sampling.get("temperature", 1.0) or 1.0
    weights = np.exp(logits / temperature - (logits / temperature).max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    for row in weights:
        ranked = np.argsort(-row, kind="stable")
        if "top_k" in sampling:
            row[ranked[sampling["top_k"] :]] = 0.0
        row /= row.sum()
        before = np.cumsum(row[ranked]) - row[ranked]
        row[ranked[before >= sampling.get("top_p", 1.0)]] = 0.0
        row[row < sampling.get("min_p", 0.0) * row.max()] = 0.0
        row /= row.sum()
    return np.log([row[token] for row, token in zip(weights, sampled, strict=True)])


# ---------------------------------------------------------------------- exactness


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logprobs_are_those_of_one_full_forward_pass(architecture: str) -> None:
    with make(architecture) as policy:
        prompts = [prompt(length) for length in (1, 3, 3, 7, 20, 33)]
        futures = [
            policy.submit(ids, Sampling(max_tokens=24), seed=place) for place, ids in enumerate(prompts)
        ]
        for ids, future in zip(prompts, futures, strict=True):
            sampled = future.result(30)
            wanted = reference(policy.model, ids, sampled.ids)
            assert np.abs(np.array(sampled.logprobs) - wanted).max() < TOLERANCE


@pytest.mark.parametrize(
    "sampling",
    [
        {"temperature": 0.5},
        {"temperature": 2.0, "top_p": 0.7},
        {"top_p": 0.3},
        {"top_k": 3},
        {"temperature": 1.5, "top_k": 9, "top_p": 0.8, "min_p": 0.1},
        {"temperature": 0.0},
    ],
)
def test_logprobs_are_of_the_distribution_that_was_drawn_from(sampling: dict[str, float]) -> None:
    extra = {name: sampling[name] for name in ("top_k", "min_p") if name in sampling}
    plain = {name: value for name, value in sampling.items() if name not in extra}
    with make() as policy:
        futures = [
            policy.submit(prompt(5), Sampling(max_tokens=20, extra=extra, **plain), seed=seed)
            for seed in range(8)
        ]
        for future in futures:
            sampled = future.result(30)
            wanted = reference(policy.model, prompt(5), sampled.ids, **sampling)
            assert np.abs(np.array(sampled.logprobs) - wanted).max() < TOLERANCE


def test_draws_follow_the_probabilities() -> None:
    draws = 3000
    with make(max_batch=256) as policy:
        futures = [
            policy.submit(prompt(4), Sampling(max_tokens=1, top_p=0.9), seed=seed) for seed in range(draws)
        ]
        drawn = np.bincount([future.result(60).ids[0] for future in futures], minlength=VOCABULARY)
        with torch.no_grad():
            logits = policy.model(torch.tensor([prompt(4)])).logits[0, -1].double()
    row = logits.softmax(-1).numpy()
    ranked = np.argsort(-row)
    row[ranked[np.cumsum(row[ranked]) - row[ranked] >= 0.9]] = 0.0
    row /= row.sum()
    assert drawn[row == 0.0].sum() == 0
    expected = row[row > 0] * draws
    chi_square = ((drawn[row > 0] - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    assert freedom >= 4
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)  # the seeds are fixed: this never flickers


def test_greedy_takes_the_most_likely_token_each_time() -> None:
    with make() as policy:
        sampled = ids_of(policy, prompt(6), temperature=0.0)
        ids = prompt(6)
        for token in sampled:
            with torch.no_grad():
                assert token == int(policy.model(torch.tensor([ids])).logits[0, -1].argmax())
            ids.append(token)


# ---------------------------------------------------------------------- independence


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_who_shares_the_batch_changes_no_id(architecture: str) -> None:
    requests = [(prompt(1 + 5 * place % 23, place), place % 7, 3 + place % 11) for place in range(24)]
    outcomes = []
    for options in ({"max_batch": 1, "prefix_cache": 0}, {"max_batch": 5}, {"max_batch": 64}):
        with make(architecture, **options) as policy:
            futures = [
                policy.submit(ids, Sampling(max_tokens=length), seed=seed) for ids, seed, length in requests
            ]
            outcomes.append([future.result(60).ids for future in futures])
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(set(outcomes[0])) > 20


def test_requests_that_join_in_the_middle_change_no_id() -> None:
    with make() as policy:
        alone = [ids_of(policy, prompt(4, seed), seed, max_tokens=30 - seed) for seed in range(8)]
    with make() as policy:
        later: list[Any] = []

        def join(token: Any) -> None:
            if len(later) < 7:  # one more with every token of the first completion
                seed = len(later) + 1
                later.append(policy.submit(prompt(4, seed), Sampling(max_tokens=30 - seed), seed=seed))

        first = policy.submit(prompt(4), Sampling(max_tokens=30), seed=0, on_token=join)
        together = [first.result(30).ids, *(future.result(30).ids for future in later)]
    assert together == alone


def test_seeds_decide_the_draw() -> None:
    with make() as policy:
        same = {ids_of(policy, prompt(3), seed=5) for _ in range(3)}
        different = {ids_of(policy, prompt(3), seed=seed) for seed in range(10)}
        unseeded = {policy.submit(prompt(3), Sampling(max_tokens=12)).result(30).ids for _ in range(5)}
    assert len(same) == 1
    assert len(different) == 10
    assert len(unseeded) == 5


def test_seeds_of_any_size_draw_and_other_seeds_are_refused() -> None:
    with make() as policy:
        assert ids_of(policy, prompt(3), seed=2**70 + 5) == ids_of(policy, prompt(3), seed=2**71 + 5)
        assert len(ids_of(policy, prompt(3), seed=-1)) == 12
        with pytest.raises(ConfigError, match="seed is 'x'"):
            ids_of(policy, prompt(3), seed="x")  # type: ignore[arg-type]


def test_threads_and_event_loops_share_one_policy() -> None:
    with make() as policy:
        alone = [ids_of(policy, prompt(4, seed), seed) for seed in range(12)]
        outcomes: dict[int, tuple[int, ...]] = {}

        async def ask(seeds: range) -> None:
            async def one(seed: int) -> None:
                request = CompletionRequest(
                    messages=[], prompt_ids=prompt(4, seed), seed=seed, sampling=Sampling(max_tokens=12)
                )
                outcomes[seed] = tuple((await policy.complete(request)).token_ids.tolist())

            await asyncio.gather(*map(one, seeds))

        threads = [
            threading.Thread(target=lambda part=part: asyncio.run(ask(range(part, 12, 3))))
            for part in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert [outcomes[seed] for seed in range(12)] == alone


# ---------------------------------------------------------------------- prefixes


def test_the_next_turn_reads_only_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    with make() as policy, make(prefix_cache=0) as forgetful:
        read: list[int] = []
        forward = policy.model.forward

        def watched(**inputs: Any) -> Any:
            read.append(inputs["input_ids"].shape[1])
            return forward(**inputs)

        first = ids_of(policy, prompt(30))
        monkeypatch.setattr(policy.model, "forward", watched)
        following = [*prompt(30), *first, *prompt(5, 1)]
        second = ids_of(policy, following, seed=1)
        assert read[0] == 6  # the last sampled token has not been read before
        assert second == ids_of(forgetful, following, seed=1)

        asyncio.run(policy.aclose())
        read.clear()
        assert ids_of(policy, following, seed=1) == second
        assert read[0] == len(following)


def test_rows_with_prefixes_of_different_lengths_stay_exact() -> None:
    with make("gemma3") as policy:
        begun = [(prompt(length, length), ids_of(policy, prompt(length, length))) for length in (3, 9, 21)]
        prompts = [[*ids, *sampled, *prompt(2 + len(ids) % 5, 1)] for ids, sampled in begun]
        futures = [policy.submit(ids, Sampling(max_tokens=20), seed=1) for ids in prompts]
        for ids, future in zip(prompts, futures, strict=True):
            sampled = future.result(30)
            wanted = reference(policy.model, ids, sampled.ids)
            assert np.abs(np.array(sampled.logprobs) - wanted).max() < TOLERANCE


def test_a_group_reads_its_common_prompt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with make() as policy:
        rows: list[int] = []
        forward = policy.model.forward

        def watched(**inputs: Any) -> Any:
            rows.append(inputs["input_ids"].shape[0])
            return forward(**inputs)

        monkeypatch.setattr(policy.model, "forward", watched)
        with policy.updating():  # all of them are waiting when decoding begins
            futures = [policy.submit(prompt(9), Sampling(max_tokens=3), seed=seed) for seed in range(6)]
        outcomes = {future.result(30).ids for future in futures}
        assert rows == [1, 6, 6]
        assert len(outcomes) > 1


# ---------------------------------------------------------------------- endings


def test_end_tokens_stay_in_the_ids() -> None:
    with make() as policy:
        sampled = ids_of(policy, prompt(3), max_tokens=40)
    end = sampled[7]
    place = sampled.index(end)
    tokenizer = NumberTokenizer()
    tokenizer.eos_token_id = end
    model = tiny_model("llama")
    model.generation_config.eos_token_id = [end, 63]
    with TransformersPolicy(model, tokenizer) as policy:
        assert policy.end_ids == {end, 63}
        result = policy.submit(prompt(3), Sampling(max_tokens=40), seed=0).result(30)
        assert result.ids == sampled[: place + 1]
        assert result.finish_reason is FinishReason.STOP
        more = policy.submit(prompt(3), Sampling(max_tokens=40, extra={"ignore_eos": True}), seed=0).result(
            30
        )
        assert more.ids == sampled
        assert more.finish_reason is FinishReason.LENGTH


def test_stop_token_ids_end_a_completion() -> None:
    with make() as policy:
        sampled = ids_of(policy, prompt(3))
        sampling = Sampling(max_tokens=12, extra={"stop_token_ids": [sampled[4]]})
        result = policy.submit(prompt(3), sampling, seed=0).result(30)
        assert result.ids == sampled[: sampled.index(sampled[4]) + 1]
        assert result.stop == sampled[4]


def test_a_stop_string_is_kept_in_the_ids_and_cut_from_the_text() -> None:
    with make() as policy:
        sampled = ids_of(policy, prompt(3), max_tokens=20)
        text = policy.decode(sampled)
        stop = text[9:12]
        request = CompletionRequest(
            messages=[],
            prompt_ids=prompt(3),
            seed=0,
            sampling=Sampling(max_tokens=20, stop=("nowhere", stop)),
        )
        completion = asyncio.run(policy.complete(request))
    end = text.index(stop)
    assert completion.text == text[:end]
    assert tuple(completion.token_ids) == sampled[: end + 3]
    assert len(completion.logprobs) == end + 3
    assert completion.finish_reason is FinishReason.STOP


def test_what_does_not_fit_is_cut() -> None:
    with make(max_context=20) as policy:
        result = policy.submit(prompt(15), Sampling(max_tokens=12), seed=0).result(30)
        assert len(result.ids) == 5
        assert result.finish_reason is FinishReason.LENGTH
        with pytest.raises(ContextOverflow, match="maximum context length is 20 tokens"):
            policy.submit(prompt(20))
    with make() as policy:
        assert policy.context_length == CONTEXT


def test_a_policy_in_a_rollout_is_truncated_at_the_end_of_its_context() -> None:
    with make(max_context=8) as policy:
        run = textgym.rollout(
            textgym.SingleTurnEnv(
                [{"prompt": "0123456789", "answer": ""}], textgym.Rubric(), message_type="completion"
            ),
            policy,
        )
    assert run[0].stop_reason is textgym.StopReason.CONTEXT_TOKENS


# ---------------------------------------------------------------------- weights


def test_an_update_changes_what_is_sampled_and_the_version() -> None:
    other = tiny_model("llama", seed=1)
    with make() as policy:
        before = ids_of(policy, prompt(5))
        assert policy.update(other.state_dict()) == 1
        result = policy.submit(prompt(5), Sampling(max_tokens=12), seed=0).result(30)
        assert result.policy_version == 1
        assert result.ids != before
        wanted = reference(other, prompt(5), result.ids)
        assert np.abs(np.array(result.logprobs) - wanted).max() < TOLERANCE
        assert policy.update(version=17) == policy.policy_version == 17
        with pytest.raises(ConfigError, match=r"no weight 'nose'"):
            policy.update({"nose": torch.zeros(1)})
        assert policy.policy_version == 17


def test_an_update_in_mid_completion_leaves_every_token_exact() -> None:
    old, new = tiny_model("llama"), tiny_model("llama", seed=1)
    tokens = 40
    with make() as policy:
        reached, go_on = threading.Event(), threading.Event()
        seen: list[int] = []

        def watch(token: Any) -> None:
            seen.append(token.id)
            if len(seen) == 10:
                reached.set()
                go_on.wait(30)

        future = policy.submit(prompt(5), Sampling(max_tokens=tokens), seed=0, on_token=watch)
        assert reached.wait(30)
        updater = threading.Thread(target=policy.update, args=(new.state_dict(),))
        updater.start()
        go_on.set()
        updater.join(30)
        result = future.result(30)
    assert result.policy_version == 0
    at_old = np.abs(np.array(result.logprobs) - reference(old, prompt(5), result.ids)) < TOLERANCE
    at_new = np.abs(np.array(result.logprobs) - reference(new, prompt(5), result.ids)) < TOLERANCE
    change = int(np.argmin(at_old))
    assert 10 <= change < tokens
    assert at_old[:change].all()
    assert at_new[change:].all()


def test_a_trainer_may_leave_the_model_in_training_mode() -> None:
    model = tiny_model("gpt2", resid_pdrop=0.5, embd_pdrop=0.5)
    with TransformersPolicy(model, NumberTokenizer()) as policy:
        before = ids_of(policy, prompt(5))
        model.train()
        model.transformer.drop.training = False
        modes = [module.training for module in model.modules()]
        policy.update()
        assert ids_of(policy, prompt(5)) == before
        assert [module.training for module in model.modules()] == modes
        assert not all(modes)


# ---------------------------------------------------------------------- trouble


def test_a_failing_model_fails_its_requests_and_no_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with make() as policy:
        with monkeypatch.context() as patch:

            def broken(**inputs: Any) -> Any:
                raise RuntimeError("out of memory")

            patch.setattr(policy.model, "forward", broken)
            futures = [policy.submit(prompt(3), Sampling(max_tokens=3)) for _ in range(3)]
            for future in futures:
                with pytest.raises(PolicyError, match="out of memory"):
                    future.result(30)
        assert len(ids_of(policy, prompt(3))) == 12


def test_a_tokenizer_that_fails_at_the_end_fails_its_own_completion_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with make() as policy:
        alone = ids_of(policy, prompt(4))
        decode = policy.decode

        def flaky(ids: Any, **options: Any) -> str:
            if len(ids) >= 6:
                raise LookupError("no such piece")
            return decode(ids, **options)

        monkeypatch.setattr(policy, "decode", flaky)
        with policy.updating():
            broken = policy.submit(prompt(3), Sampling(max_tokens=6, stop=("nowhere",)), seed=0)
            mate = policy.submit(prompt(4), Sampling(max_tokens=12), seed=0)
        with pytest.raises(PolicyError, match="LookupError: no such piece") as caught:
            broken.result(30)
        assert isinstance(caught.value.__cause__, LookupError)
        assert mate.result(30).ids == alone


def test_a_watcher_that_raises_fails_its_own_completion_alone() -> None:
    with make() as policy:
        alone = ids_of(policy, prompt(4))

        def watch(token: Any) -> None:
            raise LookupError("nobody listens")

        with policy.updating():
            broken = policy.submit(prompt(3), Sampling(max_tokens=6), seed=0, on_token=watch)
            mate = policy.submit(prompt(4), Sampling(max_tokens=12), seed=0)
        with pytest.raises(PolicyError, match="LookupError: nobody listens"):
            broken.result(30)
        assert mate.result(30).ids == alone


def test_an_update_inside_an_update_is_an_error_and_not_a_deadlock() -> None:
    with make() as policy:
        with (
            policy.updating(version=3) as model,
            pytest.raises(RuntimeError, match="updating.* is open already"),
        ):
            policy.update(model.state_dict())
        assert policy.policy_version == 3
        assert policy.update() == 4


def test_weights_that_are_not_numbers_are_an_error() -> None:
    with make() as policy:
        policy.update(lambda model: model.get_output_embeddings().weight.data.fill_(float("nan")))
        with pytest.raises(PolicyError, match="not finite"):
            policy.submit(prompt(3), Sampling(max_tokens=3)).result(30)


def test_a_cancelled_request_leaves_the_batch() -> None:
    with make(max_batch=1) as policy:
        begun = threading.Event()
        endless = policy.submit(prompt(3), Sampling(max_tokens=200), on_token=lambda token: begun.set())
        assert begun.wait(30)
        endless.cancel()
        assert len(ids_of(policy, prompt(3))) == 12  # it had to wait for the only place


def test_closing_fails_what_is_unfinished() -> None:
    policy = make(max_batch=1)
    begun = threading.Event()
    futures = [
        policy.submit(prompt(3), Sampling(max_tokens=200), on_token=lambda token: begun.set())
        for _ in range(3)
    ]
    assert begun.wait(30)
    policy.close()
    policy.close()
    with pytest.raises(PolicyError, match="closed"):
        futures[-1].result(30)
    with pytest.raises(PolicyError, match="closed"):
        policy.submit(prompt(3))


def test_it_can_be_neither_pickled_nor_copied() -> None:
    with make() as policy:
        for action in (pickle.dumps, copy.deepcopy, copy.copy):
            with pytest.raises(TypeError, match="serve-model"):
                action(policy)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([], "at least one"),
        ([1, VOCABULARY], f"the id {VOCABULARY}"),
        ([-1], "the id -1"),
        ([0.5], "whole number"),
    ],
)
def test_ids_of_another_tokenizer_are_refused(ids: list[int], said: str) -> None:
    with make() as policy:
        with pytest.raises(ConfigError, match=said):
            policy.submit(ids)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"repetition_penalty": 1.1}, "repetition_penalty"),
        ({"top_k": 1.5}, "top_k"),
        ({"min_p": 1.0}, "min_p"),
        ({"stop_token_ids": 3}, "stop_token_ids"),
    ],
)
def test_sampling_that_it_does_not_know_is_refused(extra: dict[str, Any], said: str) -> None:
    with make() as policy:
        with pytest.raises(ConfigError, match=said):
            policy.submit(prompt(3), Sampling(extra=extra))


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tokenizer is missing"):
        TransformersPolicy(tiny_model("llama"))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        TransformersPolicy(tmp_path / "nothing")
    with pytest.raises(ConfigError, match="max_batch is 0"):
        make(max_batch=0)
    with pytest.raises(ConfigError, match="dtype is 'float33'"):
        make(dtype="float33")
    with make() as policy:
        with pytest.raises(ConfigError, match="no chat template"):
            asyncio.run(policy.complete(CompletionRequest(messages=[{"role": "user", "content": "hi"}])))


# ---------------------------------------------------------------------- with messages, in rollouts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tiny_llama

    return tiny_llama.build(tmp_path_factory.mktemp("model") / "tiny_llama")


def test_a_rollout_records_exact_tokens(folder: Path) -> None:
    with TransformersPolicy(folder, dtype="float32") as policy:
        policy.update()
        run = textgym.rollout(
            "textgym/Echo-v0",
            policy,
            num_examples=4,
            group_size=4,
            env_kwargs={"turns": 2},
            sampling=Sampling(max_tokens=8),
        )
        again = textgym.rollout(
            "textgym/Echo-v0",
            policy,
            num_examples=4,
            group_size=4,
            env_kwargs={"turns": 2},
            sampling=Sampling(max_tokens=8),
            max_concurrency=1,
        )
        assert not run.errors
        for trajectory, twin in zip(run, again, strict=True):
            tokens = trajectory.tokens
            assert tokens is not None
            assert tokens.ids.tolist() == twin.tokens.ids.tolist()
            assert trajectory.policy_version == 1
            assert len(tokens.steps) == 2
            for number, step in enumerate(tokens.steps):
                sampled = tokens.completion_ids(number).tolist()
                wanted = reference(policy.model, tokens.prompt_ids(number).tolist(), sampled)
                got = tokens.logprobs[step.prompt_end : step.completion_end]
                assert np.abs(got - wanted).max() < TOLERANCE
    assert len({trajectory.completion for trajectory in run}) > 4


def test_text_has_no_special_tokens(folder: Path) -> None:
    with TransformersPolicy(folder) as policy:
        end = policy.tokenizer.eos_token_id
        assert end in policy.end_ids
        ids = [*policy.encode("ok"), end]
        assert policy.decode(ids) == "ok"
        assert policy.decode(ids, specials=True) == "ok<|end|>"
