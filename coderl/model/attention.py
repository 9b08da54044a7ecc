"""Attention among rows that are laid end to end in one sequence, without padding and without a mask of its square.

On a GPU in half precision it is one call of FlashAttention (`varlen_attn`); elsewhere one of PyTorch's attention for
each segment. On CPUs it is computed in float32 even where the model is in bfloat16: the backward pass of attention
takes four times as long in bfloat16 there, all else is faster.

Shape suffixes: B = 1, H heads, N tokens of all rows, M the keys that they attend to, D of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from coderl.errors import ModelError

NAME = "coderl_segments"
UNKNOWN = ("softcap", "s_aux")  # what some architectures add to attention, and this one cannot


@dataclass(frozen=True, slots=True)
class Segments:
    """Stretches of a packed sequence, in order, each of which attends to keys that end with its own tokens.

    A row is one; where completions share a prompt, the prompt is one and each completion another, whose keys are the
    prompt's and its own. `queries`, `keys`: their lengths. `key_M`: which of the N tokens the keys are; None: the
    queries' own.
    """

    queries: list[int]
    keys: list[int]
    key_M: Tensor | None

    def to(self, device: torch.device) -> Segments:
        return Segments(self.queries, self.keys, None if self.key_M is None else self.key_M.to(device))


def install(model: PreTrainedModel) -> None:
    """Let `model` attend by `Segments` where it is given some, from now on; not saved with it.

    Raises:
        ModelError: its attention is not transformers' interface.
    """
    if model.config._attn_implementation == NAME:
        return
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    try:
        model.set_attn_implementation(NAME)
    except ValueError as error:
        raise ModelError(f"{type(model).__name__} does not let its attention be replaced: {error}") from error


def _attend(
    module: nn.Module,
    query_BHND: Tensor,
    key_BHND: Tensor,
    value_BHND: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: Segments | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    if extra := [name for name in UNKNOWN if options.get(name) is not None]:
        raise ModelError(f"{type(module).__name__} attends with {extra[0]}, which cannot be trained here")
    query, key, value, dtype = query_BHND, key_BHND, value_BHND, query_BHND.dtype
    on_cpu = query.device.type == "cpu"
    if on_cpu:
        query, key, value = query.float(), key.float(), value.float()
    if segments is None:
        if on_cpu and attention_mask is not None and attention_mask.is_floating_point():
            attention_mask = attention_mask.float()
        out_BNHD, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return out_BNHD.to(dtype), None
    if segments.key_M is not None:
        key, value = key.index_select(2, segments.key_M), value.index_select(2, segments.key_M)
    attend = _flash if dtype in (torch.bfloat16, torch.float16) and not on_cpu else _by_segment
    return attend(query, key, value, segments, scaling, sliding_window).to(dtype), None


def _flash(
    query_BHND: Tensor,
    key_BHMD: Tensor,
    value_BHMD: Tensor,
    segments: Segments,
    scale: float | None,
    window: int | None,
) -> Tensor:
    def starts(lengths: list[int]) -> Tensor:
        return torch.tensor([0, *lengths], device=query_BHND.device).cumsum(0).int()

    out_NHD = varlen_attn(
        query_BHND[0].transpose(0, 1),
        key_BHMD[0].transpose(0, 1),
        value_BHMD[0].transpose(0, 1),
        starts(segments.queries),
        starts(segments.keys),
        max(segments.queries),
        max(segments.keys),
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=True,
    )
    assert isinstance(out_NHD, Tensor)  # a pair where more is asked for
    return out_NHD[None]


def _by_segment(
    query_BHND: Tensor,
    key_BHMD: Tensor,
    value_BHMD: Tensor,
    segments: Segments,
    scale: float | None,
    window: int | None,
) -> Tensor:
    parts = zip(
        query_BHND.split(segments.queries, 2),
        key_BHMD.split(segments.keys, 2),
        value_BHMD.split(segments.keys, 2),
        strict=True,
    )
    out = [
        scaled_dot_product_attention(q, k, v, scale=scale, enable_gqa=True, **_mask(q, k, window))
        for q, k, v in parts
    ]
    return torch.cat(out, 2).transpose(1, 2)


def _mask(query: Tensor, key: Tensor, window: int | None) -> dict[str, Any]:
    """Causal, the last query being the last key; at most `window` keys each."""
    queries, keys = query.shape[2], key.shape[2]
    if queries == keys and (window is None or keys <= window):
        return {"is_causal": True}
    mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)
    return {"attn_mask": mask if window is None else mask.triu(keys - queries - window + 1)}
