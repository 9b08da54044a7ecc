"""The learner: from a graded batch to updated weights.

A completion whose weight is zero is never run (`credit.needs_row`): for the -N variants
that is every completion with a positive advantage. Equal completions are run once. Sums are normalised
over the whole minibatch, so how it is cut into passes changes nothing.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from coderl.config.settings import RunConfig
from coderl.errors import NonFiniteError
from coderl.learning import collectives, credit, objectives, tensor_files
from coderl.learning.lora import Adapter
from coderl.learning.masters import Masters
from coderl.learning.objectives import LossStats
from coderl.learning.probe import Probe, measure
from coderl.learning.rate import RateController, learning_rate
from coderl.learning.references import References
from coderl.learning.rounding import last_bits_flipped
from coderl.learning.rows import Row, Rows, Tokens, distinct, padded, split
from coderl.model.packing import Deal, TokenRow, deal, pass_tokens
from coderl.model.policy import Policy
from coderl.model.scoring import Scores, check_scoring, score

TENSORS = "learner"  # folder of a checkpoint
TRIFLE = 1e-3  # share of the weights whose last bits change nothing that matters


@dataclass(frozen=True, slots=True)
class Update:
    """What one batch's optimizer steps did. `rows` ran through the learner, out of `sampled`."""

    loss: float
    grad_norm: float
    learning_rate: float
    kl_floor: float | None  # of the KL that steers the rate; None: nothing steers it
    rows: int
    sampled: int
    stats: dict[str, float]
    seconds: float


