"""Log-probabilities of completions under a model, without the logits of whole sequences.

Shapes: B sequences, T tokens (prompt and completion, right-padded), K completion tokens of all
sequences laid end to end, D hidden size, V vocabulary.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from coderl.errors import ModelError

ATTACHED = "coderl_columns"
CHUNK_TOKENS = 4096  # rows of logits alive at once, at most
CHUNK_LOGITS = 2**25  # and numbers in them: 128 MiB in float32
PACK_TOKENS = 1024  # completions that share a prompt, together: attention grows with the square of it


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

    `entropy_BT` is None unless asked for; `kls_BT` holds the full-vocabulary KL to each reference, in order, and
    `reference_logps_BT` the tokens' log-probabilities under it, without gradient.
    """

    logp_BT: Tensor
    mask_BT: Tensor
    entropy_BT: Tensor | None
    kls_BT: list[Tensor]
    reference_logps_BT: list[Tensor]


def packs(rows: Sequence[TokenRow], share_prompts: bool) -> list[list[int]]:
    """Indices of `rows` that go through the model as one sequence: prompt, completion, completion, ...

    Neighbours with the same prompt, as long as their completions stay within PACK_TOKENS; else one row each.
    """
    out: list[list[int]] = []
    tokens = 0
    for index, row in enumerate(rows):
        tokens += len(row.completion)
        if share_prompts and out and rows[out[-1][0]].prompt == row.prompt and tokens <= PACK_TOKENS:
            out[-1].append(index)
        else:
            out.append([index])
            tokens = len(row.completion)
    return out


def microbatches(
    rows: Sequence[TokenRow], tokens: int, *, share_prompts: bool = False
) -> Iterator[list[int]]:
    """Indices of `rows` in groups of similar length whose padded size stays within `tokens`."""
    packed = packs(rows, share_prompts)
    lengths = [len(rows[p[0]].prompt) + sum(len(rows[i].completion) for i in p) for p in packed]
    group: list[int] = []
    count = 0
    for which in sorted(range(len(packed)), key=lambda i: lengths[i]):
        if group and (count + 1) * lengths[which] > tokens:
            yield group
            group, count = [], 0
        group += packed[which]
        count += 1
    if group:
        yield group


def score(
    model: PreTrainedModel,
    rows: Sequence[TokenRow],
    *,
    temperature: float = 1.0,
    entropy: bool = False,
    references: Sequence[PreTrainedModel] = (),
    share_prompts: bool = False,
) -> Scores:
    """Score every completion token of `rows` under `softmax(logits / temperature)`.

    The backbone runs once; the output layer runs on completion positions only, in chunks whose
    logits are recomputed in the backward pass rather than kept. With `share_prompts` neighbours with the
    same prompt are one sequence, in which a completion attends to the prompt and to itself.
    """
    device = model.device
    layout = _layout(rows, packs(rows, share_prompts))
    inputs_BT = {name: tensor.to(device) for name, tensor in layout.inputs_BT.items()}
    mask_BT = layout.mask_BT.to(device)
    source_K, target_K = layout.source_K.to(device), layout.target_K.to(device)

    arguments = (inputs_BT, source_K, target_K, temperature, entropy, references)
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
    inputs_BT: dict[str, Tensor],
    source_K: Tensor,
    target_K: Tensor,
    temperature: float,
    entropy: bool,
    references: Sequence[PreTrainedModel],
) -> tuple[Tensor, ...]:
    """Log-probabilities, entropies if asked for, then for each reference the KL and its log-probabilities; K each."""
    hidden_KD = _hidden(model, inputs_BT, source_K)
    with torch.no_grad():
        reference_KD = [_hidden(reference, inputs_BT, source_K) for reference in references]
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
        inputs = (hidden_KD[piece], target_K[piece], *(states[piece] for states in reference_KD))
        one = len(target_K) <= size or not torch.is_grad_enabled()
        parts.append(chunk(*inputs) if one else checkpoint(chunk, *inputs, use_reentrant=False))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The model's inputs, and where among their states the completions are; see `score`."""

    inputs_BT: dict[str, Tensor]
    mask_BT: Tensor  # rows x longest completion
    source_K: Tensor  # states that predict a completion's token, in the flattened batch
    target_K: Tensor  # those tokens


