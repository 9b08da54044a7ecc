"""The learner: from a graded batch to updated weights.

A completion whose weight is zero is never run (see `objectives.needs_row`): for the -N variants
that is every completion with a positive advantage. Equal completions are run once. Sums are normalised
over the whole minibatch, so how it is cut into micro-batches changes nothing.
"""

from __future__ import annotations

import copy
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from coderl import distributed, objectives
from coderl.config import LearnerConfig, RunConfig
from coderl.controller import RateController
from coderl.errors import ModelError, NonFiniteError
from coderl.lora import Adapter
from coderl.masters import Masters
from coderl.model import Policy
from coderl.objectives import LossStats
from coderl.scoring import Scores, TokenRow, microbatches, score
from coderl.types import Batch, Rollout


@dataclass(frozen=True, slots=True)
class Probe:
    """Measured on random completions of all kinds; nats a token.

    `logprob_diff` is between the sampler and the learner's copy of the same policy: of the one before the last update
    where that one sampled, so an old policy does not pass for a stale publish, nor the other way round.
    """

    entropy: float
    kl_warm: float
    kl_step: float | None  # from the policy before the last update; with `learner.kl_target` or `train.lag`
    logprob_diff_mean: float  # |sampler - learner|
    logprob_diff_max: float


@dataclass(frozen=True, slots=True)
class Update:
    """What one batch's optimizer steps did. `rows` ran through the learner, out of `sampled`."""

    loss: float
    grad_norm: float
    learning_rate: float
    rows: int
    sampled: int
    stats: dict[str, float]
    seconds: float


