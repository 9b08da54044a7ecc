"""Rollouts of the demo's size for the learner's benchmarks, without vLLM and without a sandbox."""

from __future__ import annotations

import random

from coderl.config.settings import RunConfig
from coderl.model.policy import Policy
from coderl.rollouts.batch import Batch, Group, Rollout
from tasks.builtin import demonstrations
from tasks.types import StdioTest, Task
from tests.coderl.batches import unshaped_advantages


def recorded_batch(policy: Policy, config: RunConfig, pass_rate: float, seed: int = 0) -> Batch:
    """Completions as long as real ones; rewards 0 or 1, in each group exactly `pass_rate` of them, rounded."""
    train = config.train
    source = iter(
        demonstrations(
            config.warmup.level, count=(train.samples_per_prompt + 1) * train.prompts_per_step, seed=seed
        )
    )
    generator = random.Random(seed)
    batch = Batch(1, [])
    for index in range(train.prompts_per_step):
        task = Task(id=str(index), prompt=next(source).prompt, tests=(StdioTest(stdin="", stdout=""),))
        prompt = policy.prompt(task).tokens
        passing = round(pass_rate * train.samples_per_prompt)
        rewards = [1.0] * passing + [0.0] * (train.samples_per_prompt - passing)
        generator.shuffle(rewards)
        group = Group(task)
        for sample, reward in enumerate(rewards):
            tokens = [*policy.tokenizer.encode(next(source).completion), policy.stop_token_ids[0]]
            group.rollouts.append(
                Rollout(task, sample, prompt, tokens, [-1.0] * len(tokens), "", False, 0, reward=reward)
            )
        batch.groups.append(group)
    return batch


def assign(batch: Batch, config: RunConfig) -> None:
    for group in batch.groups:
        values = unshaped_advantages(config.objective, [r.reward for r in group.rollouts])
        for rollout, value in zip(group.rollouts, values, strict=True):
            rollout.advantage = value
