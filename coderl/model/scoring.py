"""Log-probabilities of completions under a model, without the logits of whole sequences.

The rows go through the model end to end, neighbours with the same prompt sharing it (packing.py).

Shapes: B rows, T tokens of the longest completion, K completion tokens of all rows laid end to end, D hidden size, V
vocabulary.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from coderl.errors import ModelError
from coderl.model import attention
from coderl.model.packing import TokenRow, lay_out

ATTACHED = "coderl_columns"
CHUNK_TOKENS = 4096  # rows of logits alive at once, at most
CHUNK_LOGITS = 2**25  # and numbers in them: 128 MiB in float32


@dataclass(frozen=True, slots=True)
class Scores:
    """`logp_BT`, `entropy_BT`, `kls_BT`: nats, completion tokens only, zero where `mask_BT` is zero.

    `entropy_BT` is None unless asked for; `kls_BT` holds the full-vocabulary KL to each reference, in order, and
    `reference_logps_BT` the tokens' log-probabilities under it, without gradient.
    """

    logp_BT: Tensor
    mask_BT: Tensor
    entropy_BT: Tensor | None
    kls_BT: list[Tensor]
    reference_logps_BT: list[Tensor]


def score(
    model: PreTrainedModel,
    rows: Sequence[TokenRow],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    references: Sequence[PreTrainedModel] = (),
) -> Scores:
    """Score every completion token of `rows` under `softmax(logits / temperature)`.

    The backbone runs once; the output layer runs on completion positions only, in chunks whose
    logits are recomputed in the backward pass rather than kept.

    Raises:
        ModelError: the model attends in a way that packed rows cannot.
    """
    for each in (model, *references):
        attention.install(each)
    device = model.device
    layout = lay_out(rows)
    inputs: dict[str, Any] = {name: tensor.to(device) for name, tensor in layout.inputs.items()}
    # Of four dimensions, so that transformers makes no mask of its own; with segments none is looked at.
    inputs["attention_mask"] = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    inputs["segments"] = layout.segments.to(device)
    mask_BT = layout.mask_BT.to(device)
    source_K, target_K = layout.source_K.to(device), layout.target_K.to(device)

    arguments = (inputs, source_K, target_K, temperature, entropy, references)
    attached = getattr(model, ATTACHED, None)
    columns = attached(*arguments) if attached else token_columns(model, *arguments)
    compared = columns[1 + entropy :]

    def spread(values_K: Tensor) -> Tensor:
        return torch.zeros(mask_BT.shape, dtype=values_K.dtype, device=device).masked_scatter(
            mask_BT, values_K
        )

    return Scores(
        logp_BT=spread(columns[0]),
        mask_BT=mask_BT,
        entropy_BT=spread(columns[1]) if entropy else None,
        kls_BT=[spread(column) for column in compared[0::2]],
        reference_logps_BT=[spread(column) for column in compared[1::2]],
    )


def attach(model: PreTrainedModel) -> str:
    """Make scoring a method of `model`, for wrappers that act when one is called; its name."""
    setattr(model, ATTACHED, types.MethodType(token_columns, model))
    return ATTACHED


def token_columns(
    model: PreTrainedModel,
    inputs: dict[str, Any],
    source_K: Tensor,
    target_K: Tensor,
    temperature: float,
    entropy: bool,
    references: Sequence[PreTrainedModel],
) -> tuple[Tensor, ...]:
    """Log-probabilities, entropies if asked for, then for each reference the KL and its log-probabilities; K each."""
    hidden_KD = _hidden(model, inputs, source_K)
    with torch.no_grad():
        reference_KD = [_hidden(reference, inputs, source_K) for reference in references]
    head = _head(model)
    reference_heads = [_head(reference) for reference in references]

    def chunk(hidden: Tensor, targets: Tensor, *reference_hidden: Tensor) -> tuple[Tensor, ...]:
        logp_KV = torch.log_softmax(head(hidden).float() / temperature, -1)
        out = [logp_KV.gather(1, targets[:, None])[:, 0]]
        if entropy:
            out.append(-(logp_KV.exp() * logp_KV).sum(-1))
        for reference_head, states in zip(reference_heads, reference_hidden, strict=True):
            with torch.no_grad():
                ref_KV = torch.log_softmax(reference_head(states).float() / temperature, -1)
            out.append((logp_KV.exp() * (logp_KV - ref_KV)).sum(-1))
            out.append(ref_KV.gather(1, targets[:, None])[:, 0])
        return tuple(out)

    parts = []
    size = max(1, min(CHUNK_TOKENS, CHUNK_LOGITS // model.get_output_embeddings().weight.shape[0]))
    for start in range(0, len(target_K), size):
        piece = slice(start, start + size)
        states = (hidden_KD[piece], target_K[piece], *(reference[piece] for reference in reference_KD))
        one = len(target_K) <= size or not torch.is_grad_enabled()
        parts.append(chunk(*states) if one else checkpoint(chunk, *states, use_reentrant=False))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _hidden(model: PreTrainedModel, inputs: dict[str, Any], source_K: Tensor) -> Tensor:
    states = model.get_decoder()(**inputs, use_cache=False).last_hidden_state
    selected: Tensor = states.reshape(-1, states.shape[-1])[source_K]
    return selected


def _head(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    """The output layer as a function of hidden states; soft-capped where the model says so (Gemma 2)."""
    layer = model.get_output_embeddings()
    cap = getattr(model.config, "final_logit_softcapping", None)
    scale = getattr(model.config, "logits_scaling", None)  # Granite divides by it

    def logits(hidden: Tensor) -> Tensor:
        out: Tensor = layer(hidden)
        if scale:
            out = out / scale
        if cap:
            out = cap * torch.tanh(out / cap)
        return out

    return logits


def check_scoring(model: PreTrainedModel) -> None:
    """Compare the log-probabilities of packed rows with the model's own logits of each row alone, once.

    Raises:
        ModelError: the model post-processes its logits in a way that scoring.py does not know, or attends from one
            packed row to another.
    """
    rows = [TokenRow([1, 2, 3], [4, 5]), TokenRow([1, 2, 3], [6, 7, 8]), TokenRow([6, 7], [8, 9, 10])]
    with torch.no_grad():
        ours_BT = score(model, rows).logp_BT
        for ours, row in zip(ours_BT, rows, strict=True):
            ids = torch.tensor([row.prompt + row.completion], device=model.device)
            first = len(row.prompt)
            logp = torch.log_softmax(model(input_ids=ids).logits[0, first - 1 : -1].float(), -1)
            own = logp.gather(1, ids[0, first:, None])[:, 0]
            tolerance = 1e-4 if model.dtype == torch.float32 else 0.1
            if not torch.allclose(ours[: len(own)], own, atol=tolerance):
                raise ModelError(
                    f"{type(model).__name__} cannot be trained here: its log-probabilities of packed rows are not its "
                    "own. It changes its logits after the output layer, or does not keep packed rows apart; see "
                    "coderl/model/scoring.py"
                )
