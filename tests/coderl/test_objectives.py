"""Advantages, row weights and the policy loss against values computed by hand."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from coderl.config.objective import FORMS, ObjectiveConfig
from coderl.learning import objectives
from coderl.learning.credit import advantages, needs_row, row_weights
from coderl.learning.objectives import LossInputs, LossStats, policy_loss
from coderl.rollouts.shaping import soft_overlong
from tests.coderl.batches import unshaped_advantages


def config(name: str = "grpo", **options: Any) -> ObjectiveConfig:
    return ObjectiveConfig.model_validate({"name": name, **options})


# ---- configuration --------------------------------------------------------------------------------


def test_options_that_are_not_given_are_the_objectives_own() -> None:
    assert (config("gspo").eps_low, config("gspo").eps_high) == (3e-4, 4e-4)
    assert config("dapo").eps_high == 0.28 and config("dapo", eps_high=0.3).eps_high == 0.3
    assert config("dr_grpo", eps_low=None).eps_low == 0.2
    assert (
        config("nsr").denominator == "kept" and config("nsr", denominator="sampled").denominator == "sampled"
    )
    assert ObjectiveConfig() == config("grpo_n")


def test_a_resolved_configuration_loads_back_to_itself() -> None:
    for name in FORMS:
        resolved = config(name)
        assert None not in [getattr(resolved, option) for option in FORMS[name].defaults]
        assert ObjectiveConfig.model_validate(resolved.model_dump(exclude_none=True)) == resolved


@pytest.mark.parametrize(
    "options",
    [
        {"name": "ppo"},
        {"name": ["grpo"]},
        {"epsilon": 1},
        {"dual_clip": 1.1},
        {"eps_low": 1.5},
        {"kl_coef": -1},
    ],
)
def test_wrong_options_are_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ObjectiveConfig.model_validate(options)


# ---- advantages -----------------------------------------------------------------------------------

REWARDS = [1.0, 0.0, 0.5, None, 0.0]  # graded: mean 3/8, sum of squares 11/16, std sqrt(11/48)
STD = math.sqrt(11 / 48)
SCALED = [d / (STD + 1e-4) for d in (5 / 8, -3 / 8, 1 / 8, -3 / 8)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grpo", SCALED),
        ("gspo", SCALED),
        ("gspo_token", SCALED),
        ("dapo", SCALED),
        ("cispo", SCALED),
        ("grpo_n", [0.0, SCALED[1], 0.0, SCALED[3]]),
        ("gspo_n", [0.0, SCALED[1], 0.0, SCALED[3]]),
        ("dr_grpo", [5 / 8, -3 / 8, 1 / 8, -3 / 8]),
        ("rloo", [1 - 0.5 / 3, -1.5 / 3, 0.5 - 1 / 3, -1.5 / 3]),  # minus the mean of the other three
        ("psr", [1, 0, 0, 0]),  # a partial solution did not pass
        ("nsr", [0, -1, -1, -1]),
        ("w_reinforce", [0.1, -1, -1, -1]),
    ],
)
def test_advantages_of_a_graded_group(name: str, expected: list[float]) -> None:
    actual = unshaped_advantages(config(name), REWARDS)
    assert actual[3] is None
    assert [a for a in actual if a is not None] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"psr", "nsr", "w_reinforce"}))
@pytest.mark.parametrize("reward", [0.0, 0.1, 1.0])
def test_all_equal_groups_get_exactly_zero(name: str, reward: float) -> None:
    assert unshaped_advantages(config(name), [reward] * 3) == [0.0] * 3  # 0.1 * 3 / 3 != 0.1 in floats


@pytest.mark.parametrize("name", ["grpo", "grpo_n", "dr_grpo", "rloo"])
def test_a_group_with_one_graded_completion_says_nothing(name: str) -> None:
    assert unshaped_advantages(config(name, all_wrong="penalise"), [None, 0.0, None]) == [None, 0.0, None]
    assert unshaped_advantages(config(name), [None, None]) == [None, None]


def test_all_wrong_groups_are_penalised_on_request() -> None:
    for name in ("grpo", "gspo_n", "dr_grpo"):
        penalise = config(name, all_wrong="penalise")
        assert unshaped_advantages(penalise, [0.0, None, 0.0]) == [-1.0, None, -1.0]
        assert unshaped_advantages(penalise, [0.25] * 2) == [-0.75] * 2
        assert unshaped_advantages(penalise, [1.0] * 2) == [0.0] * 2
    assert unshaped_advantages(config("nsr"), [0.0, 0.5]) == [-1.0, -1.0]
    assert unshaped_advantages(config("nsr", all_wrong="zero"), [0.0, 0.5]) == [0.0, 0.0]
    assert unshaped_advantages(config("nsr", all_wrong="zero"), [0.0, 1.0]) == [-1.0, 0.0]


def test_a_shaped_reward_does_not_change_what_passed() -> None:
    """Passing completions that are long earn less than 1, and failing ones may earn something."""
    rewards, passed = [0.25, 1.0, 0.5], [True, True, False]
    assert advantages(config("psr"), rewards, passed) == [1.0, 1.0, 0.0]
    assert advantages(config("nsr"), rewards, passed) == [0.0, 0.0, -1.0]
    assert advantages(config("w_reinforce"), rewards, passed) == [0.1, 0.1, -1.0]
    assert advantages(config("nsr", all_wrong="zero"), [0.25, 0.25], [True, False]) == [0.0, -1.0]
    assert advantages(config("grpo", all_wrong="penalise"), [0.5, 0.5], [True, True]) == [0.0, 0.0]


def test_a_reward_of_none_leaves_before_the_statistics() -> None:
    with_fault, without = (
        unshaped_advantages(config(), [1.0, None, 0.0, 0.0]),
        unshaped_advantages(config(), [1.0, 0.0, 0.0]),
    )
    assert [a for a in with_fault if a is not None] == without


def test_soft_overlong_falls_to_minus_one_over_its_buffer() -> None:
    punished = [soft_overlong(n, max_tokens=100, buffer=20) for n in (10, 80, 85, 90, 100, 120)]
    assert punished == [0.0, 0.0, -0.25, -0.5, -1.0, -1.0]


# ---- row weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregation", "denominator", "expected"),
    [
        ("sequence_mean", "sampled", [1 / 6, 1 / 12, 1 / 3, 0]),
        ("sequence_mean", "kept", [1 / 4, 0, 1 / 2, 0]),
        ("token_mean", "sampled", [1 / 7, 1 / 7, 1 / 7, 0]),
        ("token_mean", "kept", [1 / 3, 0, 1 / 3, 0]),
        ("constant", "sampled", [1 / 30, 1 / 30, 1 / 30, 0]),
        ("constant", "kept", [1 / 20, 0, 1 / 20, 0]),
    ],
)
def test_row_weights(aggregation: str, denominator: str, expected: list[float]) -> None:
    actual = row_weights(
        config(aggregation=aggregation, denominator=denominator),
        [-1.0, 0.0, -2.0, None],
        [2, 4, 1, 9],
        n_sampled=3,
        max_tokens=10,
    )
    assert actual == pytest.approx(expected)


def test_an_empty_completion_and_an_empty_batch_divide_nothing_by_zero() -> None:
    for aggregation in ("sequence_mean", "token_mean", "constant"):
        for denominator in ("sampled", "kept"):
            chosen = config(aggregation=aggregation, denominator=denominator)
            assert row_weights(chosen, [], [], n_sampled=0, max_tokens=4) == []
            (weight,) = row_weights(chosen, [-1.0], [0], n_sampled=1, max_tokens=4)
            assert math.isfinite(weight)


def test_rows_without_advantage_are_needed_by_kl_and_entropy_only() -> None:
    assert [needs_row(config(), a) for a in (None, 0.0, -0.5, 0.5)] == [False, False, True, True]
    assert [needs_row(config("grpo", kl_coef=0.1), a) for a in (None, 0.0)] == [False, True]
    assert needs_row(config("grpo", entropy_coef=0.1), 0.0)
    assert not needs_row(config("grpo", kl_coef=0.1, denominator="kept"), 0.0)


@pytest.mark.parametrize("name", ["grpo_n", "gspo_n"])
def test_negative_only_removes_a_completion_whole_kl_and_entropy_included(name: str) -> None:
    held = config(name, kl_coef=0.1, entropy_coef=0.1)
    assert [needs_row(held, a) for a in (0.0, -0.5)] == [False, True]
    assert row_weights(held, [0.0, -0.5, None], [2, 2, 2], n_sampled=2, max_tokens=4) == [0.0, 1 / 4, 0.0]


# ---- the surrogate, one token at a time -----------------------------------------------------------


def one_token(
    chosen: ObjectiveConfig, ratio: float, advantage: float, **logps: float
) -> tuple[float, float, LossStats]:
    """Loss and gradient d loss / d log pi of a single token of weight 1, log pi_old = -1."""
    old = torch.tensor([[-1.0]], dtype=torch.float64)
    logp = (old + math.log(ratio)).requires_grad_()
    others: dict[str, Tensor] = {name: torch.full_like(old, value) for name, value in logps.items()}
    one = torch.ones(1, dtype=torch.float64)
    loss, stats = policy_loss(chosen, LossInputs(logp, old, torch.ones(1, 1), advantage * one, one, **others))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    return loss.item(), logp.grad.item(), stats


@pytest.mark.parametrize(
    "name",
    [
        "grpo",
        "grpo_n",
        "gspo",
        "gspo_n",
        "gspo_token",
        "dr_grpo",
        "dapo",
        "psr",
        "nsr",
        "w_reinforce",
        "rloo",
    ],
)
@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "flows"),
    [
        (1.0, 2.0, -2.0, True),
        (1.1, 2.0, -2.2, True),
        (0.1, 2.0, -0.2, True),  # a fallen ratio of a good token is never clipped
        (1.5, 2.0, -2.4, False),  # clipped at 1.2
        (10.0, 2.0, -2.4, False),
        (1.0, -2.0, 2.0, True),
        (0.9, -2.0, 1.8, True),
        (0.1, -2.0, 1.6, False),  # clipped at 0.8: |A| max(rho, 1 - eps_low)
        (0.5, -2.0, 1.6, False),
        (3.0, -2.0, 6.0, True),  # no upper bound, whatever eps_high
        (10.0, -2.0, 20.0, True),
        (5.0, 0.0, 0.0, False),
    ],
)
def test_clipped_surrogate(name: str, ratio: float, advantage: float, value: float, flows: bool) -> None:
    loss, gradient, stats = one_token(config(name, eps_low=0.2, eps_high=0.2), ratio, advantage)
    assert loss == pytest.approx(value)
    assert gradient == pytest.approx(-ratio * advantage if flows else 0.0)
    clipped = stats.clipped_positive + stats.clipped_negative
    assert clipped == (0 if flows or advantage == 0 else 1)


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "gradient"),
    [(2.0, -1.0, 2.0, 2.0), (10.0, -1.0, 3.0, 0.0), (0.1, -1.0, 0.8, 0.0), (10.0, 1.0, -1.2, 0.0)],
)
def test_dual_clip_bounds_a_negative_advantage_only(
    ratio: float, advantage: float, value: float, gradient: float
) -> None:
    loss, slope, stats = one_token(config(dual_clip=3.0), ratio, advantage)
    assert (loss, slope) == pytest.approx((value, gradient))
    assert stats.clipped_positive + stats.clipped_negative == (gradient == 0)


def test_clip_higher_moves_only_the_upper_bound() -> None:
    assert one_token(config("dapo"), 1.27, 1.0)[1] == pytest.approx(-1.27)
    assert one_token(config("dapo"), 1.29, 1.0)[:2] == pytest.approx((-1.28, 0.0))
    assert one_token(config("dapo"), 0.79, -1.0)[:2] == pytest.approx((0.8, 0.0))


@pytest.mark.parametrize(("ratio", "weight"), [(0.1, 0.1), (1.0, 1.0), (4.0, 4.0), (10.0, 5.0)])
@pytest.mark.parametrize("advantage", [1.5, -1.5])
def test_cispo_clips_the_weight_and_never_the_gradient(ratio: float, weight: float, advantage: float) -> None:
    loss, gradient, stats = one_token(config("cispo"), ratio, advantage)
    assert loss == pytest.approx(-weight * advantage * (-1 + math.log(ratio)))
    assert gradient == pytest.approx(-weight * advantage)
    assert stats.clipped_positive + stats.clipped_negative == (ratio == 10.0)


# ---- sequences ------------------------------------------------------------------------------------


def test_gspo_takes_one_length_normalised_ratio() -> None:
    """Log-ratios 0.3 and 0.1 (and padding): s = exp(0.2); each token's gradient is -A s / |o|, times w |o|."""
    logp = torch.tensor([[-0.7, -1.9, 55.0]], dtype=torch.float64, requires_grad=True)
    old = torch.tensor([[-1.0, -2.0, -7.0]], dtype=torch.float64)
    mask = torch.tensor([[1, 1, 0]])
    for name in ("gspo", "gspo_token"):
        logp.grad = None
        chosen = config(name, eps_low=0.5, eps_high=0.5)
        (w,) = row_weights(chosen, [2.0], [2], n_sampled=1, max_tokens=3)
        loss, stats = policy_loss(
            chosen, LossInputs(logp, old, mask, torch.tensor([2.0]), torch.tensor([w], dtype=torch.float64))
        )
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.item() == pytest.approx(-2 * math.exp(0.2))
        assert logp.grad is not None
        assert logp.grad[0].tolist() == pytest.approx([-math.exp(0.2), -math.exp(0.2), 0.0])
        assert stats.count_positive == (1 if name == "gspo" else 2)  # sequences, or tokens


