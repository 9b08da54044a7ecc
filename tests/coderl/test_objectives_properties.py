"""What must hold of every objective on any batch: cutting, reordering, padding, dropping; -N and its parent."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from coderl.config.objective import FORMS, ObjectiveConfig
from coderl.learning.credit import needs_row, row_weights
from coderl.learning.objectives import LossInputs, policy_loss
from tests.coderl.batches import unshaped_advantages

MAX_TOKENS = 6
Gradients = list[Tensor]  # of each completion's tokens, without padding


@dataclass(frozen=True)
class Rows:
    """Completions of a batch: old and new log-probabilities of each token, and an advantage or None."""

    old: list[Tensor]
    new: list[Tensor]
    ref: list[Tensor]
    advantage: list[float | None]

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.old]


@st.composite
def batches(draw: st.DrawFn) -> Rows:
    lengths = draw(st.lists(st.integers(1, MAX_TOKENS), min_size=1, max_size=7))
    advantage = [draw(st.one_of(st.none(), st.just(0.0), st.floats(-3, 3, width=16))) for _ in lengths]

    def values(low: float, high: float) -> list[Tensor]:
        rows = [draw(st.lists(st.floats(low, high, width=32), min_size=n, max_size=n)) for n in lengths]
        return [torch.tensor(row, dtype=torch.float64) for row in rows]

    old, shift = values(-4, 0), values(-2.25, 2.25)
    return Rows(old, [o + s for o, s in zip(old, shift, strict=True)], values(-4, 0), advantage)


configs = st.builds(
    lambda name, aggregation, denominator, kl: ObjectiveConfig.model_validate(
        {"name": name, "aggregation": aggregation, "denominator": denominator, "kl_coef": kl, "kl_kind": "k2"}
    ),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["sequence_mean", "token_mean", "constant"]),
    st.sampled_from(["sampled", "kept"]),
    st.sampled_from([0.0, 0.1]),
)


def evaluate(
    config: ObjectiveConfig,
    rows: Rows,
    *,
    parts: list[list[int]] | None = None,
    padding: int = 0,
    drop: bool = False,
) -> tuple[float, Gradients]:
    """Loss and gradient over the whole batch, computed part by part; rows in no part get zeros."""
    weights = row_weights(
        config,
        rows.advantage,
        rows.lengths,
        n_sampled=sum(a is not None for a in rows.advantage),
        max_tokens=MAX_TOKENS,
    )
    total, gradients = 0.0, [torch.zeros_like(row) for row in rows.new]
    for part in parts or [list(range(len(rows.new)))]:
        if drop:
            part = [i for i in part if needs_row(config, rows.advantage[i])]
        if not part:
            continue
        width = max(rows.lengths[i] for i in part) + padding

        def padded(values: list[Tensor], fill: float, part: list[int] = part, width: int = width) -> Tensor:
            return torch.stack(
                [torch.cat([values[i], torch.full((width - len(values[i]),), fill).double()]) for i in part]
            )

        logp = padded(rows.new, float("nan")).requires_grad_()
        loss, _ = policy_loss(
            config,
            LossInputs(
                logp,
                padded(rows.old, float("-inf")),
                padded([torch.ones_like(row) for row in rows.old], 0.0),
                torch.tensor([rows.advantage[i] or 0.0 for i in part], dtype=torch.float64),
                torch.tensor([weights[i] for i in part], dtype=torch.float64),
                logp_ref_BT=padded(rows.ref, float("nan")),
            ),
        )
        (gradient,) = torch.autograd.grad(loss, logp)
        total += loss.item()
        for row, i in enumerate(part):
            gradients[i] = gradient[row, : rows.lengths[i]]
            assert gradient[row, rows.lengths[i] :].abs().sum() == 0
    return total, gradients


def assert_same(
    actual: tuple[float, Gradients], expected: tuple[float, Gradients], scale: float = 1.0
) -> None:
    torch.testing.assert_close(
        torch.tensor(actual[0]), torch.tensor(expected[0] * scale), rtol=1e-6, atol=1e-6
    )
    for a, e in zip(actual[1], expected[1], strict=True):
        torch.testing.assert_close(a, e * scale, rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=150)
@given(configs, batches(), st.randoms(use_true_random=False), st.integers(1, 4), st.integers(0, 3))
def test_cutting_reordering_and_padding_change_nothing(
    config: ObjectiveConfig, rows: Rows, random: Any, count: int, padding: int
) -> None:
    order = list(range(len(rows.new)))
    random.shuffle(order)
    parts = [order[i::count] for i in range(count)]
    assert_same(evaluate(config, rows, parts=parts, padding=padding), evaluate(config, rows))


@settings(deadline=None, max_examples=150)
@given(configs, batches())
def test_dropping_rows_that_are_not_needed_changes_nothing(config: ObjectiveConfig, rows: Rows) -> None:
    assert_same(evaluate(config, rows, drop=True), evaluate(config, rows))


@settings(deadline=None, max_examples=150)
@given(
    batches(),
    st.sampled_from(["grpo", "gspo"]),
    st.sampled_from(["sequence_mean", "constant"]),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
)
def test_negative_only_is_its_parent_without_the_positive_rows(
    rows: Rows, parent: str, aggregation: str, kept: bool, kl: float
) -> None:
    """Times N / N_kept under the "kept" denominator."""
    denominator = "kept" if kept else "sampled"
    options = {"aggregation": aggregation, "eps_low": 0.2, "eps_high": 0.3, "kl_coef": kl}
    own = ObjectiveConfig.model_validate({"name": f"{parent}_n", "denominator": denominator} | options)
    clipped = replace(rows, advantage=[None if a is None else min(a, 0.0) for a in rows.advantage])
    actual = evaluate(own, clipped)

    negative = [i for i, a in enumerate(rows.advantage) if a is not None and a < 0]
    n = sum(a is not None for a in rows.advantage)
    expected = evaluate(ObjectiveConfig.model_validate({"name": parent} | options), rows, parts=[negative])
    assert_same(actual, expected, scale=n / max(1, len(negative)) if kept else 1.0)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=8), st.sampled_from(["grpo", "gspo"]))
def test_negative_only_advantages_are_the_negative_part(rewards: list[float | None], parent: str) -> None:
    whole = unshaped_advantages(ObjectiveConfig.model_validate({"name": parent}), rewards)
    negative = unshaped_advantages(ObjectiveConfig.model_validate({"name": f"{parent}_n"}), rewards)
    assert negative == [None if a is None else min(a, 0.0) for a in whole]


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8), st.sampled_from(["grpo", "dr_grpo", "rloo", "dapo"])
)
def test_relative_advantages_sum_to_zero(rewards: list[float], name: str) -> None:
    values = unshaped_advantages(ObjectiveConfig.model_validate({"name": name}), rewards)
    assert abs(sum(a for a in values if a is not None)) < 1e-6


@settings(deadline=None)
@given(batches(), st.booleans())
def test_one_on_policy_step_of_grpo_equals_gspo(rows: Rows, negative_only: bool) -> None:
    """With sequence-mean aggregation; and GRPO-N equals GSPO-N."""
    on_policy = replace(rows, new=rows.old)
    suffix = "_n" if negative_only else ""
    if negative_only:
        on_policy = replace(on_policy, advantage=[None if a is None else min(a, 0.0) for a in rows.advantage])
    grpo = evaluate(ObjectiveConfig.model_validate({"name": "grpo" + suffix}), on_policy)
    gspo = evaluate(ObjectiveConfig.model_validate({"name": "gspo" + suffix}), on_policy)
    assert_same(gspo, grpo)