class Learner:
    """Holds the policy being trained, its optimizer, and the frozen models that it is compared with."""

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
        self.references = References(self.model, config, warm)
        self.adapter = Adapter(self.model, config.lora, config.seed) if config.lora else None
        if self.adapter is not None:
            self.references.warm = self.adapter.off
            self.references.previous = self.adapter.earlier()
        self.model.train()
        learner = config.learner
        check_scoring(self.model)
        if learner.gradient_checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if collectives.world_size() > 1:
            collectives.shard(self.model)
        self.masters = Masters(p for p in self.model.parameters() if p.requires_grad)
        self.optimizer = torch.optim.AdamW(
            self.masters.tensors,
            lr=learner.learning_rate,
            betas=learner.betas,
            weight_decay=learner.weight_decay,
        )
        for tensor in self.masters.tensors:  # as its first step would: a checkpoint is read into them
            self.optimizer.state[tensor] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(tensor),
                "exp_avg_sq": torch.zeros_like(tensor),
            }

    def named_weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Weights by checkpoint name, for the sampler.

        Tied weights go under both names: vLLM on CPU keeps a packed copy of the output layer, which
        would stay stale if only the embedding were sent.
        """
        if self.adapter is not None:
            yield from self.adapter.merged()
            return
        for name, tensor in self.model.state_dict().items():
            yield name, collectives.whole(tensor)

    def save(self, folder: Path) -> None:
        """Write a transformers folder, with the adapter merged in; beside it the adapter, in `adapter/`, and all that
        `state` leaves out, in `learner/`.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.policy.save(folder, dict(self.named_weights()))
        if self.adapter is not None:
            self.adapter.save(folder / "adapter")
        self.save_tensors(folder / TENSORS)

    def save_tensors(self, folder: Path) -> None:
        """Write what was learned beside the weights, on all ranks."""
        tensor_files.save(self.tensors(), folder)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What was learned beside the weights, by name, live."""
        named = self.references.tensors()
        for i, tensor in enumerate(self.masters.tensors):
            named |= {f"optimizer.{i}.{name}": value for name, value in self.optimizer.state[tensor].items()}
            if self.saves_masters:
                named[f"masters.{i}"] = tensor.detach()
        return named

    def probe(self, rows: Rows, seed: int) -> Probe:
        """Measure a fixed random subset of all completions, before the update."""
        started = time.monotonic()
        measured = self._measure(rows, seed)
        if self.controller and self.batches > self.config.learner.warmup_steps:
            self.controller.measured(measured.kl_step)
        return replace(measured, seconds=time.monotonic() - started)

    def _measure(self, rows: Rows, seed: int) -> Probe:
        with_tokens = [row for row in rows if row.completion]
        size = min(self.config.learner.probe_rows, len(with_tokens))
        return measure(
            random.Random(seed).sample(with_tokens, size),
            self.model,
            self.references.warm,
            self.references.previous,
            sampled_by_previous=rows.policy_version < self.batches,
            score=self._score,
            deal=self._deal,
        )

    def _kl_floor(self, rows: Rows) -> float:
        """What the KL of a step is where it hardly was one. `previous` must be the policy."""
        with last_bits_flipped(self.model.parameters(), TRIFLE):
            return abs(self._measure(rows, self.config.seed).kl_step)

    def update(self, rows: Rows) -> Update:
        """Take `minibatches` optimizer steps on rows that have advantages.

        Raises:
            NonFiniteError: before the optimizer step that would have spoilt the weights.
            RateError: before the first one; the KL target is below what can be measured.
        """
        started = time.monotonic()
        rate = self._set_learning_rate()
        self.references.keep_previous(self.adapter.weights if self.adapter else self.named_weights)
        if self.controller and self.controller.floor is None:
            self.controller.calibrate(self._kl_floor(rows))
        stats = LossStats()
        losses: list[float] = []
        norms, ran = [], 0
        parts = split(rows, self.config.learner.minibatches, self.config.seed)
        old = self._old_logprobs(rows) if len(parts) > 1 else None
        for part in parts:
            try:
                loss, norm, used, part_stats = self._step(part, old)
            except NonFiniteError as error:
                error.half_learned = bool(losses)
                raise
            stats += part_stats
            losses.append(loss)
            norms.append(norm)
            ran += used
        self.batches += 1
        if self.controller:
            self.controller.moved = ran > 0
        self.references.move_average(self.named_weights)
        return Update(
            loss=sum(losses) / len(losses),
            grad_norm=max(norms),
            learning_rate=rate,
            kl_floor=self.controller.floor if self.controller else None,
            rows=ran,
            sampled=sum(len(group) for group in rows.groups),
            stats=stats.summary(),
            seconds=time.monotonic() - started,
        )

    def rehearse(self, rows: Rows) -> None:
        """The forward and backward passes of `update`, without its optimizer steps."""
        parts = split(rows, self.config.learner.minibatches, self.config.seed)
        old = self._old_logprobs(rows) if len(parts) > 1 else None
        for part in parts:
            self._gradient(part, old)
        self.optimizer.zero_grad(set_to_none=True)

    def _step(
        self, part: list[Row], old: dict[Tokens, list[float]] | None
    ) -> tuple[float, float, int, LossStats]:
        loss, rows, stats = self._gradient(part, old)
        if not rows:  # no group has any signal: no step for weight decay or momentum
            return 0.0, 0.0, 0, stats
        limit = self.config.learner.gradient_norm
        norm = float(collectives.whole(torch.nn.utils.clip_grad_norm_(self.masters.tensors, limit)))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise NonFiniteError(
                f"loss {loss} or gradient norm {norm} is not finite in batch {self.batches + 1}; no step was taken "
                "with it. Resume from the last checkpoint with a lower learner.learning_rate (--allow-changes)"
            )
        self.optimizer.step()
        self.masters.round()
        return loss, norm, rows, stats

    def _gradient(
        self, part: list[Row], old: dict[Tokens, list[float]] | None
    ) -> tuple[float, int, LossStats]:
        """Leave the gradient of a minibatch in the parameters.

        Returns: the loss, how many completions ran through the model, statistics.
        """
        objective = self.objective
        weights = credit.row_weights(
            objective,
            [r.advantage for r in part],
            [len(r.completion) for r in part],
            n_sampled=sum(r.advantage is not None for r in part),
            max_tokens=self.config.sampler.max_tokens,
        )
        used = [(r, w) for r, w in zip(part, weights, strict=True) if self._needed(r)]
        ranks = collectives.world_size()
        merged = distinct(used)
        dealt = self._deal([row for row, _, _ in merged])
        total, stats = 0.0, LossStats(work_slowest=dealt.slowest, work_mean=dealt.mean)
        self.optimizer.zero_grad(set_to_none=True)
        for pack, counts in dealt.passes(collectives.rank()):
            group = [merged[i] if counts else (merged[i][0], 0.0, 0) for i in pack]
            loss, logp_BT, group_stats = self._loss(group, old)
            (loss * ranks).backward()  # FSDP takes the mean over ranks; ours is a sum
            if counts:
                total += float(loss.detach())
                stats += group_stats
                stats += _gradient_stats(logp_BT, [row for row, _, _ in group], ranks)
        total, stats = collectives.summed(total, stats)
        return total, len(used), stats

    def _score(self, model: PreTrainedModel, rows: Sequence[TokenRow], **options: Any) -> Scores:
        return score(
            model,
            rows,
            temperature=self.config.sampler.temperature,
            **options,
        )

    def _deal(self, rows: Sequence[TokenRow]) -> Deal:
        return deal(
            rows,
            self.config.learner.tokens_per_microbatch or pass_tokens(self.model.device),
            ranks=collectives.world_size(),
            width=self.model.config.get_text_config().hidden_size,
        )

    def _needed(self, row: Row) -> bool:
        """Whether a completion has to run through the model at all."""
        return bool(row.completion) and credit.needs_row(self.objective, row.advantage)

    def _loss(
        self, used: Sequence[tuple[Row, float, int]], old: dict[Tokens, list[float]] | None
    ) -> tuple[torch.Tensor, torch.Tensor, LossStats]:
        """The loss of what `distinct` gave, the log-probabilities that its gradient passes through, and statistics."""
        objective = self.objective
        rows = [row for row, _, _ in used]
        full_kl = objective.kl_coef > 0 and objective.kl_kind == "full"
        scores = self._score(
            self.model,
            rows,
            entropy=objective.entropy_coef != 0,
            references=[self._reference] if full_kl else [],
        )
        logp = scores.logp_BT
        logp.retain_grad()
        loss, stats = objectives.policy_loss(
            objective,
            objectives.LossInputs(
                logp,
                logp.detach() if old is None else padded([old[row.tokens] for row in rows], logp),
                scores.mask_BT,
                torch.tensor([float(row.advantage or 0.0) for row in rows], device=logp.device),
                torch.tensor([w for _, w, _ in used], device=logp.device),
                logp_sampler_BT=padded([row.logprobs for row in rows], logp),
                logp_ref_BT=self._reference_logprobs(rows) if objective.kl_coef > 0 and not full_kl else None,
                kl_full_BT=scores.kls_BT[0] if full_kl else None,
                entropy_BT=scores.entropy_BT,
                count_B=torch.tensor([n for _, _, n in used], device=logp.device),
            ),
        )
        return loss, logp, stats

    @property
    def _reference(self) -> PreTrainedModel:
        """What the KL term is held to."""
        references, slow = self.references, self.objective.kl_reference == "average"
        return references.average if slow and references.average is not None else references.warm

    def _reference_logprobs(self, rows: Sequence[Row]) -> torch.Tensor:
        with torch.no_grad():
            return self._score(self._reference, rows).logp_BT

    def _old_logprobs(self, batch: Rows) -> dict[Tokens, list[float]]:
        """Log-probabilities under the weights at the start of the batch; each rank scores its share."""
        rows = list({row.tokens: row for row in batch if self._needed(row)}.values())
        old: dict[Tokens, list[float]] = {}
        with torch.no_grad():
            for pack, _ in self._deal(rows).passes(collectives.rank()):
                logp = self._score(self.model, [rows[i] for i in pack]).logp_BT.tolist()
                for i, values in zip(pack, logp, strict=True):
                    old[rows[i].tokens] = values[: len(rows[i].completion)]
        return collectives.united(old)

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
            "batches": self.batches,
            "torch_rng": torch.get_rng_state(),
            "controller": self.controller.state() if self.controller else None,
        }

    def load(self, folder: Path, state: dict[str, Any]) -> None:
        """Go on from what `save` wrote to `folder`, whose weights are loaded already, and from `state`.

        The configuration may have changed since: what the learner had no use for begins with these weights.

        Raises:
            OSError: `folder` is not whole, or of another model.
        """
        masters = {f"masters.{i}": tensor.detach() for i, tensor in enumerate(self.masters.tensors)}
        missing = tensor_files.load(masters | self.tensors(), folder / TENSORS)
        if any(name.startswith("optimizer.") for name in missing):
            raise OSError("the optimizer's state is not in it")
        self.masters.round()
        self.references.loaded()
        self.batches = state["batches"]
        torch.set_rng_state(state["torch_rng"])
        if self.controller and state["controller"]:
            target = self.controller.target  # may have been changed since
            self.controller = replace(RateController(**state["controller"]), target=target)


def _gradient_stats(logp_BT: torch.Tensor, rows: Sequence[Row], scale: int) -> LossStats:
    """The absolute gradient that reached the log-probabilities, by the sign of the advantage."""
    assert logp_BT.grad is not None
    sums_B = (logp_BT.grad.abs().sum(1) / scale).tolist()
    pairs = [(r.advantage or 0.0, s) for r, s in zip(rows, sums_B, strict=True)]
    return LossStats(
        gradient_positive=sum(s for a, s in pairs if a > 0),
        gradient_negative=sum(s for a, s in pairs if a < 0),
    )
