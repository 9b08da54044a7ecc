"""LoRA: what is trained, what the sampler gets, what the reference is, and what a checkpoint holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from coderl.errors import ModelError
from coderl.learning.learner import Learner
from coderl.learning.rows import rows_of
from coderl.model.packing import TokenRow
from coderl.model.scoring import score
from coderl.rollouts.batch import Batch
from tests.coderl.batches import go_on, run_config, sampled_batch, tiny_policy

OPTIONS: dict[str, Any] = {"lora__rank": 4, "learner__learning_rate": 1e-2}


def adapted(**options: Any) -> Learner:
    return Learner(tiny_policy(), run_config(**OPTIONS, **options), warm=None)


def logprobs(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return score(model, [TokenRow(r.prompt_tokens, r.tokens) for r in batch.rollouts]).logp_BT


def test_an_adapter_learns_and_the_sampler_gets_its_sum_with_the_model() -> None:
    learner = adapted(objective__kl_coef=0.01)
    warm = tiny_policy().model
    batch = sampled_batch(learner, 1)
    before = logprobs(learner.model, batch)
    torch.testing.assert_close(before, logprobs(warm, batch))
    assert learner.update(rows_of(batch)).rows > 0
    after = logprobs(learner.model, batch)
    assert (after - before).abs().max() > 0.01
    torch.testing.assert_close(logprobs(learner.references.warm, batch), before)  # the adapter switched off
    assert learner.probe(rows_of(batch), seed=0).kl_warm > 0
    merged = dict(learner.named_weights())
    warm.load_state_dict(merged)  # exactly the names of a model without an adapter
    torch.testing.assert_close(logprobs(warm, batch), after, rtol=1e-4, atol=1e-5)
    trained = sum(t.numel() for t in learner.masters.tensors)
    assert trained == sum(t.numel() for t in learner.model.parameters() if t.requires_grad)
    assert trained < 0.3 * sum(t.numel() for t in warm.parameters())


def test_a_checkpoint_goes_on_exactly_and_others_can_load_both_forms(tmp_path: Path) -> None:
    options = {
        "learner__schedule": "kl:1e-2",
        "objective__kl_coef": 0.01,
        "objective__kl_reference": "average",
    }
    whole = adapted(**options)
    batches = [sampled_batch(whole, step) for step in (1, 2)]
    whole.update(rows_of(batches[0]))
    resumed = adapted(**options)
    go_on(resumed, whole, tmp_path)
    for each in (whole, resumed):
        each.probe(rows_of(batches[1]), seed=0)
        each.update(rows_of(batches[1]))
    for ours, theirs in zip(resumed.masters.tensors, whole.masters.tensors, strict=True):
        assert torch.equal(ours, theirs)
    whole.policy.tokenizer = whole.model.generation_config  # anything that has save_pretrained
    whole.save(tmp_path)
    expected = logprobs(whole.model, batches[0])
    merged = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(logprobs(merged, batches[0]), expected, rtol=1e-4, atol=1e-5)
    model = tiny_policy().model
    peft.PeftModel.from_pretrained(model, tmp_path / "adapter")
    torch.testing.assert_close(logprobs(model, batches[0]), expected)


@pytest.mark.parametrize("target", ["q_prj", "input_layernorm", "embed_tokens", "lm_head"])
def test_a_wrong_target_is_named(target: str) -> None:
    config = run_config(**OPTIONS, lora__targets=f'["{target}"]')
    with pytest.raises(ModelError, match=f"lora.targets.*{target}"):
        Learner(tiny_policy(tie_word_embeddings=False), config, warm=None)
