"""Supervised training: maximum likelihood of completions, by AdamW on float32 copies of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from coderl.errors import NonFiniteError
from coderl.learning.masters import Masters
from coderl.model.packing import TokenRow
from coderl.model.scoring import score

GRADIENT_NORM = 1.0  # gradients are clipped to it
Passes = Sequence[Sequence[TokenRow]]  # rows that go through the model together


class Trainer:
    """Trains `model` in place.

    The rate ramps up linearly in `ramp` steps, falls along a cosine to a tenth at `steps`, and stays there.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        learning_rate: float,
        steps: int,
        ramp: int,
    ) -> None:
        self.model = model
        self._learning_rate, self._steps, self._ramp = learning_rate, steps, ramp
        self.steps = 0  # taken
        self._masters = Masters(p for p in model.parameters() if p.requires_grad)
        self._optimizer = torch.optim.AdamW(self._masters.tensors, lr=learning_rate, betas=(0.9, 0.95))

    def step(self, passes: Passes) -> float:
        """Take one optimizer step; the loss before it, nats a completion token.

        Raises:
            NonFiniteError: loss or gradient is not finite; no step was taken.
        """
        self.model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate * self._schedule()
        self._optimizer.zero_grad(set_to_none=True)
        tokens, total = _tokens(passes), 0.0
        for rows in passes:
            loss = -score(self.model, rows).logp_BT.sum() / tokens
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self._masters.tensors, GRADIENT_NORM))
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise NonFiniteError(
                f"loss {total} or gradient norm {norm} is not finite in step {self.steps + 1}; "
                "try a lower learning rate"
            )
        self._optimizer.step()
        self._masters.round()
        self.steps += 1
        return total

    @torch.no_grad()
    def loss(self, passes: Passes) -> float:
        """Nats a completion token, without a step."""
        self.model.eval()
        return -sum(float(score(self.model, rows).logp_BT.sum()) for rows in passes) / _tokens(passes)

    def _schedule(self) -> float:
        ramp = min(1.0, (self.steps + 1) / self._ramp)
        return ramp * (0.55 + 0.45 * math.cos(math.pi * min(1.0, self.steps / self._steps)))


def _tokens(passes: Passes) -> int:
    """Of all completions."""
    return sum(len(row.completion) for rows in passes for row in rows)
