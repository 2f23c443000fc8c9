"""TRL's real GRPOTrainer trains on what textgym records: two-turn Echo-v0 through a `rollout_func`.

The trainer's own model is the policy, in the same process, so that every step samples from the newest weights.
What is proved is the path (rows in order, the mask over the environment's tokens, one task a group, finite
losses, exact log-probabilities); twenty steps teach a random model nothing yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import tiny_llama

import textgym
from textgym.policies import TransformersPolicy
from textgym.rollouts import token_rows
from textgym.types import Sampling

# Other people's packages warn as they like, and importing them takes many seconds.
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore")]

ENV = "textgym/Echo-v0"
ENV_KWARGS = {"turns": 2, "length": 1}
SAMPLING = Sampling(max_tokens=3)
STEPS = 20
GROUP_SIZE = 16
BATCH = 64
TOLERANCE = 1e-4
BATCH_FIELDS = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask", "tool_mask", "advantages")


@dataclass
class Log:
    """What passed between textgym and the trainer, step by step."""

    runs: list[textgym.Run] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    scored: list[dict[str, Any]] = field(default_factory=list)
    batches: list[dict[str, Any]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    end_id: int = 0


def full_forward(model: Any, row: Any) -> np.ndarray:
    """The log-probability of every completion token, from one pass over the whole row."""
    import torch

    training = model.training
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([row.ids.tolist()])).logits[0]
    model.train(training)
    scores = logits[len(row.prompt_ids) - 1 : -1].log_softmax(-1)
    return scores.gather(-1, torch.tensor(row.completion_ids.tolist())[:, None])[:, 0].numpy()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
        yield train(tmp_path_factory.mktemp("trl"))


def train(folder: Path) -> Log:
    """Twenty steps of GRPO."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(1)
    path = tiny_llama.build(folder / "tiny_llama")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    log = Log(end_id=tokenizer.eos_token_id)

    # Only the `prompt` column reaches a rollout_func, so the prompt carries the key of its task.
    def row(seed: int) -> dict[str, Any]:
        _, info = gymnasium.make(ENV, **ENV_KWARGS).reset(seed=seed)
        return {"prompt": [*info["messages"], {"role": "system", "content": f"seed={seed}"}], "seed": seed}

    def rollout_func(prompts: list[Any], trainer: Any) -> dict[str, list[Any]]:
        seeds = [int(prompt[-1]["content"].removeprefix("seed=")) for prompt in prompts]
        policy.update()  # the trainer has changed the weights since the last call
        run = textgym.rollout(
            ENV,
            policy,
            seed=seeds[::GROUP_SIZE],
            group_size=GROUP_SIZE,
            env_kwargs=ENV_KWARGS,
            sampling=SAMPLING,
        )
        rows = [row for trajectory in run for row in token_rows(trajectory)]
        log.runs.append(run)
        log.rows.append(rows)
        log.differences += [
            float(np.abs(full_forward(trainer.model, row) - row.logprobs)[row.mask == 1].max())
            for row in rows
        ]
        return {
            "prompt_ids": [row.prompt_ids.tolist() for row in rows],
            "completion_ids": [row.completion_ids.tolist() for row in rows],
            "logprobs": [row.logprobs.tolist() for row in rows],
            "env_mask": [row.mask.tolist() for row in rows],
            "env_reward": [row.reward for row in rows],
            "env_seed": [trajectory.seed for trajectory in run],
        }

    def reward(**columns: Any) -> list[float]:
        names = ("seed", "env_seed", "env_reward", "completion_ids")
        log.scored.append({name: list(columns[name]) for name in names})
        return list(columns["env_reward"])

    class Watched(GRPOTrainer):
        def _generate_and_score_completions(self, inputs: Any) -> Any:
            batch = super()._generate_and_score_completions(inputs)
            log.batches.append({name: batch[name].clone() for name in BATCH_FIELDS})
            return batch

    arguments = GRPOConfig(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        beta=0.0,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        num_generations=GROUP_SIZE,
        max_completion_length=64,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        seed=0,
    )
    log.weights.append(_weights(model))
    with TransformersPolicy(model, tokenizer, max_batch=BATCH) as policy:
        trainer = Watched(
            model=model,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_list([row(seed) for seed in range(STEPS * BATCH // GROUP_SIZE)]),
            processing_class=tokenizer,
            rollout_func=rollout_func,
        )
        trainer.train()
    log.weights.append(_weights(model))
    log.history = [entry for entry in trainer.state.log_history if "loss" in entry]
    return log


def _weights(model: Any) -> Any:
    return model.get_input_embeddings().weight.detach().clone()


def test_every_step_was_taken_with_a_finite_loss(log: Log) -> None:
    assert len(log.history) == len(log.runs) == STEPS
    for entry in log.history:
        print({name: entry[name] for name in ("loss", "grad_norm", "reward", "completions/mean_length")})
        assert math.isfinite(float(entry["loss"]))
        assert math.isfinite(float(entry["grad_norm"]))
    rewarded = [entry for entry in log.history if float(entry["reward_std"]) > 0]
    assert rewarded
    assert all(float(entry["grad_norm"]) > 0 for entry in rewarded)
    assert bool((log.weights[0] != log.weights[1]).any())


def test_members_of_a_group_play_one_task(log: Log) -> None:
    tasks = set()
    for run, scored in zip(log.runs, log.scored, strict=True):
        assert [trajectory.error for trajectory in run] == [None] * BATCH
        assert [len(list(group)) for group in run.groups] == [GROUP_SIZE] * (BATCH // GROUP_SIZE)
        for at, group in enumerate(run.groups):
            assert len({trajectory.example_id for trajectory in group}) == 1
            asked = {tuple(m["content"] for m in t.messages if m["role"] == "user") for t in group}
            assert len(asked) == 1
            assert len(set(scored["seed"][at * GROUP_SIZE : (at + 1) * GROUP_SIZE])) == 1
            tasks.add(next(iter(group)).seed)
    assert len(tasks) == STEPS * BATCH // GROUP_SIZE


def test_rows_are_accepted_in_order(log: Log) -> None:
    for run, rows, scored in zip(log.runs, log.rows, log.scored, strict=True):
        assert len(rows) == BATCH  # one an episode: exact tokens never fork
        assert scored["seed"] == scored["env_seed"] == [trajectory.seed for trajectory in run]
        assert scored["env_reward"] == [trajectory.reward for trajectory in run]
        assert scored["completion_ids"] == [row.completion_ids.tolist() for row in rows]


def test_the_trainer_masks_what_the_environment_said(log: Log) -> None:
    for run, rows, batch in zip(log.runs, log.rows, log.batches, strict=True):
        for at, (trajectory, row) in enumerate(zip(run, rows, strict=True)):
            there = batch["completion_mask"][at].bool()
            trained = batch["completion_ids"][at][there & batch["tool_mask"][at].bool()]
            context = batch["completion_ids"][at][there & ~batch["tool_mask"][at].bool()]
            prompt = batch["prompt_ids"][at][batch["prompt_mask"][at].bool()]
            assert prompt.tolist() == row.prompt_ids.tolist()
            assert trained.tolist() == row.completion_ids[row.mask == 1].tolist()
            assert context.tolist() == row.completion_ids[row.mask == 0].tolist()
            assert len(row.spans) == len(trajectory.steps) == ENV_KWARGS["turns"]
            for span, step in zip(row.spans, trajectory.steps, strict=True):
                sampled = row.completion_ids[span.prompt_end : span.completion_end]
                assert (sampled[-1] == log.end_id) == (step.finish_reason == "stop")


def test_advantages_compare_members_of_a_group(log: Log) -> None:
    for run, batch in zip(log.runs, log.batches, strict=True):
        rewards = np.array([trajectory.reward for trajectory in run]).reshape(-1, GROUP_SIZE)
        spread = rewards.std(-1, ddof=1, keepdims=True) + 1e-4
        wanted = (rewards - rewards.mean(-1, keepdims=True)) / spread
        assert np.allclose(batch["advantages"].flatten().numpy(), wanted.flatten(), atol=1e-3)


def test_logprobs_are_those_of_the_trainers_newest_weights(log: Log) -> None:
    print("largest difference", max(log.differences))
    assert len(log.differences) == STEPS * BATCH
    assert max(log.differences) < TOLERANCE
    versions = [{trajectory.policy_version for trajectory in run} for run in log.runs]
    assert versions == [{version} for version in range(1, STEPS + 1)]
