"""Loss and gradient against TRL's own, on the same log-probabilities, without a model.

`GRPOTrainer._compute_loss` reads its settings from the trainer and its log-probabilities from one
method, so it runs on a stand-in that holds the settings and returns ours. Where the two options
differ in meaning: TRL's `delta` is our `dual_clip`; its `epsilon_high` for CISPO is the cap itself,
1 + eps_high; its importance ratio comes with the inputs, so the truncation is TRL's clamp, repeated here.
"""

import warnings
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from coderl.config.objective import ObjectiveConfig
from coderl.learning.credit import row_weights
from coderl.learning.objectives import LossInputs, policy_loss
from tests.coderl.batches import unshaped_advantages

pytest.importorskip("trl", reason="TRL is a test dependency: pip install 'trl==1.16.*'")

B, T, MAX_TOKENS = 8, 7, 12
CAP = 2.0
TOLERANCE: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-14}  # float64 on both sides


@pytest.fixture(scope="module")
def trainers() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the version of vLLM, which is not used here
        from trl.trainer import grpo_trainer, rloo_trainer
    return SimpleNamespace(grpo=grpo_trainer.GRPOTrainer, rloo=rloo_trainer.RLOOTrainer)


class Accelerator:
    """One process."""

    num_processes = 1
    sync_gradients = True

    def gather(self, x: Tensor) -> Tensor:
        return x

    def reduce(self, x: Tensor, reduction: str) -> Tensor:
        return x


def stand_in(logp: Tensor, **settings: Any) -> SimpleNamespace:
    ours: dict[str, Any] = {
        "loss_type": "grpo",
        "importance_sampling_level": "token",
        "epsilon_low": 0.2,
        "epsilon_high": 0.2,
        "beta": 0.0,
        "delta": None,
        "use_vllm": False,
    } | settings
    return SimpleNamespace(
        **ours,
        args=SimpleNamespace(delta=ours["delta"], use_bias_correction_kl=False, steps_per_generation=1),
        _get_per_token_logps_and_entropies=lambda *_, **__: (logp, torch.zeros_like(logp), None),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        vllm_importance_sampling_correction=True,
        current_gradient_accumulation_steps=1,
        max_completion_length=MAX_TOKENS,
        _entropy_bonus_enabled=False,
        accelerator=Accelerator(),
        model=SimpleNamespace(training=True),
        _metrics={"train": defaultdict(list)},
    )


@pytest.fixture(params=range(3))
def batch(request: pytest.FixtureRequest) -> SimpleNamespace:
    """Ratios from about 0.1 to 10, rows of 1 to T tokens, advantages of both signs and zero."""
    generator = torch.Generator().manual_seed(request.param)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(B, T, generator=generator, dtype=torch.float64)

    lengths = torch.randint(1, T + 1, (B,), generator=generator)
    lengths[0], lengths[1] = 1, T
    old = uniform(-3, -0.1)
    advantage = torch.randn(B, generator=generator, dtype=torch.float64)
    advantage[2] = 0.0
    return SimpleNamespace(
        lengths=lengths.tolist(),
        mask=torch.arange(T) < lengths[:, None],
        old=old,
        logp=(old + uniform(-2.3, 2.3)).requires_grad_(),
        ref=old + uniform(-1, 1),
        sampler=old + uniform(-1, 1),
        advantage=advantage,
    )


def ours(chosen: ObjectiveConfig, batch: SimpleNamespace) -> tuple[Tensor, Tensor]:
    weights = row_weights(chosen, batch.advantage.tolist(), batch.lengths, n_sampled=B, max_tokens=MAX_TOKENS)
    loss, _ = policy_loss(
        chosen,
        LossInputs(
            batch.logp,
            batch.old,
            batch.mask,
            batch.advantage,
            torch.tensor(weights, dtype=torch.float64),
            logp_ref_BT=batch.ref,
            logp_sampler_BT=batch.sampler,
        ),
    )
    return loss.detach(), torch.autograd.grad(loss, batch.logp)[0]


def theirs(trainer: Any, batch: SimpleNamespace, **settings: Any) -> tuple[Tensor, Tensor]:
    inputs = {
        "prompt_ids": torch.zeros(B, 1, dtype=torch.long),
        "prompt_mask": torch.ones(B, 1, dtype=torch.long),
        "completion_ids": torch.zeros(B, T, dtype=torch.long),
        "completion_mask": batch.mask.long(),
        "advantages": batch.advantage,
        "old_per_token_logps": batch.old,
        "old_logps": (batch.old * batch.mask).sum(1),
        "ref_per_token_logps": batch.ref,
        "num_items_in_batch": batch.mask.sum(),
    }
    if mode := settings.pop("truncated_importance_sampling", None):
        difference = (batch.old - batch.sampler) * batch.mask
        difference = difference.sum(-1, keepdim=True) if mode == "sequence" else difference
        inputs["importance_sampling_ratio"] = difference.exp().clamp(max=CAP)
        settings["use_vllm"] = True
    loss = trainer._compute_loss(stand_in(batch.logp, **settings), None, inputs)
    return loss.detach(), torch.autograd.grad(loss, batch.logp)[0]


