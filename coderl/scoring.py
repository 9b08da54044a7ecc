"""Log-probabilities of completions under a model, without the logits of whole sequences.

Shapes: B sequences, T tokens (prompt and completion, right-padded), K completion tokens of all
sequences laid end to end, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

CHUNK_TOKENS = 4096  # rows of logits alive at once


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A prompt and its completion, as tokens."""

    prompt: list[int]
    completion: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, slots=True)
class Scores:
    """`logp_BT`, `entropy_BT`, `kls_BT`: nats, completion tokens only, zero where `mask_BT` is zero.

    `entropy_BT` is None unless asked for; `kls_BT` holds the full-vocabulary KL to each reference, in order.
    """

    logp_BT: Tensor
    mask_BT: Tensor
    entropy_BT: Tensor | None
    kls_BT: list[Tensor]


def microbatches(rows: Sequence[TokenRow], tokens: int) -> Iterator[list[int]]:
    """Indices of `rows` in groups of similar length whose padded size stays within `tokens`."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    group: list[int] = []
    for index in order:
        if group and (len(group) + 1) * len(rows[index]) > tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


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
    """
    device = model.device
    width = max(len(row) for row in rows)
    longest = max(len(row.completion) for row in rows)
    ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    attention_BT = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    source: list[int] = []
    target: list[int] = []
    for b, row in enumerate(rows):
        ids_BT[b, : len(row)] = torch.tensor(row.prompt + row.completion)
        attention_BT[b, : len(row)] = 1
        mask_BT[b, : len(row.completion)] = True
        first = b * width + len(row.prompt) - 1  # the state that predicts the first completion token
        source += range(first, first + len(row.completion))
        target += row.completion
    source_K = torch.tensor(source, device=device)
    target_K = torch.tensor(target, device=device)
    ids_BT, attention_BT, mask_BT = ids_BT.to(device), attention_BT.to(device), mask_BT.to(device)

    hidden_KD = _hidden(model, ids_BT, attention_BT, source_K)
    with torch.no_grad():
        reference_KD = [_hidden(reference, ids_BT, attention_BT, source_K) for reference in references]
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
        return tuple(out)

    parts = []
    for start in range(0, len(target), CHUNK_TOKENS):
        piece = slice(start, start + CHUNK_TOKENS)
        inputs = (hidden_KD[piece], target_K[piece], *(states[piece] for states in reference_KD))
        one = len(target) <= CHUNK_TOKENS or not torch.is_grad_enabled()
        parts.append(chunk(*inputs) if one else checkpoint(chunk, *inputs, use_reentrant=False))
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]

    def spread(values_K: Tensor) -> Tensor:
        return torch.zeros(mask_BT.shape, dtype=values_K.dtype, device=device).masked_scatter(
            mask_BT, values_K
        )

    return Scores(
        logp_BT=spread(columns[0]),
        mask_BT=mask_BT,
        entropy_BT=spread(columns[1]) if entropy else None,
        kls_BT=[spread(column) for column in columns[len(columns) - len(references) :]],
    )


def _hidden(model: PreTrainedModel, ids_BT: Tensor, attention_BT: Tensor, source_K: Tensor) -> Tensor:
    states = model.get_decoder()(
        input_ids=ids_BT, attention_mask=attention_BT, use_cache=False
    ).last_hidden_state
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
