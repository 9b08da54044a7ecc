"""The training objectives, and the policy loss, each formula beside its code; advantages and weights: `credit.py`.

    grpo         group-relative advantages, token ratio, clipped            arXiv 2402.03300
    gspo         the same with one length-normalised ratio a sequence       arXiv 2507.18071
    gspo_token   its token form; equal to gspo for one advantage a sequence arXiv 2507.18071, section 4.3
    grpo_n       grpo on min(A, 0): relative negative gradients only        arXiv 2510.04028
    gspo_n       gspo on min(A, 0)                                          arXiv 2510.04028
    dr_grpo      no standard deviation, constant length normaliser          arXiv 2503.20783
    dapo         clip-higher, token mean, soft overlong punishment          arXiv 2503.14476
    cispo        clipped ratio as a constant weight on log pi               arXiv 2506.13585
    psr, nsr     passing, or failing, completions only, without a baseline  arXiv 2506.01347
    w_reinforce  lambda psr + nsr                                           arXiv 2506.01347
    rloo         leave-one-out baseline                                     arXiv 2402.14740

Deviations from the papers:

- psr, nsr, w_reinforce (as their authors' code does, token mean included) and rloo take the clipped token
  ratio when a batch is used for several optimizer steps; with one on-policy step all are plain REINFORCE.
- k1 carries the ratio, rho (log pi - log ref): without it, its expected gradient on-policy is zero.
- KL and entropy terms of -N act on the completions that it keeps, as the surrogate does.
- Log-ratios are clamped to +-20, where their gradient is zero already or the run is lost.

Shape suffixes: B completions in the micro-batch, T completion tokens (padded).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from coderl.config.objective import ObjectiveConfig
from coderl.errors import ConfigError
from coderl.learning import credit
from tasks.own import blamed

MAX_LOG_RATIO = 20.0


@dataclass(slots=True)
class LossStats:
    """Sums over tokens (over sequences for gspo, gspo_n), split by the sign of the advantage; they add up."""

    count_positive: float = 0.0
    count_negative: float = 0.0
    clipped_positive: float = 0.0
    clipped_negative: float = 0.0
    ratio_sum_positive: float = 0.0
    ratio_sum_negative: float = 0.0
    ratio_max_positive: float = 0.0
    ratio_max_negative: float = 0.0
    tokens: float = 0.0
    kl_old_sum: float = 0.0  # k3 of the policy that sampled, nats
    kl_reference_sum: float = 0.0  # the KL term, nats
    sampler_weight_sum: float = 0.0
    sampler_weight_truncated: float = 0.0
    gradient_positive: float = 0.0  # sum of |dL / d log pi|, filled in after the backward pass
    gradient_negative: float = 0.0
    work_slowest: float = 0.0  # of packing.Deal
    work_mean: float = 0.0

    def __add__(self, other: LossStats) -> LossStats:
        total = LossStats()
        for field in fields(LossStats):
            a, b = getattr(self, field.name), getattr(other, field.name)
            setattr(total, field.name, max(a, b) if "_max_" in field.name else a + b)
        return total

    def summary(self) -> dict[str, float]:
        """Fractions and means for the step record; a ratio is absent where no advantage had that sign."""
        tokens = max(1.0, self.tokens)
        summary = {
            "clip_fraction_positive": self.clipped_positive / max(1.0, self.count_positive),
            "clip_fraction_negative": self.clipped_negative / max(1.0, self.count_negative),
            "kl_old": self.kl_old_sum / tokens,
            "kl_reference": self.kl_reference_sum / tokens,
            "gradient_positive": self.gradient_positive,
            "gradient_negative": self.gradient_negative,
            "sampler_weight_mean": self.sampler_weight_sum / tokens,
            "sampler_weight_truncated": self.sampler_weight_truncated / tokens,
        }
        if self.work_mean:
            summary["imbalance"] = self.work_slowest / self.work_mean
        if self.count_positive:
            summary["ratio_mean_positive"] = self.ratio_sum_positive / self.count_positive
            summary["ratio_max_positive"] = self.ratio_max_positive
        if self.count_negative:
            summary["ratio_mean_negative"] = self.ratio_sum_negative / self.count_negative
            summary["ratio_max_negative"] = self.ratio_max_negative
        return summary


@dataclass(frozen=True, slots=True)
class LossInputs:
    """A micro-batch, float32 or float64. What an option of the objective needs may be left out where it is off.

    Padded entries may hold anything and get a gradient of zero.
    """

    logp_BT: Tensor  # log pi of the sampled tokens under the weights being trained, with gradient
    logp_old_BT: Tensor  # the same under the weights at the start of the batch
    mask_BT: Tensor  # true on the completion's tokens
    advantage_B: Tensor  # from `credit.advantages`
    weight_B: Tensor  # w_i from `credit.row_weights`
    logp_sampler_BT: Tensor | None = None  # the sampler's; for `sampler_correction`
    logp_ref_BT: Tensor | None = None  # under the reference model; for `kl_coef` with k1, k2, k3
    kl_full_BT: Tensor | None = (
        None  # KL(pi || ref) over the vocabulary, with gradient; for `kl_coef` with full
    )
    entropy_BT: Tensor | None = None  # the policy's, with gradient; for `entropy_coef`
    count_B: Tensor | None = (
        None  # how many equal completions a row stands for (`weight_B` has their sum); None: one
    )

    def unpadded(self, name: str) -> Tensor:
        """That of this name, zero in the padding, so that nothing there reaches a value or a gradient."""
        tensor: Tensor | None = getattr(self, name)
        if tensor is None:
            raise ValueError(f"the objective's options need {name}")
        return tensor.masked_fill(~self.mask_BT.bool(), 0.0)


def policy_loss(config: ObjectiveConfig, given: LossInputs) -> tuple[Tensor, LossStats]:
    """L = sum_i w_i sum_t (c_it l_it + kl_coef KL_it - entropy_coef H_it), to be minimised.

    Returns:
        The scalar loss of these rows, to be summed over micro-batches, and its statistics.
    """
    mask_BT, logp_BT = given.mask_BT.bool(), given.unpadded("logp_BT")
    advantage_B1 = given.advantage_B.to(logp_BT.dtype)[:, None]
    log_ratio_BT = (logp_BT - given.unpadded("logp_old_BT")).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    ratio = _ratio(config, log_ratio_BT, logp_BT, mask_BT)
    correction_BT = _sampler_correction(config, given)
    kl_BT = _kl(config, given, logp_BT, log_ratio_BT)

    term_BT = _surrogate(config, ratio, advantage_B1, logp_BT) * correction_BT
    if config.kl_coef > 0:
        term_BT = term_BT + config.kl_coef * kl_BT
    if config.entropy_coef > 0:
        term_BT = term_BT - config.entropy_coef * given.unpadded("entropy_BT")
    loss = (given.weight_B.to(term_BT.dtype)[:, None] * term_BT * mask_BT).sum()
    with torch.no_grad():
        count_B1 = torch.ones_like(advantage_B1) if given.count_B is None else given.count_B[:, None]
        stats = _stats(config, ratio, log_ratio_BT, advantage_B1, mask_BT, correction_BT, kl_BT, count_B1)
    return loss, stats


def _ratio(config: ObjectiveConfig, log_ratio_BT: Tensor, logp_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """rho_it (B, T), or s_i (B, 1) for gspo and gspo_n.

    rho_it = exp(log pi(o_it) - log pi_old(o_it))
    s_i = exp(1/|o_i| sum_t log rho_it)
    gspo_token: s_it = sg[s_i] pi(o_it) / sg[pi(o_it)], with value s_i and one gradient a token
    """
    if config.form.ratio == "token":
        return log_ratio_BT.exp()
    length_B1 = mask_BT.sum(1, keepdim=True).clamp(min=1)
    s_B1 = (log_ratio_BT.sum(1, keepdim=True) / length_B1).exp()
    if config.form.ratio == "sequence":
        return s_B1
    return s_B1.detach() * (logp_BT - logp_BT.detach()).exp()


def _surrogate(config: ObjectiveConfig, ratio: Tensor, advantage_B1: Tensor, logp_BT: Tensor) -> Tensor:
    """l_it, the negated objective of each token; (B, T), or (B, 1) where the ratio is the sequence's.

    clipped:    l = -min(rho A, clip(rho, 1 - eps_low, 1 + eps_high) A)
    dual clip:  l = min(l, c |A|) where A < 0                                   arXiv 1912.09729
    weighted:   l = -sg[clip(rho, 1 - eps_low, 1 + eps_high)] A log pi
    own:        a user's, of rho, A and log pi
    """
    if callable(config.form.surrogate):
        own: Tensor = config.form.surrogate(config, ratio, advantage_B1, logp_BT)
        return own
    clipped = ratio.clamp(1 - config.eps_low, 1 + config.eps_high)
    if config.form.surrogate == "weighted":
        return -clipped.detach() * advantage_B1 * logp_BT
    term = -torch.minimum(ratio * advantage_B1, clipped * advantage_B1)
    if config.dual_clip is not None:
        term = torch.where(advantage_B1 < 0, torch.minimum(term, -config.dual_clip * advantage_B1), term)
    return term


def _sampler_correction(config: ObjectiveConfig, given: LossInputs) -> Tensor:
    """Truncated importance weights, constants: min(pi_old / pi_sampler, cap), of each token or each sequence.

    A sequence's weight is the product over its tokens.
    """
    if config.sampler_correction == "none":
        return torch.ones_like(given.logp_BT)
    log_weight_BT = given.unpadded("logp_old_BT") - given.unpadded("logp_sampler_BT")
    if config.sampler_correction == "sequence":
        log_weight_BT = log_weight_BT.sum(1, keepdim=True).expand_as(log_weight_BT)
    weight_BT = log_weight_BT.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
    return weight_BT.clamp(max=config.sampler_correction_cap).detach()


def _kl(config: ObjectiveConfig, given: LossInputs, logp_BT: Tensor, log_ratio_BT: Tensor) -> Tensor:
    """KL(pi || ref): over the vocabulary, or estimated from the sampled token; d = log pi - log ref.

    k1 = rho d            unbiased in value and gradient, noisy, may be negative
    k2 = d^2 / 2          gradient of KL(pi || ref) on-policy
    k3 = e^-d + d - 1     unbiased in value; its gradient is that of KL(ref || pi) on-policy
    """
    if config.kl_coef == 0:
        return torch.zeros_like(given.logp_BT)
    if config.kl_kind == "full":
        return given.unpadded("kl_full_BT")
    d_BT = logp_BT - given.unpadded("logp_ref_BT")
    match config.kl_kind:
        case "k1":
            return log_ratio_BT.exp() * d_BT
        case "k2":
            return d_BT.square() / 2
        case _:
            return (-d_BT).clamp(max=MAX_LOG_RATIO).exp() + d_BT - 1


def _stats(
    config: ObjectiveConfig,
    ratio: Tensor,
    log_ratio_BT: Tensor,
    advantage_B1: Tensor,
    mask_BT: Tensor,
    correction_BT: Tensor,
    kl_BT: Tensor,
    count_B1: Tensor,
) -> LossStats:
    """Counted once a token, or once a sequence where the ratio is the sequence's; times `count_B1`."""
    unit = mask_BT if ratio.shape == mask_BT.shape else mask_BT.any(1, keepdim=True)
    positive, negative = unit & (advantage_B1 > 0), unit & (advantage_B1 < 0)
    high = ratio > 1 + config.eps_high
    low = ratio < 1 - config.eps_low
    if config.dual_clip is not None:
        low = low | (ratio > config.dual_clip)
    if config.form.surrogate == "weighted":  # its weight is clipped whatever the advantage's sign
        high = low = low | high
    sums = [
        positive,
        negative,
        high & positive,
        low & negative,
        ratio * positive,
        ratio * negative,
        mask_BT,
        (log_ratio_BT.exp() - log_ratio_BT - 1) * mask_BT,
        kl_BT * mask_BT,
        correction_BT * mask_BT,
        (correction_BT >= config.sampler_correction_cap) & mask_BT,
    ]
    values = [(x * count_B1).sum() for x in sums]
    values[6:6] = [(ratio * positive).amax(), (ratio * negative).amax()]
    return LossStats(*torch.stack([v.double() for v in values]).tolist())  # one transfer from the device


def rehearse(config: ObjectiveConfig) -> None:
    """Go through a small batch: a user's own objective that fails there fails before any work.

    Raises:
        ConfigError: its functions fail, or the loss has no finite gradient.
    """
    advantages = credit.advantages(config, [1.0, 0.0, 0.5], [True, False, False])
    logp_BT = torch.full((3, 2), -1.0, requires_grad=True)
    alike_BT = logp_BT.detach()
    given = LossInputs(
        logp_BT,
        alike_BT,
        torch.ones(3, 2, dtype=torch.bool),
        torch.tensor(advantages),
        torch.full((3,), 1 / 3),
        logp_sampler_BT=alike_BT,
        logp_ref_BT=alike_BT,
        kl_full_BT=torch.zeros(3, 2),
        entropy_BT=torch.zeros(3, 2),
    )
    try:
        loss, _ = policy_loss(config, given)
        (gradient,) = torch.autograd.grad(loss, logp_BT)
    except Exception as error:  # the user's function: any fault in it is its own
        raise ConfigError(f"objective.name = {config.name}: surrogate failed: {blamed(error)}") from error
    if not bool(gradient.isfinite().all()):
        raise ConfigError(f"objective.name = {config.name}: surrogate has no finite gradient")
