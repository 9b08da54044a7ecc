"""The learner on several processes: FSDP2 shards weights, gradients and optimizer; each rank runs its share of rows.

Every rank calls the learner's methods in the same order with the same batch (ranks.py). What they
hold goes to disk as it is (tensor_files.py). With one process (or none initialised) all of this does nothing.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.utils import _pytree as pytree
from transformers import PreTrainedModel

from coderl.learning.objectives import LossStats
from coderl.model.scoring import attach

_K = TypeVar("_K")
_V = TypeVar("_V")


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def shard(model: PreTrainedModel) -> None:
    """Shard `model` over all ranks, layer by layer, in place. Gradients are summed in float32."""
    policy = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for layer in model.get_decoder().layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    register_fsdp_forward_method(model, attach(model))


def whole(tree: Any) -> Any:
    """`tree` with every sharded tensor gathered, on all ranks."""
    return pytree.tree_map(lambda x: x.full_tensor() if isinstance(x, DTensor) else x, tree)


def largest(value: float) -> float:
    """The largest `value` of all ranks."""
    if world_size() == 1:
        return value
    box = torch.tensor(value)
    dist.all_reduce(box, dist.ReduceOp.MAX)
    return float(box)


def added(values: torch.Tensor) -> torch.Tensor:
    """The sum over all ranks of `values`, which are on the CPU."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def united(share: dict[_K, _V]) -> dict[_K, _V]:
    """What every rank has, on all ranks."""
    if world_size() == 1:
        return share
    every: list[Any] = [None] * world_size()
    dist.all_gather_object(every, share)
    return {key: value for part in every for key, value in part.items()}


def summed(loss: float, stats: LossStats) -> tuple[float, LossStats]:
    """Loss and statistics of all ranks together."""
    if world_size() == 1:
        return loss, stats
    every: list[Any] = [None] * world_size()
    dist.all_gather_object(every, (loss, [getattr(stats, field.name) for field in fields(LossStats)]))
    total = LossStats()
    for _, values in every:
        total += LossStats(*values)
    return sum(part for part, _ in every), total
