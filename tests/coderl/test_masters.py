"""bfloat16 weights learn what bfloat16 cannot hold, and float32 ones as they always did."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from coderl.learning.learner import Learner
from coderl.learning.rows import rows_of
from tests.coderl.batches import go_on, run_config, sampled_batch, tiny_policy

RATE = 1e-5  # bfloat16's next value after 0.02 is 1.2e-4 away


def learner(dtype: torch.dtype, **options: Any) -> Learner:
    policy = tiny_policy()
    for each in (torch.bfloat16, dtype):  # the same weights either way
        torch.nn.Module.to(policy.model, each)
    config = run_config(
        learner__learning_rate=RATE,
        objective__kl_coef=1e-3,
        objective__kl_reference="average",
        **options,
    )
    return Learner(policy, config, warm=copy.deepcopy(policy.model))


def flat(tensors: object) -> torch.Tensor:
    return torch.cat([t.detach().flatten().float() for t in tensors])  # type: ignore[attr-defined]


def test_updates_too_small_for_bfloat16_add_up_as_in_float32() -> None:
    reduced, full = learner(torch.bfloat16), learner(torch.float32)
    assert full.masters.exact and not reduced.masters.exact
    before = flat(reduced.model.parameters())
    batch = sampled_batch(reduced, 1)
    plain = copy.deepcopy(reduced.model)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=RATE, weight_decay=0.0)
    for _ in range(100):
        reduced.update(rows_of(batch))
        full.update(rows_of(batch))
        for parameter, master in zip(plain.parameters(), reduced.masters.tensors, strict=True):
            assert master.grad is not None
            parameter.grad = master.grad.to(torch.bfloat16)
        optimizer.step()
    large = before.abs() > 0.01
    assert torch.equal(flat(plain.parameters())[large], before[large])  # what would be lost
    assert (flat(reduced.model.parameters()) != before)[large].float().mean() > 0.9
    moved, expected = flat(reduced.masters.tensors) - before, flat(full.model.parameters()) - before
    assert torch.corrcoef(torch.stack([moved, expected]))[0, 1] > 0.99
    assert moved.abs().mean() == pytest.approx(float(expected.abs().mean()), rel=0.05)
    assert reduced.references.average is not None and full.references.average is not None
    slow, expected = (
        flat(reduced.references.average.parameters()) - before,
        flat(full.references.average.parameters()) - before,
    )
    assert torch.corrcoef(torch.stack([slow, expected]))[0, 1] > 0.8  # rounded to bfloat16


def test_what_was_added_up_survives_a_checkpoint(tmp_path: Path) -> None:
    whole = learner(torch.bfloat16)
    batch = sampled_batch(whole, 1)
    for _ in range(3):
        whole.update(rows_of(batch))
    resumed = learner(torch.bfloat16)
    go_on(resumed, whole, tmp_path)
    for each in (whole, resumed):
        each.update(rows_of(batch))
    assert torch.equal(flat(resumed.masters.tensors), flat(whole.masters.tensors))
    assert torch.equal(flat(resumed.model.parameters()), flat(whole.model.parameters()))


def test_a_run_goes_on_with_other_options_and_in_another_precision(tmp_path: Path) -> None:
    before = learner(torch.float32, learner__schedule="constant")
    batch = sampled_batch(before, 1)
    before.update(rows_of(batch))
    resumed = learner(torch.bfloat16)
    resumed.model.load_state_dict(before.model.state_dict())
    go_on(resumed, before, tmp_path)
    moments = [
        torch.cat([each.optimizer.state[t]["exp_avg"].flatten() for t in each.masters.tensors])
        for each in (before, resumed)
    ]
    assert torch.equal(*moments) and moments[0].abs().sum() > 0