GSPO = {"importance_sampling_level": "sequence", "epsilon_low": 3e-4, "epsilon_high": 4e-4}
WIDE = {"eps_low": 0.3, "eps_high": 0.5}


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"name": "grpo"}, {}),
        ({"name": "grpo", "eps_low": 0.1, "eps_high": 0.6}, {"epsilon_low": 0.1, "epsilon_high": 0.6}),
        ({"name": "grpo", "dual_clip": 3.0}, {"delta": 3.0}),
        ({"name": "grpo", "kl_coef": 0.2, "kl_kind": "k3"}, {"beta": 0.2}),
        ({"name": "grpo", "sampler_correction": "token"}, {"truncated_importance_sampling": "token"}),
        ({"name": "grpo", "sampler_correction": "sequence"}, {"truncated_importance_sampling": "sequence"}),
        (
            {"name": "grpo", "sampler_correction": "token", "kl_coef": 0.2, "dual_clip": 2.0},
            {"truncated_importance_sampling": "token", "beta": 0.2, "delta": 2.0},
        ),
        ({"name": "dr_grpo"}, {"loss_type": "dr_grpo"}),
        ({"name": "dapo"}, {"loss_type": "dapo", "epsilon_high": 0.28}),
        ({"name": "cispo"}, {"loss_type": "cispo", "epsilon_high": 5.0}),
        ({"name": "cispo", "eps_high": 0.5}, {"loss_type": "cispo", "epsilon_high": 1.5}),
        ({"name": "gspo"}, GSPO),
        ({"name": "gspo_token"}, GSPO),
        ({"name": "gspo"} | WIDE, GSPO | {"epsilon_low": 0.3, "epsilon_high": 0.5}),
        ({"name": "gspo_token"} | WIDE, GSPO | {"epsilon_low": 0.3, "epsilon_high": 0.5}),
        ({"name": "gspo", "dual_clip": 1.1, "kl_coef": 0.1}, GSPO | {"delta": 1.1, "beta": 0.1}),
        ({"name": "gspo", "sampler_correction": "token"}, GSPO | {"truncated_importance_sampling": "token"}),
        (
            {"name": "gspo", "sampler_correction": "sequence"},
            GSPO | {"truncated_importance_sampling": "sequence"},
        ),
    ],
)
@pytest.mark.parametrize("negative_only", [False, True])
def test_loss_and_gradient_equal_trl(
    trainers: Any,
    batch: SimpleNamespace,
    options: dict[str, Any],
    settings: dict[str, Any],
    negative_only: bool,
) -> None:
    """-N by passing min(A, 0). What that removes has no KL term in ours; in TRL's none if the reference is the policy."""
    if negative_only:
        batch.advantage = batch.advantage.clamp(max=0)
        removed = batch.advantage == 0
        batch.ref[removed] = batch.logp.detach()[removed]
        options = options | {
            "name": {"grpo": "grpo_n", "gspo": "gspo_n"}.get(options["name"], options["name"])
        }
    chosen = ObjectiveConfig.model_validate(options | {"sampler_correction_cap": CAP})
    expected = theirs(trainers.grpo, batch, **settings)
    actual = ours(chosen, batch)
    assert expected[1].abs().max() > 1e-3
    torch.testing.assert_close(actual[0], expected[0], **TOLERANCE)
    torch.testing.assert_close(actual[1], expected[1], **TOLERANCE)


def test_rloo_gradient_on_policy_is_trl_s_over_max_tokens(trainers: Any, batch: SimpleNamespace) -> None:
    """TRL clips the whole sequence's ratio; with one on-policy step both are REINFORCE."""
    batch.old = batch.logp.detach()
    _, expected = theirs(trainers.rloo, batch)
    _, actual = ours(ObjectiveConfig(name="rloo"), batch)
    torch.testing.assert_close(actual * MAX_TOKENS, expected, **TOLERANCE)


def test_advantages_equal_trl_s_formula() -> None:
    """(r - mean) / (std with Bessel's correction + 1e-4), as TRL computes them from a group's rewards."""
    rewards = torch.tensor([1.0, 0.25, 0.0, 0.0, 0.75], dtype=torch.float64)
    expected = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
    assert unshaped_advantages(ObjectiveConfig(name="grpo"), rewards.tolist()) == pytest.approx(
        expected.tolist()
    )
