"""The frozen models that the policy being trained is compared with, or held to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from transformers import PreTrainedModel

from coderl.config.settings import RunConfig
from coderl.learning.masters import Masters

KEPT = 0.99  # share of the average that is kept at each batch

Named = Callable[[], Iterator[tuple[str, torch.Tensor]]]


class References:
    """`warm`: where training began. `average`: a slow average of the policy; with `objective.kl_reference = "average"`.

    `previous`: before the last update, against which that, or what an older policy sampled, is measured. With an
    adapter the learner puts `warm` and `previous` here.
    """

    def __init__(self, model: PreTrainedModel, config: RunConfig, warm: PreTrainedModel | None) -> None:
        """Copy `model`, which has no adapter yet. `warm` may be left out where there will be one."""
        self.warm = model if warm is None else _frozen(warm)
        self.previous = model if config.lora else _frozen(copy.deepcopy(model))
        self.average = _frozen(copy.deepcopy(warm or model)) if _uses_average(config) else None
        self._sums = Masters(self.average.parameters()) if self.average is not None else None

    def keep_previous(self, named_weights: Named) -> None:
        """Called before an update, with the policy's weights, or its adapter's."""
        self.previous.load_state_dict(dict(named_weights()))

    @torch.no_grad()
    def move_average(self, named_weights: Named) -> None:
        """Called after an update: average = KEPT x average + (1 - KEPT) x policy, added up in float32."""
        if self.average is None or self._sums is None:
            return
        weights = dict(named_weights())
        for (name, _), slow in zip(self.average.named_parameters(), self._sums.tensors, strict=True):
            slow.lerp_(weights[name].to(slow), 1 - KEPT)
        self._sums.round()

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a checkpoint holds of them, by name; they may be read in place, then `loaded` is called."""
        sums = self._sums.tensors if self._sums is not None else []
        return {f"average.{i}": tensor.detach() for i, tensor in enumerate(sums)} | {
            f"previous.{name}": tensor.detach() for name, tensor in self.previous.named_parameters()
        }

    def loaded(self) -> None:
        if self._sums is not None:
            self._sums.round()


def _frozen(model: PreTrainedModel) -> PreTrainedModel:
    model.eval().requires_grad_(False)
    return model


def _uses_average(config: RunConfig) -> bool:
    return config.objective.kl_coef > 0 and config.objective.kl_reference == "average"
