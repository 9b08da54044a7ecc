"""The learner on a tiny model: what it leaves out, what it holds on to, and what must not change an update."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from coderl.learning import references
from coderl.learning.learner import Learner, Update
from coderl.learning.rows import rows_of
from tests.coderl.batches import run_config, sampled_batch, tiny_learner


def updated(**options: Any) -> tuple[Learner, float]:
    """A learner after one update on the same batch, whatever the options."""
    learner = tiny_learner(run_config(learner__learning_rate=1e-2, **options))
    update = learner.update(rows_of(sampled_batch(learner, 1)))
    assert update.rows > 0
    return learner, update.grad_norm


@pytest.mark.parametrize(
    "options",
    [
        {"learner__tokens_per_microbatch": 30},
        {"learner__gradient_checkpointing": True},
    ],
    ids=["passes", "checkpointing"],
)
@pytest.mark.parametrize("minibatches", [1, 3])
def test_how_a_batch_is_cut_changes_no_gradient(options: dict[str, Any], minibatches: int) -> None:
    plain, expected = updated(learner__minibatches=minibatches)
    learner, norm = updated(learner__minibatches=minibatches, **options)
    assert norm == pytest.approx(expected, rel=1e-4)
    for ours, theirs in zip(learner.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["grpo", "gspo_n"])
def test_equal_completions_are_run_once_and_count_as_many(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> tuple[Learner, Update, int]:
        options = {"learner__minibatches": 2, "learner__learning_rate": 1e-2, "objective__entropy_coef": 0.01}
        learner = tiny_learner(run_config(objective__name=name, **options))
        batch = sampled_batch(learner, 1, tokens=1)  # of 32 tokens: many are drawn several times
        ran = []
        loss = learner._loss

        def counted(used: Any, old: Any) -> Any:
            ran.append(len(used))
            return loss(used, old)

        monkeypatch.setattr(learner, "_loss", counted)
        return learner, learner.update(rows_of(batch)), sum(ran)

    learner, update, ran = outcome()
    monkeypatch.setattr("coderl.learning.learner.distinct", lambda used: [(r, w, 1) for r, w in used])
    plain, expected, all_rows = outcome()
    assert ran < all_rows == expected.rows == update.rows
    assert update.stats == pytest.approx(expected.stats, rel=1e-4)
    assert (update.loss, update.grad_norm) == pytest.approx((expected.loss, expected.grad_norm), rel=1e-4)
    for ours, theirs in zip(learner.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_gradients_are_counted_by_the_sign_of_the_advantage() -> None:
    learner = tiny_learner(run_config(objective__name="grpo"))
    both = learner.update(rows_of(sampled_batch(learner, 1))).stats
    negative = tiny_learner(run_config(objective__name="grpo_n"))
    only = negative.update(rows_of(sampled_batch(negative, 1))).stats
    assert both["gradient_positive"] > 0 < both["gradient_negative"]
    assert only["gradient_positive"] == 0
    assert only["gradient_negative"] == pytest.approx(both["gradient_negative"], rel=1e-5)
    assert "ratio_mean_positive" in both and "ratio_mean_positive" not in only


@pytest.mark.parametrize("kind", ["k3", "full"])
def test_a_slow_average_of_the_policy_can_be_what_kl_holds_to(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "KEPT", 0.75)
    options = {"objective__kl_coef": 0.1, "objective__kl_kind": kind}
    learner, _ = updated(objective__kl_reference="average", **options)
    assert learner.references.average is not None
    for slow, warm, now in zip(
        learner.references.average.parameters(),
        learner.references.warm.parameters(),
        learner.model.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(slow, 0.75 * warm + 0.25 * now)
    held_to_warm, _ = updated(**options)
    batches = [sampled_batch(each, 2) for each in (learner, held_to_warm)]
    kls = [
        each.update(rows_of(b)).stats["kl_reference"]
        for each, b in zip((learner, held_to_warm), batches, strict=True)
    ]
    assert 0 < kls[0] < 0.7 * kls[1]  # 0.75 of the way is left: about 0.75 squared of the KL
