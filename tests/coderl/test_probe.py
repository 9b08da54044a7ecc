"""What is measured before an update, and that a publish which was missed shows in it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from coderl.errors import MismatchError
from coderl.learning.learner import Learner
from coderl.learning.probe import Probe
from coderl.learning.rows import rows_of
from coderl.model.policy import load_policy
from coderl.rollouts.batch import Batch, Group, Rollout
from coderl.sampling.engine import EngineSampler
from coderl.sampling.types import Request
from coderl.training.mismatch import REDUCED_MISMATCH, STALE, check_mismatch
from tasks.types import StdioTest, Task
from tests.coderl.batches import run_config, sampled_batch, tiny_learner
from tests.coderl.tiny import save_tiny_qwen2


def test_the_sampler_s_noise_is_no_staleness_but_a_missed_update_is() -> None:
    learner = tiny_learner(run_config(learner__learning_rate=3e-3))
    first, stale = sampled_batch(learner, 1), sampled_batch(learner, 2)
    learner.update(rows_of(first))
    fresh = sampled_batch(learner, 2)
    noise = random.Random(0)
    for batch in (stale, fresh):
        for rollout in batch.rollouts:
            rollout.logprobs = [value + noise.gauss(0, 0.02) for value in rollout.logprobs]
    assert learner.probe(rows_of(fresh), seed=0).staleness < STALE / 2
    assert learner.probe(rows_of(stale), seed=0).staleness > STALE
    older = Batch(stale.step, stale.groups)
    for rollout in older.rollouts:
        rollout.policy_version = 0  # said to be from the policy before the update, as it is
    assert learner.probe(rows_of(older), seed=0).staleness == 0


def test_nothing_is_stale_before_anything_was_learned() -> None:
    learner = tiny_learner(run_config())
    assert learner.probe(rows_of(sampled_batch(learner, 1)), seed=0).staleness == 0


@pytest.mark.timeout(300)
def test_a_missed_publish_shows_through_bfloat16_s_rounding(tmp_path: Path) -> None:
    folder = save_tiny_qwen2(tmp_path / "qwen2")
    config = run_config(model__dtype='"bfloat16"', learner__learning_rate=2e-4, sampler__max_tokens=16)
    policy = load_policy(folder, config.model)
    learner = Learner(policy, config, warm=load_policy(folder, config.model).model)
    sampler = EngineSampler(folder, config.sampler, stop_token_ids=[], dtype=torch.bfloat16)

    def batch(step: int) -> Batch:
        group = Group(Task(id="t", prompt="", tests=(StdioTest(stdin="", stdout=""),)))
        requests = [Request(i, [1 + i, 2, 3], seed=1000 * step + i) for i in range(64)]
        for completion in sampler.sample(requests):
            group.rollouts.append(
                Rollout(
                    task=group.task,
                    sample=completion.key,
                    prompt_tokens=requests[completion.key].prompt_tokens,
                    tokens=completion.tokens,
                    logprobs=completion.logprobs,
                    text="",
                    truncated=completion.truncated,
                    policy_version=step - 1,
                    advantage=1.0 if completion.key % 2 else -1.0,
                )
            )
        return Batch(step, [group])

    assert learner.probe(rows_of(batch(1)), seed=0).staleness == 0
    learner.update(rows_of(batch(1)))
    stale = learner.probe(rows_of(batch(2)), seed=0)
    assert stale.logprob_diff_mean < REDUCED_MISMATCH and stale.staleness > STALE
    sampler.publish(learner.named_weights(), version=1)
    assert learner.probe(rows_of(batch(2)), seed=0).staleness < STALE / 2


def test_a_limit_of_ones_own_does_not_hide_a_missed_publish() -> None:
    model = SimpleNamespace(dtype=torch.float32)
    config = run_config(learner__max_logprob_difference=1.0)
    run: Any = SimpleNamespace(config=config, policy=SimpleNamespace(model=model), step=3)
    seen = Probe(
        entropy=0.1, kl_warm=0.0, kl_step=0.0, logprob_diff_mean=0.01, logprob_diff_max=0.1, staleness=0.0
    )
    check_mismatch(run, seen)
    with pytest.raises(MismatchError, match="was not given the new weights"):
        check_mismatch(run, replace(seen, staleness=STALE + 1))