def test_gspo_clips_whole_sequences() -> None:
    logp = torch.tensor([[-0.9, -0.9], [-1.1, -1.1], [-0.5, -1.5]], requires_grad=True)
    old = torch.full((3, 2), -1.0)
    advantage, weight = torch.tensor([1.0, -1.0, 1.0]), torch.full((3,), 1 / 6)
    loss, stats = policy_loss(config("gspo"), LossInputs(logp, old, torch.ones(3, 2), advantage, weight))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    assert logp.grad[:2].abs().max() == 0  # s = e^0.1 and e^-0.1 are both outside 1 +- 4e-4
    assert logp.grad[2].tolist() == pytest.approx([-1 / 6, -1 / 6])  # 0.5 and -0.5 cancel: s = 1
    summary = stats.summary()
    assert (summary["clip_fraction_positive"], summary["clip_fraction_negative"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "aggregation", "expected"),
    [
        # on-policy: the gradient of token t of row i is -w_i A_i; rows of 3 and 1 tokens, A = 1 and -2
        ("grpo", "sequence_mean", [[-1 / 6] * 3, [2 / 2, 0, 0]]),
        ("grpo", "token_mean", [[-1 / 4] * 3, [2 / 4, 0, 0]]),
        ("grpo", "constant", [[-1 / 20] * 3, [2 / 20, 0, 0]]),
        ("gspo", "sequence_mean", [[-1 / 6] * 3, [2 / 2, 0, 0]]),
        ("cispo", "token_mean", [[-1 / 4] * 3, [2 / 4, 0, 0]]),
    ],
)
def test_on_policy_gradient_of_each_aggregation(
    name: str, aggregation: str, expected: list[list[float]]
) -> None:
    chosen = config(name, aggregation=aggregation)
    logp = torch.tensor([[-1.0, -2.0, -0.5], [-0.3, float("nan"), float("-inf")]], requires_grad=True)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    weights = row_weights(chosen, [1.0, -2.0], [3, 1], n_sampled=2, max_tokens=10)
    loss, _ = policy_loss(
        chosen, LossInputs(logp, logp.detach(), mask, torch.tensor([1.0, -2.0]), torch.tensor(weights))
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    torch.testing.assert_close(logp.grad, torch.tensor(expected))


# ---- KL, entropy, the sampler's mismatch ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "gradient"),
    [
        # log pi = -1 + log 1.1, log ref = -1.5, d = 0.5 + log 1.1
        ("k1", 1.1 * (0.5 + math.log(1.1)), 1.1 * (0.5 + math.log(1.1) + 1)),
        ("k2", (0.5 + math.log(1.1)) ** 2 / 2, 0.5 + math.log(1.1)),
        ("k3", math.exp(-0.5) / 1.1 + 0.5 + math.log(1.1) - 1, 1 - math.exp(-0.5) / 1.1),
    ],
)
def test_kl_estimators(kind: str, value: float, gradient: float) -> None:
    loss, slope, stats = one_token(config(kl_coef=0.3, kl_kind=kind), 1.1, 0.0, logp_ref_BT=-1.5)
    assert (loss, slope) == pytest.approx((0.3 * value, 0.3 * gradient))
    assert stats.summary()["kl_reference"] == pytest.approx(value)


