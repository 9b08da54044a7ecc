"""float32 copies of bfloat16 weights, for the optimizer to step on.

bfloat16 keeps 8 significant bits: an update under 1/512 of a weight is rounded away, and at learning rates of 1e-6
nearly all are. So the model computes in bfloat16 (as vLLM does), while the optimizer adds up in float32 and the model
gets the rounded sum. Gradients move to the copies, in float32, as each is made.

Bytes a trained parameter: 2 weight, 4 copy, 4 gradient, 8 AdamW. A float32 weight is its own copy: 4 + 4 + 8.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch


class Masters:
    """`tensors`: what an optimizer is given, one for each of `parameters`, sharded where that one is."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self.tensors: list[torch.Tensor] = []
        for parameter in self._parameters:
            if parameter.dtype == torch.float32:
                self.tensors.append(parameter)
                continue
            master = parameter.detach().float()
            self.tensors.append(master)
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(_GradientTo(master))

    @property
    def exact(self) -> bool:
        """Whether the model itself holds every tensor, unrounded."""
        return all(p is m for p, m in zip(self._parameters, self.tensors, strict=True))

    @torch.no_grad()
    def round(self) -> None:
        """Give the model the tensors' values."""
        for parameter, master in zip(self._parameters, self.tensors, strict=True):
            if parameter is not master:
                parameter.copy_(master)


class _GradientTo:
    """A hook that adds a parameter's gradient to its float32 copy's, and frees it."""

    def __init__(self, master: torch.Tensor) -> None:
        self._master = master

    def __call__(self, parameter: torch.Tensor) -> None:
        assert parameter.grad is not None
        if self._master.grad is None:
            self._master.grad = parameter.grad.float()
        else:
            self._master.grad += parameter.grad
        parameter.grad = None
