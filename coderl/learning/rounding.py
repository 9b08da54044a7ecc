"""Weights moved by as little as their precision can tell, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch.distributed.tensor import DTensor

BITS = {2: torch.int16, 4: torch.int32}  # integers, by bytes a weight


@contextmanager
def last_bits_flipped(parameters: Iterable[torch.nn.Parameter], share: float) -> Iterator[None]:
    """Flip the last bit of a random `share` of the weights; flipped once more, they are to the bit what they were."""
    tensors = [p.to_local() if isinstance(p, DTensor) else p.detach() for p in parameters]
    _flip(tensors, share)
    try:
        yield
    finally:
        _flip(tensors, share)


@torch.no_grad()
def _flip(tensors: Iterable[torch.Tensor], share: float) -> None:
    for number, tensor in enumerate(tensors):
        generator = torch.Generator(tensor.device).manual_seed(number)
        chosen = torch.rand(tensor.shape, generator=generator, device=tensor.device) < share
        tensor.view(BITS[tensor.element_size()]).bitwise_xor_(chosen)