@pytest.mark.parametrize("kind", ["k1", "k2"])
def test_expected_gradient_of_k1_and_k2_is_that_of_the_kl(kind: str) -> None:
    """Over all tokens of a softmax policy, weighted by their probability."""
    logits = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    ref = torch.log_softmax(torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64), 0)
    logp = torch.log_softmax(logits, 0)
    (expected,) = torch.autograd.grad((logp.exp() * (logp - ref)).sum(), logits, retain_graph=True)
    loss, _ = policy_loss(
        config(kl_coef=1.0, kl_kind=kind),
        LossInputs(
            logp[:, None],
            logp.detach()[:, None],
            torch.ones(3, 1),
            torch.zeros(3),
            logp.detach().exp(),
            logp_ref_BT=ref[:, None],
        ),
    )
    (actual,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(actual, expected)


def test_full_kl_and_entropy_enter_with_their_own_gradient() -> None:
    chosen = config(kl_coef=0.5, kl_kind="full", entropy_coef=0.25)
    kl = torch.tensor([[0.2, 9.0]], requires_grad=True)
    entropy = torch.tensor([[1.5, 9.0]], requires_grad=True)
    logp = torch.tensor([[-1.0, -1.0]])
    mask, zero, weight = torch.tensor([[1, 0]]), torch.zeros(1), torch.tensor([2.0])
    loss, _ = policy_loss(
        chosen, LossInputs(logp, logp, mask, zero, weight, kl_full_BT=kl, entropy_BT=entropy)
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(2 * (0.5 * 0.2 - 0.25 * 1.5))
    assert kl.grad is not None and entropy.grad is not None
    assert kl.grad.tolist() == [[1.0, 0.0]] and entropy.grad.tolist() == [[-0.5, 0.0]]


@pytest.mark.parametrize(
    ("level", "factors"), [("token", [2.0, 1 / 4]), ("sequence", [1.0, 1.0]), ("none", [1, 1])]
)
def test_sampler_correction_truncates_from_above(level: str, factors: list[float]) -> None:
    """pi_old / pi_sampler is 4 and 1/4: tokens min(4, 2) and 1/4, the sequence 4 * 1/4 = 1."""
    old = torch.tensor([[-1.0, -1.0, 0.0]])
    logp = old.clone().requires_grad_()
    sampler = old + torch.tensor([[-math.log(4), math.log(4), 9.0]])
    loss, stats = policy_loss(
        config(sampler_correction=level, kl_coef=0.1),
        LossInputs(
            logp,
            old,
            torch.tensor([[1, 1, 0]]),
            torch.tensor([-1.0]),
            torch.ones(1),
            logp_sampler_BT=sampler,
            # k3 and its gradient are zero here: the correction does not touch the KL term
            logp_ref_BT=old,
        ),
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(sum(factors))
    assert logp.grad is not None
    assert logp.grad[0].tolist() == pytest.approx([*factors, 0.0])
    assert stats.summary()["sampler_weight_mean"] == pytest.approx(sum(factors) / 2)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"kl_coef": 0.1}, "logp_ref_BT"),
        ({"kl_coef": 0.1, "kl_kind": "full"}, "kl_full_BT"),
        ({"entropy_coef": 0.1}, "entropy_BT"),
        ({"sampler_correction": "token"}, "logp_sampler_BT"),
    ],
)
def test_a_missing_input_is_named(options: dict[str, Any], argument: str) -> None:
    x = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=argument):
        policy_loss(config(**options), LossInputs(x, x, torch.ones(1, 1), torch.ones(1), torch.ones(1)))