class Learner:
    """Holds the policy being trained, its optimizer, and the frozen warm model.

    With `learner.kl_target` or `train.lag` also a frozen copy of the policy before the last update, against which the
    update, or what an older policy sampled, is measured; with `objective.kl_reference = "average"` a slow average of
    the policy.
    """

    def __init__(self, policy: Policy, config: RunConfig, warm: PreTrainedModel | None) -> None:
        """Take `policy` over. With `config.lora` it must be the warm one, and `warm` is not needed.

        Raises:
            ModelError: log-probabilities of this model would come out wrong, or no adapter fits it.
        """
        self.policy = policy
        self.config = config
        self.objective = config.objective  # a stage may bring another (stages.ObjectiveSchedule)
        self.batches = 0
        self.model = policy.model
        target = config.learner.kl_target
        self.controller = RateController(target) if target else None
        compares = target > 0 or config.train.lag > 0
        self.previous = copy.deepcopy(self.model).eval().requires_grad_(False) if compares else None
        self.average = copy.deepcopy(warm or self.model) if _uses_average(config) else None
        if self.average is not None:
            self.average.eval().requires_grad_(False)
        self._average = Masters(self.average.parameters()) if self.average is not None else None
        self.adapter = Adapter(self.model, config.lora, config.seed) if config.lora else None
        if self.adapter is not None:
            self.warm = self.adapter.off
        else:
            assert warm is not None
            self.warm = warm.eval().requires_grad_(False)
        self.model.train()
        learner = config.learner
        check_scoring(self.model, share_prompts=learner.share_prompts)
        if learner.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if distributed.world_size() > 1:
            distributed.shard(self.model)
        self.masters = Masters(p for p in self.model.parameters() if p.requires_grad)
        self.optimizer = torch.optim.AdamW(
            self.masters.tensors,
            lr=learner.learning_rate,
            betas=(learner.beta1, learner.beta2),
            weight_decay=learner.weight_decay,
        )

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Weights by checkpoint name, for the sampler.

        Tied weights go under both names: vLLM on CPU keeps a packed copy of the output layer, which
        would stay stale if only the embedding were sent.
        """
        if self.adapter is not None:
            yield from self.adapter.merged()
            return
        for name, tensor in self.model.state_dict().items():
            yield name, distributed.whole(tensor)

    def save(self, folder: Path) -> None:
        """Write a transformers folder, with the adapter merged in; and the adapter beside it, in `adapter/`."""
        self.policy.save(folder, dict(self.named_weights()))
        if self.adapter is not None:
            self.adapter.save(folder / "adapter")

    def probe(self, batch: Batch, seed: int) -> Probe:
        """Score a fixed random subset of all completions, before the update."""
        with_tokens = [r for r in batch.rollouts if r.tokens]
        chosen = random.Random(seed).sample(
            with_tokens, min(self.config.learner.probe_rows, len(with_tokens))
        )
        rows = [_row(r) for r in chosen]
        sampled_by = self.model
        if self.previous is not None and batch.policy_version < self.batches:
            sampled_by = self.previous
        references = [self.warm] if self.previous is None else [self.warm, self.previous]
        sums = torch.zeros(2 + len(references), dtype=torch.float64)
        count, largest = 0, 0.0
        with torch.no_grad():
            for group in self._microbatches(rows):
                part = [rows[i] for i in group]
                scores = self._score(self.model, part, entropy=True, references=references)
                assert scores.entropy_BT is not None
                own_BT = scores.logp_BT if sampled_by is self.model else self._score(sampled_by, part).logp_BT
                sampler_BT = _padded([chosen[i].logprobs for i in group], own_BT)
                difference = (own_BT - sampler_BT).abs() * scores.mask_BT
                columns = (scores.entropy_BT, difference, *scores.kls_BT)
                sums += torch.stack([x.sum() for x in columns]).double().cpu()
                largest = max(largest, float(difference.max()))
                count += int(scores.mask_BT.sum())
        entropy, mismatch, kl_warm, *kl_step = (sums / count).tolist()
        if self.controller and self.batches > self.config.learner.warmup_steps:
            self.controller.measured(kl_step[0])
        return Probe(entropy, kl_warm, kl_step[0] if kl_step else None, mismatch, largest)

    def update(self, batch: Batch) -> Update:
        """Take `minibatches` optimizer steps on a batch whose rollouts have advantages.

        Raises:
            NonFiniteError: before the optimizer step that would have spoilt the weights.
        """
        started = time.monotonic()
        rate = self._set_learning_rate()
        if self.previous is not None:
            self.previous.load_state_dict(dict(self.named_weights()))
        stats = LossStats()
        losses, norms, rows = [], [], 0
        parts = _split(batch, self.config.learner.minibatches, self.config.seed)
        old = self._old_logprobs(batch) if len(parts) > 1 else None
        for part in parts:
            loss, norm, used, part_stats = self._step(part, old)
            stats += part_stats
            losses.append(loss)
            norms.append(norm)
            rows += used
        self.batches += 1
        if self.average is not None and self._average is not None:
            weights = dict(self.named_weights())
            with torch.no_grad():
                for (name, _), slow in zip(
                    self.average.named_parameters(), self._average.tensors, strict=True
                ):
                    slow.lerp_(weights[name].to(slow), 1 - self.objective.kl_average_decay)
            self._average.round()
        return Update(
            loss=sum(losses) / len(losses),
            grad_norm=max(norms),
            learning_rate=rate,
            rows=rows,
            sampled=len(batch.rollouts),
            stats=stats.summary(),
            seconds=time.monotonic() - started,
        )

    def rehearse(self, batch: Batch) -> None:
        """The forward and backward passes of `update`, without its optimizer steps."""
        parts = _split(batch, self.config.learner.minibatches, self.config.seed)
        old = self._old_logprobs(batch) if len(parts) > 1 else None
        for part in parts:
            self._gradient(part, old)
        self.optimizer.zero_grad(set_to_none=True)

    def _step(
        self, part: list[Rollout], old: dict[int, list[float]] | None
    ) -> tuple[float, float, int, LossStats]:
        loss, rows, stats = self._gradient(part, old)
        if not rows:  # no group has any signal: no step for weight decay or momentum
            return 0.0, 0.0, 0, stats
        limit = self.config.learner.gradient_norm
        norm = float(distributed.whole(torch.nn.utils.clip_grad_norm_(self.masters.tensors, limit)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise NonFiniteError(
                f"loss {loss} or gradient norm {norm} is not finite in batch {self.batches + 1}; the weights are "
                "unchanged. Resume from the last checkpoint with a lower learner.learning_rate"
            )
        self.optimizer.step()
        self.masters.round()
        return loss, norm, rows, stats

    def _gradient(
        self, part: list[Rollout], old: dict[int, list[float]] | None
    ) -> tuple[float, int, LossStats]:
        """Leave the gradient of a minibatch in the parameters.

        Returns: the loss, how many completions ran through the model, statistics.
        """
        objective = self.objective
        weights = objectives.row_weights(
            objective,
            [r.advantage for r in part],
            [len(r.tokens) for r in part],
            n_sampled=sum(r.advantage is not None for r in part),
            max_tokens=self.config.sampler.max_tokens,
        )
        used = [(r, w) for r, w in zip(part, weights, strict=True) if self._needed(r)]
        ranks = distributed.world_size()
        distinct = _distinct(used)
        mine = distinct[distributed.rank() :: ranks]
        groups = list(self._microbatches([_row(r) for r, _, _ in mine]))
        passes = distributed.largest(len(groups))  # all ranks must take part in each
        total, stats = 0.0, LossStats()
        self.optimizer.zero_grad(set_to_none=True)
        for group in groups:
            loss, logp_BT, group_stats = self._loss([mine[i] for i in group], old)
            (loss * ranks).backward()  # FSDP takes the mean over ranks; ours is a sum
            total += float(loss.detach())
            stats += group_stats
            stats += _gradient_stats(logp_BT, [mine[i][0] for i in group], ranks)
        for _ in range(passes - len(groups)):
            loss, _, _ = self._loss([(used[0][0], 0.0, 0)], old)
            loss.backward()
        total, stats = distributed.summed(total, stats)
        return total, len(used), stats

    def _score(self, model: PreTrainedModel, rows: Sequence[TokenRow], **options: Any) -> Scores:
        return score(
            model,
            rows,
            temperature=self.config.sampler.temperature,
            share_prompts=self.config.learner.share_prompts,
            **options,
        )

    def _microbatches(self, rows: Sequence[TokenRow]) -> Iterator[list[int]]:
        config = self.config.learner
        return microbatches(rows, config.tokens_per_microbatch, share_prompts=config.share_prompts)

    def _needed(self, rollout: Rollout) -> bool:
        """Whether a completion has to run through the model at all."""
        return bool(rollout.tokens) and objectives.needs_row(self.objective, rollout.advantage)

    def _loss(
        self, used: Sequence[tuple[Rollout, float, int]], old: dict[int, list[float]] | None
    ) -> tuple[torch.Tensor, torch.Tensor, LossStats]:
        """The loss of what `_distinct` gave, the log-probabilities that its gradient passes through, and statistics."""
        objective = self.objective
        rollouts = [r for r, _, _ in used]
        full_kl = objective.kl_coef > 0 and objective.kl_kind == "full"
        scores = self._score(
            self.model,
            [_row(r) for r in rollouts],
            entropy=objective.entropy_coef != 0,
            references=[self._reference] if full_kl else [],
        )
        logp = scores.logp_BT
        logp.retain_grad()
        loss, stats = objectives.policy_loss(
            objective,
            logp,
            logp.detach() if old is None else _padded([old[id(r)] for r in rollouts], logp),
            scores.mask_BT,
            torch.tensor([float(r.advantage or 0.0) for r in rollouts], device=logp.device),
            torch.tensor([w for _, w, _ in used], device=logp.device),
            logp_sampler_BT=_padded([r.logprobs for r in rollouts], logp),
            logp_ref_BT=self._reference_logprobs(rollouts) if objective.kl_coef > 0 and not full_kl else None,
            kl_full_BT=scores.kls_BT[0] if full_kl else None,
            entropy_BT=scores.entropy_BT,
            spared_BT=_spared(rollouts, logp),
            count_B=torch.tensor([n for _, _, n in used], device=logp.device),
        )
        return loss, logp, stats

    @property
    def _reference(self) -> PreTrainedModel:
        """What the KL term is held to."""
        average = self.objective.kl_reference == "average"
        return self.average if average and self.average is not None else self.warm

    def _reference_logprobs(self, rollouts: Sequence[Rollout]) -> torch.Tensor:
        with torch.no_grad():
            rows = [_row(r) for r in rollouts]
            return self._score(self._reference, rows).logp_BT

    def _old_logprobs(self, batch: Batch) -> dict[int, list[float]]:
        """Log-probabilities under the weights at the start of the batch, by `id` of the rollout."""
        needed = [r for r in batch.rollouts if self._needed(r)]
        rows = [_row(r) for r in needed]
        old: dict[int, list[float]] = {}
        with torch.no_grad():
            for group in self._microbatches(rows):
                logp = self._score(self.model, [rows[i] for i in group]).logp_BT.tolist()
                for i, values in zip(group, logp, strict=True):
                    old[id(needed[i])] = values[: len(needed[i].tokens)]
        return old

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.config.learner, self.batches, self.config.train.steps)
        if self.controller:
            rate *= self.controller.factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    @property
    def saves_masters(self) -> bool:
        """Whether what `save` writes is not all that was learned: it is merged, or rounded."""
        return self.adapter is not None or not self.masters.exact

    def state(self) -> dict[str, Any]:
        return {
            "masters": self.masters.state() if self.saves_masters else None,
            "optimizer": distributed.collected(self.optimizer.state_dict()),
            "batches": self.batches,
            "torch_rng": torch.get_rng_state(),
            "controller": self.controller.state() if self.controller else None,
            "average": self._average.state() if self._average is not None else None,
            "previous": self.previous.state_dict() if self.previous is not None else None,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        if state["masters"] is not None:
            self.masters.load_state(state["masters"])
        distributed.load_optimizer(self.optimizer, state["optimizer"])
        self.batches = state["batches"]
        torch.set_rng_state(state["torch_rng"])
        if self.controller and state["controller"]:
            self.controller.factor = state["controller"]["factor"]
        if self.previous is not None and state["previous"]:
            self.previous.load_state_dict(state["previous"])
        if self._average is not None and state["average"]:
            self._average.load_state(state["average"])


def learning_rate(config: LearnerConfig, batch: int, batches: int) -> float:
    """The rate for a batch (from 0): linear ramp, then constant, linear or cosine decay to zero."""
    ramp = min(1.0, (batch + 1) / (config.warmup_steps + 1))
    progress = min(1.0, batch / max(1, batches))
    decay = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return config.learning_rate * ramp * decay[config.schedule]


def check_scoring(model: PreTrainedModel, *, share_prompts: bool) -> None:
    """Hold our chunked log-probabilities against the model's own logits, once.

    Raises:
        ModelError: the model post-processes its logits in a way that scoring.py does not know, or does not
            take the mask that sharing prompts needs.
    """
    rows = [TokenRow([1, 2, 3], [4, 5]), TokenRow([1, 2, 3], [6, 7, 8])]
    with torch.no_grad():
        ours_BT = score(model, rows, share_prompts=share_prompts).logp_BT
        for ours, row in zip(ours_BT, rows, strict=True):
            ids = torch.tensor([row.prompt + row.completion], device=model.device)
            logp = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
            own = logp[2:-1].gather(1, ids[0, 3:, None])[:, 0]
            tolerance = 1e-4 if model.dtype == torch.float32 else 0.1
            if not torch.allclose(ours[: len(own)], own, atol=tolerance):
                raise ModelError(
                    f"{type(model).__name__} changes its logits after the output layer; see coderl/scoring.py"
                    if not share_prompts
                    else f"{type(model).__name__} does not score right; try learner.share_prompts=false"
                )


def _gradient_stats(logp_BT: torch.Tensor, rollouts: Sequence[Rollout], scale: int) -> LossStats:
    """The absolute gradient that reached the log-probabilities, by the sign of the advantage."""
    assert logp_BT.grad is not None
    sums_B = (logp_BT.grad.abs().sum(1) / scale).tolist()
    pairs = [(r.advantage or 0.0, s) for r, s in zip(rollouts, sums_B, strict=True)]
    return LossStats(
        gradient_positive=sum(s for a, s in pairs if a > 0),
        gradient_negative=sum(s for a, s in pairs if a < 0),
    )


def _uses_average(config: RunConfig) -> bool:
    chosen = (config.objective, config.stages.exploitation, config.stages.exploration)
    return any(o is not None and o.kl_coef > 0 and o.kl_reference == "average" for o in chosen)


def _distinct(used: Sequence[tuple[Rollout, float]]) -> list[tuple[Rollout, float, int]]:
    """Equal completions as one: its rollout, the sum of their weights, and how many they are.

    The loss is linear in the weights, and groups concentrate: often over half of a batch's rows are copies.
    """
    merged: dict[tuple[Any, ...], tuple[Rollout, float, int]] = {}
    for r, weight in used:
        key = (tuple(r.prompt_tokens), tuple(r.tokens), r.advantage, tuple(r.spared or ()))
        first, total, count = merged.get(key, (r, 0.0, 0))
        merged[key] = (first, total + weight, count + 1)
    return list(merged.values())


def _spared(rollouts: Sequence[Rollout], like_BT: torch.Tensor) -> torch.Tensor | None:
    if all(r.spared is None for r in rollouts):
        return None
    return _padded([r.spared or [] for r in rollouts], like_BT).bool()


def _split(batch: Batch, parts: int, seed: int) -> list[list[Rollout]]:
    """Whole groups dealt into `parts` minibatches, in an order that depends on seed and step only."""
    groups = list(batch.groups)
    if parts > 1:
        random.Random(f"{seed}/{batch.step}").shuffle(groups)
    dealt = [groups[i::parts] for i in range(min(parts, len(groups)))]
    return [[r for group in part for r in group.rollouts] for part in dealt]


def _row(rollout: Rollout) -> TokenRow:
    return TokenRow(rollout.prompt_tokens, rollout.tokens)


def _padded(rows: Sequence[Sequence[float]], like_BT: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(like_BT, requires_grad=False)
    for b, values in enumerate(rows):
        out[b, : len(values)] = torch.tensor(values, dtype=out.dtype)
    return out
