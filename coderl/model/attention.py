"""Attention in float32 for models that otherwise compute in bfloat16, on CPUs.

PyTorch's backward pass of attention takes four times as long in bfloat16 there as in float32; all else is faster.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "sdpa_in_float32"


def in_float32(model: PreTrainedModel) -> None:
    """Let `model` attend in float32 from now on, where it attends by PyTorch's function (sdpa); not saved with it."""
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, _attend)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        model.set_attn_implementation(NAME)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    inputs = query.float(), key.float(), value.float()
    output, weights = sdpa_attention_forward(module, *inputs, attention_mask, **options)
    return output.to(query.dtype), weights