# ---- safety and statistics ------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(FORMS))
@pytest.mark.parametrize("advantage", [1.0, -1.0])
@pytest.mark.parametrize("distance", [200.0, -200.0])
def test_extreme_ratios_give_finite_losses_and_gradients(
    name: str, advantage: float, distance: float
) -> None:
    old = torch.tensor([[-300.0, -1.0]])
    logp = (old + torch.tensor([[distance, 0.0]])).requires_grad_()
    chosen = config(name, kl_coef=0.1, kl_kind="k3")
    loss, _ = policy_loss(
        chosen,
        LossInputs(
            logp,
            old,
            torch.ones(1, 2),
            torch.tensor([advantage]),
            torch.ones(1),
            logp_ref_BT=torch.zeros(1, 2),
        ),
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert logp.grad is not None
    assert torch.isfinite(loss) and torch.isfinite(logp.grad).all()


def test_statistics_are_split_by_the_sign_of_the_advantage_and_ignore_padding() -> None:
    ratio = torch.tensor([[1.5, 1.0, 9.0], [0.5, 2.0, 0.1], [7.0, 7.0, 7.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 1, 1]])
    zero = torch.zeros(3, 3)
    _, stats = policy_loss(
        config(), LossInputs(ratio.log(), zero, mask, torch.tensor([1.0, -1.0, 0.0]), torch.ones(3))
    )
    summary = stats.summary()
    assert summary["clip_fraction_positive"] == pytest.approx(1 / 2)
    assert summary["clip_fraction_negative"] == pytest.approx(2 / 3)
    assert summary["ratio_mean_positive"] == pytest.approx(2.5 / 2)
    assert summary["ratio_max_positive"] == pytest.approx(1.5)
    assert summary["ratio_mean_negative"] == pytest.approx(2.6 / 3)
    assert summary["ratio_max_negative"] == pytest.approx(2.0)
    assert stats.tokens == 8


def test_statistics_of_parts_add_up_to_those_of_the_whole() -> None:
    torch.manual_seed(0)
    logp, old = -torch.rand(6, 4), -torch.rand(6, 4)
    mask, advantage, weight = torch.rand(6, 4) > 0.2, torch.randn(6), torch.rand(6)
    whole = policy_loss(config(), LossInputs(logp, old, mask, advantage, weight))[1].summary()
    parts = LossStats()
    for i in range(0, 6, 2):
        s = slice(i, i + 2)
        parts += policy_loss(config(), LossInputs(logp[s], old[s], mask[s], advantage[s], weight[s]))[1]
    assert parts.summary() == pytest.approx(whole)
    assert "ratio_max_positive" not in objectives.LossStats().summary()
