"""Batches for the learner without vLLM and without a sandbox: a tiny Llama samples, a rule rewards."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from coderl.config import load as configuration
from coderl.config.objective import ObjectiveConfig
from coderl.config.settings import RunConfig
from coderl.learning import credit
from coderl.learning.learner import TENSORS, Learner
from coderl.model.packing import TokenRow
from coderl.model.policy import Policy
from coderl.model.scoring import score
from coderl.rollouts.batch import Batch, Group, Rollout
from tasks.types import StdioTest, Task

VOCABULARY, EOS = 32, 1


def tiny_policy(seed: int = 0, **options: Any) -> Policy:
    """A Llama of two layers with random weights; no tokenizer."""
    torch.manual_seed(seed)
    size = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    }
    model = LlamaForCausalLM(LlamaConfig(**(size | options)))
    return Policy(model, None, [EOS])


def run_config(**values: Any) -> RunConfig:
    """Defaults but for `section__key=value`."""
    return configuration.load(
        None, [f"{key.replace('__', '.')}={str(value).lower()}" for key, value in values.items()]
    )


def tiny_learner(config: RunConfig, seed: int = 0) -> Learner:
    return Learner(tiny_policy(seed), config, warm=tiny_policy(seed).model)


def go_on(learner: Learner, other: Learner, folder: Path) -> None:
    """`learner` goes on from where `other` is, by way of `folder`; it has its weights already."""
    other.save_tensors(folder / TENSORS)
    learner.load(folder, copy.deepcopy(other.state()))


def sampled_batch(learner: Learner, step: int, groups: int = 8, samples: int = 8, tokens: int = 8) -> Batch:
    """Completions of the learner's own policy; the reward is the share of even tokens."""
    generator = torch.Generator().manual_seed(step)
    prompts = torch.randint(2, VOCABULARY, (groups, 4), generator=generator)
    torch.manual_seed(step)
    learner.model.eval()  # gradient checkpointing does without generate's cache, and rounds otherwise
    with torch.no_grad():
        full = learner.model.generate(  # type: ignore[operator]
            input_ids=prompts.repeat_interleave(samples, 0),
            attention_mask=torch.ones(groups * samples, 4, dtype=torch.long),
            generation_config=GenerationConfig(
                do_sample=True, max_new_tokens=tokens, eos_token_id=EOS, pad_token_id=0, top_k=0
            ),
        )
    learner.model.train()
    completions = [_until_eos(row) for row in full[:, 4:].tolist()]
    rows = [TokenRow(prompts[i // samples].tolist(), tokens) for i, tokens in enumerate(completions)]
    with torch.no_grad():
        logp_BT = score(learner.model, rows).logp_BT.tolist()
    batch = Batch(step, [Group(_task(step, g)) for g in range(groups)])
    for i, (row, logp) in enumerate(zip(rows, logp_BT, strict=True)):
        group = batch.groups[i // samples]
        group.rollouts.append(
            Rollout(
                task=group.task,
                sample=i % samples,
                prompt_tokens=row.prompt,
                tokens=row.completion,
                logprobs=logp[: len(row.completion)],
                text="",
                truncated=False,
                policy_version=step - 1,
                reward=sum(t % 2 == 0 for t in row.completion) / len(row.completion),
            )
        )
    for group in batch.groups:
        rewards = [r.reward for r in group.rollouts]
        advantages = unshaped_advantages(learner.config.objective, rewards)
        for rollout, advantage in zip(group.rollouts, advantages, strict=True):
            rollout.advantage = advantage
    return batch


def unshaped_advantages(config: ObjectiveConfig, rewards: Sequence[float | None]) -> list[float | None]:
    """Of rewards that tell the verdict: 1 is passed."""
    return credit.advantages(config, rewards, [r == 1 for r in rewards])


def _until_eos(tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(EOS) + 1] if EOS in tokens else tokens


def _task(step: int, index: int) -> Task:
    return Task(id=f"{step}/{index}", prompt="", tests=(StdioTest(stdin="", stdout=""),))