def _layout(rows: Sequence[TokenRow], packed: Sequence[Sequence[int]]) -> _Layout:
    """Lay the packs out, one sequence each, right-padded."""
    sequences, positions, segments = [], [], []
    for pack in packed:
        prompt = rows[pack[0]].prompt
        sequence, position, segment = list(prompt), list(range(len(prompt))), [0] * len(prompt)
        for number, index in enumerate(pack, start=1):
            completion = rows[index].completion
            sequence += completion
            position += range(len(prompt), len(prompt) + len(completion))
            segment += [number] * len(completion)
        sequences.append(sequence)
        positions.append(position)
        segments.append(segment)
    width = max(map(len, sequences))
    ids_BT, position_BT, segment_BT = (
        torch.tensor([x + [fill] * (width - len(x)) for x in part])
        for part, fill in ((sequences, 0), (positions, 0), (segments, -1))
    )
    inputs_BT = {"input_ids": ids_BT, "attention_mask": (segment_BT >= 0).long()}
    if any(len(pack) > 1 for pack in packed):
        inputs_BT["attention_mask"] = _tree_mask(segment_BT)
        inputs_BT["position_ids"] = position_BT
    source, target = [], []
    for b, pack in enumerate(packed):
        start = b * width + len(rows[pack[0]].prompt)
        last = start - 1  # the prompt's last state predicts every completion's first token
        for index in pack:
            completion = rows[index].completion
            source += [last, *range(start, start + len(completion) - 1)]
            target += completion
            start += len(completion)
    longest = max(len(row.completion) for row in rows)
    mask_BT = torch.arange(longest) < torch.tensor([len(row.completion) for row in rows])[:, None]
    return _Layout(inputs_BT, mask_BT, torch.tensor(source), torch.tensor(target))


def _tree_mask(segment_BT: Tensor) -> Tensor:
    """(B, 1, T, T), true where query attends to key: earlier, and in the prompt or in its own completion.

    Padding sees itself alone, since a query that sees nothing gives NaN.
    """
    query_BT1, key_B1T = segment_BT[:, :, None], segment_BT[:, None, :]
    related = (key_B1T == 0) | ((key_B1T == query_BT1) & (key_B1T > 0))
    causal = torch.ones(segment_BT.shape[1], segment_BT.shape[1], dtype=torch.bool).tril()
    own = torch.eye(segment_BT.shape[1], dtype=torch.bool)
    return ((related & causal & (query_BT1 >= 0)) | own)[:, None]


def _hidden(model: PreTrainedModel, inputs_BT: dict[str, Tensor], source_K: Tensor) -> Tensor:
    states = model.get_decoder()(**inputs_BT, use_cache=False).last_hidden_state
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


def check_scoring(model: PreTrainedModel, *, share_prompts: bool) -> None:
    """Compare our chunked log-probabilities with the model's own logits, once.

    Raises:
        ModelError: the model post-processes its logits in a way that scoring.py does not know, or does not
            take the mask that sharing prompts needs.
    """
    rows = [TokenRow([1, 2, 3], [4, 5]), TokenRow([1, 2, 3], [6, 7, 8])]
    with torch.no_grad():
        ours_BT = score(model, rows, share_prompts=share_prompts).logp_BT
        for ours, row in zip(ours_BT, rows, strict=True):
            ids = torch.tensor([row.prompt + row.completion], device=model.device)
            logp = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
            own = logp[2:-1].gather(1, ids[0, 3:, None])[:, 0]
            tolerance = 1e-4 if model.dtype == torch.float32 else 0.1
            if not torch.allclose(ours[: len(own)], own, atol=tolerance):
                raise ModelError(
                    f"{type(model).__name__} changes its logits after the output layer; see coderl/model/scoring.py"
                    if not share_prompts
                    else f"{type(model).__name__} does not score right; try learner.share_prompts=false"
                )
